"""Global configuration: single commands, and the doors to all other modes."""

from __future__ import annotations

import re

from cubeproxy.config.commands import dspfarm, voice_class
from cubeproxy.config.commands.dial_peer import DIAL_PEER
from cubeproxy.config.commands.interface import INTERFACE
from cubeproxy.config.commands.phone_proxy import CTL_FILE, PHONE_PROXY
from cubeproxy.config.commands.pki import CHAIN, TRUSTPOINT
from cubeproxy.config.commands.sip_ua import SIP_UA
from cubeproxy.config.commands.voice_service import VOICE_SERVICE
from cubeproxy.config.grammar import FOREIGN, Commands, Handler, Mode, Unmodelled, foreign, nothing
from cubeproxy.config.interfaces import read_interface
from cubeproxy.config.lines import NAME, Line, shown
from cubeproxy.config.model import (
    Config,
    CtlFile,
    DialPeer,
    FileBuffer,
    Interface,
    PhoneProxy,
    SipUa,
    Trustpoint,
    VoiceService,
)
from cubeproxy.protocols.errors import ConfigError

VERSION = re.compile(r"[0-9]{1,2}\.[0-9]{1,2}[0-9A-Za-z.()]{0,16}")
TRUSTPOINT_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")


def _version(config: Config, line: Line) -> None:
    if config.version:  # the router's own line is the first; `router rip` has a `version` too
        raise Unmodelled
    word = line.take("version")
    if not VERSION.fullmatch(word):
        raise line.error(f"version '{shown(word)}' is not understood", "it looks like 15.4 or 17.9")
    config.version = word


def _hostname(config: Config, line: Line) -> None:
    config.hostname = "Router" if line.negated else _host_name(line, "host name", 63)


def _domain_name(config: Config, line: Line) -> None:
    config.domain_name = "" if line.negated else _host_name(line, "domain name", 253)


def _host_name(line: Line, what: str, limit: int) -> str:
    word = line.name(what, limit)
    if not NAME.fullmatch(word):
        raise line.error(f"'{shown(word)}' is not a {what}")
    return word


def _interface(config: Config, line: Line) -> Mode[Interface] | Mode[None] | None:
    try:
        name = read_interface(line)
    except ConfigError:  # a kind of interface, or a range, that we do not know
        return FOREIGN
    if line.negated:
        config.interfaces.pop(name, None)
        return None
    return Mode(INTERFACE, config.interfaces.setdefault(name, Interface(name)))


def _trustpoint(config: Config, line: Line) -> Mode[Trustpoint] | None:
    name = _trustpoint_name(line)
    if line.negated:
        config.trustpoints.pop(name, None)
        return None
    return Mode(TRUSTPOINT, config.trustpoints.setdefault(name, Trustpoint(name)))


def _chain(config: Config, line: Line) -> Mode[Trustpoint] | None:
    """The certificates of a trustpoint that the configuration may or may not have declared."""
    name = _trustpoint_name(line)
    if line.negated:
        if name in config.trustpoints:
            config.trustpoints[name].certificates.clear()
            config.trustpoints[name].ca_certificates.clear()
        return None
    return Mode(CHAIN, config.trustpoints.setdefault(name, Trustpoint(name)))


def _trustpoint_name(line: Line) -> str:
    """A trustpoint's name is the name of its folder too: no separators, no leading dot."""
    name = line.name("trustpoint")
    if not TRUSTPOINT_NAME.fullmatch(name):
        raise line.error(f"'{shown(name)}' is not a trustpoint name", "letters, digits, `_`, `-` and `.`")
    line.end()
    return name


def _ctl_file(config: Config, line: Line) -> Mode[CtlFile] | None:
    name = line.name("CTL file", 30)
    line.end()
    if line.negated:
        config.ctl_files.pop(name, None)
        return None
    return Mode(CTL_FILE, config.ctl_files.setdefault(name, CtlFile(name)))


def _phone_proxy(config: Config, line: Line) -> Mode[PhoneProxy] | None:
    name = line.name("phone proxy", 30)
    line.end()
    if line.negated:
        config.phone_proxies.pop(name, None)
        return None
    return Mode(PHONE_PROXY, config.phone_proxies.setdefault(name, PhoneProxy(name)))


def _file_buffer(config: Config, line: Line) -> None:
    """`voice-phone-proxy file-buffer size MB aging SEC`."""
    if line.negated:
        config.file_buffer = None
        return
    line.choose("keyword", ("size",))
    size = line.integer("size in megabytes", 10, 60)
    line.choose("keyword", ("aging",))
    config.file_buffer = FileBuffer(size, line.integer("aging in seconds", 10, 3600))
    line.end()


def _tftp_address(config: Config, line: Line) -> None:
    """`voice-phone-proxy tftp-address {ipv4 | ipv6} A [vrf VRF]`."""
    if line.negated:
        config.tftp_address = ""
        return
    line.family()
    address = line.address("TFTP address")
    if line.peek() is not None:
        raise Unmodelled
    config.tftp_address = address


def _voice_service(config: Config, line: Line) -> Mode[VoiceService] | Mode[None]:
    if line.choose("service", ("voip", "pots", "saf")) != "voip":
        return FOREIGN
    if line.negated:
        config.voice = VoiceService()
    return Mode(VOICE_SERVICE, config.voice)


def _sip_ua(config: Config, line: Line) -> Mode[SipUa] | None:
    line.end()
    if line.negated:
        config.sip_ua = SipUa()
        return None
    return Mode(SIP_UA, config.sip_ua)


def _dial_peer(config: Config, line: Line) -> Mode[DialPeer] | Mode[None] | None:
    tag = line.integer("dial peer", 1, 1073741823)
    if line.negated:
        config.dial_peers.pop(tag, None)
        return None
    if line.peek() is None and tag in config.dial_peers:
        return Mode(DIAL_PEER, config.dial_peers[tag])
    if line.choose("kind of dial peer", ("voip", "pots", "mmoip", "vofr", "voatm")) != "voip":
        return FOREIGN
    return Mode(DIAL_PEER, config.dial_peers.setdefault(tag, DialPeer(tag)))


_OTHERS: dict[str, Handler[Config]] = {
    **dict.fromkeys(
        (
            "aaa group", "application", "archive", "call-manager-fallback", "class-map", "control-plane", "controller",
            "crypto dynamic-map", "crypto ikev2", "crypto ipsec", "crypto isakmp", "crypto map", "crypto pki server",
            "crypto key pubkey-chain", "dial-peer cor", "ephone", "ephone-dn", "event manager", "gateway", "gatekeeper",
            "ip access-list", "ip vrf", "key chain", "line", "mgcp profile", "object-group", "parameter-map",
            "policy-map", "redundancy", "route-map", "router", "voice-port", "voice register", "voice translation-rule",
            "voice translation-profile", "voice hunt-group", "vrf definition", "zone-pair", "zone security",
            "voice class tls-profile", "voice class tls-cipher", "voice class sip-profiles", "voice class sip-copylist",
            "voice class tenant", "voice class e164-pattern-map", "voice class dpg", "voice class h323",
            "voice class resource-group",
        ),
        foreign,
    ),
    **dict.fromkeys(
        (
            "aaa", "clock", "card", "enable", "hw-module", "ip", "ipv6", "license", "logging", "memory-size", "mgcp",
            "multilink", "network-clock", "ntp", "platform", "scheduler", "service", "snmp-server",
            "spanning-tree", "username", "security", "alias", "boot", "cts", "diagnostic", "subscriber", "transport",
            "access-list", "call", "crypto key", "crypto pki crl", "crypto pki enroll", "crypto pki authenticate",
            "voice rtp", "voice call", "voice iec", "voice logout-profile",
        ),
        nothing,
    ),
}  # fmt: skip

ROOT: Commands[Config] = Commands(
    {
        **_OTHERS,
        "version": _version,
        "hostname": _hostname,
        "ip domain name": _domain_name,
        "interface": _interface,
        "crypto pki trustpoint": _trustpoint,
        "crypto ca trustpoint": _trustpoint,  # the spelling before 12.3
        "crypto pki certificate chain": _chain,
        "crypto ca certificate chain": _chain,
        "voice-ctl-file": _ctl_file,
        "voice-phone-proxy": _phone_proxy,
        "voice-phone-proxy file-buffer": _file_buffer,
        "voice-phone-proxy tftp-address": _tftp_address,
        "phone-proxy tftp-address": _tftp_address,  # so in the vendor's own sample
        "voice service": _voice_service,
        "sip-ua": _sip_ua,
        "voice class uri": voice_class.uri,
        "voice class sip-hdr-passthrulist": voice_class.header_list,
        "voice class srtp-crypto": voice_class.srtp_crypto,
        "voice class codec": voice_class.codec,
        "voice class server-group": voice_class.server_group,
        "voice class sip-options-keepalive": voice_class.keepalive,
        "dial-peer voice": _dial_peer,
        "voice-card": dspfarm.voice_card,
        "dspfarm profile": dspfarm.profile,
        "sccp": dspfarm.sccp,
        "sccp local": dspfarm.local,
        "sccp ccm": dspfarm.ccm,
        "sccp ccm group": dspfarm.group,
        "telephony-service": dspfarm.telephony,
    }
)
