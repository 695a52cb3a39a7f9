"""Calls and engines in any order of things: whatever happens, nothing is left over and nothing is half way."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from cubeproxy.media.transcoders.ng_engine import Phase
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import MediaLost, MediaMoved
from tests.media.transcoders.ng_scene import NgBox
from tests.media.transcoders.scene import CLEAR, SECURE

BUSY = {b"result": b"load limit"}
ERROR = {b"result": b"error", b"error-reason": b"no"}


class World(RuleBasedStateMachine):
    """Two engines of three sessions each, and a border that gives new keys when it is asked for them."""

    def __init__(self) -> None:
        super().__init__()
        self.box = NgBox("203.0.113.9:2223,sessions=3", "203.0.113.10:2223,sessions=3")
        self.calls: set[int] = set()
        self.keys = 0
        self.seen = 0

    def fresh(self) -> MasterKey:
        self.keys += 1
        return MasterKey(Suite.AES_CM_128_HMAC_SHA1_32, self.keys.to_bytes(30, "big"))

    def update(self, session: int) -> None:
        self.box.update(session, replace(SECURE, send_key=self.fresh()), CLEAR)

    def listen(self) -> None:
        """What the border does with what it is told."""
        while self.seen < len(self.box.events):
            event = self.box.events[self.seen]
            self.seen += 1
            if isinstance(event, MediaLost):
                self.calls.discard(event.session)
            elif isinstance(event, MediaMoved) and event.session in self.calls:
                self.update(event.session)

    @rule()
    def call(self) -> None:
        session = self.box.reserve()
        if session:
            self.calls.add(session)
            self.update(session)
        self.listen()

    @rule(data=st.data(), peers=st.booleans())
    def renegotiate(self, data: st.DataObject, peers: bool) -> None:
        if self.calls:
            session = data.draw(st.sampled_from(sorted(self.calls)))
            if peers:
                known = self.box.hops[session][0]
                assert known is not None
                self.box.update(session, replace(SECURE, receive_key=self.fresh()), CLEAR)
            else:
                self.update(session)
            self.listen()

    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        if self.calls:
            session = data.draw(st.sampled_from(sorted(self.calls)))
            self.calls.discard(session)
            self.box.release(session)
            self.listen()

    @rule(engine=st.integers(0, 1), alive=st.booleans())
    def engine_lives(self, engine: int, alive: bool) -> None:
        self.box.engines[engine].alive = alive

    @rule(engine=st.integers(0, 1), refuses=st.sampled_from([None, BUSY, ERROR]))
    def engine_refuses(self, engine: int, refuses: dict[bytes, bytes] | None) -> None:
        self.box.engines[engine].refuses = refuses

    @rule(engine=st.integers(0, 1))
    def engine_restarts(self, engine: int) -> None:
        self.box.engines[engine].calls.clear()
        self.box.engines[engine].started = self.box.now

    @rule(engine=st.integers(0, 1), resume=st.booleans())
    def drain(self, engine: int, resume: bool) -> None:
        self.box.member.drain(self.box.member.engines[engine].name, resume=resume)

    @rule(lost=st.integers(1, 6))
    def datagrams_are_lost(self, lost: int) -> None:
        self.box.loses = lost

    @rule(seconds=st.floats(0.1, 12))
    def time_passes(self, seconds: float) -> None:
        self.box.until(self.box.now + seconds)
        self.listen()

    @invariant()
    def everybody_counts_the_same(self) -> None:
        member = self.box.member
        assert len(member.sessions) == len(self.calls) == self.box.pool.sessions
        assert sum(len(engine.sessions) for engine in member.engines) == len(self.calls)
        assert len(self.box.hops) == 2 * len(self.calls)
        for session in member.sessions.values():
            assert session.engine.sessions[session.number] is session
            assert (session.hosts is not None) >= (session.phase is Phase.CARRIED)

    def teardown(self) -> None:
        """In the end everything works again: what is left is carried, what is released is gone."""
        self.box.loses = 0
        for number, engine in enumerate(self.box.engines):
            engine.alive, engine.refuses = True, None
            self.box.member.drain(self.box.member.engines[number].name, resume=True)
        for _ in range(4):
            self.box.until(self.box.now + 15)
            self.listen()
        assert all(session.phase is Phase.CARRIED for session in self.box.member.sessions.values())
        for session in sorted(self.calls):
            self.box.release(session)
        self.calls.clear()
        self.box.until(self.box.now + 15)
        self.everybody_counts_the_same()


TestWorld = World.TestCase
TestWorld.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
