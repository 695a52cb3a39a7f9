"""SCCP from both ends: what the router's farms have registered with, and what its call manager sees registered
(layouts: vendor, chapters on transcoding resources)."""

from __future__ import annotations

from cubeproxy.config.model import DspfarmProfile, SccpCcmGroup
from cubeproxy.media.transcoders.admission import profiles_by_name
from cubeproxy.media.transcoders.sccp import Farm, Session
from cubeproxy.protocols.sccp.codecs import names_of
from cubeproxy.protocols.sccp.messages import DeviceType
from cubeproxy.protocols.sccp.session import State, Stream
from cubeproxy.views.show.farms import (
    LONG,
    NOBODY,
    SHORT,
    carried,
    codec,
    farm_of,
    mode,
    registered,
    stream_type,
    streams,
)
from cubeproxy.views.sources import Sources

DEVICES = {DeviceType.MTP_YOKO: "MTP YOKO", DeviceType.MTP: "MTP", DeviceType.SOFTWARE_MTP_DIXIELAND: "SW MTP"}
SECURE = 2443  # the port of SCCP over TLS


# the farm's side


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
            f"                Trustpoint: {ccm.trustpoint or NOBODY}",
        ]
    for profile in profiles_by_name(sources.config).values():
        rows += ["", *_registration(sources, profile)]
    return "\n".join(rows) + "\n"


def _registration(sources: Sources, profile: DspfarmProfile) -> list[str]:
    farm = farm_of(sources, profile)
    if farm is None:
        return [
            "Transcoding Oper State: DOWN - Cause Code: NONE",
            "Active Call Manager: NONE",
            f"TCP Link Status: NOT_CONNECTED, Profile Identifier: {profile.number}",
        ]
    service = sources.config.telephony
    host, port = service.source_address if service and service.source_address else ("", 0)
    port = port if farm.identity is None else SECURE
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
    for session, _farm in carried(sources):
        sessions += 1
        for _leg, party, stream, port in streams(session):
            rows.append(
                CONNECTION.format(
                    session.machine.conference,
                    party,
                    stream_type(stream),
                    mode(session),
                    SHORT.get(codec(stream), codec(stream)),
                    stream.remote[0] if stream else NOBODY,
                    stream.remote[1] if stream else 0,
                    port,
                )
            )
    return "\n".join([*rows, "", _active(sessions)]) + "\n"


def _active(sessions: int) -> str:
    return f"Total number of active session(s) {sessions}, and connection(s) {2 * sessions}"


DETAIL = "{:<11}{:<11}{:<9}{:<8}{:<11}{:<15}{:<10}{:<21}{:<26}{:<5}"


def sccp_details(sources: Sources) -> str:
    """`show sccp connections details`: a row for the session (transmsp), then one a stream (rtpspi)."""
    head = ("sess_id", "conn_id", "call-id", "codec", "pkt-period", "dtmf_method", "type", "bridge-info(bid, cid)",
            "srtp_cryptosuite", "dscp")  # fmt: skip
    rows = ["bridge-info(bid, cid) - Normal bridge information(Bridge id, Calleg id)", "", DETAIL.format(*head), ""]
    sessions = 0
    for session, _farm in carried(sources):
        sessions += 1
        conference = session.machine.conference
        rows.append(DETAIL.format(conference, "-", conference, NOBODY, NOBODY, NOBODY, "transmsp",
                                  "All RTPSPI Callegs", NOBODY, "-").rstrip())  # fmt: skip
        for _leg, party, stream, _port in streams(session):
            rows.append(
                DETAIL.format(
                    conference,
                    party,
                    party,
                    SHORT.get(codec(stream), codec(stream)),
                    stream.period if stream else 0,
                    "rfc2833_pthru" if stream and stream.event_payload else "none",
                    "rtpspi",
                    f"({conference},{conference})",
                    stream.receive.suite_name if stream else NOBODY,
                    "ef",
                )
            )
    return "\n".join([*rows, "", _active(sessions)]) + "\n"


def sccp_statistics(sources: Sources) -> str:
    """`show sccp statistics`: messages of each farm, as the call manager counts them."""
    rows: list[str] = []
    for farm in registered(sources):
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


# the call manager's side


def farm_units(sources: Sources) -> str:
    """`show sdspfarm units`."""
    service = sources.config.telephony
    if service is None:
        return "telephony-service is not configured\n"
    by_name = {farm.server.name: farm for farm in registered(sources)}
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
    farms = registered(sources)
    allocated = min(most, sum(farm.server.streams for farm in farms))
    active = 2 * sum(len(farm.sessions) for farm in farms)
    return f"max-mtps:{units}, max-streams:{most}, alloc-streams:{allocated}, act-streams:{active}"


SUMMARY = "{:<6}{:<4}{:<7}{:<11}{:<7}{:<22}{}"


def farm_sessions(sources: Sources) -> str:
    """`show sdspfarm sessions [active]`: streams in pairs."""
    rows: list[str] = []
    for session, farm in carried(sources):
        for leg, party, stream, port in streams(session):
            rows += [
                f"Stream-ID:{party} mtp:{_tag(sources, farm)} {farm.peer[0]} {port} Local:2000 {_state(session)}",
                " usage:Ip-Ip",
                (
                    f" codec:{_long(stream)} duration:{stream.period if stream else 0} vad:0"
                    f" peer Stream-ID:{session.machine.parties[1 - leg]}"
                ),
                "",
            ]
    return "\n".join([*rows, _totals(sources)]) + "\n"


def farm_sessions_summary(sources: Sources) -> str:
    """`show sdspfarm sessions summary`: a row a stream."""
    head = ("ID", "MTP", "State", "CallID", "confID", "Usage", "Codec/Duration")
    rule = ("=" * 4, "=" * 3, "=" * 6, "=" * 10, "=" * 6, "=" * 21, "=" * 14)
    rows = [_totals(sources), SUMMARY.format(*head), SUMMARY.format(*rule)]
    for session, farm in carried(sources):
        for _leg, party, stream, _port in streams(session):
            used = "Ip-Ip" if stream else ""
            spoken = f"{_long(stream)} /{stream.period if stream else 0}ms"
            row = (party, _tag(sources, farm), _state(session), party, session.machine.conference, used, spoken)
            rows.append(SUMMARY.format(*row))
    return "\n".join(rows) + "\n"


def _tag(sources: Sources, farm: Farm) -> int:
    service = sources.config.telephony
    tags = {name: tag for tag, name in service.sdspfarm_tags.items()} if service else {}
    return tags.get(farm.server.name, 0)


def _state(session: Session) -> str:
    return "START" if session.machine.state is State.RUNNING else "IDLE"


def _long(stream: Stream | None) -> str:
    return LONG.get(codec(stream), codec(stream))
