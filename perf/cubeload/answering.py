"""The far end of a load: answers INVITE, BYE, REGISTER and OPTIONS at once, and keeps nothing but counters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

from cubeload.links import Link, UdpLink, open_udp
from cubeload.messages import CONTACT, answer, read, sdp


class Answerer:
    """A core on UDP. `media` is the address and port that its answers name; nothing listens there."""

    def __init__(self, host: str, media: tuple[str, int]) -> None:
        self.host = host
        self.media = media
        self.requests: Counter[str] = Counter()
        self.offered: Callable[[bytes], None] = lambda _invite: None  # gets each INVITE, repeated ones too
        self._link: UdpLink | None = None

    async def open(self, port: int = 0) -> str:
        """Address and port that it listens on, as host:port."""
        self._link = await open_udp(self._received, self.host, port)
        return self._link.here

    def close(self) -> None:
        if self._link is not None:
            self._link.close()

    def _received(self, link: Link, data: bytes, source: tuple[str, int]) -> None:
        message = read(data)
        if message is None or message.status:
            return
        self.requests[message.method] += 1
        if message.method == "ACK":
            return
        tag = f"a{self.requests.total()}"
        contact = f"Contact: <sip:{link.here}>\r\n"
        if message.method == "INVITE":
            self.offered(data)
            tag = f"i{hash(message.call_id) & 0xFFFFFFFF:x}"  # a retransmission gets the same
            link.send(answer(data, "180 Ringing", tag, contact), source)
            link.send(answer(data, "200 OK", tag, contact, sdp(*self.media)), source)
        elif message.method == "REGISTER":
            link.send(answer(data, "200 OK", tag, _bindings(data)), source)
        else:
            link.send(answer(data, "200 OK", tag), source)


def _bindings(register: bytes) -> str:
    return "".join(f"Contact: <{uri.decode()}>;expires=3600\r\n" for uri in CONTACT.findall(register))
