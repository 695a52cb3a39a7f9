"""DSP farms as the router has them: its profiles, their sessions, channels and credits (layouts: vendor, chapters on
transcoding resources)."""

from __future__ import annotations

from cubeproxy.config.model import DspfarmProfile
from cubeproxy.media.codecs.profiles import unusable
from cubeproxy.media.dsp.capacity import Load, best, choices, complexity_name, profile_load
from cubeproxy.media.dsp.tables import MODULES
from cubeproxy.media.transcoders.admission import TRANSCODE
from cubeproxy.media.transcoders.lti import LtiTranscoder
from cubeproxy.media.transcoders.words import Capacity
from cubeproxy.protocols.sccp.codecs import capabilities, names_of
from cubeproxy.views.show.farms import NOBODY, SHORT, carried, codec, farm_of, mode, stream_type, streams
from cubeproxy.views.sources import Sources

SERVICES = {"transcode": "TRANSCODING", "conference": "CONFERENCING", "mtp": "MTP"}
NEWEST = [module for module in MODULES.values() if module.family == "PVDM3"]


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
    lacking = unusable(profile.codecs)
    offered = [name for name in profile.codecs if name not in lacking]
    codecs = names_of(capabilities(offered))[: len(offered)]
    service = f"{universal or ' '}{SERVICES.get(profile.service, '')}"
    rows = [
        f" Profile ID = {profile.number}, Service ={service}, Resource ID = 1",
        f" Profile Service Mode : {'secure' if profile.security else 'Non Secure'}",
    ]
    if profile.security:
        rows.append(f" Trustpoint : {profile.trustpoint or NOBODY}")
    if profile.security and profile.tls and profile.application == "SCCP":
        version, cipher = _tls(sources, profile)
        rows += [f" TLS Version  : {version}", f" TLS Cipher   : {cipher}"]
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
        *(f" Codec not offered : {name}, {why}" for name, why in lacking.items()),
    ]


def _tls(sources: Sources, profile: DspfarmProfile) -> tuple[str, str]:
    """Of the connection with the call manager; before there is one, what is configured."""
    farm = farm_of(sources, profile)
    if farm is not None and farm.tls:
        version, cipher = farm.tls
        return version.removeprefix("TLS"), cipher
    return profile.tls_version or "v1.2", NOBODY


SESSION = "{:<11}{:<11}{:<14}{:<9}{:<8}{:<4}{:<16}{:>5} {:>5}"


def dsp_sessions(sources: Sources) -> str:
    """`show dspfarm sessions`: both streams of every session, with the packetisation period in ms."""
    rows = [SESSION.format("sess_id", "conn_id", "stype", "mode", "codec", "pkt", "ripaddr", "rport", "sport"), ""]
    for session, _farm in carried(sources):
        for _leg, party, stream, port in streams(session):
            spoken = (SHORT.get(codec(stream), codec(stream)), stream.period if stream else 0)
            remote = stream.remote if stream else (NOBODY, 0)
            row = (session.machine.conference, party, stream_type(stream), mode(session), *spoken, *remote, port)
            rows.append(SESSION.format(*row))
    sessions = (len(rows) - 2) // 2
    return "\n".join([*rows, "", f"Total number of DSPFARM session(s) {sessions}"]) + "\n"


def _capacity(sources: Sources, profile: DspfarmProfile) -> Capacity | None:
    """Of what serves a profile now; None when nothing does."""
    pool = sources.transcoders
    for member in pool.members if pool else ():
        if isinstance(member, LtiTranscoder) and profile in member.profiles:
            return member.capacity()
    farm = farm_of(sources, profile)
    return Capacity(farm.limit, len(farm.sessions)) if farm is not None else None


CHANNEL = "{:<5}{:<4}{:<9}{:<7}{:<5}{:<6}{:<8}{:<7}{:<10}{:>9} {:>9}"


def farm_channels(sources: Sources) -> str:
    """`show dspfarm dsp active`: a row a stream, with the packets to and from it."""
    head = ("SLOT", "DSP", "VERSION", "STATUS", "CHNL", "USE", "TYPE", "RSC_ID", "BRIDGE_ID", "PKTS_TXED", "PKTS_RXED")
    rows = [CHANNEL.format(*head)]
    pool = sources.transcoders
    slot = next(iter(sources.config.voice_cards), "0")
    for session, _farm in carried(sources):
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
    reserved = min(credits, profile.maximum_sessions * price)
    return [
        f"dsp {number}: ({chosen.count} x {chosen.module.name})",
        f"  State: {'UP' if capacity.sessions else 'DOWN'}, firmware: emulated",
        f"  Max signal/voice channel: {channels}/{channels}",
        f"  Max credits: {credits}",
        "  Group: FLEX_GROUP_VOICE, complexity: FLEX",
        f"    Shared credits: {credits - reserved}, reserved credits: 0",
        "    Voice channels allocated: 0",
        "    Credits used: 0",
        f"  Group: FLEX_GROUP_XCODE, complexity: {complexity_name(load)}",
        f"    Shared credits: 0, reserved credits: {reserved}",
        f"    Transcoding channels allocated: {capacity.in_use}",
        f"    Credits used: {capacity.in_use * price}",
    ]
