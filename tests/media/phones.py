"""An endpoint for relay tests that shares no code with the relay: struct for RTP, pylibsrtp itself for SRTP."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, ClassVar

import pylibsrtp

from cubeproxy.media.relay import Session
from cubeproxy.protocols.rtcp import Report, parse, serialise
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Address, Codec, StreamSpec

PCMU = Codec("pcmu", 8000)
PROFILES = {
    Suite.AES_CM_128_HMAC_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Suite.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Suite.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
SHA1_80 = Suite.AES_CM_128_HMAC_SHA1_80


def key(number: int, suite: Suite = SHA1_80) -> MasterKey:
    """A key that is the same in every run and differs by number."""
    return MasterKey(suite, bytes((number * 37 + place) & 0xFF for place in range(suite.sizes.master)))


def outbound(master: MasterKey) -> pylibsrtp.Session:
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(master.master, kind, 0, PROFILES[master.suite]))


def inbound(master: MasterKey) -> pylibsrtp.Session:
    kind = pylibsrtp.Policy.SSRC_ANY_INBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(master.master, kind, 0, PROFILES[master.suite]))


@dataclass
class Heard:
    """What a phone got out of a datagram."""

    payload: bytes
    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    marker: bool


class Phone:
    """One end. `ours` protects what it sends, `theirs` verifies what it hears; None is clear."""

    def __init__(self, address: Address, ours: MasterKey | None = None, theirs: MasterKey | None = None) -> None:
        self.address = address
        self.ssrc = 0x1000 + address[1]
        self.sequence = 100
        self.timestamp = 16_000
        self.use(ours, theirs)

    def use(self, ours: MasterKey | None, theirs: MasterKey | None) -> None:
        """Other keys, new contexts."""
        self.ours, self.theirs = ours, theirs
        self._out = outbound(ours) if ours else None
        self._in = inbound(theirs) if theirs else None

    def spec(self, **changes: object) -> StreamSpec:
        """The leg towards this phone, as the proxy negotiated it."""
        fields: dict[str, object] = {
            "remote": self.address,
            "codec": PCMU,
            "payload_type": 0,
            "send_key": self.theirs,
            "receive_key": self.ours,
        }
        return StreamSpec(**(fields | changes))  # type: ignore[arg-type]

    def say(
        self,
        payload: bytes = b"\xff" * 160,
        *,
        payload_type: int = 0,
        marker: bool = False,
        step: int = 1,
        first: int = 0x80,
        between: bytes = b"",
    ) -> bytes:
        """The next packet; `step` 2 leaves one out. `first` and `between` make unusual headers."""
        self.sequence = (self.sequence + step) & 0xFFFF
        self.timestamp = (self.timestamp + 160 * step) & 0xFFFFFFFF
        second = payload_type | marker << 7
        head = struct.pack("!BBHII", first, second, self.sequence, self.timestamp, self.ssrc)
        packet = head + between + payload
        return self._out.protect(packet) if self._out else packet

    def tell(self, *reports: Report) -> bytes:
        """A compound of this phone, protected like its packets."""
        compound = serialise(*reports)
        return self._out.protect_rtcp(compound) if self._out else compound

    def told(self, datagram: bytes) -> list[Report]:
        """What a compound says that came to this phone."""
        return parse(self._in.unprotect_rtcp(datagram) if self._in else datagram)

    def hear(self, datagram: bytes) -> Heard:
        if self._in:
            datagram = self._in.unprotect(datagram)
        first, second, sequence, timestamp, ssrc = struct.unpack_from("!BBHII", datagram)
        assert first == 0x80, "no extension, CSRC or padding reaches the other side"
        return Heard(datagram[12:], second & 0x7F, sequence, timestamp, ssrc, second > 127)


class Line:
    """A session between two phones, with a clock that moves 20 ms a packet."""

    make_session: ClassVar[Any] = Session  # whatever has its methods: see conftest

    def __init__(self, access: Phone, core: Phone, **access_changes: object) -> None:
        self.phones = (access, core)
        self.session: Any = type(self).make_session()
        self.now = 100.0
        self.negotiate(access.spec(**access_changes), core.spec())

    def negotiate(self, access: StreamSpec | None, core: StreamSpec | None) -> None:
        self.session.update((access, core), self.now)

    def pass_on(self, leg: int, datagram: bytes, source: Address | None = None) -> tuple[bytes, Address] | None:
        self.now += 0.02
        source = source or self.phones[leg].address
        out: tuple[bytes, Address] | None = self.session.receive(leg, datagram, source, self.now)
        return out

    def carry(self, leg: int, datagram: bytes, source: Address | None = None) -> Heard | None:
        """A datagram through the session to the phone at the other end; None when nothing comes out."""
        out = self.pass_on(leg, datagram, source)
        if out is None:
            return None
        other = self.phones[1 - leg]
        assert out[1] == other.address, f"sent to {out[1]}"
        return other.hear(out[0])

    def talk(self, leg: int, packets: int = 1) -> list[Heard]:
        """Packets of a phone that must all arrive."""
        heard = [self.carry(leg, self.phones[leg].say()) for _ in range(packets)]
        assert None not in heard
        return [each for each in heard if each is not None]

    def words(self, leg: int, word: int) -> int:
        value: int = self.session.legs[leg].words[word]
        return value


def secure_line(**access_changes: object) -> Line:
    """SRTP on the access side, RTP on the core side."""
    return Line(Phone(("127.0.0.1", 4000), key(1), key(2)), Phone(("127.0.0.2", 5000)), **access_changes)


def clear_line() -> Line:
    return Line(Phone(("127.0.0.1", 4000)), Phone(("127.0.0.2", 5000)))
