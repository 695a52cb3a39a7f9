"""Which file for whom, and that nothing else has a name."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.phoneproxy.names import Kind, Wanted, classify

DEVICE = "SEP001122334455"
UUID = "1f6e1d2c-0a1b-4c5d-8e9f-001122334455"


@pytest.mark.parametrize(
    ("name", "kind", "device", "signed"),
    [
        (f"CTL{DEVICE}.tlv", Kind.CTL, DEVICE, False),
        ("CTLFile.tlv", Kind.CTL, "", False),
        (f"/CTL{DEVICE}.tlv", Kind.CTL, DEVICE, False),
        (f"ITL{DEVICE}.tlv", Kind.ITL, DEVICE, False),
        ("ITLFile.tlv", Kind.ITL, "", False),
        (f"{DEVICE}.cnf.xml", Kind.DEVICE_CONFIG, DEVICE, False),
        (f"{DEVICE}.cnf.xml.sgn", Kind.DEVICE_CONFIG, DEVICE, True),
        (f"{DEVICE}.cnf.xml.enc.sgn", Kind.ENCRYPTED_CONFIG, DEVICE, False),
        ("XMLDefault.cnf.xml", Kind.DEFAULT_CONFIG, "", False),
        (f"SK{UUID}.xml.sgn", Kind.RESOURCE, "", True),
        (f"FP{UUID}.xml", Kind.RESOURCE, "", False),
        ("AppDialRules.xml", Kind.RESOURCE, "", False),
        ("DistinctiveRinglist.xml", Kind.RESOURCE, "", False),
        ("New_Zealand/g3-tones.xml.sgn", Kind.RESOURCE, "", True),
        ("English_United_States/mk-sip.jar", Kind.RESOURCE, "", False),
        ("Desktops/320x212x16/List.xml", Kind.RESOURCE, "", False),
        ("Analog1.raw", Kind.RESOURCE, "", False),
        ("sip88xx.12-1-1-12.loads", Kind.FIRMWARE, "", False),
        ("kern88xx.12-1-1-12.sbn", Kind.FIRMWARE, "", False),
        ("SIP45.9-4-2SR3-1S.loads", Kind.FIRMWARE, "", False),
    ],
)
def test_each_kind_of_file(name: str, kind: Kind, device: str, signed: bool) -> None:
    assert classify(name) == Wanted(kind, name.removeprefix("/"), device, signed)


def test_the_plain_name_is_what_the_cluster_has() -> None:
    wanted = classify(f"{DEVICE}.cnf.xml.sgn")
    assert wanted is not None
    assert wanted.plain_name == f"{DEVICE}.cnf.xml"
    firmware = classify("rootfs88xx.12-1.sbn.sgn")
    assert firmware is not None
    assert (firmware.signed, firmware.plain_name) == (False, "rootfs88xx.12-1.sbn.sgn")


@pytest.mark.parametrize(
    "name",
    [
        "",
        "/",
        "..",
        "../../etc/passwd",
        "/etc/passwd",
        "//CTLFile.tlv",
        "a/../b.xml",
        "./a/b.xml",
        ".hidden/b.xml",
        "a/.b.xml",
        "a/b/c/d.xml",
        "a\\b.xml",
        "C:/b.xml",
        "a/b.xml\0",
        "a/b.xml\n",
        "CTLFile.tlv\n",
        "ctlfile.tlv",
        "CTLSEP00112233445.tlv",
        "CTLSEP0011223344556.tlv",
        "CTLSEP00112233445g.tlv",
        "CTLSEP001122334455.tlv.sgn",
        "SEP001122334455.cnf.xml.sgn.sgn",
        "SEP\u0660\u0661\u06622233445566.cnf.xml",
        "xSEP001122334455.cnf.xml",
        "key.pem",
        "a/" + "b" * 128 + ".xml",
        "%2e%2e/b.xml",
    ],
)
def test_everything_else_has_no_name(name: str) -> None:
    assert classify(name) is None


@given(st.text("ab./\\%\0\n", max_size=20).map(lambda text: text + ".xml"))
@settings(max_examples=150, deadline=None)
def test_no_name_leads_out_of_its_folder(name: str) -> None:
    wanted = classify(name)
    if wanted is not None:
        assert not {"", ".", ".."} & set(wanted.name.split("/"))
