"""What stands in a capture of port 2000, by our own decoder: who registers, and which keys are handed to the farm.

The packets are read with scapy; octets of each direction are put together by their sequence numbers, as any stranger
would. In the clear SCCP hides nothing: that is why it may not leave the box.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from scapy.layers.inet import IP, TCP
from scapy.utils import PcapReader

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.frame import Framer
from cubeproxy.protocols.sccp.media_messages import OpenReceiveChannel, StartMediaTransmission
from cubeproxy.protocols.sccp.messages import (
    CapabilitiesResponse,
    RegisterAck,
    RegisterReject,
    RegisterRequest,
    UnregisterRequest,
)
from cubeproxy.protocols.sccp.registry import Message, Unknown
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import Address

SCCP = 2000
SYN = 0x02


@dataclass(slots=True)
class Channel:
    """One OpenReceiveChannel or StartMediaTransmission. `party` is one stream of the session `conference`."""

    opens: bool  # the farm is to receive: the key is the one that the far end sends with
    conference: int
    party: int
    key: MasterKey | None = field(default=None, repr=False)  # None: plain RTP


@dataclass(slots=True)
class SccpSeen:
    """Facts of one capture."""

    capture: str = ""
    messages: Counter[str] = field(default_factory=Counter)  # by the name of their kind
    unreadable: list[str] = field(default_factory=list)
    farm: str = ""  # who has asked to register
    sessions: int = 0
    codecs: int = 0  # that it can
    version: int | None = None  # that was agreed; None: it was not let in
    refusal: str = ""  # the call manager's text
    unregistered: bool = False
    channels: list[Channel] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.messages.values())


def read_sccp(path: Path, port: int = SCCP) -> SccpSeen:
    """Decode a capture. OSError, and scapy's own errors for what is no capture."""
    seen = SccpSeen(path.name)
    framers: dict[tuple[Address, Address], Framer] = {}
    for source, destination, data in _streams(path, port, seen.unreadable):
        framer = framers.setdefault((source, destination), Framer())
        for message, _version in framer.receive(data):
            _note(seen, message)
    seen.unreadable += ["a message is cut off" for framer in framers.values() if framer.pending]
    return seen


def _streams(path: Path, port: int, trouble: list[str]) -> Iterator[tuple[Address, Address, bytes]]:
    """New octets of every direction, in the order of the capture."""
    expected: dict[tuple[Address, Address], int] = {}
    with PcapReader(str(path)) as packets:
        for packet in packets:
            if TCP not in packet or port not in (packet[TCP].sport, packet[TCP].dport):
                continue
            way = ((packet[IP].src, packet[TCP].sport), (packet[IP].dst, packet[TCP].dport))
            data, sequence = bytes(packet[TCP].payload), packet[TCP].seq
            if int(packet[TCP].flags) & SYN:
                expected[way] = (sequence + 1) % 2**32
                continue
            if data and expected.setdefault(way, sequence) != sequence:
                trouble.append(f"octets are missing before {sequence} from {way[0][0]}:{way[0][1]}")
            if data:
                expected[way] = (sequence + len(data)) % 2**32
                yield *way, data


def _note(seen: SccpSeen, message: Message | Unknown | RemoteProtocolError) -> None:
    if isinstance(message, RemoteProtocolError):
        seen.unreadable.append(str(message))
        return
    if isinstance(message, Unknown):
        seen.unreadable.append(f"message {message.id:#06x} is unknown")
        return
    seen.messages[type(message).__name__] += 1
    match message:
        case RegisterRequest():
            seen.farm, seen.sessions = message.device, message.max_streams // 2
        case RegisterAck():
            seen.version = message.protocol_version
        case RegisterReject():
            seen.refusal = message.text
        case CapabilitiesResponse():
            seen.codecs = len(message.capabilities)
        case UnregisterRequest():
            seen.unregistered = True
        case OpenReceiveChannel() | StartMediaTransmission():
            try:
                key = message.encryption.master_key()
            except RemoteProtocolError as error:
                seen.unreadable.append(str(error))
                return
            opens = isinstance(message, OpenReceiveChannel)
            seen.channels.append(Channel(opens, message.conference, message.party, key))
