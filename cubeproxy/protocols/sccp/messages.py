"""What a farm and its call manager say about themselves: registration, keepalive, capabilities, alarms.

Layouts as Wireshark 4.0 and public dumps have them. A farm writes RegisterRequest with header version 0: nothing is
negotiated yet.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Annotated, Any, ClassVar

from cubeproxy.protocols.sccp.layout import U8, U16, U32, Octets, PlainIPv4, Text, Unsigned, take
from cubeproxy.protocols.sccp.registry import Message, message


class DeviceType(IntEnum):
    """Those that a media resource may have. There is no type of a transcoder: IOS registers one as MTP_YOKO."""

    CONFERENCE_BRIDGE = 50
    CONFERENCE_BRIDGE_YOKO = 51
    SOFTWARE_MTP_DIXIELAND = 83
    MTP = 110
    MTP_YOKO = 111
    MTP_DIXIELAND = 112
    MTP_SUMMIT = 113


class ResetKind(IntEnum):
    RESET = 1
    RESTART = 2
    APPLY = 3


class AlarmSeverity(IntEnum):
    CRITICAL = 0
    WARNING = 1
    INFORMATIONAL = 2
    UNKNOWN = 4
    MAJOR = 7
    MINOR = 8
    MARGINAL = 10
    TRACE = 20


DeviceName = Annotated[str, Text(16)]


@message(0x0000)
class KeepAlive(Message):
    pass


@message(0x0100)
class KeepAliveAck(Message):
    pass


@message(0x0001)
class RegisterRequest(Message):
    """`max_streams` is twice the sessions of a farm. Real devices write 40, 52, 128 or 176 octets, we write 128."""

    LEAST: ClassVar[int | None] = 36
    device: DeviceName = ""
    user: U32 = 0
    instance: U32 = 0
    address: Annotated[str, PlainIPv4()] = "0.0.0.0"
    device_type: U32 = DeviceType.MTP_YOKO
    max_streams: U32 = 0
    active_streams: U32 = 0
    protocol_version: U8 = 0
    unknown: U8 = 0
    features: U16 = 0
    max_conferences: U32 = 0
    active_conferences: U32 = 0
    mac: Annotated[bytes, Octets(12)] = bytes(12)
    ipv4_scope: U32 = 0
    max_lines: U32 = 0
    ipv6: Annotated[bytes, Octets(16)] = bytes(16)
    ipv6_scope: U32 = 0
    load: Annotated[str, Text(32)] = ""


@message(0x0081)
class RegisterAck(Message):
    """Intervals in seconds. The server's interval is the one that counts."""

    keepalive: U32 = 30
    date_template: Annotated[str, Text(6)] = "M/D/Y"
    padding: U16 = 0
    secondary_keepalive: U32 = 60
    protocol_version: U8 = 0
    unknown: U8 = 0x20
    features: U16 = 0xFEF1


@message(0x009D)
class RegisterReject(Message):
    text: Annotated[str, Text(32)] = ""


@message(0x0029)
class RegisterTokenRequest(Message):
    """A phone asks whether it may come back. No farm has been seen to."""

    device: DeviceName = ""
    user: U32 = 0
    instance: U32 = 0
    address: Annotated[str, PlainIPv4()] = "0.0.0.0"
    device_type: U32 = DeviceType.MTP_YOKO
    ipv6: Annotated[bytes, Octets(16)] = bytes(16)
    padding: U32 = 0


@message(0x011A)
class RegisterTokenAck(Message):
    features: U32 = 0


@message(0x011B)
class RegisterTokenReject(Message):
    """`wait` in seconds."""

    wait: U32 = 0
    features: U32 = 0


@message(0x0027)
class UnregisterRequest(Message):
    LEAST: ClassVar[int | None] = 0
    reason: U32 = 0


class UnregisterStatus(IntEnum):
    OK = 0
    ERROR = 1
    NAK = 2  # calls are up


@message(0x0118)
class UnregisterAck(Message):
    status: U32 = UnregisterStatus.OK


@message(0x009F)
class Reset(Message):
    kind: U32 = ResetKind.RESTART


@message(0x0020)
class Alarm(Message):
    severity: U32 = AlarmSeverity.INFORMATIONAL
    text: Annotated[str, Text(80)] = ""
    parameter1: U32 = 0
    parameter2: U32 = 0


@message(0x0002)
class IpPort(Message):
    port: U32 = 0


@message(0x002C)
class MediaResourceNotification(Message):
    """Streams: two a session."""

    device_type: U32 = DeviceType.MTP_YOKO
    in_service: U32 = 0
    most_per_conference: U32 = 0
    out_of_service: U32 = 0


@message(0x009B)
class CapabilitiesRequest(Message):
    pass


@dataclass(slots=True)
class Capability:
    """A codec of a farm. `period` is in ms; the protocol calls it frames per packet."""

    codec: int
    period: int = 30
    parameters: bytes = bytes(4)  # codec mode, dynamic payload type, two parameters


MOST_CAPABILITIES = 18


@dataclass(frozen=True)
class CapabilityList:
    """A count, and 16 octets for each."""

    def write(self, value: list[Capability], version: int) -> bytes:
        kept = value[:MOST_CAPABILITIES]
        number = Unsigned(4)
        rows = (
            number.write(one.codec, 0) + number.write(one.period, 0) + one.parameters[:4].ljust(8, b"\0")
            for one in kept
        )
        return number.write(len(kept), 0) + b"".join(rows)

    def read(self, data: bytes, position: int, version: int) -> tuple[list[Capability], int]:
        count, position = Unsigned(4).read(data, position, version)
        if count > MOST_CAPABILITIES:
            raise ValueError(f"{count} capabilities")
        found = []
        for _ in range(count):
            row, position = take(data, position, 16)
            codec, period = (int.from_bytes(row[at : at + 4], "little") for at in (0, 4))
            found.append(Capability(codec, period, row[8:12]))
        return found, position


@message(0x0010)
class CapabilitiesResponse(Message):
    capabilities: Annotated[list[Capability], CapabilityList()] = field(default_factory=list)


def seconds(value: Any, least: int = 1, most: int = 3600) -> int:
    """An interval from the wire that can be lived with."""
    return min(max(int(value), least), most)
