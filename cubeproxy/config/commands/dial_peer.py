"""`dial-peer voice N voip`: how a leg is chosen, and how it is spoken to."""

from __future__ import annotations

import re

from cubeproxy.config.commands import shared
from cubeproxy.config.commands.voice_class import codec_name, transport
from cubeproxy.config.grammar import Commands, Unmodelled, flag, nothing, number, text
from cubeproxy.config.lines import NAME, Line, shown
from cubeproxy.config.model import DialPeer, KeepaliveProfile, PhoneProxyAttachment
from cubeproxy.protocols.values import Transport

PATTERN = re.compile(r"\+?[0-9A-Da-d*#.,\[\]()^$?+%TX-]{1,64}")
DTMF = ("rtp-nte", "sip-kpml", "sip-notify", "sip-info", "cisco-rtp", "h245-alphanumeric", "h245-signal")
_HOST_PORT = re.compile(r"(?:\[([0-9A-Fa-f:.]{2,45})\]|([^:\[\]]+))(?::([0-9]{1,5}))?")
_KEEPALIVE = ("up-interval", "down-interval", "retry", "profile")


def _protocol(peer: DialPeer, line: Line) -> None:
    if line.negated:
        peer.protocol_sipv2 = False
        return
    if line.choose("protocol", ("sipv2", "cisco")) == "cisco":
        raise Unmodelled  # H.323
    peer.protocol_sipv2 = True


def _target(peer: DialPeer, line: Line) -> None:
    """`session target {registrar | sip-server | ipv4:A[:P] | ipv6:[A][:P] | dns:NAME[:P]}`."""
    if line.negated:
        peer.target, peer.target_address = "", None
        return
    word = line.take("session target")
    line.end()
    kind, colon, rest = word.partition(":")
    kind = kind.lower()
    if not colon and kind in ("registrar", "sip-server"):
        peer.target, peer.target_address = kind, None
    elif colon and kind in ("ipv4", "ipv6", "dns"):
        peer.target, peer.target_address = "host", _host_port(line, kind, rest)
    elif kind in ("sip-uri", "enum", "ras", "settlement", "loopback"):
        raise Unmodelled
    else:
        raise line.error(
            f"session target '{shown(word)}' is not understood", "write registrar, ipv4:A.B.C.D[:PORT] or dns:NAME"
        )


def _host_port(line: Line, kind: str, text: str) -> tuple[str, int]:
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        raise line.error(f"session target '{kind}:{shown(text)}' is not a host with an optional port")
    bracketed, plain, digits = match.groups()
    host, port = bracketed or plain, int(digits or 0)
    if digits and not 1 <= port <= 65535:
        raise line.error(f"port '{digits}' is not a number from 1 to 65535")
    if kind != "dns":
        return line.literal(host, "session target"), port
    if not NAME.fullmatch(host):
        raise line.error(f"session target '{shown(host)}' is not a host name")
    return host, port


def _server_group(peer: DialPeer, line: Line) -> None:
    peer.server_group = 0 if line.negated else line.integer("server group", *shared.TAG)


def _transport(peer: DialPeer, line: Line) -> None:
    if line.negated:
        peer.transport = Transport.UDP
    elif line.peek() == "system":
        raise Unmodelled
    else:
        peer.transport = transport(line)
        line.end()


def _destination_pattern(peer: DialPeer, line: Line) -> None:
    peer.destination_pattern = "" if line.negated else _number_pattern(line, "destination pattern")


def _called_number(peer: DialPeer, line: Line) -> None:
    peer.incoming_called_number = "" if line.negated else _number_pattern(line, "called number")


def _number_pattern(line: Line, what: str) -> str:
    word = line.take(what)
    if not PATTERN.fullmatch(word):
        raise line.error(f"{what} '{shown(word)}' is not a number pattern", "digits, + * # . [ ] ( ) ? % T and $")
    line.end()
    return word


def _incoming_uri(peer: DialPeer, line: Line) -> None:
    """`incoming uri {request | via | from | to} TAG`."""
    source = line.choose("part of the message", ("request", "via", "from", "to", "called", "calling"))
    if source in ("called", "calling"):
        raise Unmodelled  # H.323
    if line.negated:
        peer.incoming_uri.pop(source, None)
        return
    peer.incoming_uri[source] = line.name("URI class", 32)
    line.end()


def _destination_uri(peer: DialPeer, line: Line) -> None:
    peer.destination_uri = "" if line.negated else line.name("URI class", 32)


def _codec(peer: DialPeer, line: Line) -> None:
    """`codec NAME [bytes N]` or `codec transparent` (the far ends choose)."""
    peer.voice_class_codec = 0
    if line.negated:
        peer.codecs = DialPeer(peer.tag).codecs
    elif line.accept("transparent"):
        peer.codecs = ()
    else:
        peer.codecs = (codec_name(line),)


def _voice_class_codec(peer: DialPeer, line: Line) -> None:
    """`voice-class codec TAG [offer-all]`."""
    if line.negated:
        peer.voice_class_codec, peer.codec_offer_all = 0, False
        return
    peer.voice_class_codec = line.integer("codec class", *shared.TAG)
    peer.codec_offer_all = line.accept("offer-all") is not None
    line.end()


def _dtmf_relay(peer: DialPeer, line: Line) -> None:
    if line.negated:
        peer.dtmf_relay, peer.dtmf_digit_drop = (), False
        return
    methods: list[str] = []
    digit_drop = False
    while line.peek() is not None:
        word = line.choose("DTMF relay", (*DTMF, "digit-drop"))
        if word == "digit-drop":
            digit_drop = True
        elif word not in methods:
            methods.append(word)
    if not methods:
        raise line.error("a DTMF relay method is missing", f"one or more of {', '.join(DTMF[:3])}")
    peer.dtmf_relay, peer.dtmf_digit_drop = tuple(methods), digit_drop


def _phone_proxy(peer: DialPeer, line: Line) -> None:
    """`phone-proxy NAME signal-addr ipv4 A cucm ipv4 B`."""
    if line.negated:
        peer.phone_proxy = None
        return
    name = line.name("phone proxy", 30)
    line.choose("keyword", ("signal-addr",))
    line.family()
    signal = line.address("signalling address on the access side")
    line.choose("keyword", ("cucm",))
    line.family()
    peer.phone_proxy = PhoneProxyAttachment(name, signal, line.address("CUCM address"))
    line.end()


def _keepalive(peer: DialPeer, line: Line) -> None:
    """`voice-class sip options-keepalive [up-interval U] [down-interval D] [retry R] | profile TAG`."""
    if line.negated:
        peer.keepalive = None
        return
    result = KeepaliveProfile()
    while line.peek() is not None:
        match line.choose("keyword", _KEEPALIVE):
            case "up-interval":
                result.up_interval = line.integer("interval in seconds", 5, 1200)
            case "down-interval":
                result.down_interval = line.integer("interval in seconds", 5, 1200)
            case "retry":
                result.retry = line.integer("number of tries", 1, 10)
            case _:
                result.tag = line.integer("keepalive profile", *shared.TAG)
    peer.keepalive = result


def _refer(peer: DialPeer, line: Line) -> None:
    line.choose("keyword", ("consume",))
    peer.refer_consume = not line.negated


DIAL_PEER: Commands[DialPeer] = Commands(
    {
        "description": text("description", "description", 240),
        "shutdown": flag("shutdown"),
        "session protocol": _protocol,
        "session target": _target,
        "session server-group": _server_group,
        "session transport": _transport,
        "destination-pattern": _destination_pattern,
        "incoming called-number": _called_number,
        "incoming uri": _incoming_uri,
        "destination uri": _destination_uri,
        "destination e164-pattern-map": nothing,
        "destination dpg": nothing,
        "preference": number("preference", "preference", 0, 10),
        "max-conn": number("max_conn", "number of calls", 1, 2147483647),
        "srtp": shared.srtp,
        "srtp-crypto": shared.srtp_crypto,
        "codec": _codec,
        "voice-class codec": _voice_class_codec,
        "voice-class sip srtp negotiate": shared.srtp_negotiate,
        "voice-class sip srtp-crypto": shared.srtp_crypto,
        "voice-class sip srtp-auth": shared.srtp_auth,
        "voice-class sip bind": shared.bind,
        "voice-class sip pass-thru headers": shared.system_or(shared.pass_thru_headers),
        "voice-class sip pass-thru content": nothing,
        "voice-class sip registration passthrough": shared.registration_passthrough,
        "voice-class sip midcall-signaling": lambda peer, line: shared.midcall(peer, line, ""),
        "voice-class sip options-keepalive": _keepalive,
        "voice-class sip profiles": nothing,
        "voice-class sip copy-list": nothing,
        "voice-class sip tenant": nothing,
        "voice-class sip tls-profile": nothing,
        "voice-class sip url": nothing,
        "voice-class sip early-offer": nothing,
        "voice-class sip referto-passing": nothing,
        "voice-class sip call-route": nothing,
        "voice-class sip nat": nothing,
        "voice-class sip extension": nothing,
        "voice-class uri": nothing,
        "dtmf-relay": _dtmf_relay,
        "vad": flag("vad"),
        "phone-proxy": _phone_proxy,
        "refer": _refer,
        "translation-profile": nothing,
        "corlist": nothing,
        "huntstop": nothing,
        "ip qos": nothing,
        "fax": nothing,
        "fax-relay": nothing,
        "media": nothing,
        "answer-address": nothing,
        "permission": nothing,
        "progress_ind": nothing,
    }
)
