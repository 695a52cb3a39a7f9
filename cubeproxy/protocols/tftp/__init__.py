"""TFTP as phones and clusters speak it: RFC 1350, options 2347, 2348, 2349 and 7440. Reading only."""

from cubeproxy.protocols.tftp.options import Limits, Terms
from cubeproxy.protocols.tftp.packets import (
    Ack,
    Data,
    Error,
    ErrorCode,
    Opcode,
    OptionAck,
    Packet,
    Request,
    parse_packet,
)
from cubeproxy.protocols.tftp.receiver import Receiver
from cubeproxy.protocols.tftp.sender import Sender, refusal
from cubeproxy.protocols.tftp.transfer import Completed, Effect, Failed, Pace, Received, Send

__all__ = [
    "Ack",
    "Completed",
    "Data",
    "Effect",
    "Error",
    "ErrorCode",
    "Failed",
    "Limits",
    "Opcode",
    "OptionAck",
    "Pace",
    "Packet",
    "Received",
    "Receiver",
    "Request",
    "Send",
    "Sender",
    "Terms",
    "parse_packet",
    "refusal",
]
