"""What a farm's registration is made of: settings, states, and what may happen to it (`farm` is the machine)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

from cubeproxy.protocols.sccp.media_messages import (
    CloseReceiveChannel,
    ConnectionStatisticsRequest,
    OpenReceiveChannel,
    PortClose,
    PortRequest,
    SendDtmfTone,
    StartMediaFailureDetection,
    StartMediaTransmission,
    StopMediaTransmission,
)
from cubeproxy.protocols.sccp.messages import (
    CapabilitiesRequest,
    Capability,
    DeviceType,
    KeepAliveAck,
    RegisterAck,
    RegisterReject,
    Reset,
    UnregisterAck,
)
from cubeproxy.protocols.sccp.registry import PREFERRED, Message


class Method(Enum):
    """Of switchover and switchback."""

    GRACEFUL = "graceful"
    IMMEDIATE = "immediate"
    GUARD = "guard"  # graceful, but at most for the guard time


@dataclass(slots=True)
class FarmSettings:
    """Of a registration; times in seconds, defaults of the vendor."""

    name: str
    address: str = "0.0.0.0"
    sessions: int = 0
    capabilities: list[Capability] = field(default_factory=list)
    device_type: int = DeviceType.MTP_YOKO
    protocol_version: int = PREFERRED
    keepalive_retries: int = 3
    connect_retries: int = 3
    connect_interval: float = 10.0
    registration_retries: int = 3
    registration_timeout: float = 10.0
    switchover: Method = Method.GRACEFUL
    switchback: Method = Method.GUARD
    switchback_guard: float = 7200.0
    switchback_interval: float = 60.0


class State(Enum):
    DOWN = auto()  # shut down
    WAITING = auto()  # before the next attempt
    CONNECTING = auto()
    REGISTERING = auto()
    ACTIVE = auto()
    STRANDED = auto()  # without a server, until the last session has ended
    LEAVING = auto()  # unregistering, to register again


class Input(Enum):
    START = auto()
    STOP = auto()
    CONNECTED = auto()
    FAILED = auto()  # no connection, or it ended before we were registered
    LATE = auto()  # the attempt, or the answer to it, takes too long
    AGAIN = auto()  # the wait is over, or the registration is sent again
    ACCEPTED = auto()
    REJECTED = auto()
    LOST = auto()  # the server is gone and nothing keeps us
    LOST_BUSY = auto()  # it is gone, and sessions are in progress
    IDLE = auto()
    KEEPALIVE_DUE = auto()
    KEEPALIVE_ACK = auto()
    CAPABILITIES = auto()
    MEDIA = auto()
    RESET = auto()
    UNREGISTERED = auto()
    LOOK = auto()  # time to look for the better server
    BETTER = auto()  # it is there and nothing keeps us
    BETTER_BUSY = auto()  # it is there, and sessions are in progress


MEDIA = (
    OpenReceiveChannel,
    CloseReceiveChannel,
    StartMediaTransmission,
    StopMediaTransmission,
    StartMediaFailureDetection,
    ConnectionStatisticsRequest,
    PortRequest,
    PortClose,
    SendDtmfTone,
)
INPUTS: dict[type[Message], Input] = {
    RegisterAck: Input.ACCEPTED,
    RegisterReject: Input.REJECTED,
    KeepAliveAck: Input.KEEPALIVE_ACK,
    CapabilitiesRequest: Input.CAPABILITIES,
    Reset: Input.RESET,
    UnregisterAck: Input.UNREGISTERED,
    **dict.fromkeys(MEDIA, Input.MEDIA),
}
