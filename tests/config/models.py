"""Hypothesis strategies for configurations that a router can have."""

from __future__ import annotations

import ipaddress
import string
from typing import Any

from hypothesis import strategies as st

from cubeproxy.config import model
from cubeproxy.config.commands.dial_peer import DTMF
from cubeproxy.config.commands.sip_ua import RETRIES, TIMERS, TLS_VERSIONS
from cubeproxy.config.commands.voice_class import CODECS
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Transport

WORD = string.ascii_letters + string.digits + "_"
words = st.text(WORD, min_size=1, max_size=12)
names = st.builds(
    lambda first, rest: first + rest, st.sampled_from(string.ascii_letters), st.text(WORD + "-", max_size=10)
)
sentences = st.text(string.ascii_letters + string.digits + " !/^$'\"", max_size=40).map(str.strip)
v4 = st.ip_addresses(v=4).map(str)
hosts = st.ip_addresses().map(str)
domains = st.sampled_from(["cucm.lab.example", "a.example", "node-1.lab.example"])
ports = st.integers(1, 65535)
tags = st.integers(1, 10000)
tag_or_none = st.just(0) | tags
interfaces = st.sampled_from(["GigabitEthernet0/0", "GigabitEthernet2", "Loopback0", "Port-channel1.10", "Vlan12"])
interface_or_none = st.just("") | interfaces
suites = st.lists(st.sampled_from(list(Suite)), unique=True, max_size=4).map(tuple)
auth_suites = st.lists(
    st.sampled_from([Suite.AES_CM_128_HMAC_SHA1_32, Suite.AES_CM_128_HMAC_SHA1_80]), unique=True, max_size=2
).map(tuple)
masks = st.integers(1, 32).map(lambda bits: str(ipaddress.ip_network(f"0.0.0.0/{bits}").netmask))
patterns = st.sampled_from(["", "192\\.0\\.2\\.[0-9]+", "1...", "^sip:(.*)@lab", "[0-9]+ or more"])


def networks() -> st.SearchStrategy[str]:
    four = st.tuples(st.ip_addresses(v=4), st.integers(0, 32))
    six = st.tuples(st.ip_addresses(v=6), st.integers(1, 128))
    return (four | six).map(lambda pair: str(ipaddress.ip_network(pair, strict=False)))


def unique(strategy: st.SearchStrategy[Any], key: Any = None, size: int = 3) -> st.SearchStrategy[list[Any]]:
    return st.lists(strategy, max_size=size, unique_by=key or (lambda value: value))


def keyed(strategy: st.SearchStrategy[Any], attribute: str) -> st.SearchStrategy[dict[Any, Any]]:
    """Some of these by their name or tag."""
    return unique(strategy, lambda item: getattr(item, attribute)).map(
        lambda items: {getattr(item, attribute): item for item in items}
    )


passthrough = st.builds(
    model.RegistrationPassthrough,
    mode=st.sampled_from(["e2e", "p2p"]),
    rate_limit_expires=st.just(0) | st.integers(60, 65535),
    rate_limit_fail_count=st.just(0) | st.integers(2, 20),
)

trustpoints = st.builds(
    model.Trustpoint,
    name=names,
    enrollment=st.sampled_from(["", "selfsigned", "terminal", "terminal pem", "url http://ca.example:80"]),
    subject_name=sentences,
    revocation_check=st.sampled_from([("none",), ("crl",), ("crl", "none"), ("ocsp", "crl", "none")]),
    rsakeypair=st.just("") | names,
    hash=st.sampled_from(["", "sha1", "sha256"]),
    fqdn=st.just("") | names,
)

ctl_files = st.builds(
    model.CtlFile,
    name=names,
    description=sentences,
    record_entries=unique(
        st.builds(model.RecordEntry, st.sampled_from(["capf", "cucm-tftp", "selfsigned"]), names),
        lambda entry: (entry.role, entry.trustpoint),
    ),
    complete=st.booleans(),
)


@st.composite
def phone_proxies(draw: st.DrawFn) -> model.PhoneProxy:
    proxy = draw(
        st.builds(
            model.PhoneProxy,
            name=names,
            description=sentences,
            ctl_file=st.just("") | names,
            access_secure=st.booleans(),
            service_maps=unique(
                st.builds(model.ServiceMap, st.tuples(hosts, ports), st.tuples(hosts, ports)),
                lambda entry: (entry.server, entry.access),
            ),
            disable_service_settings=st.booleans(),
            session_timeout=st.integers(60, 6000),
            max_concurrent_sessions=st.integers(0, 500),
            complete=st.booleans(),
        )
    )
    if draw(st.booleans()):
        proxy.tftp_server = draw(hosts | domains)
        proxy.tftp_local, proxy.tftp_access = draw(hosts), draw(hosts)
    if draw(st.booleans()):
        proxy.capf_server, proxy.capf_access = draw(hosts), draw(hosts)
    return proxy


registrars = st.integers(60, 86400).flatmap(
    lambda low: st.builds(model.Registrar, expires_max=st.integers(low, 86400), expires_min=st.just(low))
)

voice_services = st.builds(
    model.VoiceService,
    allow_sip_to_sip=st.booleans(),
    address_hiding=st.booleans(),
    srtp=st.sampled_from(list(model.SrtpPolicy)),
    trusted=unique(networks()),
    trust_authenticate=st.booleans(),
    silent_discard_untrusted=st.booleans(),
    media_renegotiate=st.booleans(),
    refer_passed=st.booleans(),
    rtp_ports=st.none() | st.tuples(st.integers(1024, 20000), st.integers(20001, 65535)),
    registrar=st.none() | registrars,
    registration_passthrough=st.none() | passthrough,
    midcall=st.sampled_from(["passthru", "passthru media-change", "block", "preserve-codec"]),
    early_offer_forced=st.booleans(),
    srtp_negotiate_cisco=st.booleans(),
    srtp_crypto=tag_or_none,
    srtp_auth=auth_suites,
    bind_control=interface_or_none,
    bind_media=interface_or_none,
    pass_thru_headers=tag_or_none,
    session_refresh=st.booleans(),
    warn_header=st.booleans(),
    listen_port=ports,
    listen_port_secure=ports,
)

sip_uas = st.builds(
    model.SipUa,
    crypto_signaling=unique(
        st.builds(
            model.CryptoSignaling,
            remote=st.just("") | networks(),
            trustpoint=names,
            client_vtp=st.just("") | names,
            strict_cipher=st.booleans(),
            cn_san_validate=st.sampled_from(["", "server", "client", "bidirectional"]),
        ),
        lambda entry: entry.remote,
    ),
    tls_versions=st.sampled_from(
        [(each,) for each in TLS_VERSIONS] + [TLS_VERSIONS[start:] for start in range(4)] + [TLS_VERSIONS[:3]]
    ),
    connection_reuse=st.booleans(),
    check_media_src=st.booleans(),
    remote_party_id=st.booleans(),
    timers=st.dictionaries(st.sampled_from(TIMERS), st.integers(1, 100000), max_size=3),
    retry=st.dictionaries(st.sampled_from(RETRIES), st.integers(1, 100), max_size=3),
)

uri_classes = st.builds(
    model.UriClass,
    tag=names,
    hosts=unique(hosts | domains),
    user_id=patterns,
    pattern=patterns,
    phone_context=patterns,
)

keepalives = st.builds(
    model.KeepaliveProfile,
    tag=tags,
    up_interval=st.integers(5, 1200),
    down_interval=st.integers(5, 1200),
    retry=st.integers(1, 10),
    transport=st.none() | st.sampled_from(list(Transport)),
)

server_groups = st.builds(
    model.ServerGroup,
    tag=tags,
    members=unique(st.tuples(st.tuples(hosts, st.just(0) | ports), st.integers(0, 5)), lambda member: member[0]),
    hunt_scheme=st.sampled_from(["preference", "round-robin", "none"]),
    huntstop=unique(st.integers(400, 599)).map(sorted).map(tuple),
)


@st.composite
def dial_peers(draw: st.DrawFn) -> model.DialPeer:
    peer = draw(
        st.builds(
            model.DialPeer,
            tag=st.integers(1, 1073741823),
            description=sentences,
            shutdown=st.booleans(),
            protocol_sipv2=st.booleans(),
            target=st.sampled_from(["", "registrar", "sip-server"]),
            server_group=tag_or_none,
            transport=st.sampled_from(list(Transport)),
            destination_pattern=st.sampled_from(["", ".T", "1...", "+49[1-9]T"]),
            incoming_called_number=st.sampled_from(["", ".", "2..."]),
            incoming_uri=st.dictionaries(st.sampled_from(["request", "via", "from", "to"]), names, max_size=2),
            destination_uri=st.just("") | names,
            preference=st.integers(0, 10),
            srtp=st.sampled_from(list(model.SrtpPolicy)),
            srtp_negotiate_cisco=st.booleans(),
            srtp_crypto=tag_or_none,
            srtp_auth=auth_suites,
            codecs=st.just(()) | st.sampled_from(CODECS).map(lambda codec: (codec,)),
            dtmf_relay=unique(st.sampled_from(DTMF)).map(tuple),
            vad=st.booleans(),
            max_conn=st.just(0) | st.integers(1, 5000),
            pass_thru_headers=tag_or_none,
            bind_control=interface_or_none,
            bind_media=interface_or_none,
            registration_passthrough=st.none() | passthrough,
            midcall=st.sampled_from(["", "passthru", "passthru media-change", "block", "preserve-codec"]),
            keepalive=st.none() | keepalives.map(_in_a_dial_peer),
            phone_proxy=st.none() | st.builds(model.PhoneProxyAttachment, names, hosts, hosts),
            refer_consume=st.booleans(),
        )
    )
    if draw(st.booleans()):
        peer.target, peer.target_address = "host", (draw(hosts | domains), draw(st.just(0) | ports))
    if draw(st.booleans()):
        peer.voice_class_codec, peer.codec_offer_all = draw(tags), draw(st.booleans())
    peer.dtmf_digit_drop = bool(peer.dtmf_relay) and draw(st.booleans())
    return peer


def _in_a_dial_peer(profile: model.KeepaliveProfile) -> model.KeepaliveProfile:
    profile.transport = None
    return profile


farms = st.builds(
    model.DspfarmProfile,
    number=st.integers(1, 65535),
    service=st.sampled_from(["transcode", "conference", "mtp"]),
    universal=st.booleans(),
    security=st.booleans(),
    trustpoint=st.just("") | names,
    codecs=unique(st.sampled_from(CODECS)),
    maximum_sessions=st.just(0) | st.integers(1, 100),
    application=st.sampled_from(["", "SCCP", "CUBE"]),
    tls=st.booleans(),
    tls_version=st.sampled_from(["", "v1.0", "v1.2"]),
    shutdown=st.booleans(),
)

sccps = st.builds(
    model.Sccp,
    enabled=st.booleans(),
    local_interface=interface_or_none,
    ccms=unique(
        st.builds(
            model.SccpCcm,
            address=hosts,
            identifier=st.integers(1, 65535),
            version=st.sampled_from(["", "7.0", "4.1"]),
            port=st.integers(1025, 65535),
            trustpoint=st.just("") | names,
        ),
        lambda ccm: ccm.identifier,
    ),
    groups=keyed(
        st.builds(
            model.SccpCcmGroup,
            number=st.integers(1, 50),
            bind_interface=interface_or_none,
            associate_ccm=unique(st.tuples(st.integers(1, 65535), st.integers(1, 4)), lambda pair: pair[0]),
            associate_profile=unique(st.tuples(st.integers(1, 65535), words), lambda pair: pair[0]),
            switchover=st.sampled_from(["", "graceful", "immediate"]),
            switchback=st.sampled_from(["", "graceful", "guard", "immediate", "uptime"]),
            keepalive_retries=st.integers(1, 32),
        ),
        "number",
    ),
)

telephony = st.builds(
    model.TelephonyService,
    sdspfarm_units=st.integers(0, 10),
    sdspfarm_transcode_sessions=st.just(0) | st.integers(1, 256),
    sdspfarm_tags=st.dictionaries(st.integers(1, 10), words, max_size=3),
    source_address=st.none() | st.tuples(hosts, st.integers(2000, 9999)),
    secure_trustpoint=st.just("") | names,
    max_ephones=st.integers(0, 1000),
    max_dn=st.integers(0, 2000),
)

cards = st.builds(
    model.VoiceCard,
    slot=st.sampled_from(["0", "0/1"]),
    dsp_services_dspfarm=st.booleans(),
    codec_complexity=st.sampled_from(["", "flex", "flex reservation-fixed", "secure"]),
)


@st.composite
def configs(draw: st.DrawFn) -> model.Config:
    config = draw(
        st.builds(
            model.Config,
            version=st.sampled_from(["", "15.5", "17.9", "12.4(24)T"]),
            hostname=st.just("Router") | names.map(lambda name: name.rstrip("-_")),
            domain_name=st.just("") | domains,
            interfaces=keyed(
                st.builds(model.Interface, name=interfaces, description=sentences, shutdown=st.booleans()), "name"
            ),
            trustpoints=keyed(trustpoints, "name"),
            ctl_files=keyed(ctl_files, "name"),
            phone_proxies=keyed(phone_proxies(), "name"),
            voice=voice_services,
            sip_ua=sip_uas,
            uri_classes=keyed(uri_classes, "tag"),
            header_lists=st.dictionaries(tags, unique(names, str.lower), max_size=2),
            srtp_crypto=st.dictionaries(tags, suites, max_size=2),
            codec_classes=st.dictionaries(tags, unique(st.sampled_from(CODECS)).map(tuple), max_size=2),
            server_groups=keyed(server_groups, "tag"),
            keepalive_profiles=keyed(keepalives, "tag"),
            dial_peers=keyed(dial_peers(), "tag"),
            voice_cards=keyed(cards, "slot"),
            dspfarm_profiles=keyed(farms, "number"),
            sccp=sccps,
            telephony=st.none() | telephony,
            file_buffer=st.none() | st.builds(model.FileBuffer, st.integers(10, 60), st.integers(10, 3600)),
            tftp_address=st.just("") | hosts,
        )
    )
    for interface in config.interfaces.values():
        if draw(st.booleans()):
            interface.address, interface.mask = draw(v4), draw(masks)
    config.header_lists_unsupp = {tag for tag in config.header_lists if draw(st.booleans())}
    return config
