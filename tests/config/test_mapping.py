"""`--map`: the router's addresses become the lab's, everywhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from cubeproxy.config.mapping import apply_map, parse_map
from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config
from cubeproxy.config.references import check_references
from cubeproxy.config.writer import write_config
from cubeproxy.protocols.errors import ConfigError
from tests.config.models import configs


@pytest.mark.parametrize("name", ["sample-a", "sample-b", "sample-a-xe"])
def test_no_address_of_the_router_is_left(root: Path, name: str) -> None:
    folder = root / "lab" / "configs"
    config = parse_config((folder / f"{name}.ios").read_text())
    mapped = write_config(apply_map(config, parse_map([f"@{folder / 'lab.map'}"])))
    assert re.findall(r".*(?:192\.0\.2|198\.51\.100)\..*", mapped) == []
    assert " ip address 127.0.10.1 255.255.255.0" in mapped


def test_the_original_stays_as_it_was(root: Path) -> None:
    config = parse_config((root / "lab" / "configs" / "sample-b.ios").read_text())
    before = write_config(config)
    apply_map(config, {"192.0.2.1": "127.0.10.1"})
    assert write_config(config) == before


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(configs())
def test_a_map_that_names_nothing_changes_nothing(config: Config) -> None:
    assert apply_map(config, {}) == config


def test_a_port_is_mapped_where_the_configuration_names_it() -> None:
    config = parse_config(
        "dial-peer voice 1 voip\n session target ipv4:198.51.100.11:5061\n"
        "dial-peer voice 2 voip\n session target ipv4:198.51.100.11\n"
        "voice-phone-proxy P\n"
        " service-map server-addr ipv4 198.51.100.11 port 8080 acc-addr ipv4 192.0.2.1 port 8080\n"
    )
    mapped = apply_map(
        config,
        parse_map(
            ["198.51.100.11:5061=127.0.20.11:15061", "198.51.100.11=127.0.20.12", "192.0.2.1:8080=127.0.0.1:18080"]
        ),
    )
    assert mapped.dial_peers[1].target_address == ("127.0.20.11", 15061)
    assert mapped.dial_peers[2].target_address == ("127.0.20.12", 0)
    assert mapped.phone_proxies["P"].service_maps[0].server == ("127.0.20.12", 8080)
    assert mapped.phone_proxies["P"].service_maps[0].access == ("127.0.0.1", 18080)


def test_a_name_is_mapped_to_an_address() -> None:
    config = parse_config("dial-peer voice 1 voip\n session target dns:cucm.lab.example:5061\n")
    mapped = apply_map(config, parse_map(["cucm.lab.example=127.0.20.11"]))
    assert mapped.dial_peers[1].target_address == ("127.0.20.11", 5061)


def test_addresses_inside_patterns_are_mapped_whole() -> None:
    config = parse_config(
        "voice class uri A sip\n pattern sip:.*@192\\.0\\.2\\.1;\n"
        "voice class uri B sip\n pattern 192.0.2.11|192.0.2.1\n"
    )
    mapped = apply_map(config, {"192.0.2.1": "127.0.10.1"})
    assert mapped.uri_classes["A"].pattern == "sip:.*@127\\.0\\.10\\.1;"
    assert mapped.uri_classes["B"].pattern == "192.0.2.11|127.0.10.1"


def test_a_trusted_network_stays_and_its_mapped_hosts_come_beside_it() -> None:
    config = parse_config(
        "voice service voip\n ip address trusted list\n  ipv4 198.51.100.0 255.255.255.0\n  ipv4 192.0.2.9\n"
    )
    mapped = apply_map(config, {"198.51.100.11": "127.0.20.11", "192.0.2.9": "127.0.0.9"})
    assert mapped.voice.trusted == ["198.51.100.0/24", "127.0.20.11/32", "127.0.0.9/32"]


def test_two_addresses_may_change_places() -> None:
    config = parse_config(
        "interface Gi1\n ip address 192.0.2.1 255.255.255.0\ninterface Gi2\n ip address 192.0.2.2 255.255.255.0"
    )
    mapped = apply_map(config, {"192.0.2.1": "192.0.2.2", "192.0.2.2": "192.0.2.1"})
    assert [interface.address for interface in mapped.interfaces.values()] == ["192.0.2.2", "192.0.2.1"]


def test_a_mask_is_no_address() -> None:
    config = parse_config("interface Gi1\n ip address 192.0.2.1 255.255.255.0\n")
    assert apply_map(config, {"255.255.255.0": "127.0.0.1"}).interfaces["GigabitEthernet1"].mask == "255.255.255.0"


def test_a_file_has_comments_and_blank_lines() -> None:
    text = "# lab\n\n192.0.2.1=127.0.10.1  # access\n 2001:db8::1 = ::1 \n"
    assert parse_map(["@some.map"], read=lambda path: text) == {"192.0.2.1": "127.0.10.1", "2001:db8::1": "::1"}


@pytest.mark.parametrize(
    "item",
    [
        "192.0.2.1",
        "192.0.2.1=",
        "=127.0.0.1",
        "192.0.2.1:5061=127.0.0.1",
        "192.0.2.1=127.0.0.1:5061",
        "a b=c",
        "192.0.2.1:0=127.0.0.1:0",
        "192.0.2.1:99999=127.0.0.1:1",
    ],
)
def test_a_bad_entry_is_refused_with_the_form_that_is_right(item: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_map([item])
    assert "OLD=NEW" in refused.value.fix


@pytest.mark.parametrize("item", ["10.0.0.1=999.1.1.1", "10.0.0=127.0.0.1", "10.0.0.1:5061=127.0.0.300:5061"])
def test_digits_that_are_no_address_are_refused_by_name(item: str) -> None:
    with pytest.raises(ConfigError, match=r"^(999\.1\.1\.1|10\.0\.0|127\.0\.0\.300) is no IPv4 address") as refused:
        parse_map([item])
    assert refused.value.fix == "four numbers from 0 to 255"


def test_an_entry_that_names_nothing_is_kept_to_be_told() -> None:
    config = parse_config(
        "interface Gi1\n ip address 192.0.2.1 255.255.255.0\n"
        "voice service voip\n ip address trusted list\n  ipv4 198.51.100.0 255.255.255.0\n"
        "crypto pki trustpoint CA\n enrollment url http://203.0.113.7:80\n"
        "telephony-service\n ip source-address 198.51.100.1 port 2000\n"
    )
    new = "127.0.0.1"
    used = {"192.0.2.1": new, "198.51.100.9": new, "203.0.113.7": new, "198.51.100.1:2000": f"{new}:2001"}
    idle = {"192.0.2.2": new, "192.0.2.1:5061": f"{new}:5061", "ca.example": "b.example"}
    mapped = apply_map(config, {**used, **idle})
    assert mapped.unmapped == list(idle)
    assert apply_map(config, used).unmapped == []
    assert [event.fields["address"] for event in check_references(mapped) if event.name == "config.unmapped"] == list(
        idle
    )


@pytest.mark.parametrize("name", ["sample-a", "sample-b", "sample-a-xe"])
def test_the_samples_need_every_entry_of_their_map(root: Path, name: str) -> None:
    folder = root / "lab" / "configs"
    config = parse_config((folder / f"{name}.ios").read_text())
    assert apply_map(config, parse_map([f"@{folder / 'lab.map'}"])).unmapped == []


def test_a_bad_entry_of_a_file_is_refused_with_its_line() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_map(["@some.map"], read=lambda path: "192.0.2.1=127.0.0.1\nnonsense\n")
    assert refused.value.line == 2


def test_an_address_cannot_be_mapped_to_two_others() -> None:
    with pytest.raises(ConfigError, match=r"is mapped to 127\.0\.0\.1 and to 127\.0\.0\.2"):
        parse_map(["192.0.2.1=127.0.0.1", "192.0.2.1=127.0.0.2"])


def test_a_file_that_is_not_there_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        parse_map([f"@{tmp_path / 'none.map'}"])
