"""`voice-card`, `dspfarm profile`, `sccp ...` and `telephony-service`: where transcoders come from."""

from __future__ import annotations

from cubeproxy.config.commands.voice_class import codec_name
from cubeproxy.config.grammar import Commands, Mode, Unmodelled, flag, nothing, number, word
from cubeproxy.config.interfaces import read_interface
from cubeproxy.config.lines import Line
from cubeproxy.config.model import (
    Config,
    DspfarmProfile,
    SccpCcm,
    SccpCcmGroup,
    TelephonyService,
    VoiceCard,
)

MAX_CODECS = 32
MAX_CCMS = 64
DEVICE = 15  # characters of a device name that registers with a call manager


def _dsp_services(card: VoiceCard, line: Line) -> None:
    line.choose("service", ("dspfarm",))
    card.dsp_services_dspfarm = not line.negated


def _complexity(card: VoiceCard, line: Line) -> None:
    """`codec complexity {flex [reservation-fixed] | high | medium | secure}`."""
    if line.negated:
        card.codec_complexity = ""
        return
    kind = line.choose("complexity", ("flex", "high", "medium", "secure"))
    if kind == "flex" and line.accept("reservation-fixed"):
        kind = "flex reservation-fixed"
    card.codec_complexity = kind


VOICE_CARD: Commands[VoiceCard] = Commands(
    {"dsp services": _dsp_services, "dspfarm": nothing, "codec complexity": _complexity}
)


def _codec(profile: DspfarmProfile, line: Line) -> None:
    if line.accept("pass-through"):
        raise Unmodelled
    codec = codec_name(line)
    if line.negated:
        profile.codecs = [other for other in profile.codecs if other != codec]
    elif codec not in profile.codecs and len(profile.codecs) < MAX_CODECS:
        profile.codecs.append(codec)


def _application(profile: DspfarmProfile, line: Line) -> None:
    """`associate application {SCCP | CUBE}`: registered with a call manager, or local (LTI)."""
    if line.negated:
        profile.application = ""
        return
    profile.application = line.choose("application", ("sccp", "cube")).upper()
    line.end()


def _tls_version(profile: DspfarmProfile, line: Line) -> None:
    """`tls-version {v1.0 | v1.1 | v1.2 | v1.3}`."""
    profile.tls_version = "" if line.negated else line.choose("TLS version", ("v1.0", "v1.1", "v1.2", "v1.3"))


DSPFARM: Commands[DspfarmProfile] = Commands(
    {
        "trustpoint": word("trustpoint", "trustpoint"),
        "codec": _codec,
        "maximum sessions": number("maximum_sessions", "number of sessions", 1, 9999),
        "associate application": _application,
        "tls": flag("tls"),
        "tls-version": _tls_version,
        "shutdown": flag("shutdown"),
        "description": nothing,
        "rsvp": nothing,
    }
)


def profile(config: Config, line: Line) -> Mode[DspfarmProfile] | None:
    """`dspfarm profile N transcode [universal] [security]`."""
    identifier = line.integer("profile", 1, 65535)
    if line.negated:
        config.dspfarm_profiles.pop(identifier, None)
        return None
    known = config.dspfarm_profiles.get(identifier)
    if line.peek() is None and known is not None:
        return Mode(DSPFARM, known)
    service = line.choose("service", ("transcode", "conference", "mtp"))
    result = known or DspfarmProfile(identifier)
    result.service = service
    while option := line.accept("universal", "security", "video"):
        if option == "video":
            raise Unmodelled
        setattr(result, option, True)
    line.end()
    config.dspfarm_profiles[identifier] = result
    return Mode(DSPFARM, result)


def voice_card(config: Config, line: Line) -> Mode[VoiceCard]:
    slot = line.name("slot", 16)
    return Mode(VOICE_CARD, config.voice_cards.setdefault(slot, VoiceCard(slot)))


def sccp(config: Config, line: Line) -> None:
    """`sccp`: switch it on; `no sccp`: off."""
    line.end()
    config.sccp.enabled = not line.negated


def local(config: Config, line: Line) -> None:
    """`sccp local IF [port N]`."""
    config.sccp.local_interface = "" if line.negated else read_interface(line)


def ccm(config: Config, line: Line) -> None:
    """`sccp ccm A identifier N [priority P] [port P] [version V] [trustpoint TP]`."""
    entry = SccpCcm(line.address("call manager"), 0)
    while keyword := line.accept("identifier", "priority", "port", "version", "trustpoint"):
        if keyword == "identifier":
            entry.identifier = line.integer("identifier", 1, 65535)
        elif keyword == "port":
            entry.port = line.integer("port", 1025, 65535)
        elif keyword == "version":
            entry.version = line.name("version", 8).removesuffix("+")
        elif keyword == "trustpoint":
            entry.trustpoint = line.name("trustpoint")
        else:
            line.integer("priority", 1, 4)
    if line.negated:
        config.sccp.ccms = [other for other in config.sccp.ccms if other.address != entry.address]
        return
    if not entry.identifier:
        raise line.error("`sccp ccm` names no identifier", "add `identifier 1`")
    line.end()
    others = [other for other in config.sccp.ccms if other.identifier != entry.identifier]
    if len(others) >= MAX_CCMS:
        raise line.error(f"at most {MAX_CCMS} call managers")
    config.sccp.ccms = [*others, entry]


def _associate(group: SccpCcmGroup, line: Line) -> None:
    """`associate ccm N priority P` and `associate profile N register NAME`."""
    kind = line.choose("keyword", ("ccm", "profile"))
    identifier = line.integer(kind, 1, 65535)
    if kind == "ccm":
        group.associate_ccm = [other for other in group.associate_ccm if other[0] != identifier]
        if not line.negated:
            line.choose("keyword", ("priority",))
            group.associate_ccm.append((identifier, line.integer("priority", 1, 4)))
    else:
        group.associate_profile = [other for other in group.associate_profile if other[0] != identifier]
        if not line.negated:
            line.choose("keyword", ("register",))
            group.associate_profile.append((identifier, line.name("device name", DEVICE)))
    if len(group.associate_ccm) > MAX_CCMS or len(group.associate_profile) > MAX_CCMS:
        raise line.error(f"a group takes at most {MAX_CCMS} associations")


def _bind(group: SccpCcmGroup, line: Line) -> None:
    line.choose("keyword", ("interface",))
    group.bind_interface = "" if line.negated else read_interface(line)


def _switchover(group: SccpCcmGroup, line: Line) -> None:
    line.choose("keyword", ("method",))
    group.switchover = "" if line.negated else line.choose("method", ("graceful", "immediate"))


def _switchback(group: SccpCcmGroup, line: Line) -> None:
    if line.accept("method") is None:
        raise Unmodelled
    group.switchback = "" if line.negated else line.choose("method", ("graceful", "guard", "immediate", "uptime"))


def _keepalive(group: SccpCcmGroup, line: Line) -> None:
    if line.accept("retries") is None:
        raise Unmodelled
    group.keepalive_retries = 3 if line.negated else line.integer("retries", 1, 32)


SCCP_GROUP: Commands[SccpCcmGroup] = Commands(
    {
        "bind": _bind,
        "associate": _associate,
        "switchover": _switchover,
        "switchback": _switchback,
        "keepalive": _keepalive,
        "connect": nothing,
        "registration": nothing,
        "description": nothing,
    }
)


def group(config: Config, line: Line) -> Mode[SccpCcmGroup] | None:
    """`sccp ccm group N`."""
    number_ = line.integer("group", 1, 50)
    if line.negated:
        config.sccp.groups.pop(number_, None)
        return None
    return Mode(SCCP_GROUP, config.sccp.groups.setdefault(number_, SccpCcmGroup(number_)))


def _units(service: TelephonyService, line: Line) -> None:
    service.sdspfarm_units = 0 if line.negated else line.integer("units", 0, 10)


def _sessions(service: TelephonyService, line: Line) -> None:
    line.accept("sessions")
    service.sdspfarm_transcode_sessions = 0 if line.negated else line.integer("sessions", 1, 256)


def _tag(service: TelephonyService, line: Line) -> None:
    tag = line.integer("tag", 1, 10)
    if line.negated:
        service.sdspfarm_tags.pop(tag, None)
        return
    service.sdspfarm_tags[tag] = line.name("device name", DEVICE)


def _source_address(service: TelephonyService, line: Line) -> None:
    if line.negated:
        service.source_address = None
        return
    host, port = line.address("source address"), 2000
    if line.accept("port"):
        port = line.integer("port", 2000, 9999)
    if line.peek() is not None:  # secondary, strict-match
        raise Unmodelled
    service.source_address = host, port


def _secure_signaling(service: TelephonyService, line: Line) -> None:
    """`secure-signaling trustpoint NAME`: SCCP over TLS beside the clear port, and our certificate there."""
    line.choose("keyword", ("trustpoint",))
    service.secure_trustpoint = "" if line.negated else line.name("trustpoint")


def _max_dn(service: TelephonyService, line: Line) -> None:
    """`max-dn N [no-reg ...]`."""
    service.max_dn = 0 if line.negated else line.integer("number of directory numbers", 0, 2000)


TELEPHONY: Commands[TelephonyService] = Commands(
    {
        "sdspfarm units": _units,
        "sdspfarm transcode": _sessions,
        "sdspfarm tag": _tag,
        "ip source-address": _source_address,
        "secure-signaling": _secure_signaling,
        "max-ephones": number("max_ephones", "number of phones", 0, 1000),
        "max-dn": _max_dn,
        "max-conferences": nothing,
        "transfer-system": nothing,
        "create": nothing,
        "system": nothing,
        "time-zone": nothing,
    }
)


def telephony(config: Config, line: Line) -> Mode[TelephonyService] | None:
    line.end()
    if line.negated:
        config.telephony = None
        return None
    config.telephony = config.telephony or TelephonyService()
    return Mode(TELEPHONY, config.telephony)
