"""The sample configurations are normative: what they say is what the product has to do."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from cubeproxy.config.model import Config, PhoneProxyAttachment, RecordEntry, SrtpPolicy
from cubeproxy.config.model import Personality as P
from cubeproxy.config.parser import parse_config
from cubeproxy.config.references import check_references
from cubeproxy.protocols.values import Transport

ALL = ("sample-a", "sample-b", "sample-a-xe")


def sample(root: Path, name: str) -> Config:
    return parse_config((root / "lab" / "configs" / f"{name}.ios").read_text())


@pytest.mark.parametrize("name", ALL)
def test_every_name_in_a_sample_leads_somewhere(root: Path, name: str) -> None:
    assert check_references(sample(root, name)) == []


@pytest.mark.parametrize("name", ALL)
def test_a_sample_ignores_only_what_has_nothing_to_do_with_us(root: Path, name: str) -> None:
    about_voice = (
        "voice",
        "sip",
        "dial",
        "phone",
        "ctl",
        "crypto",
        "certificate",
        "uri",
        "codec",
        "srtp",
        "bind",
        "dspfarm",
    )
    assert [text for _, text in sample(root, name).ignored if any(word in text for word in about_voice)] == []


@pytest.mark.parametrize("name", ALL)
def test_a_sample_brings_its_trust(root: Path, name: str) -> None:
    config = sample(root, name)
    own = config.trustpoints["CUBE_SS"]
    assert own.enrollment == "selfsigned"
    assert x509.load_der_x509_certificate(own.certificates[0]).subject.rfc4514_string() == "CN=cube.lab.example"
    for authority in ("CAPF_PUB", "CAPF_SUB", "Cisco_Manufacturing_CA", "CAP-RTP-001", "CAP-RTP-002"):
        assert len(config.trustpoints[authority].ca_certificates) == 1
    records = config.ctl_files["LSCTL"].record_entries
    assert records[:3] == [
        RecordEntry("selfsigned", "CUBE_SS"),
        RecordEntry("capf", "CAPF_PUB"),
        RecordEntry("capf", "CAPF_SUB"),
    ]
    assert config.ctl_files["LSCTL"].complete


@pytest.mark.parametrize("name", ALL)
def test_a_sample_takes_phones_by_tls_and_srtp(root: Path, name: str) -> None:
    config = sample(root, name)
    access = config.dial_peers[100]
    assert (access.target, access.transport, access.srtp) == ("registrar", Transport.TLS, SrtpPolicy.STRICT)
    assert access.phone_proxy == PhoneProxyAttachment("LSPP", "192.0.2.1", "198.51.100.11")
    assert config.uri_classes[access.incoming_uri["request"]].hosts == ["192.0.2.1"]
    assert config.phone_proxies["LSPP"].access_secure
    assert config.interfaces[access.bind_media].address == "192.0.2.1"


@pytest.mark.parametrize(
    ("name", "personality", "transport", "srtp", "port"),
    [
        ("sample-a", P.IOS, Transport.TCP, SrtpPolicy.OFF, 0),
        ("sample-a-xe", P.IOSXE, Transport.TCP, SrtpPolicy.OFF, 0),
        ("sample-b", P.IOS, Transport.TLS, SrtpPolicy.STRICT, 5061),
    ],
)
def test_the_core_of_each_sample(
    root: Path, name: str, personality: P, transport: Transport, srtp: SrtpPolicy, port: int
) -> None:
    config = sample(root, name)
    assert config.personality is personality
    for tag, node, preference in ((200, "198.51.100.11", 0), (201, "198.51.100.12", 1)):
        core = config.dial_peers[tag]
        assert (core.target_address, core.transport, core.srtp) == ((node, port), transport, srtp)
        assert core.preference == preference
        assert core.keepalive is not None
        assert config.interfaces[core.bind_control].address == "198.51.100.1"


def test_sample_a_has_a_farm_and_its_line_side_on_ios_xe_has_none(root: Path) -> None:
    farm = sample(root, "sample-a").dspfarm_profiles[1]
    assert (farm.universal, farm.security, farm.tls, farm.shutdown) == (True, True, False, False)
    assert (farm.application, farm.maximum_sessions) == ("SCCP", 24)
    assert sample(root, "sample-a").sccp.groups[1].associate_profile == [(1, "CUBEXCODE")]
    other = sample(root, "sample-a-xe")
    assert (other.dspfarm_profiles, other.sccp.enabled, other.telephony) == ({}, False, None)


def test_sample_b_names_its_certificate_and_its_trust_for_every_node(root: Path) -> None:
    signaling = {
        entry.remote: (entry.trustpoint, entry.client_vtp) for entry in sample(root, "sample-b").sip_ua.crypto_signaling
    }
    assert signaling == {
        "198.51.100.11/32": ("CUBE_SS", "CCM_PUB"),
        "198.51.100.12/32": ("CUBE_SS", "CCM_SUB"),
        "": ("CUBE_SS", ""),
    }
