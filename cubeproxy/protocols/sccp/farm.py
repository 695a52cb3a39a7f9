"""A DSP farm's end: it registers with the best call manager that it can reach, and stays registered.

Servers are tried in the order of their priority; each is given `connect_retries` attempts. A server that stops
answering keepalives, or whose connection ends, is left: at once when nothing is in progress or the switchover
method is immediate, else (graceful) when the last session has ended. While it is with a server that is not the best,
the farm looks for the better one every `switchback_interval` and returns by the switchback method.

Sessions are counted by the channels that were opened and not closed. The owner of the media says `idle` when what
was left over from a lost server has fallen silent.
"""

from __future__ import annotations

from collections.abc import Sequence

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.farm_words import INPUTS, FarmSettings, Input, Method, State
from cubeproxy.protocols.sccp.machine import (
    NEVER,
    Action,
    Connect,
    Deliver,
    Disconnect,
    FarmDown,
    FarmUp,
    Machine,
    Output,
    Probe,
)
from cubeproxy.protocols.sccp.media_messages import (
    CloseReceiveChannel,
    OpenReceiveChannel,
    PortHandling,
)
from cubeproxy.protocols.sccp.messages import (
    CapabilitiesRequest,
    CapabilitiesResponse,
    KeepAlive,
    KeepAliveAck,
    MediaResourceNotification,
    RegisterAck,
    RegisterReject,
    RegisterRequest,
    Reset,
    UnregisterRequest,
    seconds,
)
from cubeproxy.protocols.sccp.registry import Message, Unknown, header_version
from cubeproxy.protocols.values import Address, Event, Severity


class FarmClient(Machine):
    """`servers` in the order of their priority, at least one."""

    kind = "farm"

    def __init__(self, settings: FarmSettings, servers: Sequence[Address]) -> None:
        super().__init__(State.DOWN)
        self.settings = settings
        self.servers = tuple(servers)
        self.current = 0  # which server
        self.aim = 0  # which one to register with after leaving
        self.attempts = 0  # at it
        self.unanswered = 0  # keepalives, or registrations
        self.open: set[int] = set()  # parties with an open channel
        self.returning = False
        self.withdrawn = False  # takes no new sessions
        self._interval = 30.0
        self._alarm_at = NEVER  # what the state waits for
        self._look_at = NEVER
        self._guard_at = NEVER

    @property
    def server(self) -> Address:
        return self.servers[self.current]

    @property
    def deadline(self) -> float | None:
        at = min(self._alarm_at, self._look_at, self._guard_at)
        return None if at == NEVER else at

    # inputs

    def start(self, now: float) -> list[Output]:
        return self.feed(Input.START, None, now)

    def stop(self, now: float) -> list[Output]:
        """Unregister, if registered, and go down."""
        return self.feed(Input.STOP, None, now)

    def withdraw(self) -> list[Output]:
        """Take no new sessions: all streams are told to be out of service, those in use go on."""
        self.withdrawn = True
        out: list[Output] = []
        if self.state is State.ACTIVE:
            self.tell_resources(out)
        return out

    def connected(self, now: float) -> list[Output]:
        return self.feed(Input.CONNECTED, None, now)

    def closed(self, cause: str, now: float) -> list[Output]:
        """No connection came about, or the one there was has ended."""
        if self.state is State.ACTIVE:
            return self.feed(self._lost(), cause, now)
        if self.state is State.LEAVING:
            return self.feed(Input.UNREGISTERED, None, now)
        return self.feed(Input.FAILED, cause, now)

    def probed(self, reachable: bool, now: float) -> list[Output]:
        """Whether the better server could be reached. An answer that comes too late is nothing."""
        if not reachable or self.state is not State.ACTIVE or self.current == 0:
            return []
        busy = self.open and self.settings.switchback is not Method.IMMEDIATE
        return self.feed(Input.BETTER_BUSY if busy else Input.BETTER, None, now)

    def idle(self, now: float) -> list[Output]:
        """No session of a lost server is left."""
        self.open.clear()
        return self.feed(Input.IDLE, None, now) if self.state is State.STRANDED else []

    def receive(self, message: Message | Unknown | RemoteProtocolError, now: float) -> list[Output]:
        if not self.count(message):
            return []
        event = INPUTS.get(type(message))  # type: ignore[arg-type]
        if event is None:
            self.counters.unsupported += 1
            return []
        out = self.offer(event, message, now)
        if self.returning and not self.open and self.state is State.ACTIVE:
            out += self.feed(Input.BETTER, None, now)
        return out

    def timeout(self, now: float) -> list[Output]:
        """Every alarm that has gone off."""
        out: list[Output] = []
        if self._alarm_at <= now:
            self._alarm_at = NEVER
            out += self._alarm(now)
        if self._look_at <= now:
            self._look_at = NEVER
            out += self.feed(Input.LOOK, None, now)
        if self._guard_at <= now:
            self._guard_at = NEVER
            out += self.feed(Input.BETTER, None, now)
        return out

    def _alarm(self, now: float) -> list[Output]:
        settings = self.settings
        match self.state:
            case State.ACTIVE if self.unanswered >= settings.keepalive_retries:
                return self.feed(self._lost(), "keepalives unanswered", now)
            case State.ACTIVE:
                return self.feed(Input.KEEPALIVE_DUE, None, now)
            case State.REGISTERING if self.unanswered < settings.registration_retries:
                return self.feed(Input.AGAIN, None, now)
            case State.WAITING:
                return self.feed(Input.AGAIN, None, now)
            case State.LEAVING:
                return self.feed(Input.UNREGISTERED, None, now)
        return self.feed(Input.LATE, "no answer", now)

    def _lost(self) -> Input:
        graceful = self.settings.switchover is Method.GRACEFUL
        return Input.LOST_BUSY if graceful and self.open else Input.LOST

    # for the actions

    def to_server(self, place: int, now: float, out: list[Output]) -> None:
        """Begin with another server, or anew with the same."""
        self.current = place % len(self.servers)
        self.attempts = 0
        self.dial(now, out)

    def dial(self, now: float, out: list[Output]) -> None:
        self.attempts += 1
        self.version = 0
        self._alarm_at = now + self.settings.connect_interval
        out.append(Connect(self.server))

    def wait(self, now: float) -> None:
        self._alarm_at = now + self.settings.connect_interval

    def quieten(self) -> None:
        self._alarm_at = self._look_at = self._guard_at = NEVER
        self.returning = False

    def drop_media(self, cause: str, out: list[Output]) -> None:
        self.open.clear()
        out.append(FarmDown(cause))

    def unregister(self, now: float, out: list[Output]) -> None:
        self.quieten()
        self.send(UnregisterRequest(), out)
        self._alarm_at = now + self.settings.registration_timeout

    def register_once(self, now: float, out: list[Output]) -> None:
        settings = self.settings
        self.unanswered += 1
        self._alarm_at = now + settings.registration_timeout
        request = RegisterRequest(
            device=settings.name,
            address=settings.address,
            device_type=settings.device_type,
            max_streams=2 * settings.sessions,
            active_streams=len(self.open),
            protocol_version=settings.protocol_version,
        )
        self.send(request, out, version=0)

    def tell_resources(self, out: list[Output]) -> None:
        streams = 2 * self.settings.sessions
        gone = streams if self.withdrawn else 0
        self.send(MediaResourceNotification(self.settings.device_type, streams - gone, 0, gone), out)

    def arm_keepalive(self, now: float) -> None:
        self._alarm_at = now + self._interval

    def agree(self, ack: RegisterAck, now: float) -> None:
        """What the server's answer settles."""
        self._interval = float(seconds(ack.keepalive))
        self.version = header_version(min(ack.protocol_version, self.settings.protocol_version))
        self.attempts = self.unanswered = 0
        if self.current:
            self._look_at = now + self.settings.switchback_interval
        self.arm_keepalive(now)

    def look_later(self, now: float) -> None:
        self._look_at = now + self.settings.switchback_interval

    def promise_return(self, now: float) -> None:
        self.returning = True
        self._look_at = NEVER
        if self.settings.switchback is Method.GUARD:
            self._guard_at = now + self.settings.switchback_guard


# actions


def report(farm: FarmClient, name: str, severity: Severity, text: str, out: list[Output], cause: str = "") -> None:
    host, port = farm.server
    text = f"DSP farm {farm.settings.name} {text} {host}:{port}"
    out.append(Event(f"sccp.{name}", severity, text, peer=f"{host}:{port}", device=farm.settings.name, cause=cause))


def begin(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    farm.to_server(0, now, out)


def register(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    farm.unanswered = 0
    farm.register_once(now, out)


def register_again(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    farm.register_once(now, out)


def activate(farm: FarmClient, ack: RegisterAck, now: float, out: list[Output]) -> None:
    farm.agree(ack, now)
    out.append(FarmUp(farm.settings.name, 2 * farm.settings.sessions))
    report(farm, "registered", Severity.NOTICE, "registered with", out)


def retry_later(farm: FarmClient, cause: str, now: float, out: list[Output]) -> None:
    """No connection: the same server again, or the next."""
    out.append(Disconnect())
    farm.wait(now)
    report(farm, "unreachable", Severity.WARNING, "cannot reach", out, cause)


def accept_refusal(farm: FarmClient, reject: RegisterReject, now: float, out: list[Output]) -> None:
    """Refused: nothing will be different at once, so the next server is tried after the wait."""
    farm.attempts = farm.settings.connect_retries
    out.append(Disconnect())
    farm.wait(now)
    report(farm, "rejected", Severity.ERROR, "was refused by", out, reject.text)


def try_again(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    if farm.attempts >= farm.settings.connect_retries:
        farm.to_server(farm.current + 1, now, out)
    else:
        farm.dial(now, out)


def keep_alive(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    farm.unanswered += 1
    farm.send(KeepAlive(), out)
    farm.arm_keepalive(now)


def hear(farm: FarmClient, _ack: KeepAliveAck, _now: float, _out: list[Output]) -> None:
    farm.unanswered = 0


def tell_capabilities(farm: FarmClient, _request: CapabilitiesRequest, _now: float, out: list[Output]) -> None:
    farm.send(CapabilitiesResponse(farm.settings.capabilities), out)
    farm.tell_resources(out)


def hand_on(farm: FarmClient, message: Message, _now: float, out: list[Output]) -> None:
    if isinstance(message, OpenReceiveChannel):
        farm.open.add(message.party)
    elif isinstance(message, CloseReceiveChannel) and message.port_handling == PortHandling.CLOSE:
        farm.open.discard(message.party)
    out.append(Deliver(message))


def switch_over(farm: FarmClient, cause: str, now: float, out: list[Output]) -> None:
    report(farm, "lost", Severity.ERROR, "lost", out, cause)
    farm.quieten()
    out.append(Disconnect())
    farm.drop_media(cause, out)
    farm.to_server(farm.current + 1, now, out)


def strand(farm: FarmClient, cause: str, _now: float, out: list[Output]) -> None:
    """The sessions run on; whoever has their media says when they have ended."""
    report(farm, "lost", Severity.ERROR, "keeps its sessions and lost", out, cause)
    farm.quieten()
    out.append(Disconnect())


def go_on(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    farm.drop_media("sessions ended", out)
    farm.to_server(farm.current + 1, now, out)


def leave(farm: FarmClient, _reset: Reset, now: float, out: list[Output]) -> None:
    """Told to: unregister, and register with the same server again."""
    farm.drop_media("reset", out)
    farm.unregister(now, out)
    farm.aim = farm.current


def go_back(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    """To the best server."""
    report(farm, "switchback", Severity.NOTICE, "returns to a better call manager from", out)
    farm.drop_media("switchback", out)
    farm.unregister(now, out)
    farm.aim = 0


def come_back(farm: FarmClient, _nothing: object, now: float, out: list[Output]) -> None:
    farm.quieten()
    out.append(Disconnect())
    farm.to_server(farm.aim, now, out)


def look(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    out.append(Probe(farm.servers[0]))
    farm.look_later(now)


def promise(farm: FarmClient, _nothing: None, now: float, _out: list[Output]) -> None:
    farm.promise_return(now)


def go_down(farm: FarmClient, _nothing: None, _now: float, out: list[Output]) -> None:
    farm.quieten()
    out.append(Disconnect())
    farm.drop_media("shut down", out)


def sign_off(farm: FarmClient, _nothing: None, now: float, out: list[Output]) -> None:
    farm.send(UnregisterRequest(), out)
    go_down(farm, None, now, out)


FARM: dict[tuple[State, Input], tuple[Action, State]] = {
    (State.DOWN, Input.START): (begin, State.CONNECTING),
    (State.CONNECTING, Input.CONNECTED): (register, State.REGISTERING),
    (State.CONNECTING, Input.FAILED): (retry_later, State.WAITING),
    (State.CONNECTING, Input.LATE): (retry_later, State.WAITING),
    (State.CONNECTING, Input.STOP): (go_down, State.DOWN),
    (State.WAITING, Input.AGAIN): (try_again, State.CONNECTING),
    (State.WAITING, Input.STOP): (go_down, State.DOWN),
    (State.REGISTERING, Input.ACCEPTED): (activate, State.ACTIVE),
    (State.REGISTERING, Input.REJECTED): (accept_refusal, State.WAITING),
    (State.REGISTERING, Input.AGAIN): (register_again, State.REGISTERING),
    (State.REGISTERING, Input.LATE): (retry_later, State.WAITING),
    (State.REGISTERING, Input.FAILED): (retry_later, State.WAITING),
    (State.REGISTERING, Input.STOP): (go_down, State.DOWN),
    (State.ACTIVE, Input.KEEPALIVE_DUE): (keep_alive, State.ACTIVE),
    (State.ACTIVE, Input.KEEPALIVE_ACK): (hear, State.ACTIVE),
    (State.ACTIVE, Input.CAPABILITIES): (tell_capabilities, State.ACTIVE),
    (State.ACTIVE, Input.MEDIA): (hand_on, State.ACTIVE),
    (State.ACTIVE, Input.LOST): (switch_over, State.CONNECTING),
    (State.ACTIVE, Input.LOST_BUSY): (strand, State.STRANDED),
    (State.ACTIVE, Input.RESET): (leave, State.LEAVING),
    (State.ACTIVE, Input.LOOK): (look, State.ACTIVE),
    (State.ACTIVE, Input.BETTER): (go_back, State.LEAVING),
    (State.ACTIVE, Input.BETTER_BUSY): (promise, State.ACTIVE),
    (State.ACTIVE, Input.STOP): (sign_off, State.DOWN),
    (State.STRANDED, Input.IDLE): (go_on, State.CONNECTING),
    (State.STRANDED, Input.STOP): (go_down, State.DOWN),
    (State.LEAVING, Input.UNREGISTERED): (come_back, State.CONNECTING),
    (State.LEAVING, Input.STOP): (go_down, State.DOWN),
}
FarmClient.table = FARM
