"""Which CUCM nodes can be used: OPTIONS keepalive and what calls and registrations found out.

503, 505 and silence mean down, any other answer means up (vendor: `voice-class sip options-keepalive`). A node with
`options-keepalive` is probed; one without is avoided for a while after a request to it failed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum

from cubeproxy.border.plan import Node
from cubeproxy.border.user import TransactionUser, name_of
from cubeproxy.protocols.sip.message import Headers, Request, Response
from cubeproxy.protocols.values import Severity, Target

PROBE_WAIT = 2.0  # s without an answer: the probe failed
PROBE_GAP = 1.5  # s between a failed probe and the next of a suspect node
REST = 30.0  # s that a node without keepalive is avoided
BUSYOUT = frozenset({503, 505})


class State(IntEnum):
    UP = 0
    SUSPECT = 1  # still used, being probed
    DOWN = 2
    RESTING = 3  # no keepalive configured: avoided for REST seconds


class Input(IntEnum):
    ALIVE = 0  # any answer but 503 and 505
    SILENT = 1  # a probe failed and more are allowed
    GIVEN_UP = 2  # the last allowed probe failed
    FAILED = 3  # a call or registration got nothing from it
    RESTED = 4


Action = Callable[["Watch", float], None]


class Watch:
    """One node's state and its probes."""

    def __init__(self, node: Node, user: TransactionUser) -> None:
        self.node = node
        self.state = State.UP
        self.failures = 0
        self._user = user
        self._open: _Probe | None = None  # on its way

    def start(self, now: float) -> None:
        if self.node.keepalive:
            self._wake_at(now, self._probe)

    def receive(self, event: Input, now: float) -> None:
        action, state = TRANSITIONS[self.state, event]
        self.state, before = state, self.state
        action(self, now)
        if (state is State.DOWN) != (before is State.DOWN):
            self._report(state)

    def failed(self, now: float) -> None:
        """A call or registration got nothing from this node."""
        if self.node.keepalive is None:
            self.receive(Input.FAILED, now)
        elif self._open is None:
            self._wake_at(now, self._probe)

    def probed(self, probe: _Probe, alive: bool, now: float) -> None:
        """What came of a probe. Whatever comes of one that was given up on counts for nothing."""
        if probe is not self._open:
            return
        self._open = None
        if alive:
            self.receive(Input.ALIVE, now)
            return
        self.failures += 1
        keepalive = self.node.keepalive
        allowed = keepalive.retry if keepalive else 0
        self.receive(Input.GIVEN_UP if self.failures > allowed else Input.SILENT, now)

    def _probe(self, now: float) -> None:
        probe = self._open = _Probe(self)
        self._wake_at(now + PROBE_WAIT, lambda then: self.probed(probe, False, then))
        target = self.node.target
        self._user.request(_options(target, self._user), target, probe, now)

    def _wake_at(self, when: float, wake: Callable[[float], None]) -> None:
        self._user.alarms.set(self, when, wake)

    def _report(self, state: State) -> None:
        target = self.node.target
        down = state is State.DOWN
        self._user.report(
            "node.down" if down else "node.up",
            Severity.WARNING if down else Severity.NOTICE,
            f"core node {name_of(target)} {'does not answer OPTIONS' if down else 'answers again'}",
            peer=name_of(target),
            dial_peer=self.node.peer,
        )

    def probe_later(self, now: float) -> None:
        keepalive = self.node.keepalive
        if keepalive is None:
            return
        if self.state is State.UP:
            self.failures = 0
        self._wake_at(
            now + (keepalive.down_interval if self.state is State.DOWN else keepalive.up_interval), self._probe
        )

    def probe_soon(self, now: float) -> None:
        self._wake_at(now + PROBE_GAP, self._probe)

    def rest(self, now: float) -> None:
        self._wake_at(now + REST, lambda then: self.receive(Input.RESTED, then))

    def nothing(self, now: float) -> None:
        pass


class _Probe:
    """The waiter of one OPTIONS request."""

    __slots__ = ("_watch",)

    def __init__(self, watch: Watch) -> None:
        self._watch = watch

    def response(self, response: Response, now: float) -> None:
        if response.status >= 200:
            self._watch.probed(self, response.status not in BUSYOUT, now)

    def failed(self, cause: str, now: float) -> None:
        self._watch.probed(self, False, now)


TRANSITIONS: dict[tuple[State, Input], tuple[Action, State]] = {
    (State.UP, Input.ALIVE): (Watch.probe_later, State.UP),
    (State.UP, Input.SILENT): (Watch.probe_soon, State.SUSPECT),
    (State.UP, Input.GIVEN_UP): (Watch.probe_later, State.DOWN),
    (State.UP, Input.FAILED): (Watch.rest, State.RESTING),
    (State.SUSPECT, Input.ALIVE): (Watch.probe_later, State.UP),
    (State.SUSPECT, Input.SILENT): (Watch.probe_soon, State.SUSPECT),
    (State.SUSPECT, Input.GIVEN_UP): (Watch.probe_later, State.DOWN),
    (State.DOWN, Input.ALIVE): (Watch.probe_later, State.UP),
    (State.DOWN, Input.GIVEN_UP): (Watch.probe_later, State.DOWN),
    (State.RESTING, Input.FAILED): (Watch.rest, State.RESTING),
    (State.RESTING, Input.RESTED): (Watch.nothing, State.UP),
}


class Nodes:
    """Every node of the core dial peers, and in which order to try them."""

    def __init__(self, nodes: Iterable[Node], user: TransactionUser) -> None:
        self.watches: dict[Target, Watch] = {}
        for node in nodes:
            self.watches.setdefault(node.target, Watch(node, user))

    def start(self, now: float) -> None:
        for watch in self.watches.values():
            watch.start(now)

    def usable(self, nodes: Iterable[Node]) -> list[Node]:
        """In the given order without those that are down; a resting one comes last, better than none."""
        states = [(self.watches[node.target].state, node) for node in nodes]
        awake = [node for state, node in states if state in (State.UP, State.SUSPECT)]
        return awake + [node for state, node in states if state is State.RESTING]

    def failed(self, target: Target, now: float) -> None:
        self.watches[target].failed(now)

    def rests(self, target: Target) -> bool:
        return self.watches[target].state is State.RESTING

    def is_up(self, target: Target) -> bool:
        return self.watches[target].state is not State.DOWN


def _options(target: Target, user: TransactionUser) -> Request:
    """The out-of-dialog ping (RFC 3261 11.1)."""
    host, port = target.local
    headers = Headers()
    headers.add("Max-Forwards", "70")
    headers.add("From", f"<sip:{host}>;tag={user.tokens.tag()}")
    headers.add("To", f"<sip:{target.host}>")
    headers.add("Call-ID", user.tokens.call_id())
    headers.add("CSeq", "101 OPTIONS")
    headers.add("Contact", f"<sip:{host}:{port};transport={target.transport.value.lower()}>")
    headers.add("Accept", "application/sdp")
    return Request("OPTIONS", f"sip:{target.host}:{target.port}", headers)
