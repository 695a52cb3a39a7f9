"""Names that lead nowhere are found before the first call."""

from __future__ import annotations

import pytest

from cubeproxy.config.parser import parse_config
from cubeproxy.config.references import check_references
from cubeproxy.protocols.values import Severity

PEER = (
    "voice service voip\n allow-connections sip to sip\n"
    "dial-peer voice 1 voip\n session protocol sipv2\n session target registrar\n "
)


@pytest.mark.parametrize(
    ("text", "kind", "name"),
    [
        (PEER + "incoming uri from CORE", "URI class", "CORE"),
        (PEER + "destination uri ACC", "URI class", "ACC"),
        (PEER + "phone-proxy PP signal-addr ipv4 192.0.2.1 cucm ipv4 198.51.100.1", "phone proxy", "PP"),
        (PEER + "session server-group 3", "server group", 3),
        (PEER + "voice-class codec 3", "codec class", 3),
        (PEER + "voice-class sip srtp-crypto 3", "srtp-crypto", 3),
        (PEER + "voice-class sip pass-thru headers 3", "header list", 3),
        (PEER + "voice-class sip options-keepalive profile 3", "keepalive profile", 3),
        (PEER + "voice-class sip bind media source-interface Gi9", "interface", "GigabitEthernet9"),
        ("sip-ua\n crypto signaling default trustpoint TP", "trustpoint", "TP"),
        ("voice-ctl-file C\n record-entry capf trustpoint CAPF\n complete", "trustpoint", "CAPF"),
        ("voice-phone-proxy P\n ctl-file C\n complete", "CTL file", "C"),
        ("dspfarm profile 1 transcode\n trustpoint TP\n no shutdown", "trustpoint", "TP"),
        ("sccp ccm 198.51.100.1 identifier 1 trustpoint TP", "trustpoint", "TP"),
        ("telephony-service\n secure-signaling trustpoint TP", "trustpoint", "TP"),
        ("sccp ccm group 1\n associate ccm 4 priority 1", "call manager", 4),
        ("sccp ccm group 1\n associate profile 4 register XCODE", "dspfarm profile", 4),
    ],
)
def test_a_name_that_is_not_defined_is_found(text: str, kind: str, name: object) -> None:
    (event,) = check_references(parse_config(text))
    assert event.name == "config.unknown-reference"
    assert event.severity is Severity.ERROR
    assert (event.fields["kind"], event.fields["name"]) == (kind, name)
    assert str(name) in event.fix


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("voice-ctl-file C", "complete"),
        ("voice-phone-proxy P", "complete"),
        ("dspfarm profile 1 transcode", "no shutdown"),
        ("dspfarm profile 1 transcode security\n associate application SCCP\n no shutdown", "trustpoint NAME"),
        ("interface Gi1\nvoice service voip\n sip\n  bind control source-interface Gi1", "ip address"),
        ("interface Gi1\n ip address 192.0.2.1 255.255.255.0\n shutdown\nsccp local Gi1", "no shutdown"),
        (PEER + "no session protocol", "session protocol sipv2"),
        (PEER + "no session target", "session target"),
        ("dial-peer voice 1 voip\n session protocol sipv2\n session target registrar", "allow-connections"),
        ("voice-phone-proxy P\n capf-address ipv4 198.51.100.1 acc-addr ipv4 192.0.2.1\n complete", "ip address"),
    ],
)
def test_what_was_left_incomplete_is_found(text: str, fix: str) -> None:
    (event,) = check_references(parse_config(text))
    assert event.name == "config.incomplete"
    assert fix in event.fix


@pytest.mark.parametrize(
    ("voice", "first", "second", "found"),
    [
        ("", " srtp pass-thru\n", " srtp\n", True),
        ("", " srtp pass-thru\n", "", True),
        ("", " srtp pass-thru\n", " srtp pass-thru\n", False),
        (" srtp pass-thru\n", "", "", False),
        (" srtp pass-thru\n", " srtp\n", "", True),
        ("", " srtp pass-thru\n", " srtp\n shutdown\n", False),
        ("", " srtp\n", "", False),
    ],
)
def test_pass_thru_on_one_side_is_told(voice: str, first: str, second: str, found: bool) -> None:
    peer = "dial-peer voice {} voip\n session protocol sipv2\n session target registrar\n"
    text = f"voice service voip\n allow-connections sip to sip\n{voice}"
    text += peer.format(1) + first + peer.format(2) + second
    events = check_references(parse_config(text))
    assert [event.cause for event in events] == ["srtp pass-thru"] * found
    assert all("both dial peers" in event.fix for event in events)


PROXY = "voice service voip\n allow-connections sip to sip\nvoice-phone-proxy P\n complete\n"
PEERS = "dial-peer voice 1 voip\n session protocol sipv2\n session target ipv4:198.51.100.11\n{}"


@pytest.mark.parametrize(
    ("version", "line", "fix"),
    [
        ("15.7", " srtp fallback\n", "srtp negotiate cisco"),
        ("15.7", " srtp fallback\n voice-class sip srtp negotiate cisco\n", ""),
        ("15.7", " srtp\n", ""),
        ("15.7", " srtp fallback\n session target registrar\n", ""),
        ("17.9", " srtp\n voice-class sip srtp-auth sha1-80\n", "voice class srtp-crypto"),
        ("15.7", " srtp\n voice-class sip srtp-auth sha1-80\n", ""),
    ],
)
def test_srtp_commands_that_do_less_than_they_say_are_found(version: str, line: str, fix: str) -> None:
    events = check_references(parse_config(f"version {version}\n{PROXY}{PEERS.format(line)}"))
    assert [fix in event.fix for event in events] == [True] * bool(fix)


REMOTE = (
    "interface Gi1\n ip address 198.51.100.1 255.255.255.0\ncrypto pki trustpoint TP\n"
    "telephony-service\n sdspfarm units 2\n sdspfarm tag 1 FARM1\n"
)
FARM_HOST = (
    "interface Gi1\n ip address 198.51.100.9 255.255.255.0\ncrypto pki trustpoint TP\n"
    "sccp ccm 198.51.100.1 identifier 1\nsccp\n"
    "dspfarm profile 1 transcode security\n trustpoint TP\n associate application SCCP\n no shutdown\n"
)


def test_the_clear_side_of_a_call_on_its_way_to_another_host_is_told() -> None:
    (event,) = check_references(parse_config(REMOTE + " secure-signaling trustpoint TP\n"))
    assert (event.name, event.severity) == ("config.clear-media", Severity.WARNING)
    assert "DSP farm FARM1" in event.text
    assert "plain RTP" in event.text
    assert "IPsec" in event.fix


def test_so_it_is_on_the_farms_host() -> None:
    (event,) = check_references(parse_config(FARM_HOST))
    assert event.name == "config.clear-media"
    assert "call manager 198.51.100.1" in event.text


@pytest.mark.parametrize(
    "text",
    [
        REMOTE,  # farms of this box alone
        REMOTE + " secure-signaling trustpoint TP\n"
        "dspfarm profile 1 transcode security\n trustpoint TP\n no shutdown\n"
        "sccp ccm group 1\n associate profile 1 register FARM1\n",
        FARM_HOST.replace("198.51.100.9", "198.51.100.1"),
        FARM_HOST + "dspfarm profile 1\n no tls\n",
    ],
)
def test_where_both_are_one_box_nothing_is_told(text: str) -> None:
    assert check_references(parse_config(text)) == []
