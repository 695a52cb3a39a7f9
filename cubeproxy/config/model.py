"""The typed model of a running configuration: what the operator said, resolved and with defaults.

One dataclass per configuration mode, named by the command that enters it. Defaults are the vendor's.
Addresses are host literals; `Interface` names are the long form ("GigabitEthernet0/0").
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Address, Transport


class Personality(Enum):
    """Chosen by the `version` line: 15.x is IOS on ISR G2, 16 and later IOS XE."""

    IOS = "ios"
    IOSXE = "iosxe"


class SrtpPolicy(Enum):
    """`srtp`, `srtp fallback`, `srtp pass-thru` on a dial peer or under `voice service voip`."""

    OFF = "off"
    STRICT = "strict"
    FALLBACK = "fallback"
    PASS_THRU = "pass-thru"  # noqa: S105


@dataclass
class Interface:
    name: str
    address: str = ""
    mask: str = ""
    description: str = ""
    shutdown: bool = False


@dataclass
class Trustpoint:
    """`crypto pki trustpoint`, with the certificates of `crypto pki certificate chain`."""

    name: str
    enrollment: str = ""  # "selfsigned", "terminal", "terminal pem", "url ..."
    subject_name: str = ""
    revocation_check: tuple[str, ...] = ("none",)
    rsakeypair: str = ""
    hash: str = ""
    fqdn: str = ""
    certificates: list[bytes] = field(default_factory=list)  # DER, in the order of the chain: own first
    ca_certificates: list[bytes] = field(default_factory=list)  # DER, entered as `certificate ca`


@dataclass
class RecordEntry:
    role: str  # "capf", "cucm-tftp", "selfsigned"
    trustpoint: str


@dataclass
class CtlFile:
    name: str
    description: str = ""
    record_entries: list[RecordEntry] = field(default_factory=list)
    complete: bool = False


@dataclass
class ServiceMap:
    server: Address
    access: Address


@dataclass
class PhoneProxy:
    name: str
    description: str = ""
    tftp_server: str = ""
    tftp_local: str = ""
    tftp_access: str = ""
    ctl_file: str = ""
    access_secure: bool = False
    capf_server: str = ""
    capf_access: str = ""
    service_maps: list[ServiceMap] = field(default_factory=list)
    disable_service_settings: bool = False
    session_timeout: int = 180  # s, 60-6000
    max_concurrent_sessions: int = 200  # 0-500
    complete: bool = False


@dataclass
class FileBuffer:
    """`voice-phone-proxy file-buffer size MB aging SEC` (IOS XE 16.8.1)."""

    size: int = 10  # megabytes, 10-60
    aging: int = 3600  # s between checks, 10-3600


@dataclass
class Registrar:
    """`registrar server [expires max N min N]`."""

    expires_max: int = 3600
    expires_min: int = 60


@dataclass
class RegistrationPassthrough:
    """`registration passthrough [system|static|dynamic]`: end to end ("e2e") or peer to peer ("p2p")."""

    mode: str = "e2e"
    rate_limit_expires: int = 0
    rate_limit_fail_count: int = 0


@dataclass
class VoiceService:
    """`voice service voip` and its `sip` submode."""

    allow_sip_to_sip: bool = False
    address_hiding: bool = False
    srtp: SrtpPolicy = SrtpPolicy.OFF
    trusted: list[str] = field(default_factory=list)  # networks of `ip address trusted list`, CIDR
    trust_authenticate: bool = True  # `no ip address trusted authenticate` takes calls from anywhere
    silent_discard_untrusted: bool = True
    media_renegotiate: bool = False
    refer_passed: bool = True  # `no supplementary-service sip refer` makes it False
    rtp_ports: tuple[int, int] | None = None  # None: the personality's range
    registrar: Registrar | None = None
    registration_passthrough: RegistrationPassthrough | None = None
    midcall: str = "passthru"
    early_offer_forced: bool = False
    srtp_negotiate_cisco: bool = False
    srtp_crypto: int = 0  # tag of `voice class srtp-crypto`
    srtp_auth: tuple[Suite, ...] = ()
    bind_control: str = ""  # interface name
    bind_media: str = ""
    pass_thru_headers: int = 0
    session_refresh: bool = False
    warn_header: bool = True
    listen_port: int = 5060
    listen_port_secure: int = 5061


@dataclass
class CryptoSignaling:
    """`crypto signaling {default | remote-addr A MASK} trustpoint TP [client-vtp TP2]`."""

    remote: str = ""  # CIDR, "" is default
    trustpoint: str = ""
    client_vtp: str = ""
    strict_cipher: bool = False
    cn_san_validate: str = ""


@dataclass
class SipUa:
    crypto_signaling: list[CryptoSignaling] = field(default_factory=list)
    tls_versions: tuple[str, ...] = ("v1.2",)  # minimum first, `transport tcp tls v1.2`
    connection_reuse: bool = False
    check_media_src: bool = False
    remote_party_id: bool = True
    timers: dict[str, int] = field(default_factory=dict)  # ms or s as IOS has them: trying, expires, ...
    retry: dict[str, int] = field(default_factory=dict)


@dataclass
class UriClass:
    """`voice class uri TAG sip`: all the conditions that are given must hold, several hosts are alternatives."""

    tag: str
    hosts: list[str] = field(default_factory=list)  # "ipv4:192.0.2.1" without the prefix, or a name
    user_id: str = ""  # regular expression
    pattern: str = ""  # regular expression over the whole URI
    phone_context: str = ""


@dataclass
class KeepaliveProfile:
    """`voice-class sip options-keepalive [up-interval U] [down-interval D] [retry R]` or a profile. Seconds."""

    tag: int = 0
    up_interval: int = 60
    down_interval: int = 30
    retry: int = 5
    transport: Transport | None = None


@dataclass
class ServerGroup:
    tag: int
    members: list[tuple[Address, int]] = field(default_factory=list)  # address (port 0: default), preference
    hunt_scheme: str = "preference"
    huntstop: tuple[int, ...] = ()  # statuses that end the hunt


@dataclass
class PhoneProxyAttachment:
    """`phone-proxy NAME signal-addr ipv4 A cucm ipv4 B`."""

    name: str
    signal_address: str
    cucm: str


@dataclass
class DialPeer:
    """`dial-peer voice N voip`."""

    tag: int
    description: str = ""
    shutdown: bool = False
    protocol_sipv2: bool = False
    target: str = ""  # "registrar", "sip-server", "" or "host"
    target_address: Address | None = None  # port 0: the transport's default
    server_group: int = 0
    transport: Transport = Transport.UDP
    destination_pattern: str = ""
    incoming_called_number: str = ""
    incoming_uri: dict[str, str] = field(default_factory=dict)  # {"request"|"via"|"from"|"to": class tag}
    destination_uri: str = ""
    preference: int = 0  # 0 is best, 0-10
    srtp: SrtpPolicy = SrtpPolicy.OFF
    srtp_negotiate_cisco: bool = False
    srtp_crypto: int = 0
    srtp_auth: tuple[Suite, ...] = ()
    codecs: tuple[str, ...] = ("g711ulaw",)  # IOS names in order; () is transparent
    voice_class_codec: int = 0  # tag of `voice class codec`, which then stands in the place of `codecs`
    codec_offer_all: bool = False
    dtmf_relay: tuple[str, ...] = ()
    dtmf_digit_drop: bool = False
    vad: bool = True
    max_conn: int = 0
    pass_thru_headers: int = 0
    bind_control: str = ""
    bind_media: str = ""
    registration_passthrough: RegistrationPassthrough | None = None
    midcall: str = ""
    keepalive: KeepaliveProfile | None = None
    phone_proxy: PhoneProxyAttachment | None = None
    refer_consume: bool = False

    @property
    def faces_phones(self) -> bool:
        """Whether phones are behind it, not the cluster."""
        return self.phone_proxy is not None or self.target == "registrar"


@dataclass
class DspfarmProfile:
    number: int
    service: str = "transcode"
    universal: bool = False
    security: bool = False
    trustpoint: str = ""
    codecs: list[str] = field(default_factory=list)
    maximum_sessions: int = 0
    application: str = ""  # "SCCP" or "CUBE"
    tls: bool = True
    tls_version: str = ""  # "v1.2"
    shutdown: bool = True  # the vendor's default, and the classic miss


@dataclass
class SccpCcm:
    address: str
    identifier: int
    version: str = ""
    port: int = 2000
    trustpoint: str = ""  # who vouches for the call manager over TLS; "" is any trustpoint


@dataclass
class SccpCcmGroup:
    number: int
    bind_interface: str = ""
    associate_ccm: list[tuple[int, int]] = field(default_factory=list)  # identifier, priority
    associate_profile: list[tuple[int, str]] = field(default_factory=list)  # profile, registered name
    switchover: str = ""
    switchback: str = ""
    keepalive_retries: int = 3


@dataclass
class Sccp:
    enabled: bool = False
    local_interface: str = ""
    ccms: list[SccpCcm] = field(default_factory=list)
    groups: dict[int, SccpCcmGroup] = field(default_factory=dict)

    @property
    def names(self) -> set[str]:
        """Under which profiles of this box register."""
        return {name for group in self.groups.values() for _, name in group.associate_profile}


@dataclass
class TelephonyService:
    sdspfarm_units: int = 0
    sdspfarm_transcode_sessions: int = 0
    sdspfarm_tags: dict[int, str] = field(default_factory=dict)
    source_address: Address | None = None
    secure_trustpoint: str = ""  # `secure-signaling trustpoint`: SCCP over TLS too, and what it presents there
    max_ephones: int = 0
    max_dn: int = 0


@dataclass
class VoiceCard:
    slot: str
    dsp_services_dspfarm: bool = False
    codec_complexity: str = ""


@dataclass
class Config:
    """A whole running configuration. `ignored` lists the lines that were understood to change nothing here, `unmapped`
    the addresses to be replaced that stand nowhere in it."""

    version: str = ""
    hostname: str = "Router"
    domain_name: str = ""
    interfaces: dict[str, Interface] = field(default_factory=dict)
    trustpoints: dict[str, Trustpoint] = field(default_factory=dict)
    ctl_files: dict[str, CtlFile] = field(default_factory=dict)
    phone_proxies: dict[str, PhoneProxy] = field(default_factory=dict)
    voice: VoiceService = field(default_factory=VoiceService)
    sip_ua: SipUa = field(default_factory=SipUa)
    uri_classes: dict[str, UriClass] = field(default_factory=dict)
    header_lists: dict[int, list[str]] = field(default_factory=dict)  # sip-hdr-passthrulist
    header_lists_unsupp: set[int] = field(default_factory=set)  # lists with passthru-hdr-unsupp
    srtp_crypto: dict[int, tuple[Suite, ...]] = field(default_factory=dict)
    codec_classes: dict[int, tuple[str, ...]] = field(default_factory=dict)
    server_groups: dict[int, ServerGroup] = field(default_factory=dict)
    keepalive_profiles: dict[int, KeepaliveProfile] = field(default_factory=dict)
    dial_peers: dict[int, DialPeer] = field(default_factory=dict)
    voice_cards: dict[str, VoiceCard] = field(default_factory=dict)
    dspfarm_profiles: dict[int, DspfarmProfile] = field(default_factory=dict)
    file_buffer: FileBuffer | None = None
    tftp_address: str = ""  # `voice-phone-proxy tftp-address`
    sccp: Sccp = field(default_factory=Sccp)
    telephony: TelephonyService | None = None
    ignored: list[tuple[int, str]] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)

    @property
    def personality(self) -> Personality:
        major = self.version.split(".", 1)[0]
        return Personality.IOSXE if major.isdecimal() and int(major) >= 16 else Personality.IOS

    def srtp_of(self, peer: DialPeer) -> SrtpPolicy:
        """What a dial peer says, else what `voice service voip` does."""
        return peer.srtp if peer.srtp is not SrtpPolicy.OFF else self.voice.srtp

    @property
    def rtp_ports(self) -> tuple[int, int]:
        """First and last port for media; the defaults are those of each personality."""
        if self.voice.rtp_ports:
            return self.voice.rtp_ports
        return (8000, 48198) if self.personality is Personality.IOSXE else (16384, 32767)
