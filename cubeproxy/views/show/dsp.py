"""DSP farms and SCCP, from both ends: what the router's profiles say, and what its call manager sees registered
(layouts: vendor, chapters on transcoding resources)."""

from __future__ import annotations

from collections.abc import Iterator

from cubeproxy.config.model import DspfarmProfile, SccpCcmGroup
from cubeproxy.media.dsp.capacity import Load, best, choices, complexity_name, profile_load
from cubeproxy.media.dsp.tables import MODULES
from cubeproxy.media.transcoders.admission import TRANSCODE, profiles_by_name
from cubeproxy.media.transcoders.lti import LtiTranscoder
from cubeproxy.media.transcoders.sccp import Farm, Session
from cubeproxy.media.transcoders.words import Capacity
from cubeproxy.protocols.sccp.codecs import BY_NUMBER, capabilities, names_of
from cubeproxy.protocols.sccp.messages import DeviceType
from cubeproxy.protocols.sccp.session import State, Stream
from cubeproxy.views.sources import Sources

SHORT = {"g711ulaw": "g711u", "g711alaw": "g711a", "g729r8": "g729", "g729ar8": "g729a", "g729abr8": "g729ab"}
LONG = {"g711ulaw": "G711Ulaw", "g711alaw": "G711Alaw", "g729ar8": "G729a", "g729abr8": "G729ab", "g729r8": "G729"}
DEVICES = {DeviceType.MTP_YOKO: "MTP YOKO", DeviceType.MTP: "MTP", DeviceType.SOFTWARE_MTP_DIXIELAND: "SW MTP"}
SERVICES = {"transcode": "TRANSCODING", "conference": "CONFERENCING", "mtp": "MTP"}
NEWEST = [module for module in MODULES.values() if module.family == "PVDM3"]
NOBODY = "N/A"


def _farms(sources: Sources) -> list[Farm]:
    """Registered ones, in the order in which they came."""
    farms = sources.transcoders.farms if sources.transcoders else None
    return [farm for farm in farms.farms.values() if farm.server.registered] if farms else []


def _farm_of(sources: Sources, profile: DspfarmProfile) -> Farm | None:
    names = {name for name, one in profiles_by_name(sources.config).items() if one is profile}
    return next((farm for farm in _farms(sources) if farm.server.name in names), None)


def _calls(sources: Sources) -> Iterator[tuple[Session, Farm]]:
    for farm in _farms(sources):
        for session in farm.sessions.values():
            yield session, farm


# --- the router's profiles ---------------------------------------------------------------------------------


def farm_profiles(sources: Sources) -> str:
    """`show dspfarm profile`."""
    rows = ["Dspfarm Profile Configuration", ""]
    for profile in sources.config.dspfarm_profiles.values():
        rows += [*_profile(sources, profile), ""]
    return "\n".join(rows) + "\n"


def _profile(sources: Sources, profile: DspfarmProfile) -> list[str]:
    universal = "Universal " if profile.universal else ""
    capacity = _capacity(sources, profile)
    active = capacity is not None
    configured = profile.maximum_sessions
    in_use = capacity.in_use if capacity else 0
    missing = configured - capacity.sessions if capacity else configured
    codecs = names_of(capabilities(profile.codecs))[: len(profile.codecs)]
    service = f"{universal or ' '}{SERVICES.get(profile.service, '')}"
    rows = [
        f" Profile ID = {profile.number}, Service ={service}, Resource ID = 1",
        f" Profile Service Mode : {'secure' if profile.security else 'Non Secure'}",
    ]
    if profile.security:
        rows.append(f" Trustpoint : {profile.trustpoint or NOBODY}")
    return [
        *rows,
        f" Profile Admin State : {'DOWN' if profile.shutdown else 'UP'}",
        f" Profile Operation State : {'ACTIVE' if active else 'DOWN'}",
        f" Application : {profile.application or NOBODY}   Status : {'ASSOCIATED' if active else 'NOT ASSOCIATED'}",
        f" Resource Provider : FLEX_DSPRM   Status : {'DOWN' if profile.shutdown else 'UP'}",
        f" Total Number of Resources Configured : {configured}",
        f" Total Number of Resources Available : {configured - missing - in_use}",
        f" Total Number of Resources Out of Service : {missing}",
        f" Total Number of Resources Active : {in_use}",
        f" Codec Configuration: num_of_codecs:{len(codecs)}",
        *(f" Codec : {name}, Maximum Packetization Period : {period}" for name, period in codecs),
    ]


def _capacity(sources: Sources, profile: DspfarmProfile) -> Capacity | None:
    """Of what serves a profile now; None when nothing does."""
    pool = sources.transcoders
    for member in pool.members if pool else ():
        if isinstance(member, LtiTranscoder) and profile in member.profiles:
            return member.capacity()
    farm = _farm_of(sources, profile)
    return Capacity(farm.limit, len(farm.sessions)) if farm is not None else None


# --- SCCP --------------------------------------------------------------------------------------------------


def sccp(sources: Sources) -> str:
    """`show sccp`."""
    given = sources.config.sccp
    interface = sources.config.interfaces.get(given.local_interface)
    rows = [
        f"SCCP Admin State: {'UP' if given.enabled else 'DOWN'}",
        f"Gateway Local Interface: {given.local_interface or NOBODY}",
        f"        IPv4 Address: {interface.address if interface else NOBODY}",
        "        Port Number: 2000",
        "IP Precedence: 5",
        "User Masked Codec list: None",
    ]
    for ccm in given.ccms:
        rows += [
            f"Call Manager: {ccm.address}, Port Number: {ccm.port}",
            f"                Priority: N/A, Version: {ccm.version or '7.0'}, Identifier: {ccm.identifier}",
            "                Trustpoint: N/A",
        ]
    for profile in profiles_by_name(sources.config).values():
        rows += ["", *_registration(sources, profile)]
    return "\n".join(rows) + "\n"


def _registration(sources: Sources, profile: DspfarmProfile) -> list[str]:
    farm = _farm_of(sources, profile)
    if farm is None:
        return [
            "Transcoding Oper State: DOWN - Cause Code: NONE",
            "Active Call Manager: NONE",
            f"TCP Link Status: NOT_CONNECTED, Profile Identifier: {profile.number}",
        ]
    service = sources.config.telephony
    host, port = service.source_address if service and service.source_address else ("", 0)
    return [
        "Transcoding Oper State: ACTIVE - Cause Code: NONE",
        f"Active Call Manager: {host}, Port Number: {port}",
        f"TCP Link Status: CONNECTED, Profile Identifier: {profile.number}",
        f"Reported Max Streams: {farm.server.streams}, Reported Max OOS Streams: {farm.server.out_of_service}",
        *(
            f"Supported Codec: {name}, Maximum Packetization Period: {period}"
            for name, period in names_of(farm.server.capabilities)
        ),
    ]


def sccp_groups(sources: Sources) -> str:
    """`show sccp ccm group`."""
    return "\n".join(row for group in sources.config.sccp.groups.values() for row in _group(group)) + "\n"


def _group(group: SccpCcmGroup) -> list[str]:
    return [
        f"CCM Group Identifier: {group.number}",
        " Description: None",
        f" Bound Interface: {group.bind_interface or 'NONE'}",
        *(f" Associated CCM Id: {number}, Priority in this CCM Group: {rank}" for number, rank in group.associate_ccm),
        *(f" Associated Profile: {number}, Registration Name: {name}" for number, name in group.associate_profile),
        f" Registration Retries: 3, Registration Timeout: 10 sec, Keepalive Retries: {group.keepalive_retries}",
        " Keepalive Timeout: 30 sec, CCM Connect Retries: 3, CCM Connect Interval: 10 sec",
        (
            f" Switchover Method: {(group.switchover or 'graceful').upper()},"
            f" Switchback Method: {(group.switchback or 'guard').upper()}"
        ),
        " Switchback Interval: 60 sec, Switchback Timeout: 7200 sec",
        " Signaling DSCP value: cs3, Audio DSCP value: ef",
        "",
    ]


CONNECTION = "{:<11}{:<11}{:<14}{:<9}{:<8}{:<16}{:>5} {:>5}"


def sccp_connections(sources: Sources) -> str:
    """`show sccp connections`: both streams of every call over a farm."""
    head = ("sess_id", "conn_id", "stype", "mode", "codec", "ripaddr", "rport", "sport")
    rows = [CONNECTION.format(*head), ""]
    sessions = 0
    for session, _farm in _calls(sources):
        sessions += 1
        secure = any(stream.receive.algorithm for stream in session.machine.streams or ())
        for leg, party in enumerate(session.machine.parties):
            stream = session.machine.streams[leg] if session.machine.streams else None
            rows.append(
                CONNECTION.format(
                    session.machine.conference,
                    party,
                    "secure -xcode" if secure else "xcode",
                    _mode(session),
                    SHORT.get(_codec(stream), _codec(stream)),
                    stream.remote[0] if stream else NOBODY,
                    stream.remote[1] if stream else 0,
                    session.hosts[leg][1] if session.hosts else 0,
                )
            )
    rows += ["", f"Total number of active session(s) {sessions}, and connection(s) {2 * sessions}"]
    return "\n".join(rows) + "\n"


def _mode(session: Session) -> str:
    return "sendrecv" if session.machine.state is State.RUNNING else "inactive"


def _codec(stream: Stream | None) -> str:
    return BY_NUMBER[stream.codec].ios if stream is not None else "none"


def sccp_statistics(sources: Sources) -> str:
    """`show sccp statistics`: messages of each farm, as the call manager counts them."""
    rows: list[str] = []
    for farm in _farms(sources):
        counters = farm.server.counters
        rows += [f"SCCP Application Service: TRANSCODING, {farm.server.name}"]
        names = sorted({*counters.received, *counters.sent})
        rows += [f" {name}: rx {counters.received.get(name, 0)}, tx {counters.sent.get(name, 0)}" for name in names]
        rows += [
            (
                f" Unsupported pkts: {counters.unsupported}, Unrecognized pkts: {counters.unrecognised},"
                f" malformed: {counters.malformed}"
            ),
            "",
        ]
    return "\n".join(rows) + "\n" if rows else "No SCCP application is registered\n"


# --- the call manager's side -------------------------------------------------------------------------------


def farm_units(sources: Sources) -> str:
    """`show sdspfarm units`."""
    service = sources.config.telephony
    if service is None:
        return "telephony-service is not configured\n"
    by_name = {farm.server.name: farm for farm in _farms(sources)}
    rows: list[str] = []
    for tag, name in service.sdspfarm_tags.items():
        farm = by_name.get(name)
        if farm is None:
            rows += [f"mtp-{tag} Device:{name} TCP socket:[-1]  UNREGISTERED", ""]
            continue
        device = DEVICES.get(DeviceType(farm.server.device_type), "MTP")
        streams, where = farm.server.streams, f"IP:{farm.peer[0]}  {farm.peer[1]}"
        rows += [
            f"mtp-{tag} Device:{name} TCP socket:[{farm.connection}]  REGISTERED",
            f"actual_stream:{streams} max_stream {streams} {where}  {device} keepalive {farm.server.keepalives}",
            *_supported(farm),
            "",
        ]
    return "\n".join([*rows, _totals(sources)]) + "\n"


def _supported(farm: Farm) -> list[str]:
    names = [LONG.get(name, name) for name, _ in names_of(farm.server.capabilities)]
    lines = [f"Supported codec:{name}" if not place else f"                {name}" for place, name in enumerate(names)]
    return lines or ["Supported codec:"]


def _totals(sources: Sources) -> str:
    service = sources.config.telephony
    units = service.sdspfarm_units if service else 0
    most = 2 * service.sdspfarm_transcode_sessions if service else 0
    farms = _farms(sources)
    allocated = min(most, sum(farm.server.streams for farm in farms))
    active = 2 * sum(len(farm.sessions) for farm in farms)
    return f"max-mtps:{units}, max-streams:{most}, alloc-streams:{allocated}, act-streams:{active}"


def farm_sessions(sources: Sources) -> str:
    """`show sdspfarm sessions`: streams in pairs."""
    rows: list[str] = []
    tags = (
        {name: tag for tag, name in sources.config.telephony.sdspfarm_tags.items()} if sources.config.telephony else {}
    )
    for session, farm in _calls(sources):
        parties = session.machine.parties
        for leg, party in enumerate(parties):
            stream = session.machine.streams[leg] if session.machine.streams else None
            port = session.hosts[leg][1] if session.hosts else 0
            state = "START" if session.machine.state is State.RUNNING else "IDLE"
            rows += [
                f"Stream-ID:{party} mtp:{tags.get(farm.server.name, 0)} {farm.peer[0]} {port} Local:2000 {state}",
                " usage:Ip-Ip",
                (
                    f" codec:{LONG.get(_codec(stream), _codec(stream))} duration:{stream.period if stream else 0} vad:0"
                    f" peer Stream-ID:{parties[1 - leg]}"
                ),
                "",
            ]
    return "\n".join([*rows, _totals(sources)]) + "\n"


# --- DSPs --------------------------------------------------------------------------------------------------


CHANNEL = "{:<5}{:<4}{:<9}{:<7}{:<5}{:<6}{:<8}{:<7}{:<10}{:>9} {:>9}"


def farm_channels(sources: Sources) -> str:
    """`show dspfarm dsp active`: a row a stream, with the packets to and from it."""
    head = ("SLOT", "DSP", "VERSION", "STATUS", "CHNL", "USE", "TYPE", "RSC_ID", "BRIDGE_ID", "PKTS_TXED", "PKTS_RXED")
    rows = [CHANNEL.format(*head)]
    pool = sources.transcoders
    slot = next(iter(sources.config.voice_cards), "0")
    for session, _farm in _calls(sources):
        counters = sources.inner_counters(pool.border_session(session.number) if pool else 0)
        for leg, party in enumerate(session.machine.parties):
            stream = counters[leg]  # of our side: what it sent is what the stream received
            row = (slot, 1, "emulated", "UP", party, "USED", "xcode", 1, session.machine.conference)
            rows.append(CHANNEL.format(*row, stream.received, stream.sent))
    rows += ["", f"Total number of DSPFARM DSP channel(s) {len(rows) - 1}"]
    return "\n".join(rows) + "\n"


def dsp_group(sources: Sources) -> str:
    """`show voice dsp group`: a configuration names no modules, so each slot is shown with the smallest that carries
    its profiles."""
    rows: list[str] = []
    profiles = [
        one for one in sources.config.dspfarm_profiles.values() if one.service == TRANSCODE and not one.shutdown
    ]
    for card in sources.config.voice_cards.values():
        if not card.dsp_services_dspfarm:
            continue
        rows.append(f"Show DSP group all for slot {card.slot}:")
        for number, profile in enumerate(profiles, 1):
            rows += _group_of(sources, number, profile)
    return "\n".join(rows) + "\n" if rows else "no voice card serves a DSP farm: `dsp services dspfarm`\n"


def _group_of(sources: Sources, number: int, profile: DspfarmProfile) -> list[str]:
    load: Load = profile_load(profile)
    chosen = best(choices(profile.maximum_sessions, load, NEWEST))
    if chosen is None:
        return []
    capacity = _capacity(sources, profile) or Capacity(0, 0)
    price = load.credits(chosen.module.family)
    channels, credits = chosen.count * chosen.module.channels, chosen.count * chosen.module.credits
    return [
        f"dsp {number}: ({chosen.count} x {chosen.module.name})",
        f"  State: {'UP' if capacity.sessions else 'DOWN'}, firmware: emulated",
        f"  Max signal/voice channel: {channels}/{channels}",
        f"  Max credits: {credits}",
        f"  Group: FLEX_GROUP_XCODE, complexity: {complexity_name(load)}",
        f"    Shared credits: 0, reserved credits: {min(credits, profile.maximum_sessions * price)}",
        f"    Transcoding channels allocated: {capacity.in_use}",
        f"    Credits used: {capacity.in_use * price}",
    ]
