"""One leg of a session: from whom we accept, under which key, and where we send.

* A leg with SRTP believes a packet when its tag verifies, and nothing else. Only such a packet, and only one
  that is newer than all before, teaches it the peer's address: a phone behind a NAT that rebinds is followed,
  a sprayed port range teaches nothing.
* A clear leg accepts the signalled address and port. With `latch` it learns the source once for each signalled
  address, as `nat symmetric check-media-src` does.
* Nothing that arrives ends anything: what is not accepted is counted.

A key that changes begins a new context; an equal key keeps its context with rollover counter and replay
window, also across a re-INVITE. The context before stays for packets that are still on their way, and for its
key, should that come back: a farm's channel is closed to be opened again. Under a new key the peer's counter
may be another than 0: see `search`.
"""

from __future__ import annotations

from cubeproxy.media.counters import AUTH_FAILURES, INDEX_IN, MALFORMED, REPLAYS, RTCP_DROPPED, STRANGERS, Words
from cubeproxy.media.search import NOWHERE, Search
from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.rtp import Kind, classify
from cubeproxy.protocols.srtp import AuthenticationFailed, Replayed, SrtpError, SrtpReceiver, SrtpSender
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import PASS_THROUGH, Address, StreamSpec

OVERLAP = 2.0  # s that a replaced key still verifies
RESTART_WINDOW = 5.0  # s after an update in which a peer may have set its rollover counter back to 0
RESTART_SILENCE = 0.2  # s without a verified packet before that is tried
MAX_RTP = 1356  # octets of a clear packet that can still be protected (pylibsrtp's buffer less its longest trailer)
UNSENDABLE = ("0.0.0.0", "::")  # hold as RFC 2543 spelt it


class Leg:
    """State of one leg. `words` are its counters; `peer` is where its packets go, None while unknown."""

    __slots__ = (
        "_old",
        "_old_key",
        "_old_until",
        "_restart_until",
        "_rival",
        "_search",
        "_spec",
        "_used",
        "_verified_at",
        "accepts",
        "muxed",
        "peer",
        "receiver",
        "reports",
        "rtcp_index",
        "sender",
        "unsettled",
        "words",
    )

    def __init__(self, words: Words) -> None:
        self.words = words
        self.peer: Address | None = None
        self.accepts: Address | None = None  # the one source of a clear leg
        self.receiver: SrtpReceiver | None = None
        self.sender: SrtpSender | None = None
        self._spec: StreamSpec | None = None
        self.unsettled = False  # a clear leg that may still learn its source
        self.reports = False  # RTCP is terminated here, not dropped
        self.muxed = False  # and shares the port of the packets (RFC 5761)
        self.rtcp_index = 0  # of the last report under the key before: the next key's go on after it (RFC 3711 3.4)
        self._old: SrtpReceiver | None = None
        self._old_key: MasterKey | None = None
        self._old_until = 0.0
        self._rival: SrtpReceiver | None = None  # the context that a restart of the peer's counter displaced
        self._restart_until = 0.0
        self._search = NOWHERE
        self._verified_at = 0.0
        self._used: set[tuple[str, bytes]] = set()  # keys that protected something of ours

    @property
    def spec(self) -> StreamSpec | None:
        return self._spec

    @property
    def rtcp_peer(self) -> Address | None:
        """Where RTCP goes: as signalled while packets go as signalled, else to the port next to theirs."""
        spec, peer = self._spec, self.peer
        if spec is None or peer is None:
            return None
        signalled = spec.remote_rtcp
        if peer == spec.remote and signalled is not None:
            return None if signalled[1] == 0 or signalled[0] in UNSENDABLE else signalled
        return (peer[0], peer[1] + 1) if peer[1] < 0xFFFF else None

    def update(self, spec: StreamSpec | None, now: float) -> None:
        """Everything but the sending key, which needs our SSRC: see `protect_with`."""
        old, self._spec = self._spec, spec
        remote = spec.remote if spec else None
        if remote is not None and (remote[1] == 0 or remote[0] in UNSENDABLE):
            remote = None
        if spec is None or old is None or spec.remote != old.remote or self.peer is None:
            self.peer = self.accepts = remote
            self.unsettled = spec is not None and spec.latch
        elif spec.latch != old.latch:
            self.unsettled = spec.latch
        self.muxed = self.reports and spec is not None and spec.remote is not None and spec.remote_rtcp == spec.remote
        self._verify_with(old.receive_key if old else None, spec.receive_key if spec else None, now)
        if spec is not None and spec.codec == PASS_THROUGH:
            self._old = None  # what comes now is for somebody else to open

    def _verify_with(self, old: MasterKey | None, new: MasterKey | None, now: float) -> None:
        if not same_key(old, new):
            before, self._rival = self.receiver, None
            back = self._old if now < self._old_until and same_key(self._old_key, new) else None
            self.receiver = back or (SrtpReceiver(new) if new is not None else None)
            if before is not None:
                self._old, self._old_key, self._old_until = before, old, now + OVERLAP
            elif back is not None:
                self._old = None
            kept = self._old.index if self._old is not None else None
            joins = self._spec is not None and self._spec.joins
            self._search = Search(kept >> 16 if kept is not None else None, joins)
        elif self.receiver is not None:
            self._restart_until = now + RESTART_WINDOW

    def protect_with(self, old: MasterKey | None, new: MasterKey | None, ssrc: int, fresh_ssrc: int) -> int:
        """Take `new` for what we send; the SSRC to send under from now on.

        A key that this leg had used before it used another comes with `fresh_ssrc`: its rollover counter
        begins anew, and under the old SSRC the same keystream would go out twice.
        """
        if self.sender is not None:
            self.rtcp_index = self.sender.rtcp_index
        if new is None:
            self.sender = None
        elif self.sender is None or not same_key(old, new):
            name = (new.suite.value, new.master)
            if name in self._used:
                ssrc = fresh_ssrc
            self._used.add(name)
            self.sender = SrtpSender(new, ssrc, rtcp_index=self.rtcp_index)
        return ssrc

    def protect_rtcp(self, compound: bytes) -> bytes:
        """The report as SRTCP. LocalProtocolError when it cannot be protected."""
        if self.sender is None:
            raise LocalProtocolError("SRTCP: no key to protect with")
        return self.sender.protect_rtcp(compound)

    def open_rtcp(self, datagram: bytes, now: float) -> bytes:
        """The report in an SRTCP packet under this key or, for a while, the one before. SrtpError otherwise."""
        if self.receiver is None:
            raise SrtpError("SRTCP: no key to verify with")
        try:
            return self.receiver.unprotect_rtcp(datagram)
        except AuthenticationFailed:
            if self._old is None or now >= self._old_until:
                raise
            return self._old.unprotect_rtcp(datagram)

    def open(self, datagram: bytes, source: Address, now: float) -> bytes | None:
        """The clear packet in a datagram that this leg accepts; None, and counted, when it does not."""
        if len(datagram) < 12 or datagram[0] & 0xC0 != 0x80 or 192 <= datagram[1] <= 223:
            self.reject(datagram)
            return None
        receiver = self.receiver
        if receiver is None:
            return self._open_clear(datagram, source, now)
        try:
            packet = receiver.unprotect(datagram)
        except Replayed:
            returned = self._return_rival(datagram) or self._find(datagram, source, now)
            if returned is None:
                self.words[REPLAYS] += 1
            return returned
        except AuthenticationFailed:
            return self._second_look(datagram, source, now)
        except SrtpError:
            self.words[MALFORMED] += 1
            return None
        self._verified_at = now
        self.words[INDEX_IN] = receiver.index or 0
        return packet

    def reject(self, datagram: bytes) -> None:
        """Count what is not RTP: RTCP, which ends here, or anything else (STUN, DTLS, garbage)."""
        if classify(datagram) is not Kind.RTCP:
            self.words[MALFORMED] += 1
        elif not self.muxed:
            self.words[RTCP_DROPPED] += 1

    def _open_clear(self, datagram: bytes, source: Address, now: float) -> bytes | None:
        if source != self.accepts and not self.unsettled:
            self.words[STRANGERS] += 1
            return None
        if self._old is not None and now < self._old_until:
            try:
                return self._old.unprotect(datagram)  # was on its way when the leg became clear
            except SrtpError:
                pass
        if len(datagram) > MAX_RTP:
            self.words[MALFORMED] += 1
            return None
        return datagram

    def learn(self, source: Address) -> None:
        """An accepted packet came from elsewhere than we send to, or is the first: follow it where the leg may.

        Called for packets with a payload type of the session that are newer than all before.
        """
        if self.receiver is not None:
            self.peer = source
        elif self.unsettled:
            self.peer = self.accepts = source
            self.unsettled = False

    def _second_look(self, datagram: bytes, source: Address, now: float) -> bytes | None:
        """A tag that did not verify: the key before, a rollover counter that we do not know, or one set back."""
        packet = self._return_rival(datagram)
        if packet is None and self._old is not None and now < self._old_until:
            packet = _try(self._old, datagram)
        if packet is None:
            packet = self._find(datagram, source, now)
        if packet is None and now < self._restart_until and now - self._verified_at > RESTART_SILENCE:
            packet = self._try_restart(datagram, now)
        if packet is None:
            self.words[AUTH_FAILURES] += 1
        return packet

    def _find(self, datagram: bytes, source: Address, now: float) -> bytes | None:
        """The packet at another rollover counter than the one that we expect."""
        receiver = self.receiver
        packet = self._search.packet(receiver, datagram, source == self.peer, now) if receiver is not None else None
        if receiver is not None and packet is not None:
            self._verified_at = now
            self.words[INDEX_IN] = receiver.index or 0
        return packet

    def _return_rival(self, datagram: bytes) -> bytes | None:
        """The packet under the context that a restart displaced: if it verifies, there was no restart."""
        packet = _try(self._rival, datagram) if self._rival is not None else None
        if packet is not None:
            self.receiver, self._rival = self._rival, None
        return packet

    def _try_restart(self, datagram: bytes, now: float) -> bytes | None:
        """Whether the packet verifies with the same key at rollover 0.

        Some peers reset the counter over a re-INVITE that keeps the key. It also makes packets from the call's
        beginning acceptable again, so it is tried only just after an update, only once the first 65536
        packets are over, and only while the peer is silent otherwise. The context before is kept: if the
        peer is still there, its next packet brings it back.
        """
        receiver, key = self.receiver, self._spec.receive_key if self._spec else None
        if receiver is None or key is None or (receiver.index or 0) < 0x10000:
            return None
        self._verified_at = now - RESTART_SILENCE + 0.02  # next attempt in 20 ms, whatever is sprayed at us
        trial = SrtpReceiver(key)
        packet = _try(trial, datagram)
        if packet is not None:
            self._rival = receiver
            self.receiver, self._verified_at = trial, now
        return packet


def same_key(first: MasterKey | None, second: MasterKey | None) -> bool:
    """Whether a context can go on: the same octets in the same suite; the lifetime announced is no part of it."""
    if first is None or second is None:
        return first is second
    return (first.suite, first.master, first.mki) == (second.suite, second.master, second.mki)


def _try(receiver: SrtpReceiver, datagram: bytes) -> bytes | None:
    try:
        return receiver.unprotect(datagram)
    except SrtpError:
        return None
