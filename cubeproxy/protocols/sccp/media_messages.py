"""What a call manager asks of a farm for one call, and what the farm answers.

`conference` is the session, the same for both of its streams; `party` is one stream, unique among all of a connection;
`call` is the call leg's reference. Requests that carry keys show none of them (`MediaEncryption`).
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated

from cubeproxy.protocols.sccp.encryption import Encryption, MediaEncryption
from cubeproxy.protocols.sccp.layout import U16, U32, Counted, Host, Octets, Signed, Text, Unsigned, Versions
from cubeproxy.protocols.sccp.registry import Message, message

LATENT = 36  # octets of latent capabilities (fax and modem), all zero here
DTMF_TYPE = 10  # in every public dump
EXPEDITED = 0xB8  # DSCP EF, the precedence of a stream


class Status(IntEnum):
    """Of OpenReceiveChannelAck and StartMediaTransmissionAck."""

    OK = 0
    ERROR = 1
    NOT_ENOUGH_CHANNELS = 2
    CODEC_TOO_COMPLEX = 3
    INVALID_PARTY = 4
    INVALID_CALL = 5
    INVALID_CODEC = 6
    INVALID_PACKET_SIZE = 7
    OUT_OF_SOCKETS = 8
    CODER_FAILED = 9
    INVALID_PAYLOAD_TYPE = 10
    ADDRESS_TYPE_UNAVAILABLE = 11
    ON_HOOK = 255


STATUS_TEXTS = {status: status.name.lower().replace("_", " ") for status in Status}


class PortHandling(IntEnum):
    CLOSE = 0
    KEEP = 1


OldRate = Annotated[int, Unsigned(4), Versions(0, 10)]  # G.723 rate
New = Versions(11)
CodecByte = Annotated[int, Unsigned(1), New]
Latent = Annotated[bytes, Octets(LATENT), Versions(21)]


@message(0x0105)
class OpenReceiveChannel(Message):
    """Receive RTP on a port of yours. `encryption` is the key that the far end protects with."""

    conference: U32 = 0
    party: U32 = 0
    period: U32 = 20  # ms
    codec: U32 = 4
    echo_cancellation: U32 = 0
    g723_rate: OldRate = 0
    codec_mode: CodecByte = 0
    dynamic_payload: CodecByte = 0
    parameter1: CodecByte = 0
    parameter2: CodecByte = 0
    call: U32 = 0
    encryption: Encryption = MediaEncryption()
    stream: U32 = 0
    associated_stream: U32 = 0
    event_payload: U32 = 0  # RFC 2833 payload type, 0 is none
    dtmf_type: U32 = DTMF_TYPE
    mixing_mode: Annotated[int, Unsigned(4), New] = 0
    party_direction: Annotated[int, Unsigned(4), New] = 0
    source: Annotated[str, Host(), New] = "0.0.0.0"
    source_port: Annotated[int, Unsigned(4), New] = 0
    address_type: Annotated[int, Unsigned(4), Versions(16)] = 0
    audio_level: Annotated[int, Signed(4), Versions(18)] = 0
    latent: Latent = bytes(LATENT)


@message(0x0022)
class OpenReceiveChannelAck(Message):
    status: U32 = Status.OK
    host: Annotated[str, Host()] = "0.0.0.0"
    port: U32 = 0
    party: U32 = 0
    call: U32 = 0


@message(0x008A)
class StartMediaTransmission(Message):
    """Send RTP there. `encryption` is the key to protect with."""

    conference: U32 = 0
    party: U32 = 0
    host: Annotated[str, Host()] = "0.0.0.0"
    port: U32 = 0
    period: U32 = 20  # ms
    codec: U32 = 4
    precedence: U32 = EXPEDITED
    silence_suppression: U32 = 0
    frames: U16 = 0
    padding: U16 = 0
    g723_rate: OldRate = 0
    codec_mode: CodecByte = 0
    dynamic_payload: CodecByte = 0
    parameter1: CodecByte = 0
    parameter2: CodecByte = 0
    call: U32 = 0
    encryption: Encryption = MediaEncryption()
    stream: U32 = 0
    associated_stream: U32 = 0
    event_payload: U32 = 0
    dtmf_type: U32 = DTMF_TYPE
    mixing_mode: U32 = 0  # Wireshark 4.0 reads it whatever the version
    party_direction: Annotated[int, Unsigned(4), Versions(15)] = 0
    latent: Latent = bytes(LATENT)


@message(0x0154)
class StartMediaTransmissionAck(Message):
    conference: U32 = 0
    party: U32 = 0
    call: U32 = 0
    host: Annotated[str, Host()] = "0.0.0.0"
    port: U32 = 0
    status: U32 = Status.OK


@message(0x0106)
class CloseReceiveChannel(Message):
    conference: U32 = 0
    party: U32 = 0
    call: U32 = 0
    port_handling: U32 = PortHandling.CLOSE


@message(0x008B)
class StopMediaTransmission(Message):
    conference: U32 = 0
    party: U32 = 0
    call: U32 = 0
    port_handling: U32 = PortHandling.CLOSE


@message(0x002A)
class MediaTransmissionFailure(Message):
    conference: U32 = 0
    party: U32 = 0
    host: Annotated[str, Host()] = "0.0.0.0"
    port: U32 = 0
    call: U32 = 0


@message(0x011C)
class StartMediaFailureDetection(Message):
    """Say so when no RTP has come for a while."""

    conference: U32 = 0
    party: U32 = 0
    period: U32 = 20  # ms
    codec: U32 = 4
    echo_cancellation: U32 = 0
    g723_rate: OldRate = 0
    codec_mode: CodecByte = 0
    dynamic_payload: CodecByte = 0
    parameter1: CodecByte = 0
    parameter2: CodecByte = 0
    call: U32 = 0


DirectoryNumber = Annotated[str, Text(24, longer=28, since=18)]


@message(0x0107)
class ConnectionStatisticsRequest(Message):
    """`mode` 0 clears the counters, 1 keeps them."""

    directory_number: DirectoryNumber = ""
    call: U32 = 0
    mode: U32 = 1


@message(0x0023)
class ConnectionStatisticsResponse(Message):
    """From version 18 `mode` is one octet, what follows is unaligned, and a text stands behind."""

    directory_number: DirectoryNumber = ""
    call: U32 = 0
    mode: Annotated[int, Unsigned(4), Versions(0, 17)] = 1
    mode_octet: Annotated[int, Unsigned(1), Versions(18)] = 1
    sent: U32 = 0
    sent_octets: U32 = 0
    received: U32 = 0
    received_octets: U32 = 0
    lost: U32 = 0
    jitter: U32 = 0
    latency: U32 = 0
    text: Annotated[bytes, Counted(600), Versions(18)] = b""


class MediaTransport(IntEnum):
    RTP = 1
    UDP = 2
    TCP = 3


AUDIO = 1


@message(0x014B)
class PortRequest(Message):
    conference: U32 = 0
    call: U32 = 0
    party: U32 = 0
    transport: U32 = MediaTransport.RTP
    address_type: U32 = 0
    media_type: U32 = AUDIO


@message(0x0045)
class PortResponse(Message):
    conference: U32 = 0
    call: U32 = 0
    party: U32 = 0
    host: Annotated[str, Host()] = "0.0.0.0"
    rtp_port: U32 = 0
    rtcp_port: U32 = 0
    media_type: Annotated[int, Unsigned(4), Versions(19)] = AUDIO


@message(0x014C)
class PortClose(Message):
    conference: U32 = 0
    call: U32 = 0
    party: U32 = 0
    media_type: U32 = AUDIO


# DTMF, out of band

# What SCCP calls a tone, by the digit. RFC 4733 has other numbers.
TONES = {**{str(digit): digit for digit in range(1, 10)}, "0": 10, "*": 14, "#": 15, "A": 16, "B": 17, "C": 18, "D": 19}


@message(0x0127)
class NotifyDtmfTone(Message):
    tone: U32 = 0
    conference: U32 = 0
    party: U32 = 0


@message(0x0128)
class SendDtmfTone(Message):
    tone: U32 = 0
    conference: U32 = 0
    party: U32 = 0


@message(0x0129)
class SubscribeDtmfPayloadRequest(Message):
    payload: U32 = 0
    conference: U32 = 0
    party: U32 = 0
    dtmf_type: U32 = DTMF_TYPE


@message(0x012A)
class SubscribeDtmfPayloadResponse(Message):
    payload: U32 = 0
    conference: U32 = 0
    party: U32 = 0


@message(0x012B)
class SubscribeDtmfPayloadError(Message):
    payload: U32 = 0
    conference: U32 = 0
    party: U32 = 0


@message(0x012C)
class UnsubscribeDtmfPayloadRequest(Message):
    payload: U32 = 0
    conference: U32 = 0
    party: U32 = 0
    dtmf_type: U32 = DTMF_TYPE


@message(0x012D)
class UnsubscribeDtmfPayloadResponse(Message):
    payload: U32 = 0
    conference: U32 = 0
    party: U32 = 0


@message(0x012E)
class UnsubscribeDtmfPayloadError(Message):
    payload: U32 = 0
    conference: U32 = 0
    party: U32 = 0


# call manager to call manager


@message(0x0095)
class StartSessionTransmission(Message):
    """`kind`: 1 chat, 2 whiteboard, 4 application sharing, 8 file, 16 video. No transcoder takes part."""

    host: Annotated[str, Host()] = "0.0.0.0"
    kind: U32 = 0


@message(0x0096)
class StopSessionTransmission(Message):
    host: Annotated[str, Host()] = "0.0.0.0"
    kind: U32 = 0
