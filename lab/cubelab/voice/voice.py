"""The voice of one endpoint: a UDP port, what it says (a tone or a file) and what it hears.

Faults live here because they are the endpoint's: it negotiates honestly and then protects with another key, or not
at all.
"""

from __future__ import annotations

import asyncio
import secrets
from array import array
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias, cast

from cubelab.audio.codec import SAMPLES, Format, loop_length, payloads
from cubelab.audio.tones import tone
from cubelab.voice.negotiation import Session, other_key
from cubelab.voice.pacer import Pacer
from cubelab.voice.recording import Recording
from cubelab.wire.wire import Link, Wire
from cubeproxy.protocols import rtp
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.srtp import AuthenticationFailed, Replayed, SrtpReceiver, SrtpSender
from cubeproxy.protocols.values import Address

FIRST_PORT, LAST_PORT = 16384, 32766  # as Cisco's phones have them
ATTEMPTS = 100


class VoiceFault(Enum):
    NONE = "none"
    WRONG_KEY = "wrong-key"  # protects with another key than it announced
    CLEAR = "clear"  # announces keys and sends plain RTP all the same


@dataclass(slots=True)
class VoiceCounters:
    sent: int = 0
    received: int = 0
    refused: int = 0  # failed authentication
    replayed: int = 0
    malformed: int = 0


Source: TypeAlias = "int | array[int] | None"  # Hz of a tone, samples to say over and over, or nothing


class Voice(asyncio.DatagramProtocol):
    """Open it, negotiate with `address`, `start` each agreed session; `close` once."""

    def __init__(
        self,
        pacer: Pacer,
        source: Source = None,
        *,
        record: bool = True,
        fault: VoiceFault = VoiceFault.NONE,
    ) -> None:
        self.counters = VoiceCounters()
        self.recording = Recording()
        self.source = source
        self.keeps_rollover = False  # over a change of its key (RFC 3711 3.3.1); most begin at 0 again
        self.address: Address = ("", 0)  # what is advertised: our port, or our link's on the wire
        self._pacer = pacer
        self._record = record
        self._fault = fault
        self._link: Link | None = None
        self._transport: asyncio.DatagramTransport | None = None
        self._session: Session | None = None
        self._sender: SrtpSender | None = None
        self._receiver: SrtpReceiver | None = None
        self._saying: list[bytes] = []
        self._ssrc = secrets.randbits(32)
        self._sequence = secrets.randbits(15)  # below 2^15, so that a lost first packet cannot hide a rollover
        self._timestamp = secrets.randbits(32)
        self._said = 0

    async def open(self, host: str, wire: Wire | None = None) -> Address:
        """Bind a port of `host`, and a link of the wire in front of it. The address to advertise."""
        self._transport = await self._bind(host)
        own = cast(Address, self._transport.get_extra_info("sockname")[:2])
        self._link = await wire.link(inner=own) if wire else None
        self.address = self._link.address if self._link else own
        return self.address

    async def _bind(self, host: str) -> asyncio.DatagramTransport:
        """A free even port; the next one would be RTCP's (RFC 3550 11)."""
        loop = asyncio.get_running_loop()
        for _ in range(ATTEMPTS):
            port = FIRST_PORT + 2 * secrets.randbelow((LAST_PORT - FIRST_PORT) // 2 + 1)
            try:
                transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
            except OSError:
                continue
            return transport
        raise OSError(f"{host}: no free media port")

    def start(self, session: Session) -> None:
        """Speak and listen as agreed. Keys that did not change keep their stream and its rollover counter."""
        before = self._session
        if before is None or before.send_key != session.send_key:
            self._sender = self._make_sender(session)
        if before is None or before.receive_key != session.receive_key:
            self._receiver = SrtpReceiver(session.receive_key) if session.receive_key else None
        if before is None or before.form is not session.form or not self._saying:
            self._saying = _payloads(self.source, session.form)
        if self._link and session.remote:
            self._link.outer = session.remote
        self._session = session
        self._pacer.remove(self)
        if session.sends and session.remote and self._saying:
            self._pacer.add(self)

    def _make_sender(self, session: Session) -> SrtpSender | None:
        if session.send_key is None or self._fault is VoiceFault.CLEAR:
            return None
        key = other_key(session.send_key) if self._fault is VoiceFault.WRONG_KEY else session.send_key
        before = self._sender.index if self._sender is not None and self.keeps_rollover else None
        return SrtpSender(key, self._ssrc, resume=before)

    def skip(self, packets: int) -> None:
        """Go on so many sequence numbers later. A packet in each quarter of their space lets a receiver keep count."""
        while packets:
            step = min(packets, 0x4000)
            self._sequence = (self._sequence + step - 1) & 0xFFFF
            self.tick()
            packets -= step

    def tick(self) -> None:
        """Say the next 20 ms."""
        session, transport = self._session, self._transport
        if session is None or transport is None or session.remote is None:
            return
        payload = self._saying[self._said % len(self._saying)]
        packet = rtp.build(
            session.form.payload_type, self._sequence, self._timestamp, self._ssrc, payload, marker=not self._said
        )
        if self._sender:
            packet = self._sender.protect(packet)
        transport.sendto(packet, self._link.address if self._link else session.remote)
        self._said += 1
        self._sequence = (self._sequence + 1) & 0xFFFF
        self._timestamp = (self._timestamp + SAMPLES) & 0xFFFFFFFF
        self.counters.sent += 1

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        if self._session is None or not self._session.receives:
            return
        try:
            packet = self._receiver.unprotect(data) if self._receiver else data
            start, end = rtp.payload_span(packet)
        except AuthenticationFailed:
            self.counters.refused += 1
            return
        except Replayed:
            self.counters.replayed += 1
            return
        except RemoteProtocolError:
            self.counters.malformed += 1
            return
        self.counters.received += 1
        if self._record:
            _, second, _, timestamp, _ = rtp.HEADER.unpack_from(packet)
            self.recording.add(timestamp, second & 0x7F, packet[start:end])

    def error_received(self, exc: Exception) -> None:
        """The far port is closed (ICMP): it will be heard in the recording, or not at all."""

    def close(self) -> None:
        self._pacer.remove(self)
        self._session = None
        if self._link:
            self._link.close()
        if self._transport:
            self._transport.close()


def _payloads(source: Source, form: Format) -> list[bytes]:
    """The endless loop that an endpoint says; nothing for a silent one."""
    if isinstance(source, int):
        return payloads(tone(source, loop_length(source)), form)
    return payloads(source, form) if source else []
