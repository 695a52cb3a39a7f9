"""The layer under any order of events: peers that repeat, lose, invent and come late, users that answer or forget.

Nothing but the two documented errors is ever raised, every request of ours ends once, every request of theirs is told
once, and when the clock has run out nothing is left.
"""

from __future__ import annotations

from collections import Counter

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.sip.layer import (
    AckArrived,
    CancelArrived,
    ClientFailed,
    ClientKey,
    Output,
    RequestArrived,
    ResponseArrived,
    ServerExpired,
    ServerKey,
    TransactionLayer,
    Transmit,
)
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.sip.tokens import SeededTokens
from cubeproxy.protocols.values import Path
from tests.protocols.sip.samples import TCP, TLS, UDP, answer, flow, request, target

STATUSES = st.sampled_from([100, 180, 200, 202, 200, 183, 302, 486, 487, 603])
METHODS = st.sampled_from(["INVITE", "OPTIONS", "INVITE", "BYE", "INVITE"])
BRANCHES = st.sampled_from(["z9hG4bKa", "z9hG4bKb", "z9hG4bK", "old"])  # few, so that they meet
TAGS = st.sampled_from([None, "our-tag", "stray"])


class LayerMachine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.layer = TransactionLayer(tokens=SeededTokens(7))
        self.now = 0.0
        self.flows = [flow(UDP), flow(TCP), flow(TLS)]
        self.paths: list[Path] = [*self.flows, target(UDP), target(TCP)]
        self.ours: dict[ClientKey, Request] = {}  # requests as they went out, CANCELs excluded
        self.cancels: list[Request] = []
        self.finals: dict[ClientKey, list[int]] = {}
        self.failed: Counter[ClientKey] = Counter()
        self.theirs: dict[ServerKey, Request] = {}  # told, and not finally answered yet
        self.answered: list[tuple[ServerKey, Request]] = []

    def hear(self, outputs: list[Output]) -> None:
        for output in outputs:
            match output:
                case RequestArrived(key, arrived, _):
                    assert arrived.method not in {"ACK", "CANCEL"}
                    assert key not in self.theirs
                    self.theirs[key] = arrived
                case ResponseArrived(key, response):
                    self.hear_response(key, response)
                case ClientFailed(key, _):
                    assert not self.finals.get(key)
                    self.failed[key] += 1
                case CancelArrived(key, _, _):
                    assert key in self.theirs
                case ServerExpired(key):
                    assert key not in self.theirs
                case Transmit(_, Request(method="CANCEL") as cancel):
                    self.cancels.append(cancel)
                case Transmit() | AckArrived():
                    pass

    def hear_response(self, key: ClientKey, response: Response) -> None:
        assert key in self.ours
        assert not self.failed[key]
        if response.status >= 200:
            self.finals.setdefault(key, []).append(response.status)

    @rule(seconds=st.sampled_from([0.0, 0.1, 0.5, 1.0, 4.0, 5.0, 33.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        deadline = self.layer.deadline
        if deadline is not None and deadline <= self.now:
            self.hear(self.layer.timeout(self.now))

    @rule(method=METHODS, path=st.integers(0, 4))
    def we_ask(self, method: str, path: int) -> None:
        message = request(method, call_id=f"ours-{len(self.ours)}")
        key, outputs = self.layer.request(message, self.paths[path], self.now)
        self.ours[key] = message
        self.hear(outputs)

    @precondition(lambda self: self.ours)
    @rule(data=st.data(), status=STATUSES, over=st.integers(0, 2))
    def they_answer(self, data: st.DataObject, status: int, over: int) -> None:
        message = data.draw(st.sampled_from([*self.ours.values(), *self.cancels]))
        self.hear(self.layer.receive(answer(message, status), self.flows[over], self.now))

    @precondition(lambda self: self.ours)
    @rule(data=st.data())
    def we_give_up(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from([key for key in self.ours if key[1] == "INVITE"] or [("no", "INVITE")]))
        self.hear(self.layer.cancel(key, self.now))

    @rule(method=METHODS, branch=BRANCHES, over=st.integers(0, 2))
    def they_ask(self, method: str, branch: str, over: int) -> None:
        self.hear(self.layer.receive(request(method, branch=branch), self.flows[over], self.now))

    @rule(method=st.sampled_from(["ACK", "CANCEL"]), branch=BRANCHES, tag=TAGS, over=st.integers(0, 2))
    def they_acknowledge_or_cancel(self, method: str, branch: str, tag: str | None, over: int) -> None:
        self.hear(self.layer.receive(request(method, branch=branch, to_tag=tag), self.flows[over], self.now))

    @precondition(lambda self: self.theirs or self.answered)
    @rule(data=st.data(), method=st.sampled_from(["ACK", "CANCEL", "again"]), over=st.integers(0, 2))
    def they_follow_up(self, data: st.DataObject, method: str, over: int) -> None:
        """What a peer sends after its request: the ACK or CANCEL that fits it, or the same once more."""
        message = data.draw(st.sampled_from([*self.theirs.values(), *(message for _, message in self.answered)]))
        fitting = request(
            message.method if method == "again" else method,
            branch=message.branch or "",
            to_tag="our-tag" if method == "ACK" else None,
        )
        self.hear(self.layer.receive(fitting, self.flows[over], self.now))

    @precondition(lambda self: self.theirs)
    @rule(data=st.data(), status=STATUSES)
    def we_answer(self, data: st.DataObject, status: int) -> None:
        """An answer to what waits for one is always taken."""
        key = data.draw(st.sampled_from(list(self.theirs)))
        message = self.theirs[key]
        if status >= 200:
            self.answered.append((key, self.theirs.pop(key)))
        self.hear(self.layer.respond(key, response_to(message, status, to_tag="our-tag"), self.now))

    @precondition(lambda self: self.answered)
    @rule(data=st.data(), status=STATUSES)
    def we_answer_twice(self, data: st.DataObject, status: int) -> None:
        """A bug of the user's, and nothing worse than that."""
        key, message = data.draw(st.sampled_from(self.answered))
        if key in self.theirs:  # the same key, in a new transaction
            return
        try:
            outputs = self.layer.respond(key, response_to(message, status, to_tag="our-tag"), self.now)
        except LocalProtocolError:
            return
        assert outputs == []

    @rule(path=st.integers(0, 4))
    def a_path_fails(self, path: int) -> None:
        self.hear(self.layer.path_failed(self.paths[path], self.now))

    @invariant()
    def each_request_ends_once(self) -> None:
        for key in self.ours:
            finals = self.finals.get(key, [])
            assert self.failed[key] + bool(finals) <= 1
            assert len(finals) <= 1 or (key[1] == "INVITE" and all(200 <= status < 300 for status in finals))

    @invariant()
    def alarms_belong_to_transactions(self) -> None:
        counts = self.layer.counts()
        transactions = sum(count for kind, count in counts.items() if kind.endswith(("client", "server")))
        assert counts["alarms"] <= 2 * transactions
        assert counts["accepted"] <= counts["INVITE server"]
        assert (self.layer.deadline is None) == (counts["alarms"] == 0)

    def teardown(self) -> None:
        """Answer what waits, give up what rings, and let the clock run out."""
        for key, message in list(self.theirs.items()):
            del self.theirs[key]
            self.hear(self.layer.respond(key, response_to(message, 500, to_tag="our-tag"), self.now))
        for key in self.ours:
            if key[1] == "INVITE":
                self.hear(self.layer.cancel(key, self.now))
        while (deadline := self.layer.deadline) is not None:
            self.hear(self.layer.timeout(deadline))
        assert not any(self.layer.counts().values())
        for key in self.ours:
            assert self.failed[key] + bool(self.finals.get(key)) == 1


TestLayer = LayerMachine.TestCase
TestLayer.settings = settings(max_examples=200, stateful_step_count=50, deadline=None)
