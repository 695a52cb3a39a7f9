"""How configuration text is read: modes, abbreviations, variants, noise."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

from cubeproxy.config.model import Config, Personality, RecordEntry, ServiceMap, SrtpPolicy
from cubeproxy.config.parser import parse_config
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Transport


def read(text: str) -> Config:
    return parse_config(textwrap.dedent(text))


def test_indentation_tells_which_mode_a_line_belongs_to() -> None:
    config = read("""
        dial-peer voice 1 voip
         description one
        dial-peer voice 2 voip
         description two
        """)
    assert [peer.description for peer in config.dial_peers.values()] == ["one", "two"]


def test_text_without_indentation_is_read_as_the_router_reads_it() -> None:
    config = read("""
        voice service voip
        sip
        registrar server
        early-offer forced
        allow-connections sip to sip
        dial-peer voice 1 voip
        session target registrar
        something unknown
        session protocol sipv2
        sip-ua
        connection-reuse
        """)
    assert config.voice.registrar is not None
    assert config.voice.early_offer_forced
    assert config.voice.allow_sip_to_sip
    assert config.dial_peers[1].target == "registrar"
    assert config.dial_peers[1].protocol_sipv2
    assert config.sip_ua.connection_reuse
    assert config.ignored == [(9, "something unknown")]


def test_a_paste_that_is_indented_as_a_whole_is_the_same() -> None:
    text = "dial-peer voice 1 voip\n description one\n!\nsip-ua\n connection-reuse\n"
    assert parse_config(textwrap.indent(text, "    ")) == parse_config(text)


def test_exit_leaves_a_mode_and_end_leaves_the_configuration() -> None:
    config = read("""
        configure terminal
        voice service voip
        sip
        exit
        exit
        hostname cube
        end
        hostname other
        Router#conf t
        conf t
        hostname third
        """)
    assert config.hostname == "third"
    assert config.ignored == [(9, "hostname other"), (10, "Router#conf t")]


def test_what_stands_below_an_unknown_line_is_not_read() -> None:
    config = read("""
        router rip
         version 2
         shutdown
        interface GigabitEthernet0/0
         ip address 192.0.2.1 255.255.255.0
         crypto map OUTSIDE
          shutdown
         description access
        """)
    assert config.version == ""
    assert not config.interfaces["GigabitEthernet0/0"].shutdown
    assert config.interfaces["GigabitEthernet0/0"].description == "access"
    assert [number for number, _ in config.ignored] == [2, 3, 4, 7, 8]


def test_a_foreign_mode_swallows_its_lines_without_indentation_too() -> None:
    config = read("""
        dial-peer voice 1 voip
        description phones
        voice-port 0/0/0
        description fax
        """)
    assert config.dial_peers[1].description == "phones"


def test_a_dial_peer_of_another_kind_is_not_ours() -> None:
    config = read("""
        dial-peer voice 9 pots
         destination-pattern 9T
        """)
    assert config.dial_peers == {}


def test_a_mode_can_be_entered_again() -> None:
    config = read("""
        dial-peer voice 1 voip
         description one
        dial-peer voice 1
         preference 3
        """)
    assert (config.dial_peers[1].description, config.dial_peers[1].preference) == ("one", 3)


def test_words_may_be_abbreviated_to_a_unique_prefix() -> None:
    config = read("""
        host cube
        int gi0/0
         ip addr 192.0.2.1 255.255.255.0
         no shut
        dial-p voice 5 voip
         desc phones
         sess proto sipv2
         sess tar ipv4:198.51.100.11
         sess trans tcp tls
         inc uri req ACC
         dtmf rtp-nte
        """)
    peer = config.dial_peers[5]
    assert config.hostname == "cube"
    assert config.interfaces["GigabitEthernet0/0"].address == "192.0.2.1"
    assert (peer.description, peer.target_address, peer.transport) == ("phones", ("198.51.100.11", 0), Transport.TLS)
    assert (peer.incoming_uri, peer.dtmf_relay) == ({"request": "ACC"}, ("rtp-nte",))


def test_an_ambiguous_abbreviation_is_reported_and_changes_nothing() -> None:
    config = read("""
        dial-peer voice 5 voip
         s
         des something
        """)
    assert [text for _, text in config.ignored] == ["s", "des something"]


def test_an_argument_is_not_taken_for_the_next_word_of_a_longer_command() -> None:
    config = read("""
        voice class sip-hdr-passthrulist 1
         passthru-hdr U
         passthru-hdr-unsupp
        """)
    assert config.header_lists == {1: ["U"]}
    assert config.header_lists_unsupp == {1}


@pytest.mark.parametrize(
    "line",
    ["disable service-settings", "disable-service-settings", "disable service settings", "DISABLE Service-Settings"],
)
def test_hyphen_and_space_are_the_same_between_words(line: str) -> None:
    config = parse_config(f"voice-phone-proxy P\n {line}\n")
    assert config.phone_proxies["P"].disable_service_settings


def test_the_vendors_own_sample_is_read_with_its_spellings() -> None:
    config = read("""
        voice-phone-proxy mypp
         description mycluster
         tftp-server address ipv4 198.51.100.101 local-addr ipv4 198.51.100.2 acc-addr 192.0.2.1
         ctl-file myctl
         access-secure
         disable-service-settings
         capf-addr ipv4 198.51.100.101 acc-addr ipv4 192.0.2.1
         service-map server-addr ipv4 198.51.100.101 port 8080 acc-addr ipv4 192.0.2.1 port 1234
         session-timer 200
         complete
        phone-proxy tftp-address ipv4 198.51.100.1
        """)
    proxy = config.phone_proxies["mypp"]
    assert (proxy.tftp_server, proxy.tftp_local, proxy.tftp_access) == ("198.51.100.101", "198.51.100.2", "192.0.2.1")
    assert (proxy.capf_server, proxy.capf_access) == ("198.51.100.101", "192.0.2.1")
    assert proxy.service_maps == [ServiceMap(("198.51.100.101", 8080), ("192.0.2.1", 1234))]
    assert (proxy.session_timeout, proxy.disable_service_settings, proxy.complete) == (200, True, True)
    assert config.tftp_address == "198.51.100.1"
    assert config.ignored == []


@pytest.mark.parametrize(
    "spelling", ["GigabitEthernet0/0", "gigabitethernet0/0", "gi0/0", "Gig 0/0", "GigabitEthernet 0/0"]
)
def test_an_interface_has_one_name(spelling: str) -> None:
    config = parse_config(
        f"interface {spelling}\ndial-peer voice 1 voip\n voice-class sip bind all source-interface {spelling}"
    )
    assert list(config.interfaces) == ["GigabitEthernet0/0"]
    assert config.dial_peers[1].bind_control == config.dial_peers[1].bind_media == "GigabitEthernet0/0"


def test_a_remark_at_the_end_of_a_line_is_no_argument() -> None:
    config = read("""
        ! a comment
        dial-peer voice 1 voip
         session target registrar   ! phones
         description we say ! a lot
        """)
    assert config.dial_peers[1].target == "registrar"
    assert config.dial_peers[1].description == "we say ! a lot"
    assert config.ignored == []


def test_no_takes_back_what_was_said() -> None:
    config = read("""
        voice-phone-proxy P
         access-secure
         session-timeout 600
         service-map server-addr ipv4 198.51.100.1 port 80 acc-addr ipv4 192.0.2.1 port 80
        voice-phone-proxy P
         no access-secure
         no session-timeout
         no service-map server-addr ipv4 198.51.100.1 port 80 acc-addr ipv4 192.0.2.1 port 80
        voice-ctl-file C
         record-entry capf trustpoint A
         record-entry capf trustpoint B
         no record-entry capf trustpoint A
        dial-peer voice 1 voip
         srtp
         no srtp
         no vad
         voice-class sip options-keepalive
         no voice-class sip options-keepalive
        dial-peer voice 2 voip
        no dial-peer voice 2 voip
        voice class uri X sip
        no voice class uri X
        sip-ua
         no remote-party-id
        """)
    proxy = config.phone_proxies["P"]
    assert (proxy.access_secure, proxy.session_timeout, proxy.service_maps) == (False, 180, [])
    assert config.ctl_files["C"].record_entries == [RecordEntry("capf", "B")]
    peer = config.dial_peers[1]
    assert (peer.srtp, peer.vad, peer.keepalive) == (SrtpPolicy.OFF, False, None)
    assert list(config.dial_peers) == [1]
    assert config.uri_classes == {}
    assert not config.sip_ua.remote_party_id


@pytest.mark.parametrize(
    ("version", "personality"),
    [
        ("15.5", Personality.IOS),
        ("12.4(24)T", Personality.IOS),
        ("16.9", Personality.IOSXE),
        ("17.9", Personality.IOSXE),
    ],
)
def test_the_version_line_chooses_the_personality(version: str, personality: Personality) -> None:
    assert parse_config(f"version {version}\n").personality is personality


def test_srtp_has_three_forms() -> None:
    config = read("""
        dial-peer voice 1 voip
         srtp
        dial-peer voice 2 voip
         srtp fallback
        dial-peer voice 3 voip
         srtp pass-thru
        """)
    policies = [peer.srtp for peer in config.dial_peers.values()]
    assert policies == [SrtpPolicy.STRICT, SrtpPolicy.FALLBACK, SrtpPolicy.PASS_THRU]


def test_a_session_target_is_a_literal_or_a_name_with_or_without_port() -> None:
    config = read("""
        dial-peer voice 1 voip
         session target ipv4:198.51.100.11:5061
        dial-peer voice 2 voip
         session target dns:cucm.lab.example
        dial-peer voice 3 voip
         session target ipv6:[2001:DB8::1]:5060
        """)
    targets = [peer.target_address for peer in config.dial_peers.values()]
    assert targets == [("198.51.100.11", 5061), ("cucm.lab.example", 0), ("2001:db8::1", 5060)]


def test_preference_numbers_give_the_order_of_suites_and_codecs() -> None:
    config = read("""
        voice class srtp-crypto 1
         crypto 2 AES_CM_128_HMAC_SHA1_32
         crypto 1 AEAD_AES_256_GCM
        voice class codec 1
         codec preference 3 g711alaw
         codec preference 1 g729r8 bytes 20
        """)
    assert config.srtp_crypto == {1: (Suite.AEAD_AES_256_GCM, Suite.AES_CM_128_HMAC_SHA1_32)}
    assert config.codec_classes == {1: ("g729r8", "g711alaw")}


def test_keepalive_of_a_dial_peer_and_of_a_profile() -> None:
    config = read("""
        voice class sip-options-keepalive 7
         transport tcp tls
         down-interval 10
        dial-peer voice 1 voip
         voice-class sip options-keepalive up-interval 20 retry 2
        dial-peer voice 2 voip
         voice-class sip options-keepalive profile 7
        """)
    first, second = config.dial_peers[1].keepalive, config.dial_peers[2].keepalive
    assert first is not None
    assert second is not None
    assert (first.up_interval, first.down_interval, first.retry) == (20, 30, 2)
    assert second.tag == 7
    assert config.keepalive_profiles[7].transport is Transport.TLS


def test_a_server_group_keeps_ports_and_preferences() -> None:
    config = read("""
        voice class server-group 1
         ipv4 198.51.100.11 port 5061 preference 1
         ipv4 198.51.100.12
         hunt-scheme round-robin
         huntstop 1 resp-code 486 to 488
        """)
    group = config.server_groups[1]
    assert group.members == [(("198.51.100.11", 5061), 1), (("198.51.100.12", 0), 0)]
    assert (group.hunt_scheme, group.huntstop) == ("round-robin", (486, 487, 488))


def test_crypto_signaling_by_peer_and_default() -> None:
    config = read("""
        sip-ua
         crypto signaling remote-addr 198.51.100.0 255.255.255.0 trustpoint CUBE client-vtp CCM strict-cipher
         crypto signaling default trustpoint CUBE
         transport tcp tls v1.0 minimum
        """)
    remote, default = config.sip_ua.crypto_signaling
    assert (remote.remote, remote.trustpoint, remote.client_vtp) == ("198.51.100.0/24", "CUBE", "CCM")
    assert (default.remote, default.trustpoint) == ("", "CUBE")
    assert config.sip_ua.tls_versions == ("v1.0", "v1.1", "v1.2", "v1.3")


def test_the_media_source_check_is_read() -> None:
    assert parse_config("sip-ua\n nat symmetric check-media-src\n").sip_ua.check_media_src


def test_a_banner_is_no_configuration() -> None:
    config = read("""
        banner motd ^C
        hostname trap
        dial-peer voice 1 voip
        ^C
        banner exec #one line#
        hostname cube
        """)
    assert config.hostname == "cube"
    assert config.dial_peers == {}


def test_windows_line_ends_and_trailing_blanks_are_read() -> None:
    config = parse_config("hostname cube  \r\ndial-peer voice 1 voip\r\n description one \r\n")
    assert (config.hostname, config.dial_peers[1].description) == ("cube", "one")


def test_forms_that_are_not_modelled_are_reported_with_their_line() -> None:
    config = read("""
        interface GigabitEthernet0/1
         ip address dhcp
        voice service voip
         allow-connections h323 to sip
         sip
          registration passthrough local-fallback 5
        """)
    assert config.ignored == [
        (3, "ip address dhcp"),
        (5, "allow-connections h323 to sip"),
        (7, "registration passthrough local-fallback 5"),
    ]


@pytest.mark.parametrize(
    "line",
    [
        "enable secret 5 $1$abcd$TOPSECRET",
        "username admin privilege 15 password 7 TOPSECRET",
        "snmp-server community TOPSECRET RO",
        "tacacs-server key 7 TOPSECRET",
        "authentication username 1001 password 7 TOPSECRET realm cisco",
        "credentials username 1 password 0 TOPSECRET realm x",
        "crypto isakmp key TOPSECRET address 192.0.2.7",
        "ntp authentication-key 1 md5 TOPSECRET 7",
        "key-string TOPSECRET",
        "neighbor 192.0.2.9 password TOPSECRET",
    ],
)
def test_ignored_lines_show_no_secret(line: str) -> None:
    config = parse_config(line + "\n")
    ((number, shown),) = config.ignored
    assert number == 1
    assert "TOPSECRET" not in shown
    assert "<redacted>" in shown


def test_an_interface_of_an_unknown_kind_is_reported_with_what_stands_below() -> None:
    config = read("""
        interface range Gi0/0 - 1
         shutdown
        hostname cube
        """)
    assert config.interfaces == {}
    assert [number for number, _ in config.ignored] == [2, 3]


def test_the_predefined_header_list_may_be_named() -> None:
    config = parse_config("dial-peer voice 1 voip\n voice-class sip pass-thru headers 20001\n")
    assert config.dial_peers[1].pass_thru_headers == 20001


def test_options_of_crypto_signaling_that_change_nothing_here_do_not_lose_the_trustpoint() -> None:
    config = parse_config("sip-ua\n crypto signaling default trustpoint CUBE ecdsa-cipher curve-size 384\n")
    assert config.sip_ua.crypto_signaling[0].trustpoint == "CUBE"


def test_a_certificate_that_is_pasted_twice_counts_once(root: Path) -> None:
    text = (root / "lab" / "configs" / "sample-a.ios").read_text()
    once = parse_config(text)
    twice = parse_config(text.removesuffix("end\n") + text)
    assert twice.trustpoints == once.trustpoints
