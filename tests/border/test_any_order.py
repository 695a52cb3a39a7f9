"""Whatever phones and nodes say, in whatever order: no surprise, no leak, one final answer, nothing after a BYE."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from cubeproxy.border.effects import Drain
from cubeproxy.protocols.values import MediaLost, MediaMoved, MediaRefused, ReserveMedia, UpdateMedia
from tests.border.actors import Actor, Rules, deliver
from tests.border.scene import NODE_1, NODE_2, Scene, fitting, rtp, sample, srtp

BODIES = (
    b"",
    srtp(),
    srtp(direction="sendonly"),
    srtp(suite="F8_128_HMAC_SHA1_80"),
    rtp(),
    rtp(direction="inactive"),
    rtp(formats="18"),
    b"v=0\r\nnonsense\r\n",
)
STATUSES = (100, 180, 183, 200, 200, 200, 202, 302, 401, 408, 481, 486, 487, 488, 491, 503, 603)
METHODS = ("BYE", "INVITE", "UPDATE", "INFO", "REFER", "NOTIFY", "MESSAGE", "OPTIONS")
CONFIGS = ("strict", "fallback", "core-srtp", "ios")

EXAMPLES = int(os.environ.get("CUBEPROXY_EXAMPLES", "0"))  # that many, new ones each time; 0: the same few

pick = st.integers(0, 10**6)


def config(name: str) -> Scene:
    replace = {
        "strict": {},
        "fallback": {" srtp\n": " srtp fallback\n"},
        "core-srtp": {" incoming uri from CORE\n": " incoming uri from CORE\n srtp fallback\n"},
        "ios": {"version 17.9": "version 15.7"},
    }[name]
    return Scene(sample(replace=replace))


class AnyOrder(RuleBasedStateMachine):
    @initialize(name=st.sampled_from(CONFIGS), auto=st.booleans())
    def begin(self, name: str, auto: bool) -> None:
        self.scene = config(name)
        phones = [
            self.scene.registered("1001", "SEP001122334455", "203.0.113.7"),
            self.scene.registered("1002", "SEP001122334466", "203.0.113.8"),
        ]
        self.scene.auto_media = auto
        nodes = [self.scene.node(NODE_1), self.scene.node(NODE_2)]
        self.phones = [Actor(phone) for phone in phones]
        self.nodes = [Actor(node) for node in nodes]
        self.actors = {actor.peer.host: actor for actor in (*self.phones, *self.nodes)}
        self.held = Rules(self.scene)
        self.waiting: list[ReserveMedia] = []
        self.spent: dict[int, set[bytes]] = {}  # by session: keys that an engine had that was lost
        self.media_seen = len(self.scene.media)

    def actor(self, number: int) -> Actor:
        return (*self.phones, *self.nodes)[number % 4]

    @rule(who=pick, body=st.sampled_from(BODIES), required=st.booleans())
    def phone_calls(self, who: int, body: bytes, required: bool) -> None:
        self.phones[who % 2].invite("2001", body, [("Require", "100rel")] if required else [])

    @rule(who=pick, number=st.sampled_from(("1001", "1002", "9")), body=st.sampled_from(BODIES))
    def node_calls(self, who: int, number: str, body: bytes) -> None:
        self.nodes[who % 2].invite(number, body, [])

    @rule(who=pick, outwards=st.booleans(), until=st.sampled_from(("ringing", "answered", "up", "up")))
    def call_goes_well(self, who: int, outwards: bool, until: str) -> None:
        """A whole call, so that what comes later meets one."""
        phone, node = self.phones[who % 2], self.nodes[who // 2 % 2]
        if outwards:
            phone.invite("2001", srtp(), [])
        else:
            node.invite(phone.peer.number, rtp(), [])
        for _ in range(3):
            self.rules_hold()
            for actor in self.actors.values():
                for request in [one for one in actor.open if one.method in ("INVITE", "REGISTER")]:
                    if request.method == "REGISTER":
                        actor.answer(request, 200, b"", "a")
                    elif until == "ringing":
                        actor.answer(request, 183, fitting(request), "a", reliable=who % 3 == 0)
                    else:
                        actor.answer(request, 200, fitting(request), "a")
        if until == "up":
            for actor in self.actors.values():
                for response in actor.accepted:
                    actor.acknowledge(response, b"")

    @rule(who=pick, which=pick, status=st.sampled_from(STATUSES), body=st.sampled_from((None, *BODIES)),
          tag=st.sampled_from(("a", "b")), reliable=st.booleans())  # fmt: skip
    def answer(self, who: int, which: int, status: int, body: bytes | None, tag: str, reliable: bool) -> None:
        actor = self.actor(who)
        if actor.open:
            request = actor.open[which % len(actor.open)]
            actor.answer(request, status, fitting(request) if body is None else body, tag, reliable=reliable)

    @rule(who=pick)
    def answer_all_well(self, who: int) -> None:
        actor = self.actor(who)
        for request in list(actor.open):
            body = fitting(request) if request.method in ("INVITE", "UPDATE") and request.body else b""
            actor.answer(request, 200, body, "a")

    @rule(who=pick, which=pick, body=st.sampled_from((b"", srtp(), rtp(), b"v=0\r\n")))
    def acknowledge(self, who: int, which: int, body: bytes) -> None:
        actor = self.actor(who)
        if actor.accepted:
            actor.acknowledge(actor.accepted[which % len(actor.accepted)], body)

    @rule(who=pick, which=pick, body=st.sampled_from((b"", srtp(), rtp())))
    def confirm(self, who: int, which: int, body: bytes) -> None:
        actor = self.actor(who)
        if actor.reliable:
            actor.confirm(actor.reliable[which % len(actor.reliable)], body)

    @rule(who=pick, which=pick)
    def cancel(self, who: int, which: int) -> None:
        actor = self.actor(who)
        if actor.asking:
            actor.cancel(actor.asking[which % len(actor.asking)])

    @rule(who=pick, which=pick, method=st.sampled_from(METHODS), body=st.sampled_from(BODIES))
    def within(self, who: int, which: int, method: str, body: bytes) -> None:
        actor = self.actor(who)
        if actor.talks:
            talks = list(actor.talks.values())
            actor.within(talks[which % len(talks)], method, body if method in ("INVITE", "UPDATE") else b"")

    @rule(who=pick, which=pick)
    def say_again(self, who: int, which: int) -> None:
        """A retransmission, which no client makes after 64*T1, nor of an INVITE that has its final answer."""
        actor = self.actor(who)
        fresh = [message for when, message in actor.said if self.scene.now - when < 32.0]
        fresh = [one for one in fresh if getattr(one, "method", "") != "INVITE" or one in actor.asking]
        if fresh:
            actor.say(fresh[which % len(fresh)])

    @rule(seconds=st.sampled_from((0.1, 1.0, 5.0, 33.0, 70.0)))
    def wait(self, seconds: float) -> None:
        self.scene.wait(seconds)

    @precondition(lambda self: self.waiting)
    @rule(which=pick, cause=st.sampled_from(("", "", "no-ports", "no-transcoder", "pool-full")))
    def media_answers(self, which: int, cause: str) -> None:
        wanted = self.waiting.pop(which % len(self.waiting))
        if cause:
            self.scene.feed(MediaRefused(wanted.ticket, cause, "as told"))
        else:
            self.scene.grant(wanted)

    @rule(session=st.integers(1, 6))
    def media_lost(self, session: int) -> None:
        self.scene.feed(MediaLost(session, "worker gone"))

    @rule(session=st.integers(1, 6))
    def media_moved(self, session: int) -> None:
        """Another engine: what protected the call's media until now may protect nothing there."""
        told = [one for one in self.scene.media if isinstance(one, UpdateMedia) and one.session == session]
        self.spent.setdefault(session, set()).update(key for one in told for key in _sending(one))
        self.scene.feed(MediaMoved(session, "farm gone"))

    @rule(who=pick)
    def connection_lost(self, who: int) -> None:
        actor = self.actor(who)
        self.scene.close(actor.peer.flow)

    @rule(who=pick)
    def connection_back(self, who: int) -> None:
        actor = self.actor(who)
        old = actor.peer.flow
        if not old.open:
            actor.peer.flow = self.scene.flow(old.transport, old.local, old.remote, actor.peer.device)
            if actor.peer.device:
                actor.peer.register()

    @rule(node=pick)
    def node_unreachable(self, node: int) -> None:
        for path in list(self.scene.border.nodes.watches):
            if path.host == self.nodes[node % 2].peer.host:
                self.scene.fail(path)

    @invariant()
    def rules_hold(self) -> None:
        if not hasattr(self, "scene"):
            return
        deliver(self.scene, self.actors, self.held)
        for command in self.scene.media[self.media_seen :]:
            if isinstance(command, ReserveMedia) and not self.scene.auto_media:
                self.waiting.append(command)
            if isinstance(command, UpdateMedia):
                assert not self.spent.get(command.session, set()) & set(_sending(command)), "a key for two engines"
        self.media_seen = len(self.scene.media)

    def teardown(self) -> None:
        if not hasattr(self, "scene"):
            return
        for wanted in self.waiting:
            self.scene.grant(wanted)
        self.scene.feed(Drain(0.0))
        self.scene.wait(400.0)
        self.rules_hold()
        assert len(self.scene.border.calls) == 0
        for actor in self.actors.values():
            for request in list(actor.open):
                if request.method == "REGISTER":
                    actor.answer(request, 403, b"", "a")
        self.scene.wait(70.0)
        assert self.scene.leftovers() == {}
        assert self.scene.released()


def _sending(update: UpdateMedia) -> list[bytes]:
    return [leg.send_key.master for leg in update.legs if leg is not None and leg.send_key is not None]


AnyOrder.TestCase.settings = settings(
    max_examples=EXAMPLES or 60,
    derandomize=not EXAMPLES,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestAnyOrder = AnyOrder.TestCase
