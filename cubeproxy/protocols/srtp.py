"""SRTP and SRTCP over libsrtp (RFC 3711, RFC 7714), one object for each direction of a stream.

Three things that pylibsrtp's interface lacks are done here and in `libsrtp`, the only file that knows it:

* the index of a packet (rollover counter and sequence number) is kept beside the session, by the rule of
  RFC 3711 3.3.1, so that it can be shown, stored and given back to a session that starts later. Such a session
  is told its rollover counter; where libsrtp does not let us, it is led there by packets of our own, one for each
  quarter of the sequence space, that never leave this process;
* the master key identifier is put before the tag of an AES-CM packet (RFC 3711 3.1) and at the very end of a
  GCM packet (RFC 7714 8), and taken off again;
* failures have types.

A received packet is never trusted before its tag is verified: nothing here moves for one that fails.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from cubeproxy.protocols import libsrtp
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.rtp import HEADER
from cubeproxy.protocols.suites import MasterKey, Suite

WINDOW = 1024  # packets that the replay protection looks back; 128 would do for 2.5 s at 20 ms
MAX_SOURCES = 16  # SSRCs under one key: each costs a context that must be kept, or its packets could be replayed
MAX_PACKET = 1500 - 16 - 128  # octets of a clear packet: pylibsrtp's buffer less the longest trailer
MAX_PROTECTED = 1500
MAX_ROLLOVERS = 4096  # how far a restored session can be led: 62 days at 20 ms

_AEAD = (Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM)
_EMPTY_REPORT = struct.Struct("!BBHI")
_STEP = 0x4000  # a quarter of the sequence space: the farthest that every index estimate follows


class SrtpError(RemoteProtocolError):
    """A packet that cannot be accepted. Drop it and count it; never end a call for it."""


class AuthenticationFailed(SrtpError):
    """Wrong key, wrong rollover counter, or a forgery."""


class Replayed(SrtpError):
    """This packet was already accepted, or is older than the replay window can tell."""


class TooManySources(SrtpError):
    """A new SSRC under a key that has had its share of them."""


class KeyExpired(LocalProtocolError):
    """We were asked to send more packets than the key's lifetime allows (RFC 3711 9.2)."""


_FAILURES: dict[str, type[SrtpError]] = {
    "authentication failure": AuthenticationFailed,
    "replay check failed (bad index)": Replayed,
    "replay check failed (index too old)": Replayed,
    "packet index is too old to consider": Replayed,
}


def estimate_index(last: int, sequence: int) -> int:
    """Index (rollover counter * 65536 + sequence) of a packet after `last` was the highest (RFC 3711 3.3.1)."""
    rollovers, newest = last >> 16, last & 0xFFFF
    if newest < 0x8000:
        if sequence - newest > 0x8000 and rollovers:
            rollovers -= 1
    elif newest - 0x8000 > sequence:
        rollovers += 1
    return rollovers << 16 | sequence


def _approach(index: int, ssrc: int) -> list[bytes]:
    """Empty packets that lead a new session to `index`, the last of them having it: one where it knows the rollover."""
    if libsrtp.ROLLOVERS is not None:
        return [HEADER.pack(0x80, 0, index & 0xFFFF, 0, ssrc)]
    if index >> 16 > MAX_ROLLOVERS:
        raise LocalProtocolError(f"SRTP: no session can be led to rollover {index >> 16}")
    return [HEADER.pack(0x80, 0, step & 0xFFFF, 0, ssrc) for step in range(index % _STEP, index + 1, _STEP)]


def _place_mki(packet: bytes, mki: bytes, tag: int) -> bytes:
    """With the identifier where it belongs: `tag` octets before the end."""
    return packet[: len(packet) - tag] + mki + packet[len(packet) - tag :]


def _after_mki(suite: Suite, tag: int) -> int:
    """Octets behind the MKI: the tag, which in GCM belongs to the ciphertext before it."""
    return 0 if suite in _AEAD else tag


class SrtpSender:
    """Protects the packets of one SSRC. `index` is that of the newest packet sent, None before the first.

    `resume` continues after that index where another process left off, `rtcp_index` does so for reports. The rollover
    counter follows the sequence numbers; sending an index twice raises, because that would give the keystream away.
    """

    __slots__ = ("_after_rtcp", "_after_rtp", "_key", "_left", "_session", "index", "rtcp_index", "ssrc")

    def __init__(self, key: MasterKey, ssrc: int, *, resume: int | None = None, rtcp_index: int = 0) -> None:
        sizes = key.suite.sizes
        self.ssrc = ssrc
        self.index = resume
        self._key = key
        self._session = libsrtp.session(key, ssrc, WINDOW)
        self._left = key.lifetime if key.lifetime is not None else 1 << 48
        self._after_rtp = _after_mki(key.suite, sizes.tag)
        self._after_rtcp = _after_mki(key.suite, sizes.rtcp_tag)
        if resume is not None:
            self._left = max(self._left - resume - 1, 0)  # packets are never more than indices
            if libsrtp.ROLLOVERS is not None:
                libsrtp.ROLLOVERS.set(self._session, ssrc, resume >> 16)
            for packet in _approach(resume, ssrc):
                self._session.protect(packet)
        self.rtcp_index = 0  # of the report protected last, 0 before any
        while self.rtcp_index < rtcp_index:
            self.protect_rtcp(_EMPTY_REPORT.pack(0x80, 201, 1, ssrc))

    def protect(self, packet: bytes) -> bytes:
        """The protected packet. LocalProtocolError for another SSRC, an index sent before or too long a packet."""
        if not self._left:
            raise KeyExpired("SRTP: the lifetime of the sending key is over")
        try:
            protected: bytes = self._session.protect(packet)
        except (libsrtp.Error, ValueError) as error:
            raise LocalProtocolError(f"SRTP: cannot protect: {error}") from None
        self._left -= 1
        sequence = packet[2] << 8 | packet[3]
        self.index = sequence if self.index is None else max(self.index, estimate_index(self.index, sequence))
        mki = self._key.mki
        return _place_mki(protected, mki, self._after_rtp) if mki else protected

    def protect_rtcp(self, packet: bytes) -> bytes:
        """The protected compound, with its four-octet index (RFC 3711 3.4)."""
        try:
            protected: bytes = self._session.protect_rtcp(packet)
        except (libsrtp.Error, ValueError) as error:
            raise LocalProtocolError(f"SRTCP: cannot protect: {error}") from None
        self.rtcp_index += 1
        mki = self._key.mki
        return _place_mki(protected, mki, self._after_rtcp) if mki else protected

    @property
    def packets_left(self) -> int:
        """Packets that the key may still protect."""
        return self._left

    def __repr__(self) -> str:
        return f"SrtpSender({self._key!r}, ssrc={self.ssrc:#010x}, index={self.index})"


class _Context:
    """One master key with its session, and the highest index of each SSRC verified under it.

    An SSRC of which only SRTCP came has the index -1.
    """

    __slots__ = ("_window", "indices", "key", "session")

    def __init__(self, key: MasterKey, window: int) -> None:
        self.key = key
        self._window = window
        self.session = libsrtp.session(key, None, window)
        self.indices: dict[bytes, int] = {}

    def lead(self, ssrc: bytes, index: int) -> None:
        """Put a source that the session does not hold yet to `index`, as if that packet had just come."""
        number = int.from_bytes(ssrc, "big")
        sender = libsrtp.session(self.key, number, WINDOW)
        if libsrtp.ROLLOVERS is not None:
            libsrtp.ROLLOVERS.set(sender, number, index >> 16)
            self.expect(ssrc, index)
        for packet in _approach(index, number):
            self.session.unprotect(sender.protect(packet))
        self.indices[ssrc] = index

    def expect(self, ssrc: bytes, index: int) -> None:
        """A source that the session does not hold yet begins with this packet; those just before it may still come."""
        assert libsrtp.ROLLOVERS is not None
        number = int.from_bytes(ssrc, "big")
        self.session.add_stream(libsrtp.policy(self.key, number, self._window))
        libsrtp.ROLLOVERS.set(self.session, number, index >> 16)
        self.indices[ssrc] = index

    def where(self, packet: bytes, rollovers: Iterable[int]) -> int | None:
        """The first of these rollovers at which a packet without its MKI verifies. Nothing moves."""
        trial = _Trial(self.key, int.from_bytes(packet[8:12], "big"))
        return next((one for one in rollovers if trial.verifies(packet, one)), None)


class SrtpReceiver:
    """Verifies and decrypts what one peer sends, whatever its SSRC. A new SSRC begins at rollover 0.

    With several master keys each has an MKI, and the MKI of a packet chooses among them (RFC 3711 3.1). A key
    with an MKI accepts only packets that carry it. `ssrc` and `index` are those of the newest packet verified,
    None before the first.
    """

    __slots__ = ("_after_rtcp", "_after_rtp", "_contexts", "_mki", "_only", "_sizes", "_window", "index", "ssrc")

    def __init__(self, key: MasterKey, *others: MasterKey, window: int = WINDOW) -> None:
        if any(each.suite is not key.suite or len(each.mki) != len(key.mki) for each in others):
            raise LocalProtocolError("SRTP: keys of one stream have one suite and MKIs of one length")
        self._contexts = {each.mki: _Context(each, window) for each in (key, *others)}
        self._only = None if key.mki else self._contexts[b""]
        self._mki = len(key.mki)
        self._sizes = key.suite.sizes
        self._after_rtp = _after_mki(key.suite, self._sizes.tag)
        self._after_rtcp = _after_mki(key.suite, self._sizes.rtcp_tag)
        self._window = window
        self.ssrc: int | None = None
        self.index: int | None = None

    def unprotect(self, packet: bytes) -> bytes:
        """The clear packet. SrtpError, by its subclass where the cause is known, for anything else than a good one."""
        if not 12 + self._sizes.tag + self._mki <= len(packet) <= MAX_PROTECTED + self._mki:
            raise SrtpError("SRTP: impossible length")
        context = self._only
        if context is None:
            context, packet = self._take_mki(packet, self._after_rtp)
        ssrc = packet[8:12]
        last = self._source(context, ssrc)
        try:
            plain: bytes = context.session.unprotect(packet)
        except libsrtp.Error as error:
            raise _failure(error) from None
        sequence = packet[2] << 8 | packet[3]
        index = sequence if last < 0 else max(last, estimate_index(last, sequence))
        context.indices[ssrc] = self.index = index
        self.ssrc = int.from_bytes(ssrc, "big")
        return plain

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The clear compound packet, without its index; errors as for `unprotect`."""
        if not 12 + self._sizes.rtcp_tag + self._mki <= len(packet) <= MAX_PROTECTED + self._mki:
            raise SrtpError("SRTCP: impossible length")
        context = self._only
        if context is None:
            context, packet = self._take_mki(packet, self._after_rtcp)
        ssrc = packet[4:8]
        last = self._source(context, ssrc)
        try:
            plain: bytes = context.session.unprotect_rtcp(packet)
        except libsrtp.Error as error:
            raise _failure(error) from None
        context.indices[ssrc] = last
        return plain

    def resume(self, ssrc: int, index: int, mki: bytes = b"") -> None:
        """Go on after `index`, the newest that another process verified for this SSRC.

        That packet and newer ones count as seen or to come; older ones inside the window are accepted once.
        """
        context = self._only or self._contexts[mki]
        self._move(context, ssrc.to_bytes(4, "big"), index)
        self.ssrc, self.index = ssrc, index

    def search(self, packet: bytes, rollovers: Iterable[int]) -> bytes:
        """Try a packet that fails at these rollovers in turn, and go on from the first where it verifies.

        For a stream that we join late: SDES and SCCP carry no counter (RFC 4568 6.4). A source that is known is only
        ever moved forward, or packets of its past would become acceptable. AuthenticationFailed when nothing
        fits; nothing has moved then. A try costs one tag, and is one guess at it: the caller limits their number.
        """
        context, bare = self._named(packet)
        ssrc, sequence = packet[8:12], packet[2] << 8 | packet[3]
        last = self._source(context, ssrc)
        return self._settle(context, packet, bare, (one for one in rollovers if one << 16 | sequence > last))

    def resynchronise(self, packet: bytes) -> bytes:
        """The same for a known source at rollover 0 and one rollover either way.

        Peers restart their counter over a re-INVITE that keeps the key. Only for such a moment, after repeated
        failures: moving back makes old packets acceptable again.
        """
        context, bare = self._named(packet)
        near = max(self._source(context, packet[8:12]), 0) >> 16
        return self._settle(context, packet, bare, sorted({0, near + 1, max(near - 1, 0)}))

    def rollover(self, ssrc: int, mki: bytes = b"") -> int | None:
        """The rollover counter of a source, None for one of which nothing was verified."""
        context = self._only or self._contexts[mki]
        index = context.indices.get(ssrc.to_bytes(4, "big"), -1)
        return index >> 16 if index >= 0 else None

    def _named(self, packet: bytes) -> tuple[_Context, bytes]:
        """The context that a packet is for, and the packet without its MKI."""
        if not 12 + self._sizes.tag + self._mki <= len(packet) <= MAX_PROTECTED + self._mki:
            raise SrtpError("SRTP: impossible length")
        return (self._only, packet) if self._only else self._take_mki(packet, self._after_rtp)

    def _settle(self, context: _Context, packet: bytes, bare: bytes, rollovers: Iterable[int]) -> bytes:
        found = context.where(bare, rollovers)
        if found is None:
            raise AuthenticationFailed("SRTP: verifies at none of the rollovers")
        index = found << 16 | packet[2] << 8 | packet[3]
        if libsrtp.ROLLOVERS is None:
            self._move(context, packet[8:12], index - 1)
        else:
            self._move(context, packet[8:12], -1)
            context.expect(packet[8:12], index)
        return self.unprotect(packet)

    def _move(self, context: _Context, ssrc: bytes, index: int) -> None:
        if context.indices.pop(ssrc, None) is not None:
            context.session.remove_stream(int.from_bytes(ssrc, "big"))
        if index >= 0:
            context.lead(ssrc, index)

    def _take_mki(self, packet: bytes, after: int) -> tuple[_Context, bytes]:
        """The context that the packet's MKI names, and the packet without it."""
        end = len(packet) - after
        context = self._contexts.get(packet[end - self._mki : end])
        if context is None:
            raise AuthenticationFailed("SRTP: unknown MKI")
        return context, packet[: end - self._mki] + packet[end:]

    def _source(self, context: _Context, ssrc: bytes) -> int:
        """Highest index of a source, -1 for a new one; the number of sources is bounded before any work."""
        last = context.indices.get(ssrc)
        if last is not None:
            return last
        if len(context.indices) >= MAX_SOURCES:
            raise TooManySources(f"SRTP: more than {MAX_SOURCES} sources under one key")
        return -1

    def __repr__(self) -> str:
        keys = ", ".join(repr(context.key) for context in self._contexts.values())
        return f"SrtpReceiver({keys}, ssrc={self.ssrc}, index={self.index})"


class _Trial:
    """A stream of its own to try packets on. One that fails leaves it as it was."""

    __slots__ = ("_key", "_session", "_ssrc")

    def __init__(self, key: MasterKey, ssrc: int) -> None:
        self._key = key
        self._ssrc = ssrc
        self._session = libsrtp.session(key, ssrc, WINDOW)

    def verifies(self, packet: bytes, rollover: int) -> bool:
        if libsrtp.ROLLOVERS is not None:
            libsrtp.ROLLOVERS.set(self._session, self._ssrc, rollover)
            session = self._session
        else:
            session = self._led((rollover << 16 | packet[2] << 8 | packet[3]) - 1)
        try:
            session.unprotect(packet)
        except libsrtp.Error:
            return False
        return True

    def _led(self, before: int) -> libsrtp.Session:
        context = _Context(self._key, WINDOW)
        if before >= 0:
            context.lead(self._ssrc.to_bytes(4, "big"), before)
        return context.session


def _failure(error: libsrtp.Error) -> SrtpError:
    return _FAILURES.get(str(error), SrtpError)(f"SRTP: {error}")
