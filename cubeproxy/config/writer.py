"""The typed model back to IOS text, in the order of a running configuration. What is default is not written.

`parse_config(write_config(config))` equals `config` but for `ignored`, for every model that the parser can make.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator

from cubeproxy.config.commands.shared import SRTP_AUTH
from cubeproxy.config.commands.sip_ua import DEFAULT_TLS, TLS_VERSIONS
from cubeproxy.config.model import (
    Config,
    CryptoSignaling,
    CtlFile,
    DialPeer,
    DspfarmProfile,
    Interface,
    KeepaliveProfile,
    PhoneProxy,
    RegistrationPassthrough,
    SccpCcmGroup,
    ServerGroup,
    SipUa,
    SrtpPolicy,
    TelephonyService,
    Trustpoint,
    UriClass,
    VoiceCard,
    VoiceService,
)
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Address, Transport

Lines = Iterator[str]
AUTH_NAMES = {suite: name for name, suite in SRTP_AUTH.items()}
TRANSPORTS = {Transport.UDP: "udp", Transport.TCP: "tcp", Transport.TLS: "tcp tls"}


def write_config(config: Config) -> str:
    """A whole running configuration, from `version` to `end`."""
    return "\n".join([*_sections(config), "end", ""])


def certificate_block(name: str, certificates: Iterable[bytes], authorities: Iterable[bytes] = ()) -> str:
    """`crypto pki certificate chain NAME` with its hexadecimal blocks, to be pasted into a configuration."""
    return "\n".join(_chain(Trustpoint(name, certificates=list(certificates), ca_certificates=list(authorities))))


def _sections(config: Config) -> Lines:
    if config.version:
        yield f"version {config.version}"
    if config.hostname != "Router":
        yield f"hostname {config.hostname}"
    if config.domain_name:
        yield f"ip domain name {config.domain_name}"
    for section in (
        *map(_trustpoint, config.trustpoints.values()),
        *map(_chain, config.trustpoints.values()),
        *map(_voice_card, config.voice_cards.values()),
        *map(_ctl_file, config.ctl_files.values()),
        *map(_phone_proxy, config.phone_proxies.values()),
        _phone_proxy_globals(config),
        _voice_service(config.voice),
        *map(_uri_class, config.uri_classes.values()),
        *(_header_list(tag, names, config) for tag, names in config.header_lists.items()),
        *(
            _ranked(f"voice class srtp-crypto {tag}", "crypto", _values(suites))
            for tag, suites in config.srtp_crypto.items()
        ),
        *(
            _ranked(f"voice class codec {tag}", "codec preference", codecs)
            for tag, codecs in config.codec_classes.items()
        ),
        *map(_server_group, config.server_groups.values()),
        *map(_keepalive_profile, config.keepalive_profiles.values()),
        *map(_interface, config.interfaces.values()),
        _sccp(config),
        *map(_sccp_group, config.sccp.groups.values()),
        *map(_dspfarm, config.dspfarm_profiles.values()),
        *map(_dial_peer, config.dial_peers.values()),
        _sip_ua(config.sip_ua),
        _telephony(config.telephony),
    ):
        yield from section
        yield "!"


def _trustpoint(trustpoint: Trustpoint) -> Lines:
    yield f"crypto pki trustpoint {trustpoint.name}"
    yield from _text(" enrollment", trustpoint.enrollment)
    yield from _text(" fqdn", trustpoint.fqdn)
    yield from _text(" subject-name", trustpoint.subject_name)
    if trustpoint.revocation_check != ("none",):
        yield f" revocation-check {' '.join(trustpoint.revocation_check)}"
    yield from _text(" rsakeypair", trustpoint.rsakeypair)
    yield from _text(" hash", trustpoint.hash)


def _chain(trustpoint: Trustpoint) -> Lines:
    if not trustpoint.certificates and not trustpoint.ca_certificates:
        return
    yield f"crypto pki certificate chain {trustpoint.name}"
    kind = " self-signed" if trustpoint.enrollment == "selfsigned" else ""
    for word, ders in ((kind, trustpoint.certificates), (" ca", trustpoint.ca_certificates)):
        for index, der in enumerate(ders, start=1):
            yield f" certificate{word} {index:02X}"
            yield from _hexadecimal(der)
            yield "  \tquit"


def _hexadecimal(octets: bytes) -> Lines:
    """Eight groups of four octets a line, as the router prints them."""
    for start in range(0, len(octets), 32):
        yield "  " + octets[start : start + 32].hex(" ", -4).upper()


def _ctl_file(ctl: CtlFile) -> Lines:
    yield f"voice-ctl-file {ctl.name}"
    yield from _text(" description", ctl.description)
    for entry in ctl.record_entries:
        yield f" record-entry {entry.role} trustpoint {entry.trustpoint}"
    yield from _flags(ctl.complete, " complete")


def _phone_proxy(proxy: PhoneProxy) -> Lines:
    yield f"voice-phone-proxy {proxy.name}"
    yield from _text(" description", proxy.description)
    if proxy.tftp_server:
        server = f"{_family(proxy.tftp_server)} {proxy.tftp_server}".lstrip()
        yield f" tftp-server address {server} local-addr {_host(proxy.tftp_local)} acc-addr {_host(proxy.tftp_access)}"
    yield from _text(" ctl-file", proxy.ctl_file)
    yield from _flags(proxy.access_secure, " access-secure")
    if proxy.capf_server:
        yield f" capf-address {_host(proxy.capf_server)} acc-addr {_host(proxy.capf_access)}"
    for entry in proxy.service_maps:
        yield f" service-map server-addr {_host_port(entry.server)} acc-addr {_host_port(entry.access)}"
    yield from _flags(proxy.disable_service_settings, " disable service-settings")
    yield from _unless(" session-timeout", proxy.session_timeout, 180)
    yield from _unless(" max-concurrent-sessions", proxy.max_concurrent_sessions, 200)
    yield from _flags(proxy.complete, " complete")


def _phone_proxy_globals(config: Config) -> Lines:
    if config.tftp_address:
        yield f"voice-phone-proxy tftp-address {_host(config.tftp_address)}"
    if config.file_buffer:
        yield f"voice-phone-proxy file-buffer size {config.file_buffer.size} aging {config.file_buffer.aging}"


def _voice_service(voice: VoiceService) -> Lines:
    yield "voice service voip"
    if voice.trusted:
        yield " ip address trusted list"
        for network in voice.trusted:
            yield f"  {'ipv6' if ':' in network else 'ipv4'} {_masked(network)}"
    yield from _flags(not voice.trust_authenticate, " no ip address trusted authenticate")
    if voice.rtp_ports:
        yield f" rtp-port range {voice.rtp_ports[0]} {voice.rtp_ports[1]}"
    yield from _flags(voice.address_hiding, " address-hiding")
    yield from _srtp(voice.srtp)
    yield from _flags(not voice.silent_discard_untrusted, " no silent-discard untrusted")
    yield from _flags(voice.allow_sip_to_sip, " allow-connections sip to sip")
    yield from _flags(voice.media_renegotiate, " supplementary-service media-renegotiate")
    yield from _flags(not voice.refer_passed, " no supplementary-service sip refer")
    yield " sip"
    for line in _voice_sip(voice):
        yield f"  {line}"


def _voice_sip(voice: VoiceService) -> Lines:
    if voice.registrar:
        yield f"registrar server expires max {voice.registrar.expires_max} min {voice.registrar.expires_min}"
    yield from _passthrough("", voice.registration_passthrough)
    yield from _bind("bind", voice.bind_control, voice.bind_media)
    yield from _flags(voice.early_offer_forced, "early-offer forced")
    yield from _unless("midcall-signaling", voice.midcall, "passthru")
    yield from _flags(voice.srtp_negotiate_cisco, "srtp negotiate cisco")
    yield from _srtp_auth("srtp-auth", voice.srtp_auth)
    yield from _unless("srtp-crypto", voice.srtp_crypto, 0)
    yield from _unless("pass-thru headers", voice.pass_thru_headers, 0)
    yield from _unless("listen-port non-secure", voice.listen_port, 5060)
    yield from _unless("listen-port secure", voice.listen_port_secure, 5061)
    yield from _flags(voice.session_refresh, "session refresh")
    yield from _flags(not voice.warn_header, "no warn-header ext-text all")


def _uri_class(uri: UriClass) -> Lines:
    yield f"voice class uri {uri.tag} sip"
    for host in uri.hosts:
        yield f" host {_prefixed(host)}"
    yield from _text(" user-id", uri.user_id)
    yield from _text(" pattern", uri.pattern)
    yield from _text(" phone context", uri.phone_context)


def _header_list(tag: int, names: list[str], config: Config) -> Lines:
    yield f"voice class sip-hdr-passthrulist {tag}"
    for name in names:
        yield f" passthru-hdr {name}"
    yield from _flags(tag in config.header_lists_unsupp, " passthru-hdr-unsupp")


def _ranked(head: str, word: str, values: Iterable[str]) -> Lines:
    yield head
    for place, value in enumerate(values, start=1):
        yield f" {word} {place} {value}"


def _server_group(group: ServerGroup) -> Lines:
    yield f"voice class server-group {group.tag}"
    for (host, port), preference in group.members:
        yield f" {_host(host)}{f' port {port}' if port else ''}{f' preference {preference}' if preference else ''}"
    yield from _unless(" hunt-scheme", group.hunt_scheme, "preference")
    for rule, status in enumerate(group.huntstop, start=1):
        yield f" huntstop {rule} resp-code {status}"


def _keepalive_profile(profile: KeepaliveProfile) -> Lines:
    yield f"voice class sip-options-keepalive {profile.tag}"
    yield from _unless(" up-interval", profile.up_interval, 60)
    yield from _unless(" down-interval", profile.down_interval, 30)
    yield from _unless(" retry", profile.retry, 5)
    if profile.transport:
        yield f" transport {TRANSPORTS[profile.transport]}"


def _dial_peer(peer: DialPeer) -> Lines:
    yield f"dial-peer voice {peer.tag} voip"
    for line in _dial_peer_lines(peer):
        yield f" {line}"


def _dial_peer_lines(peer: DialPeer) -> Lines:
    yield from _text("description", peer.description)
    yield from _flags(peer.shutdown, "shutdown")
    yield from _unless("preference", peer.preference, 0)
    yield from _text("destination-pattern", peer.destination_pattern)
    yield from _flags(peer.protocol_sipv2, "session protocol sipv2")
    if peer.target_address:
        host, port = peer.target_address
        yield f"session target {_prefixed(host)}{f':{port}' if port else ''}"
    elif peer.target:
        yield f"session target {peer.target}"
    yield from _unless("session server-group", peer.server_group, 0)
    if peer.transport is not Transport.UDP:
        yield f"session transport {TRANSPORTS[peer.transport]}"
    yield from _text("destination uri", peer.destination_uri)
    yield from _text("incoming called-number", peer.incoming_called_number)
    for source, tag in peer.incoming_uri.items():
        yield f"incoming uri {source} {tag}"
    yield from _unless("max-conn", peer.max_conn, 0)
    yield from _codecs(peer)
    yield from _dial_peer_sip(peer)
    if proxy := peer.phone_proxy:
        yield f"phone-proxy {proxy.name} signal-addr {_host(proxy.signal_address)} cucm {_host(proxy.cucm)}"
    if peer.dtmf_relay:
        yield f"dtmf-relay {' '.join(peer.dtmf_relay)}{' digit-drop' if peer.dtmf_digit_drop else ''}"
    yield from _srtp(peer.srtp, "")
    yield from _flags(peer.refer_consume, "refer consume")
    yield from _flags(not peer.vad, "no vad")


def _codecs(peer: DialPeer) -> Lines:
    if not peer.codecs:
        yield "codec transparent"
    elif peer.codecs != DialPeer(peer.tag).codecs:
        yield f"codec {peer.codecs[0]}"
    if peer.voice_class_codec:
        yield f"voice-class codec {peer.voice_class_codec}{' offer-all' if peer.codec_offer_all else ''}"


def _dial_peer_sip(peer: DialPeer) -> Lines:
    sip = "voice-class sip "
    yield from _flags(peer.srtp_negotiate_cisco, f"{sip}srtp negotiate cisco")
    yield from _unless(f"{sip}srtp-crypto", peer.srtp_crypto, 0)
    yield from _srtp_auth(f"{sip}srtp-auth", peer.srtp_auth)
    yield from _passthrough(sip, peer.registration_passthrough)
    yield from _unless(f"{sip}pass-thru headers", peer.pass_thru_headers, 0)
    yield from _unless(f"{sip}midcall-signaling", peer.midcall, "")
    if keepalive := peer.keepalive:
        yield (
            f"{sip}options-keepalive up-interval {keepalive.up_interval} down-interval {keepalive.down_interval}"
            f" retry {keepalive.retry}{f' profile {keepalive.tag}' if keepalive.tag else ''}"
        )
    yield from _bind(f"{sip}bind", peer.bind_control, peer.bind_media)


def _interface(interface: Interface) -> Lines:
    yield f"interface {interface.name}"
    yield from _text(" description", interface.description)
    if interface.address:
        yield f" ip address {interface.address} {interface.mask}"
    yield from _flags(interface.shutdown, " shutdown")


def _sip_ua(ua: SipUa) -> Lines:
    yield "sip-ua"
    for entry in ua.crypto_signaling:
        yield f" crypto signaling {_signaling(entry)}"
    if ua.tls_versions != DEFAULT_TLS:
        yield f" transport tcp tls{_tls(ua.tls_versions)}"
    for name, value in ua.timers.items():
        yield f" timers {name} {value}"
    for name, value in ua.retry.items():
        yield f" retry {name} {value}"
    yield from _flags(ua.connection_reuse, " connection-reuse")
    yield from _flags(ua.check_media_src, " nat symmetric check-media-src")
    yield from _flags(not ua.remote_party_id, " no remote-party-id")


def _tls(versions: tuple[str, ...]) -> str:
    if versions == TLS_VERSIONS[:3]:
        return ""
    return f" {versions[0]}" if len(versions) == 1 and versions[0] != TLS_VERSIONS[-1] else f" {versions[0]} minimum"


def _signaling(entry: CryptoSignaling) -> str:
    words = [f"remote-addr {_masked(entry.remote)}" if entry.remote else "default", f"trustpoint {entry.trustpoint}"]
    if entry.client_vtp:
        words.append(f"client-vtp {entry.client_vtp}")
    if entry.cn_san_validate:
        words.append(f"cn-san-validate {entry.cn_san_validate}")
    if entry.strict_cipher:
        words.append("strict-cipher")
    return " ".join(words)


def _voice_card(card: VoiceCard) -> Lines:
    yield f"voice-card {card.slot}"
    yield from _flags(card.dsp_services_dspfarm, " dsp services dspfarm")
    yield from _text(" codec complexity", card.codec_complexity)


def _sccp(config: Config) -> Lines:
    yield from _text("sccp local", config.sccp.local_interface)
    for ccm in config.sccp.ccms:
        port = f" port {ccm.port}" if ccm.port != 2000 else ""
        version = f" version {ccm.version}" if ccm.version else ""
        trust = f" trustpoint {ccm.trustpoint}" if ccm.trustpoint else ""
        yield f"sccp ccm {ccm.address} identifier {ccm.identifier}{port}{version}{trust}"
    yield from _flags(config.sccp.enabled, "sccp")


def _sccp_group(group: SccpCcmGroup) -> Lines:
    yield f"sccp ccm group {group.number}"
    yield from _text(" bind interface", group.bind_interface)
    for identifier, priority in group.associate_ccm:
        yield f" associate ccm {identifier} priority {priority}"
    for profile, name in group.associate_profile:
        yield f" associate profile {profile} register {name}"
    yield from _unless(" keepalive retries", group.keepalive_retries, 3)
    yield from _text(" switchover method", group.switchover)
    yield from _text(" switchback method", group.switchback)


def _dspfarm(profile: DspfarmProfile) -> Lines:
    options = f"{' universal' if profile.universal else ''}{' security' if profile.security else ''}"
    yield f"dspfarm profile {profile.number} {profile.service}{options}"
    yield from _text(" trustpoint", profile.trustpoint)
    yield from _flags(not profile.tls, " no tls")
    yield from _text(" tls-version", profile.tls_version)
    for codec in profile.codecs:
        yield f" codec {codec}"
    yield from _unless(" maximum sessions", profile.maximum_sessions, 0)
    yield from _text(" associate application", profile.application)
    yield from _flags(not profile.shutdown, " no shutdown")


def _telephony(service: TelephonyService | None) -> Lines:
    if service is None:
        return
    yield "telephony-service"
    yield from _text(" secure-signaling trustpoint", service.secure_trustpoint)
    yield from _unless(" sdspfarm units", service.sdspfarm_units, 0)
    yield from _unless(" sdspfarm transcode sessions", service.sdspfarm_transcode_sessions, 0)
    for tag, name in service.sdspfarm_tags.items():
        yield f" sdspfarm tag {tag} {name}"
    yield from _unless(" max-ephones", service.max_ephones, 0)
    yield from _unless(" max-dn", service.max_dn, 0)
    if service.source_address:
        yield f" ip source-address {service.source_address[0]} port {service.source_address[1]}"


def _text(command: str, value: str) -> Lines:
    if value:
        yield f"{command} {value}"


def _flags(on: bool, command: str) -> Lines:
    if on:
        yield command


def _unless(command: str, value: int | str, default: int | str) -> Lines:
    if value != default:
        yield f"{command} {value}"


def _values(suites: Iterable[Suite]) -> list[str]:
    return [suite.value for suite in suites]


def _srtp(policy: SrtpPolicy, indent: str = " ") -> Lines:
    if policy is not SrtpPolicy.OFF:
        yield f"{indent}srtp" if policy is SrtpPolicy.STRICT else f"{indent}srtp {policy.value}"


def _srtp_auth(command: str, suites: tuple[Suite, ...]) -> Lines:
    if suites:
        yield f"{command} {' '.join(AUTH_NAMES[suite] for suite in suites)}"


def _passthrough(prefix: str, value: RegistrationPassthrough | None) -> Lines:
    if value is None:
        return
    line = f"{prefix}registration passthrough{' static' if value.mode == 'p2p' else ''}"
    if value.rate_limit_expires or value.rate_limit_fail_count:
        line += " rate-limit"
    if value.rate_limit_expires:
        line += f" expires {value.rate_limit_expires}"
    if value.rate_limit_fail_count:
        line += f" fail-count {value.rate_limit_fail_count}"
    yield line


def _bind(command: str, control: str, media: str) -> Lines:
    if control:
        yield f"{command} control source-interface {control}"
    if media:
        yield f"{command} media source-interface {media}"


def _family(host: str) -> str:
    """ "ipv4" or "ipv6" for a literal, "" for a name."""
    try:
        return f"ipv{ipaddress.ip_address(host).version}"
    except ValueError:
        return ""


def _host(host: str) -> str:
    return f"{_family(host)} {host}".lstrip()


def _host_port(address: Address) -> str:
    return f"{_host(address[0])} port {address[1]}"


def _prefixed(host: str) -> str:
    family = _family(host)
    return f"ipv6:[{host}]" if family == "ipv6" else f"{family or 'dns'}:{host}"


def _masked(network: str) -> str:
    """CIDR as address and mask; IPv6 as address and prefix length."""
    parsed = ipaddress.ip_network(network)
    return f"{parsed.network_address} {parsed.netmask if parsed.version == 4 else parsed.prefixlen}"
