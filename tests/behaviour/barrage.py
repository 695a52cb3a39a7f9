"""Bad input of every kind at once, from a seeded generator: what `test_bad_input` fires at the proxy."""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from tests.behaviour.raw import (
    CRYPTO,
    Address,
    Rogue,
    Stream,
    answers,
    client_context,
    header,
    request,
    sdp,
    status,
    tag_of,
    udp,
)
from tests.behaviour.siege import ROGUE, Siege

BATCH = 100

SPOILERS: tuple[Callable[[random.Random, bytes], bytes], ...] = (
    lambda rng, m: m.replace(b"CSeq: 1", b"CSeq: %d" % rng.randrange(1 << 40)),
    lambda rng, m: m.replace(b"Call-ID:", b"X-Call-ID:"),
    lambda rng, m: m.replace(b"SIP/2.0\r\nVia", b"SIP/%d.0\r\nVia" % rng.randrange(3, 10)),
    lambda rng, m: m.replace(b"Max-Forwards: 70", b"Max-Forwards: " + b"7" * rng.randrange(4, 400)),
    lambda rng, m: m.replace(b"tag=", b'tag="' + rng.randbytes(4).hex().encode(), 1),
    lambda rng, m: m.replace(b"<sip:", b"<" + bytes(rng.choices(range(33, 127), k=4)) + b":", 1),
    lambda rng, m: m.replace(b"\r\n\r\n", b"\r\n" + b"X-Pad: " + b"y" * rng.randrange(12_000) + b"\r\n\r\n", 1),
    lambda rng, m: m.replace(b"Via:", b"Via: SIP/2.0/TLS h;branch=z9hG4bK1\r\n" * rng.randrange(1, 30) + b"Via:", 1),
)

DESCRIPTIONS: tuple[Callable[[random.Random], bytes], ...] = (
    lambda rng: rng.randbytes(rng.randrange(1, 2000)),
    lambda rng: sdp(crypto=f"a=crypto:1 AES_{rng.randrange(999)} inline:AAAA\r\n"),
    lambda rng: sdp(crypto=f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{rng.randbytes(9).hex()}\r\n"),
    lambda rng: sdp(profile="RTP/AVP"),
    lambda rng: sdp() + b"m=audio 2 RTP/SAVP 0\r\n" * rng.randrange(17, 500),
    lambda rng: sdp(crypto=CRYPTO * rng.randrange(33, 500)),
    lambda rng: sdp(port=rng.randrange(65_536, 1 << 20)),
    lambda rng: sdp("224.0.0.%d" % rng.randrange(1, 255)),  # noqa: UP031
)


def mutated(rng: random.Random, message: bytes) -> bytes:
    """Some octets changed, cut out, doubled or moved."""
    octets = bytearray(message)
    for _ in range(rng.randrange(1, 6)):
        place, length = rng.randrange(len(octets)), rng.randrange(1, 30)
        match rng.randrange(4):
            case 0:
                octets[place] = rng.randrange(256)
            case 1:
                del octets[place : place + length]
            case 2:
                octets[place:place] = octets[place : place + length]
            case _:
                octets[place:place] = rng.randbytes(length)
        if not octets:
            octets += b"x"
    return bytes(octets)


class Barrage:
    """`fire(count)` sends that many inputs; `sent` and `got` count them by kind and by answer."""

    def __init__(self, siege: Siege, corpora: Path | None = None, seed: int = 1) -> None:
        self.siege = siege
        self.rng = random.Random(seed)
        self.sent: Counter[str] = Counter()
        self.got: Counter[int] = Counter()
        self._corpus = [path.read_bytes() for path in sorted((corpora or Path("/nowhere")).glob("rfc*/*.dat"))]
        self._node = udp((siege.stage.network.nodes[1], 0))
        self._strangers = [udp((siege.host(180 + number), 0)) for number in range(8)]
        self._phone: Rogue | None = None
        self._kinds: tuple[tuple[str, int, Callable[[int], None]], ...] = (
            ("mutated datagrams from a node's address", 35, self._from_node),
            ("datagrams from strangers", 15, self._from_strangers),
            ("spoilt messages of a phone", 15, self._from_phone),
            ("bad descriptions of a phone", 8, self._descriptions),
            ("connections that are no TLS, or stop", 3, self._connections),
            ("refused certificates", 1, self._certificates),
            ("datagrams at media ports", 23, self._media),
        )  # shares of a hundred

    def fire(self, count: int, rate: float = float("inf")) -> None:
        """Send so many inputs, at most `rate` a second: memory in use follows the rate, so that a level needs one."""
        began = time.monotonic()
        for batch in range(count // BATCH):
            time.sleep(max(0.0, began + batch * BATCH / rate - time.monotonic()))
            for name, share, send in self._kinds:
                send(share)
                self.sent[name] += share
            self._collect()

    @property
    def total(self) -> int:
        return sum(self.sent.values())

    def close(self) -> None:
        for sock in (self._node, *self._strangers):
            sock.close()
        if self._phone is not None:
            self._phone.sock.close()

    # kinds

    def _from_node(self, count: int) -> None:
        for octets in self._messages(count, self.siege.core[0], "UDP"):
            self._node.sendto(octets[:60_000], self.siege.core)

    def _from_strangers(self, count: int) -> None:
        for number in range(count):
            octets = next(self._messages(1, self.siege.core[0], "UDP"))
            self._strangers[number % 8].sendto(octets[:60_000], self.siege.core)

    def _messages(self, count: int, host: str, transport: str) -> Iterator[bytes]:
        for number in range(count):
            if self._corpus and number % 4 == 0:
                yield mutated(self.rng, self.rng.choice(self._corpus))
                continue
            method = self.rng.choice(("OPTIONS", "INVITE", "REGISTER", "BYE", "ACK", "CANCEL", "SUBSCRIBE"))
            message = request(method, f"sip:1001@{host}", number="9", transport=transport, body=sdp(profile="RTP/AVP"))
            yield mutated(self.rng, message)

    def _from_phone(self, count: int) -> None:
        for number in range(count):
            phone = self._connected()
            spoilt = SPOILERS[number % len(SPOILERS)](self.rng, phone.request("OPTIONS"))
            self._say(spoilt if number % 5 else mutated(self.rng, spoilt))

    def _descriptions(self, count: int) -> None:
        for number in range(count):
            phone = self._connected()
            body = DESCRIPTIONS[number % len(DESCRIPTIONS)](self.rng)
            self._say(phone.request("INVITE", f"sip:3001@{phone.host}", body=body))

    def _connections(self, count: int) -> None:
        for number in range(count):
            source = self.siege.host(100 + self.rng.randrange(80))
            with contextlib.suppress(OSError), Stream(self.siege.access, source=source) as stream:
                stream.say(
                    (b"\x16\x03\x01\x02\x00", self.rng.randbytes(200), b"OPTIONS sip:x SIP/2.0\r\n\r\n")[number % 3]
                )

    def _certificates(self, count: int) -> None:
        bad = list(self.siege.stage.pki.bad.values())
        for _ in range(count):
            identity = self.rng.choice(bad)
            context = client_context(identity.certificate, identity.key)
            source = self.siege.host(100 + self.rng.randrange(80))
            with contextlib.suppress(OSError), Stream(self.siege.access, context, source=source) as stream:
                stream.sock.recv(1)

    def _media(self, count: int) -> None:
        session, far = self.siege.call.session, self.siege.far.session
        assert session is not None
        assert far is not None
        places: list[Address] = [place for place in (session.remote, far.remote) if place is not None]
        for number in range(count):
            host, port = places[number % 2]
            head = (b"\x80\x00", b"\x80\xc8", b"\x00\x01", b"\x16\xfe", b"\xbf\xff")[number % 5]
            self._strangers[number % 8].sendto(
                head + self.rng.randbytes(self.rng.randrange(0, 1400)), (host, port + number % 3 % 2)
            )

    # the phone's connection

    def _connected(self) -> Rogue:
        if self._phone is None:
            self._phone = self.siege.rogue()
            self._phone.register()
        return self._phone

    def _say(self, octets: bytes) -> None:
        assert self._phone is not None
        try:
            self._phone.say(octets)
        except OSError:  # the last message was fatal
            self._hang_up()

    def _hang_up(self) -> None:
        if self._phone is not None:
            self._phone.sock.close()
            self._phone = None

    def _collect(self) -> None:
        """Read what was answered, so that nobody's buffer fills; end the calls that came up."""
        for datagram in answers(self._node, patience=0.0):
            self.got[status(datagram)] += 1
        assert answers(*self._strangers, patience=0.0) == []
        phone = self._phone
        if phone is None:
            return
        while (message := phone.hear(0.002)) is not None:
            self.got[status(message)] += 1
            if status(message) == 200 and header(message, "CSeq").endswith("INVITE"):
                self._end(phone, message)
        phone.sock.settimeout(0.001)
        try:
            data = phone.sock.recv(65_536)
            phone.received += data
            if not data:
                self._hang_up()
        except (TimeoutError, BlockingIOError):
            pass
        except OSError:
            self._hang_up()

    def _end(self, phone: Rogue, ok: bytes) -> None:
        uri = f"sip:3001@{phone.host}"
        ids = {"to_tag": tag_of(header(ok, "To")), "from_tag": tag_of(header(ok, "From"))}
        for method in ("ACK", "BYE"):
            cseq = 1 if method == "ACK" else 2
            self._say(phone.request(method, uri, cseq=cseq, call_id=header(ok, "Call-ID"), number=ROGUE, **ids))


def quiet(siege: Siege, patience: float = 60.0) -> None:
    """Wait until the proxy has dealt with all that was sent: it answers a phone at once."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        with contextlib.suppress(OSError, socket.timeout), siege.rogue() as phone:
            began = time.monotonic()
            if status(phone.ask(phone.request("OPTIONS"), 5)) == 200 and time.monotonic() - began < 0.05:
                return
        time.sleep(0.2)
    raise AssertionError("the proxy never became quiet")
