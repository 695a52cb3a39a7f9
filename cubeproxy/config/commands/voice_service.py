"""`voice service voip` and its submodes `sip` and `ip address trusted list`."""

from __future__ import annotations

from cubeproxy.config.commands import shared
from cubeproxy.config.grammar import Commands, Mode, Unmodelled, flag, nothing
from cubeproxy.config.lines import Line
from cubeproxy.config.model import Registrar, VoiceService

MAX_TRUSTED = 2048  # networks of the trusted list


def _allow_connections(voice: VoiceService, line: Line) -> None:
    if line.choose("call leg", ("sip", "h323")) != "sip":
        raise Unmodelled
    line.choose("keyword", ("to",))
    if line.choose("call leg", ("sip", "h323")) != "sip":
        raise Unmodelled
    voice.allow_sip_to_sip = not line.negated


def _supplementary_service(voice: VoiceService, line: Line) -> None:
    """`media-renegotiate`, and of the SIP services `refer`; the others are told in the ignored lines."""
    if line.accept("media-renegotiate"):
        voice.media_renegotiate = not line.negated
    elif line.accept("sip") and line.accept("refer"):
        voice.refer_passed = not line.negated
    else:
        raise Unmodelled


def _rtp_ports(voice: VoiceService, line: Line) -> None:
    if line.negated:
        voice.rtp_ports = None
        return
    first = line.integer("first RTP port", 1024, 65534)
    last = line.integer("last RTP port", 1024, 65535)
    line.end()
    if last <= first:
        raise line.error(f"the last RTP port {last} is not above the first, {first}")
    voice.rtp_ports = first, last


def _trusted_list(voice: VoiceService, line: Line) -> Mode[VoiceService] | None:
    if line.negated:
        voice.trusted.clear()
        return None
    return Mode(TRUSTED, voice)


def _trusted(voice: VoiceService, line: Line) -> None:
    network = line.network(line.address("trusted address"), "mask")
    line.end()
    if line.negated:
        voice.trusted = [other for other in voice.trusted if other != network]
    elif len(voice.trusted) >= MAX_TRUSTED:
        raise line.error(f"the trusted list takes at most {MAX_TRUSTED} networks")
    elif network not in voice.trusted:
        voice.trusted.append(network)


TRUSTED: Commands[VoiceService] = Commands({"ipv4": _trusted, "ipv6": _trusted})


def _sip(voice: VoiceService, _line: Line) -> Mode[VoiceService]:
    return Mode(SIP, voice)


def _registrar(voice: VoiceService, line: Line) -> None:
    """`registrar server [expires max N min N]`, seconds."""
    if line.negated:
        voice.registrar = None
        return
    result = Registrar()
    if line.accept("expires"):
        line.choose("keyword", ("max",))
        result.expires_max = line.integer("longest expiry in seconds", 60, 172800)
        if line.accept("min"):
            result.expires_min = line.integer("shortest expiry in seconds", 60, 172800)
    line.end()
    if result.expires_min > result.expires_max:
        raise line.error(f"the shortest expiry, {result.expires_min}, is above the longest, {result.expires_max}")
    voice.registrar = result


def _listen_port(voice: VoiceService, line: Line) -> None:
    """`listen-port {secure | non-secure} PORT`."""
    secure = line.choose("keyword", ("secure", "non-secure")) == "secure"
    if secure:
        voice.listen_port_secure = 5061 if line.negated else line.integer("port", 1, 65535)
    else:
        voice.listen_port = 5060 if line.negated else line.integer("port", 1, 65535)


def _warn_header(voice: VoiceService, line: Line) -> None:
    """`warn-header ext-text all`: the vendor's texts in Warning."""
    if line.peek() is not None:
        line.choose("keyword", ("ext-text",))
        if line.accept("all") is None and line.peek() is not None:
            raise Unmodelled
    voice.warn_header = not line.negated


SIP: Commands[VoiceService] = Commands(
    {
        "registrar server": _registrar,
        "registration passthrough": shared.registration_passthrough,
        "bind": shared.bind,
        "early-offer forced": flag("early_offer_forced"),
        "midcall-signaling": lambda voice, line: shared.midcall(voice, line, "passthru"),
        "srtp negotiate": shared.srtp_negotiate,
        "srtp-auth": shared.srtp_auth,
        "srtp-crypto": shared.srtp_crypto,
        "pass-thru headers": shared.pass_thru_headers,
        "pass-thru content": nothing,
        "listen-port": _listen_port,
        "session refresh": flag("session_refresh"),
        "warn-header": _warn_header,
        "address-hiding": flag("address_hiding"),
        "sip-profiles": nothing,
        "header-passing": nothing,
        "error-passthru": nothing,
        "asymmetric payload": nothing,
        "options-ping": nothing,
        "url": nothing,
        "nat": nothing,
        "g729 annexb-all": nothing,
        "localhost": nothing,
        "rel1xx": nothing,
        "min-se": nothing,
    }
)

VOICE_SERVICE: Commands[VoiceService] = Commands(
    {
        "allow-connections": _allow_connections,
        "address-hiding": flag("address_hiding"),
        "ip address trusted list": _trusted_list,
        "ip address trusted authenticate": flag("trust_authenticate"),
        "silent-discard untrusted": flag("silent_discard_untrusted"),
        "srtp": shared.srtp,
        "supplementary-service": _supplementary_service,
        "rtp-port range": _rtp_ports,
        "sip": _sip,
        "mode border-element": nothing,
        "media": nothing,
        "media-address": nothing,
        "fax": nothing,
        "modem": nothing,
        "redundancy-group": nothing,
    }
)
