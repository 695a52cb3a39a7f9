"""A box without sockets whose calls go over rtpengines that speak through datagrams."""

from __future__ import annotations

from collections.abc import Mapping

from cubeproxy.media.transcoders.ng_engine import EngineSettings
from cubeproxy.media.transcoders.pool import Effect, TranscoderPool
from cubeproxy.media.transcoders.rtpengine import Rtpengines
from cubeproxy.media.transcoders.words import NgSend
from cubeproxy.protocols.ng.bencode import Value, encode
from cubeproxy.protocols.ng.messages import read_request
from cubeproxy.protocols.sdp.build import describe
from cubeproxy.protocols.sdp.session import SessionDescription
from cubeproxy.protocols.values import StreamSpec
from tests.media.transcoders.scene import Border

INSIDE = "203.0.113.1"
UNKNOWN = {b"result": b"error", b"error-reason": b"Unknown call-id"}


class FakeEngine:
    """What Debian's rtpengine answers, as far as it matters: keys that are offered pass to the other side."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.calls: dict[str, dict[str, int]] = {}  # call -> tag -> our port towards it
        self.heard: list[str] = []
        self.answers: dict[bytes, bytes] = {}
        self.alive = True
        self.mute = False  # it hears, and its answers are lost
        self.own_keys = False
        self.refuses: Mapping[bytes, Value] | None = None  # to every offer
        self.started = 0.0

    def receive(self, datagram: bytes, now: float) -> bytes | None:
        if not self.alive:
            return None
        cookie, command, said = read_request(datagram)
        if cookie not in self.answers:
            self.heard.append(command)
            self.answers[cookie] = cookie + b" " + encode(self.carry_out(command, said, now))
        return None if self.mute else self.answers[cookie]

    def carry_out(self, command: str, said: Mapping[bytes, Value], now: float) -> Mapping[bytes, Value]:
        call = self._text(said, b"call-id")
        match command:
            case "ping":
                return {b"result": b"pong"}
            case "statistics":
                uptime = b"%d" % int(now - self.started)
                current: Value = {b"sessionstotal": len(self.calls)}
                values: Value = {b"currentstatistics": current, b"totalstatistics": {b"uptime": uptime}}
                return {b"result": b"ok", b"statistics": values}
            case "query" if call in self.calls:
                return {b"result": b"ok", b"totals": {b"RTP": {b"packets": 12, b"errors": 3}}}
            case "delete" if call in self.calls:
                del self.calls[call]
                return {b"result": b"ok"}
            case "offer" if self.refuses is not None:
                return self.refuses
            case "offer":
                self.calls.setdefault(call, {})
                return self.describe(call, said, b"from-tag", b"to-tag")
            case "answer" if call in self.calls:
                return self.describe(call, said, b"to-tag", b"from-tag")
        return UNKNOWN

    def describe(self, call: str, said: Mapping[bytes, Value], speaker: bytes, other: bytes) -> Mapping[bytes, Value]:
        """The speaker's description from our port towards the other side."""
        sdp = said[b"sdp"]
        assert isinstance(sdp, bytes)
        media = SessionDescription.parse(sdp).media[0]
        port = self.calls[call].setdefault(self._text(said, other), 40000 + 2 * len(self.heard))
        assert self._text(said, speaker)
        media.protocol, media.port, media.connection = self._text(said, b"transport-protocol"), port, None
        lines = media.crypto if media.is_secure else []
        media.remove("crypto")
        for line in lines:
            media.add("crypto", line if not self.own_keys else line[:-8] + "AAAAAAAA")
        return {b"result": b"ok", b"sdp": describe(self.host, [media], session_id=1, version=1).serialise()}

    @staticmethod
    def _text(said: Mapping[bytes, Value], key: bytes) -> str:
        found = said.get(key, b"")
        assert isinstance(found, bytes)
        return found.decode()


class NgBox(Border):
    """A pool with rtpengines."""

    def __init__(self, *settings: str) -> None:
        found = [EngineSettings.parse(text) for text in settings or ("203.0.113.9:2223",)]
        self.engines = [FakeEngine(engine.control[0]) for engine in found]
        self.member = Rtpengines(found, INSIDE)
        super().__init__(TranscoderPool([self.member]), now=100.0)
        self.loses = 0  # so many of the next datagrams to engines are lost
        self.sent = 0
        self.run(self.pool.timeout(self.now))

    def call(self, *legs: StreamSpec | None) -> int:
        session = self.reserve()
        assert session
        self.update(session, *legs)
        return session

    def ring(self, times: int = 1) -> None:
        for _ in range(times):
            assert self.pool.deadline is not None
            self.now = max(self.now, self.pool.deadline)
            self.run(self.pool.timeout(self.now))

    def until(self, at: float) -> None:
        """Let the time pass, alarm by alarm."""
        while self.pool.deadline is not None and self.pool.deadline <= at:
            self.ring()
        self.now = at

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case NgSend(engine, datagram):
                self._deliver(engine, datagram)
            case _:
                super().carry_out(effect)

    def _deliver(self, engine: int, datagram: bytes) -> None:
        self.sent += 1
        if self.loses:
            self.loses -= 1
            return
        answer = self.engines[engine].receive(datagram, self.now)
        if answer is not None:
            self.run(self.pool.heard(self.member.received(engine, answer, self.now), self.now))
