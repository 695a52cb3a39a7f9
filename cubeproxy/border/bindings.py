"""Who is registered: one binding for an address of record on a device, as a transition table.

The binding is (address of record, device, flow, expiry). Two rules: only the core's own 2xx makes
or extends one, and a lost connection detaches it without ending it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from enum import IntEnum

from cubeproxy.border.plan import Node
from cubeproxy.protocols.sip.uri import NameAddr
from cubeproxy.protocols.values import Flow


class State(IntEnum):
    NEW = 0  # asked for, the core has not said yes
    BOUND = 1
    DETACHED = 2  # registered, its connection is gone
    GONE = 3


class Input(IntEnum):
    ACCEPTED = 0
    REMOVED = 1
    CHALLENGED = 2
    REFUSED = 3
    EXPIRED = 4
    FLOW_LOST = 5


class Binding:
    """`user` is the address of record's user part, `alias` the user part of the Contact that the core sees."""

    __slots__ = (
        "alias", "call_id", "contact", "core_call_id", "core_tag", "cseq", "device", "expires_at", "flow", "granted",
        "node", "peer", "registered_at", "state", "user",
    )  # fmt: skip

    def __init__(self, device: str, user: str, peer: int, core_call_id: str, core_tag: str) -> None:
        self.device = device
        self.user = user
        self.peer = peer
        self.call_id = ""  # of the phone's own REGISTER
        self.core_call_id = core_call_id
        self.core_tag = core_tag
        self.cseq = 100
        self.state = State.NEW
        self.alias = ""
        self.contact: NameAddr | None = None
        self.flow: Flow | None = None
        self.node: Node | None = None
        self.granted = 0  # s
        self.registered_at = 0.0
        self.expires_at = 0.0

    @property
    def live(self) -> bool:
        return self.state is State.BOUND or self.state is State.DETACHED

    @property
    def reachable(self) -> bool:
        return self.state is State.BOUND and self.flow is not None and self.flow.open


Action = Callable[["Bindings", Binding], None]


class Bindings:
    """All bindings, found by device and user, by alias, by user and by flow."""

    def __init__(self) -> None:
        self._by_key: dict[tuple[str, str], Binding] = {}
        self._by_alias: dict[str, Binding] = {}
        self._by_user: dict[str, list[Binding]] = {}
        self._by_flow: dict[Flow, set[Binding]] = {}
        self._numbers: Counter[str] = Counter()  # by device

    def __len__(self) -> int:
        return sum(1 for binding in self._by_key.values() if binding.live)

    def __iter__(self) -> Iterator[Binding]:
        return iter(list(self._by_key.values()))

    def numbers(self, device: str) -> int:
        """How many addresses of record a device has here, accepted or asked for."""
        return self._numbers[device]

    def find(self, device: str, user: str) -> Binding | None:
        return self._by_key.get((device, user))

    def add(self, binding: Binding, wanted_alias: str) -> None:
        """Enter a new binding. Its alias is the phone's own contact user, told apart from others of the name."""
        alias, serial = wanted_alias, 1
        while alias in self._by_alias:
            serial += 1
            alias = f"{wanted_alias}-{serial}"
        binding.alias = alias
        self._by_alias[alias] = binding
        self._by_key[binding.device, binding.user] = binding
        self._numbers[binding.device] += 1
        self._by_user.setdefault(binding.user, []).append(binding)

    def called(self, user: str) -> Binding | None:
        """Who a request from the core is for: the Contact that it saw, else the number's newest live binding."""
        binding = self._by_alias.get(user)
        if binding is not None and binding.live:
            return binding
        live = [b for b in self._by_user.get(user, ()) if b.live]
        return max(live, key=lambda b: (b.reachable, b.registered_at), default=None)

    def of_device(self, device: str, user: str) -> Binding | None:
        """The live binding of a device for the number that it calls from."""
        binding = self._by_key.get((device, user))
        return binding if binding is not None and binding.live else None

    def on_flow(self, flow: Flow) -> list[Binding]:
        return list(self._by_flow.get(flow, ()))

    def attach(self, binding: Binding, flow: Flow) -> None:
        self.detach(binding)
        binding.flow = flow
        self._by_flow.setdefault(flow, set()).add(binding)

    def detach(self, binding: Binding) -> None:
        held = self._by_flow.get(binding.flow) if binding.flow is not None else None
        if held is not None and binding.flow is not None:
            held.discard(binding)
            if not held:
                del self._by_flow[binding.flow]
        binding.flow = None

    def receive(self, binding: Binding, event: Input) -> State:
        """Apply one input; a pair that is missing from the table is a bug of ours (KeyError names it)."""
        action, state = TRANSITIONS[binding.state, event]
        action(self, binding)
        binding.state = state
        if state is State.GONE:
            self._forget(binding)
        return state

    def _forget(self, binding: Binding) -> None:
        self.detach(binding)
        if self._by_key.pop((binding.device, binding.user), None) is not None:
            self._numbers[binding.device] -= 1
            if not self._numbers[binding.device]:
                del self._numbers[binding.device]
        self._by_alias.pop(binding.alias, None)
        others = self._by_user.get(binding.user, [])
        if binding in others:
            others.remove(binding)
        if not others:
            self._by_user.pop(binding.user, None)

    def keep(self, binding: Binding) -> None:
        pass


TRANSITIONS: dict[tuple[State, Input], tuple[Action, State]] = {
    (State.NEW, Input.ACCEPTED): (Bindings.keep, State.BOUND),
    (State.NEW, Input.REMOVED): (Bindings.keep, State.GONE),
    (State.NEW, Input.CHALLENGED): (Bindings.keep, State.NEW),
    (State.NEW, Input.REFUSED): (Bindings.keep, State.GONE),
    (State.NEW, Input.EXPIRED): (Bindings.keep, State.GONE),
    (State.NEW, Input.FLOW_LOST): (Bindings.keep, State.GONE),
    (State.BOUND, Input.ACCEPTED): (Bindings.keep, State.BOUND),
    (State.BOUND, Input.REMOVED): (Bindings.keep, State.GONE),
    (State.BOUND, Input.CHALLENGED): (Bindings.keep, State.BOUND),
    (State.BOUND, Input.REFUSED): (Bindings.keep, State.BOUND),
    (State.BOUND, Input.EXPIRED): (Bindings.keep, State.GONE),
    (State.BOUND, Input.FLOW_LOST): (Bindings.detach, State.DETACHED),
    (State.DETACHED, Input.ACCEPTED): (Bindings.keep, State.BOUND),
    (State.DETACHED, Input.REMOVED): (Bindings.keep, State.GONE),
    (State.DETACHED, Input.CHALLENGED): (Bindings.keep, State.DETACHED),
    (State.DETACHED, Input.REFUSED): (Bindings.keep, State.DETACHED),
    (State.DETACHED, Input.EXPIRED): (Bindings.keep, State.GONE),
}
