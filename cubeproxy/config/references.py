"""Names that a configuration uses and does not define, and blocks that it left incomplete.

The router takes such lines without a word, and the call fails later. Each finding is an event with the fix.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from cubeproxy.config.commands.shared import LAST_HEADER_LIST
from cubeproxy.config.model import Config, DialPeer, DspfarmProfile, Personality, SrtpPolicy
from cubeproxy.protocols.values import Event, Severity


def check_references(config: Config) -> list[Event]:
    """All findings, in the order of the configuration."""
    return [
        *_unmapped(config),
        *_trust(config),
        *_phone_proxies(config),
        *_voice_service(config),
        *(event for peer in config.dial_peers.values() for event in _dial_peer(config, peer)),
        *_pass_thru(config),
        *_farm(config),
    ]


def _unmapped(config: Config) -> Iterator[Event]:
    for old in config.unmapped:
        yield Event(
            "config.unmapped",
            Severity.WARNING,
            f"--map {old}: the configuration names no such address",
            fix="correct the entry, or leave it out",
            fields={"address": old},
        )


def _unknown(
    where: str, kind: str, name: str | int, known: Collection[str] | Collection[int], command: str
) -> Iterator[Event]:
    """`where` uses `name`, which `command` should have defined. Nothing for an empty name."""
    if not name or name in known:
        return
    yield Event(
        "config.unknown-reference",
        Severity.ERROR,
        f"{where} names {kind} {name}, which is not configured",
        cause=kind,
        fix=f"configure `{command} {name}`, or correct the name",
        fields={"where": where, "kind": kind, "name": name},
    )


def _incomplete(where: str, text: str, fix: str) -> Event:
    return Event("config.incomplete", Severity.WARNING, f"{where} {text}", fix=fix, fields={"where": where})


def _trustpoint(config: Config, where: str, name: str) -> Iterator[Event]:
    return _unknown(where, "trustpoint", name, config.trustpoints, "crypto pki trustpoint")


def _bound(config: Config, where: str, *names: str) -> Iterator[Event]:
    for name in dict.fromkeys(names):
        yield from _unknown(where, "interface", name, config.interfaces, "interface")
        interface = config.interfaces.get(name)
        if interface is not None and not interface.address:
            yield _incomplete(where, f"binds to {name}, which has no address", f"give {name} an `ip address`")
        elif interface is not None and interface.shutdown:
            yield _incomplete(where, f"binds to {name}, which is shut down", f"`no shutdown` under {name}")


def _trust(config: Config) -> Iterator[Event]:
    for entry in config.sip_ua.crypto_signaling:
        where = f"crypto signaling {entry.remote or 'default'}"
        yield from _trustpoint(config, where, entry.trustpoint)
        yield from _trustpoint(config, where, entry.client_vtp)
    for ctl in config.ctl_files.values():
        where = f"voice-ctl-file {ctl.name}"
        for record in ctl.record_entries:
            yield from _trustpoint(config, where, record.trustpoint)
        if not ctl.complete:
            yield _incomplete(where, "is not complete: phones get no CTL file", "end the block with `complete`")


def _phone_proxies(config: Config) -> Iterator[Event]:
    addresses = {interface.address for interface in config.interfaces.values()}
    for proxy in config.phone_proxies.values():
        where = f"voice-phone-proxy {proxy.name}"
        yield from _unknown(where, "CTL file", proxy.ctl_file, config.ctl_files, "voice-ctl-file")
        if not proxy.complete:
            yield _incomplete(where, "is not complete: it serves no phone", "end the block with `complete`")
        for address in dict.fromkeys((proxy.tftp_local, proxy.tftp_access, proxy.capf_access)):
            if address and address not in addresses:
                yield _incomplete(where, f"uses {address}, which no interface has", "compare it with `ip address`")


def _voice_service(config: Config) -> Iterator[Event]:
    where, voice = "voice service voip", config.voice
    yield from _bound(config, where, voice.bind_control, voice.bind_media)
    yield from _unknown(where, "srtp-crypto", voice.srtp_crypto, config.srtp_crypto, "voice class srtp-crypto")
    yield from _header_list(config, where, voice.pass_thru_headers)
    if config.dial_peers and not voice.allow_sip_to_sip:
        yield _incomplete(where, "does not allow SIP to SIP: every call is refused", "`allow-connections sip to sip`")


def _header_list(config: Config, where: str, tag: int) -> Iterator[Event]:
    known = {*config.header_lists, LAST_HEADER_LIST}
    return _unknown(where, "header list", tag, known, "voice class sip-hdr-passthrulist")


def _dial_peer(config: Config, peer: DialPeer) -> Iterator[Event]:
    where = f"dial-peer {peer.tag}"
    for tag in dict.fromkeys((*peer.incoming_uri.values(), peer.destination_uri)):
        yield from _unknown(where, "URI class", tag, config.uri_classes, "voice class uri")
    if peer.phone_proxy:
        proxies = config.phone_proxies
        yield from _unknown(where, "phone proxy", peer.phone_proxy.name, proxies, "voice-phone-proxy")
    yield from _unknown(where, "server group", peer.server_group, config.server_groups, "voice class server-group")
    yield from _unknown(where, "srtp-crypto", peer.srtp_crypto, config.srtp_crypto, "voice class srtp-crypto")
    yield from _unknown(where, "codec class", peer.voice_class_codec, config.codec_classes, "voice class codec")
    yield from _header_list(config, where, peer.pass_thru_headers)
    if peer.keepalive:
        known = config.keepalive_profiles
        yield from _unknown(where, "keepalive profile", peer.keepalive.tag, known, "voice class sip-options-keepalive")
    yield from _bound(config, where, peer.bind_control, peer.bind_media)
    yield from _srtp_words(config, peer, where)
    if not peer.protocol_sipv2:
        yield _incomplete(where, "has no session protocol: H.323 is the default", "`session protocol sipv2`")
    if not peer.target and not peer.server_group:
        yield _incomplete(where, "has no session target: no call goes out by it", "`session target ipv4:A.B.C.D`")


def _srtp_words(config: Config, peer: DialPeer, where: str) -> Iterator[Event]:
    """SRTP commands that do less than their reader may think (vendor: SRTP-RTP interworking; srtp-auth)."""
    negotiates = peer.srtp_negotiate_cisco or config.voice.srtp_negotiate_cisco
    falls_back = config.srtp_of(peer) is SrtpPolicy.FALLBACK
    if falls_back and not peer.faces_phones and config.phone_proxies and not negotiates:
        fix = "`voice-class sip srtp negotiate cisco`; `srtp fallback` alone is for peers other than CUCM"
        yield _incomplete(where, "falls back to RTP without telling CUCM that it may", fix)
    if config.personality is Personality.IOSXE and (peer.srtp_auth or config.voice.srtp_auth):
        fix = "`voice class srtp-crypto N`, and `voice-class sip srtp-crypto N`"
        yield _incomplete(where, "has srtp-auth, which does nothing from IOS XE 16.5.1b on", fix)


def _pass_thru(config: Config) -> Iterator[Event]:
    """`srtp pass-thru` takes both dial peers of a call (vendor: SRTP-SRTP pass-through)."""
    active = [peer for peer in config.dial_peers.values() if peer.protocol_sipv2 and not peer.shutdown]
    kinds = {peer.tag: config.srtp_of(peer) is SrtpPolicy.PASS_THRU for peer in active}
    if len(set(kinds.values())) < 2:
        return
    one_sided = [f"dial-peer {tag}" for tag, passing in kinds.items() if not passing]
    yield Event(
        "config.incomplete",
        Severity.WARNING,
        f"srtp pass-thru is not configured on {', '.join(one_sided)}: calls between these and the others are refused",
        cause="srtp pass-thru",
        fix="configure `srtp pass-thru` on both dial peers of a call, or `srtp` on both",
    )


def _farm(config: Config) -> Iterator[Event]:
    for profile in config.dspfarm_profiles.values():
        where = f"dspfarm profile {profile.number}"
        yield from _trustpoint(config, where, profile.trustpoint)
        if profile.shutdown:
            yield _incomplete(where, "is shut down, as profiles are by default", "`no shutdown`")
        if _over_tls(profile) and not profile.trustpoint:
            fix = "`trustpoint NAME` in the profile, or `no tls` where farm and call manager are one box"
            yield _incomplete(where, "registers over TLS and presents no certificate", fix)
    yield from _trustpoint(config, "telephony-service", config.telephony.secure_trustpoint if config.telephony else "")
    for ccm in config.sccp.ccms:
        yield from _trustpoint(config, f"sccp ccm {ccm.address}", ccm.trustpoint)
    yield from _farms_elsewhere(config)
    identifiers = {ccm.identifier for ccm in config.sccp.ccms}
    yield from _bound(config, "sccp local", config.sccp.local_interface)
    for group in config.sccp.groups.values():
        where = f"sccp ccm group {group.number}"
        yield from _bound(config, where, group.bind_interface)
        for identifier, _ in group.associate_ccm:
            yield from _unknown(where, "call manager", identifier, identifiers, "sccp ccm ADDRESS identifier")
        for number, _ in group.associate_profile:
            yield from _unknown(where, "dspfarm profile", number, config.dspfarm_profiles, "dspfarm profile")


def _farms_elsewhere(config: Config) -> Iterator[Event]:
    """Between a CUBE and a DSP farm go both streams of a call, and SCCP's TLS hides neither: the SRTP leg passes as it
    is, the clear leg as plain RTP. The vendor's is no different; whoever has both on one box need not care."""
    own = {interface.address for interface in config.interfaces.values()}
    service = config.telephony
    tags = service.sdspfarm_tags.values() if service is not None and service.secure_trustpoint else ()
    where = [f"DSP farm {name}" for name in tags if name not in config.sccp.names]
    where += [
        f"call manager {ccm.address}"
        for ccm in config.sccp.ccms
        if config.sccp.enabled and ccm.address not in own and any(map(_over_tls, config.dspfarm_profiles.values()))
    ]
    if where:
        yield Event(
            "config.clear-media",
            Severity.WARNING,
            f"{', '.join(where)}: on another host, to which the clear side of SRTP-RTP calls travels as plain RTP "
            "(TLS protects SCCP and the keys in it, not the voice)",
            cause="clear media to a remote DSP farm",
            fix="guard the network between the two as well as that of the core side, by a VLAN of its own or IPsec; "
            "or run the farm on the same box",
        )


def _over_tls(profile: DspfarmProfile) -> bool:
    return profile.application == "SCCP" and profile.security and profile.tls and not profile.shutdown
