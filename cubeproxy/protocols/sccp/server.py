"""The call manager's end of one farm's connection: who registers, and whether it is still there.

Who may register is the owner's decision (`admit`: a RegisterRequest in, "" or the text of the refusal out). A farm that
says nothing for three keepalive intervals is dead, one that has not registered in time never was one.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import Any

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.machine import (
    NEVER,
    Action,
    Deliver,
    Disconnect,
    FarmDown,
    FarmUp,
    Machine,
    Output,
)
from cubeproxy.protocols.sccp.media_messages import (
    ConnectionStatisticsResponse,
    MediaTransmissionFailure,
    OpenReceiveChannelAck,
    PortResponse,
    StartMediaTransmissionAck,
)
from cubeproxy.protocols.sccp.messages import (
    Alarm,
    AlarmSeverity,
    CapabilitiesRequest,
    CapabilitiesResponse,
    Capability,
    KeepAlive,
    KeepAliveAck,
    MediaResourceNotification,
    RegisterAck,
    RegisterReject,
    RegisterRequest,
    Reset,
    ResetKind,
    UnregisterAck,
    UnregisterRequest,
)
from cubeproxy.protocols.sccp.registry import HIGHEST, Message, Unknown, header_version
from cubeproxy.protocols.values import Event, Severity

KEEPALIVE = 30  # s
REGISTER_WITHIN = 10.0  # s
SILENCES = 3  # intervals
BASIC = 3  # protocol version of a device that names none


class State(Enum):
    CONNECTED = auto()
    REGISTERED = auto()
    CLOSED = auto()


class Input(Enum):
    ADMITTED = auto()
    REFUSED = auto()
    KEEPALIVE = auto()
    CAPABILITIES = auto()
    RESOURCES = auto()
    ALARM = auto()
    MEDIA = auto()
    UNREGISTER = auto()
    SILENT = auto()
    CLOSED = auto()
    RESET = auto()  # the operator's wish


INPUTS: dict[type[Message], Input] = {
    KeepAlive: Input.KEEPALIVE,
    CapabilitiesResponse: Input.CAPABILITIES,
    MediaResourceNotification: Input.RESOURCES,
    Alarm: Input.ALARM,
    UnregisterRequest: Input.UNREGISTER,
    OpenReceiveChannelAck: Input.MEDIA,
    StartMediaTransmissionAck: Input.MEDIA,
    MediaTransmissionFailure: Input.MEDIA,
    ConnectionStatisticsResponse: Input.MEDIA,
    PortResponse: Input.MEDIA,
}

Admit = Callable[[RegisterRequest], str]


class FarmServer(Machine):
    """One connection. `name`, `streams` and `capabilities` are what the farm said of itself."""

    kind = "server"

    def __init__(self, admit: Admit, now: float, keepalive: int = KEEPALIVE, highest: int = HIGHEST) -> None:
        super().__init__(State.CONNECTED)
        self.name = ""
        self.device_type = 0
        self.streams = 0
        self.out_of_service = 0
        self.capabilities: list[Capability] = []
        self.keepalives = 0
        self.keepalive = keepalive
        self.highest = highest
        self._admit = admit
        self._silent_at = now + REGISTER_WITHIN

    @property
    def registered(self) -> bool:
        return self.state is State.REGISTERED

    @property
    def deadline(self) -> float | None:
        return None if self._silent_at == NEVER else self._silent_at

    def receive(self, message: Message | Unknown | RemoteProtocolError, now: float) -> list[Output]:
        if self.state is State.REGISTERED:
            self.heard(now)
        if not self.count(message):
            return []
        if isinstance(message, RegisterRequest):
            text = self._admit(message)
            return self.offer(Input.REFUSED, text, now) if text else self.offer(Input.ADMITTED, message, now)
        event = INPUTS.get(type(message))  # type: ignore[arg-type]
        if event is None:
            self.counters.unsupported += 1
            return []
        return self.offer(event, message, now)

    def closed(self, cause: str, now: float) -> list[Output]:
        return self.offer(Input.CLOSED, cause, now)

    def reset(self, now: float) -> list[Output]:
        """Have the farm register again."""
        return self.offer(Input.RESET, None, now)

    def timeout(self, now: float) -> list[Output]:
        if self._silent_at > now:
            return []
        self._silent_at = NEVER
        return self.feed(Input.SILENT, "keepalives missing" if self.registered else "did not register", now)

    def heard(self, now: float) -> None:
        self._silent_at = now + SILENCES * self.keepalive

    def impatient(self, now: float) -> None:
        self._silent_at = now + REGISTER_WITHIN

    def over(self) -> None:
        self._silent_at = NEVER


# actions


def _event(farm: FarmServer, name: str, severity: Severity, text: str, out: list[Output], cause: str = "") -> None:
    text = f"DSP farm {farm.name or 'without a name'} {text}"
    out.append(Event(f"sccp.{name}", severity, text, device=farm.name, cause=cause))


def admit(farm: FarmServer, request: RegisterRequest, now: float, out: list[Output]) -> None:
    farm.name, farm.device_type, farm.streams = request.device, request.device_type, request.max_streams
    agreed = min(request.protocol_version or BASIC, farm.highest)
    farm.version = header_version(agreed)
    farm.heard(now)
    farm.send(RegisterAck(keepalive=farm.keepalive, protocol_version=agreed), out, version=0)
    farm.send(CapabilitiesRequest(), out)
    out.append(FarmUp(farm.name, farm.streams))
    _event(farm, "farm.registered", Severity.NOTICE, f"registered with {farm.streams // 2} sessions", out)


def refuse(farm: FarmServer, text: str, now: float, out: list[Output]) -> None:
    farm.send(RegisterReject(text=text), out, version=0)
    farm.impatient(now)
    _event(farm, "farm.rejected", Severity.WARNING, f"refused: {text}", out, text)


def answer(farm: FarmServer, _keepalive: KeepAlive, _now: float, out: list[Output]) -> None:
    farm.keepalives += 1
    farm.send(KeepAliveAck(), out, version=0)


def take_capabilities(farm: FarmServer, response: CapabilitiesResponse, _now: float, _out: list[Output]) -> None:
    farm.capabilities = response.capabilities


def take_resources(farm: FarmServer, notice: MediaResourceNotification, _now: float, _out: list[Output]) -> None:
    farm.out_of_service = notice.out_of_service


def tell_alarm(farm: FarmServer, alarm: Alarm, _now: float, out: list[Output]) -> None:
    grave = alarm.severity in (AlarmSeverity.CRITICAL, AlarmSeverity.MAJOR)
    _event(farm, "farm.alarm", Severity.ERROR if grave else Severity.INFO, f"says: {alarm.text}", out)


def hand_on(_farm: FarmServer, message: Message, _now: float, out: list[Output]) -> None:
    out.append(Deliver(message))


def unregister(farm: FarmServer, _request: UnregisterRequest, now: float, out: list[Output]) -> None:
    farm.send(UnregisterAck(), out, version=0)
    farm.impatient(now)
    lose(farm, "unregistered", now, out)


def lose(farm: FarmServer, cause: str, _now: float, out: list[Output]) -> None:
    out.append(FarmDown(cause))
    _event(farm, "farm.lost", Severity.WARNING, f"is gone: {cause}", out, cause)


def hang_up(farm: FarmServer, cause: str, _now: float, out: list[Output]) -> None:
    farm.over()
    out.append(Disconnect())
    _event(farm, "farm.refused", Severity.WARNING, f"was cut off: {cause}", out, cause)


def give_up(farm: FarmServer, cause: str, now: float, out: list[Output]) -> None:
    farm.over()
    out.append(Disconnect())
    lose(farm, cause, now, out)


def end(farm: FarmServer, cause: str, now: float, out: list[Output]) -> None:
    farm.over()
    lose(farm, cause, now, out)


def forget(farm: FarmServer, _cause: str, _now: float, _out: list[Output]) -> None:
    farm.over()


def send_reset(farm: FarmServer, _nothing: Any, _now: float, out: list[Output]) -> None:
    farm.send(Reset(ResetKind.RESTART), out)


SERVER: dict[tuple[State, Input], tuple[Action, State]] = {
    (State.CONNECTED, Input.ADMITTED): (admit, State.REGISTERED),
    (State.CONNECTED, Input.REFUSED): (refuse, State.CONNECTED),
    (State.CONNECTED, Input.ALARM): (tell_alarm, State.CONNECTED),
    (State.CONNECTED, Input.SILENT): (hang_up, State.CLOSED),
    (State.CONNECTED, Input.CLOSED): (forget, State.CLOSED),
    (State.REGISTERED, Input.KEEPALIVE): (answer, State.REGISTERED),
    (State.REGISTERED, Input.CAPABILITIES): (take_capabilities, State.REGISTERED),
    (State.REGISTERED, Input.RESOURCES): (take_resources, State.REGISTERED),
    (State.REGISTERED, Input.ALARM): (tell_alarm, State.REGISTERED),
    (State.REGISTERED, Input.MEDIA): (hand_on, State.REGISTERED),
    (State.REGISTERED, Input.UNREGISTER): (unregister, State.CONNECTED),
    (State.REGISTERED, Input.RESET): (send_reset, State.REGISTERED),
    (State.REGISTERED, Input.SILENT): (give_up, State.CLOSED),
    (State.REGISTERED, Input.CLOSED): (end, State.CLOSED),
}
FarmServer.table = SERVER
