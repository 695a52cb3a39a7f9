"""The words that rooms exchange: paths for messages, streams for media, events for the operator.

Two rules: nothing here does anything, and nothing here names a socket. Values on the message path
are not frozen (a frozen dataclass costs four times as much to make).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, IntEnum

from cubeproxy.protocols.suites import MasterKey

Address = tuple[str, int]  # host literal (never a name), port


class Side(Enum):
    """Which face of the proxy: towards the phones or towards the cluster."""

    ACCESS = "access"
    CORE = "core"


class Transport(Enum):
    """SIP transports, spelt as in Via (RFC 3261 20.42)."""

    UDP = "UDP"
    TCP = "TCP"
    TLS = "TLS"

    @property
    def reliable(self) -> bool:
        return self is not Transport.UDP


@dataclass(slots=True, frozen=True)
class DeviceIdentity:
    """Who a TLS peer is, by its certificate: the one CN matched whole, and who vouched for it."""

    name: str  # SEP001122334455, upper case; "" when the certificate names no device
    subject: str  # the certificate's subject in RFC 4514 form
    issuer: str
    kind: str  # "LSC", "MIC" or "peer"
    trustpoint: str  # the trustpoint that vouched
    fingerprint: str  # SHA-256 over the DER, lower-case hex


@dataclass(slots=True, eq=False)
class Flow:
    """A way to a peer that exists: a connection, or a UDP socket and a remote address. Compared by identity."""

    id: int
    transport: Transport
    local: Address  # what we advertise in Via and Contact: the listener's address and port
    remote: Address
    identity: DeviceIdentity | None = None
    open: bool = True


@dataclass(slots=True, frozen=True)
class Target:
    """A way to a peer that is still to be made or found: the server reuses an open flow to it."""

    transport: Transport
    host: str
    port: int
    local: Address  # bind address, and the port of our listener for Via and Contact


Path = Flow | Target


@dataclass(slots=True, frozen=True)
class Codec:
    """An RTP payload format: encoding name in lower case as in rtpmap, clock in Hz."""

    name: str
    clock: int
    channels: int = 1


# The codec of a leg whose packets nobody on this box opens, on both legs of a session: not even the header is read.
PASS_THROUGH = Codec("pass-through", 8000)


@dataclass(slots=True)
class StreamSpec:
    """One leg of one audio stream as a media engine needs it. Directions are seen from us."""

    remote: Address | None  # where we send; None until signalled
    codec: Codec
    payload_type: int  # 0..127, what this leg's peer calls `codec`
    send_key: MasterKey | None = None  # protects what we send; None is plain RTP
    receive_key: MasterKey | None = None  # verifies what we receive; None is plain RTP
    dtmf_payload_type: int | None = None  # RFC 4733 telephone-event, None when not negotiated
    ptime: int = 20  # ms
    sends: bool = True
    receives: bool = True
    latch: bool = False  # clear leg: learn the source once (`nat symmetric check-media-src`)
    remote_rtcp: Address | None = None  # None: remote port + 1
    joins: bool = False  # what the peer sends may be beyond its first rollover: the counter is found by trying


class Need(IntEnum):
    """What has to stand between two legs."""

    RELAY = 0  # same kind on both sides
    CRYPTO = 1  # different keys or suites, or SRTP to RTP, in software
    TRANSCODER = 2  # a member of the transcoder pool


@dataclass(slots=True)
class ReserveMedia:
    """Ask for a port pair on each of two local addresses, and for what `need` says.

    The answer comes back as `MediaReserved` or `MediaRefused` with the same `ticket`.
    """

    ticket: int
    call: str  # the operator's name of the call, for events and shows
    local: tuple[str, str]  # local media address of leg 0 and leg 1
    need: Need
    transcodes: bool = False  # the legs will have different codecs


@dataclass(slots=True)
class UpdateMedia:
    """The negotiated session, or the next one: ports stay, everything else may change.

    A leg that is not yet known is None: what comes for it is dropped.
    """

    session: int
    legs: tuple[StreamSpec | None, StreamSpec | None]


@dataclass(slots=True)
class ReleaseMedia:
    session: int


MediaCommand = ReserveMedia | UpdateMedia | ReleaseMedia


@dataclass(slots=True)
class MediaReserved:
    ticket: int
    session: int
    local: tuple[Address, Address]  # RTP address and port of leg 0 and leg 1; RTCP is the next port


@dataclass(slots=True)
class MediaRefused:
    """`cause` is a key of the failure table in `border`: "no-transcoder", "pool-full", "engine-full", "no-ports",
    "no-worker"."""

    ticket: int
    cause: str
    text: str


@dataclass(slots=True)
class MediaLost:
    """Nobody carries this session any more, or can. `failure` is a key of the failure table in `border`."""

    session: int
    cause: str
    failure: str = "media-lost"


@dataclass(slots=True)
class MediaMoved:
    """Another engine carries this session, ports as before, and the keys that protect what we send are used up.

    The new engine has the old one's keys and not its place in the key stream. It waits for an update whose sending
    keys are all new.
    """

    session: int
    cause: str


MediaEvent = MediaReserved | MediaRefused | MediaLost | MediaMoved


@dataclass(slots=True)
class StreamCounters:
    """What one leg of a media session counted, from its own side."""

    received: int = 0  # packets accepted from the peer
    received_octets: int = 0  # RTP payload octets
    sent: int = 0
    sent_octets: int = 0
    lost: int = 0  # gaps in the peer's sequence numbers
    late: int = 0  # out of order, or too late
    auth_failures: int = 0
    replays: int = 0
    strangers: int = 0  # datagrams from a source that this leg does not accept
    malformed: int = 0
    rtcp_dropped: int = 0
    jitter: int = 0  # RFC 3550 6.4.1, in timestamp units
    rtcp_received: int = 0  # reports accepted; only where RTCP is terminated
    rtcp_sent: int = 0
    peer_lost: int = 0  # what the peer's last report says of what we send
    peer_jitter: int = 0
    round_trip: int = 0  # to the peer, in 1/65536 s
    unsent: int = 0  # of those sent, what the kernel did not take: no room, no route, nobody there


class Severity(IntEnum):
    """syslog severities (RFC 5424 6.2.1)."""

    ERROR = 3
    WARNING = 4
    NOTICE = 5
    INFO = 6
    DEBUG = 7


@dataclass(slots=True)
class Event:
    """One thing the operator should know. A machine returns it; `server` writes it once.

    `name` is stable and dotted ("registration.accepted"); tests assert on it and on the fields.
    """

    name: str
    severity: Severity
    text: str
    peer: str = ""  # address:port
    device: str = ""
    call: str = ""
    cause: str = ""
    fix: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)
