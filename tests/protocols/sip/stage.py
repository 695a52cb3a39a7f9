"""A stage for one transaction machine: every step states all that it does, and nothing else may happen.

`sends` are the messages put on the path, `tells` what the user hears, `alarms` what is set afterwards (absolute
seconds) and `holds` which messages are still kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.sip.effects import (
    AckArrived,
    ClientFailed,
    Output,
    RequestArrived,
    ResponseArrived,
    ServerExpired,
    Transmit,
)
from cubeproxy.protocols.sip.message import Message, Request, Response
from cubeproxy.protocols.sip.timers import Lanes, Timers
from cubeproxy.protocols.sip.transactions import (
    Input,
    InviteClient,
    InviteServer,
    NonInviteClient,
    NonInviteServer,
    State,
    Transaction,
)
from cubeproxy.protocols.values import Flow, Path, Target, Transport
from tests.protocols.sip.samples import HERE, THERE, UDP, answer, flow, request, target

Machine = InviteClient | NonInviteClient | InviteServer | NonInviteServer


@dataclass
class Stage:
    machine: Machine
    lanes: Lanes[Transaction]
    path: Path
    request: Request
    now: float = 0.0
    sent: list[Transmit] = field(default_factory=list)  # in the last step

    def on(
        self,
        event: Input,
        payload: object = None,
        *,
        sends: str = "",
        tells: str = "",
        state: State,
        alarms: dict[Input, float] | None = None,
        holds: str = "",
    ) -> None:
        """Feed `event`; `payload` None makes the usual one."""
        out: list[Output] = []
        self.machine.feed(event, self.payload(event) if payload is None else payload, self.now, out)
        self._check(out, sends, tells, state, alarms or {}, holds)

    def fires(
        self,
        timer: Input,
        *,
        sends: str = "",
        tells: str = "",
        state: State,
        alarms: dict[Input, float] | None = None,
        holds: str = "",
    ) -> None:
        """Let the clock run to the next alarm, which must be `timer`."""
        self.now = min(self.machine.alarms().values())
        out: list[Output] = []
        ((who, lane),) = self.lanes.due(self.now)
        assert who is self.machine
        assert lane.event == timer
        self.machine.fire(lane, self.now, out)
        self._check(out, sends, tells, state, alarms or {}, holds)

    def refuses(self, *events: Input) -> None:
        """These have no row here: a bug of ours, and said so with state and input."""
        state = self.machine.state
        for event in events:
            with pytest.raises(LocalProtocolError, match=rf"in {state.name} takes no {event.name}"):
                self.machine.feed(event, self.payload(event), self.now, [])
            assert self.machine.state == state

    def payload(self, event: Input) -> object:
        if event in PAYLOAD_STATUS:
            return answer(self.request, PAYLOAD_STATUS[event])
        if event == Input.REQUEST and self.machine.state == State.IDLE:
            return RequestArrived(("key",), self.request, flow())
        if event == Input.ACK:
            return AckArrived(request("ACK", to_tag="our-tag"), flow())
        if event == Input.CANCEL:
            return request("CANCEL")
        return None

    def _check(
        self, out: list[Output], sends: str, tells: str, state: State, alarms: dict[Input, float], holds: str
    ) -> None:
        self.sent = [output for output in out if isinstance(output, Transmit)]
        assert " ".join(name(output.message) for output in self.sent) == sends
        assert all(output.path is self.path for output in self.sent)
        assert " ".join(told(output) for output in out if not isinstance(output, Transmit)) == tells
        assert self.machine.state == state
        assert self.machine.alarms() == {timer.name: pytest.approx(when) for timer, when in alarms.items()}
        assert len(self.lanes) == len(alarms)
        assert held(self.machine) == holds


PAYLOAD_STATUS = {
    Input.PROVISIONAL: 180,
    Input.SUCCESS: 200,
    Input.FAILURE: 486,
    Input.FINAL: 200,
    Input.SEND_PROVISIONAL: 180,
    Input.SEND_SUCCESS: 200,
    Input.SEND_FAILURE: 486,
    Input.SEND_FINAL: 200,
}


def name(message: Message) -> str:
    if isinstance(message, Request):
        return message.method
    assert isinstance(message, Response)
    return str(message.status)


def told(output: Output) -> str:
    match output:
        case ResponseArrived(key, response):
            assert key == ("branch", response.cseq.method)
            return str(response.status)
        case RequestArrived(_, arrived, _) | AckArrived(arrived, _):
            return arrived.method
        case ClientFailed(_, cause):
            return cause
        case ServerExpired(key):
            assert key == ("key",)
            return "expired"
        case _:
            raise AssertionError(output)


def held(machine: Machine) -> str:
    if isinstance(machine, InviteServer | NonInviteServer):
        return "" if machine.response is None else name(machine.response)
    kept = [machine.request]
    if isinstance(machine, InviteClient):
        kept += [machine.ack, machine.cancel]
    return " ".join(name(message) for message in kept if message is not None)


def invite_client(transport: Transport = UDP) -> Stage:
    path, lanes, invite = target(transport), Lanes[Transaction](), request("INVITE")
    delays = Timers().delays(transport.reliable)
    return Stage(InviteClient(("branch", "INVITE"), invite, path, delays, lanes), lanes, path, invite)


def non_invite_client(transport: Transport = UDP, *, quiet: bool = False) -> Stage:
    path, lanes, options = target(transport), Lanes[Transaction](), request("OPTIONS")
    delays = Timers().delays(transport.reliable)
    client = NonInviteClient(("branch", "OPTIONS"), options, path, delays, lanes, quiet=quiet)
    return Stage(client, lanes, path, options)


def invite_server(transport: Transport = UDP) -> Stage:
    path, lanes = flow(transport), Lanes[Transaction]()
    machine = InviteServer(("key",), path, fallback(path), Timers().delays(transport.reliable), lanes)
    return Stage(machine, lanes, path, request("INVITE"))


def non_invite_server(transport: Transport = UDP) -> Stage:
    path, lanes = flow(transport), Lanes[Transaction]()
    machine = NonInviteServer(("key",), path, fallback(path), Timers().delays(transport.reliable), lanes)
    return Stage(machine, lanes, path, request("OPTIONS"))


def fallback(path: Flow) -> Target:
    return Target(path.transport, THERE[0], 5060, HERE)
