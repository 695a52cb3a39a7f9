"""From the cluster's file to the phone's: verified, turned, signed again, and refused with a reason."""

from __future__ import annotations

import pytest

from cubeproxy.phoneproxy.ctl import TrustFiles
from cubeproxy.phoneproxy.names import Wanted, classify
from cubeproxy.phoneproxy.preparing import FileRefused, Preparer
from cubeproxy.phoneproxy.rewrite import rewrite
from cubeproxy.protocols.trustlist import Role, read_list, record_of, sign_file, sign_list, validate_signed
from tests.phoneproxy.samples import CONFIG, VIEW
from tests.protocols.trustlist.makers import NOW, certificate, signer

NAME = "SEP001122334455.cnf.xml"
OURS = signer("CUBE")
CTL = sign_list([record_of(OURS.certificate, Role.SAST), record_of(OURS.certificate, Role.CCM_TFTP)], OURS, NOW)
TRUST = TrustFiles(CTL, b"itl", NOW, fresh=True)


def wanted(name: str) -> Wanted:
    found = classify(name)
    assert found is not None
    return found


def open_cluster() -> Preparer:
    return Preparer(VIEW, OURS, TRUST)


def mixed_mode() -> Preparer:
    return Preparer(VIEW, OURS, TRUST, [certificate("CCM1"), certificate("CCM2")])


def refused(preparer: Preparer, name: str, upstream: bytes) -> tuple[str, str]:
    with pytest.raises(FileRefused) as caught:
        preparer.prepare(wanted(name), upstream, NOW)
    event = caught.value.event
    assert event.name == "file.refused"
    return event.cause, event.fix


def test_trust_lists_are_ours() -> None:
    preparer = open_cluster()
    assert preparer.own(wanted("CTLSEP001122334455.tlv")) == CTL
    assert preparer.own(wanted("ITLFile.tlv")) == b"itl"
    assert preparer.own(wanted(NAME)) is None


def test_what_is_asked_of_the_cluster() -> None:
    for preparer, name, upstream in (
        (open_cluster(), NAME, NAME),
        (open_cluster(), f"{NAME}.sgn", NAME),
        (mixed_mode(), NAME, f"{NAME}.sgn"),
        (mixed_mode(), f"{NAME}.sgn", f"{NAME}.sgn"),
        (mixed_mode(), "sip88xx.12-1.loads", "sip88xx.12-1.loads"),
    ):
        assert preparer.upstream_name(wanted(name)) == upstream


def test_a_phone_with_our_list_believes_what_it_gets() -> None:
    prepared = open_cluster().prepare(wanted(f"{NAME}.sgn"), CONFIG, NOW)
    signed = validate_signed(prepared.content, (read_list(CTL),), f"{NAME}.sgn")
    assert signed.payload == rewrite(CONFIG, VIEW).data


def test_a_phone_without_a_list_gets_plain_text() -> None:
    assert open_cluster().prepare(wanted(NAME), CONFIG, NOW).content == rewrite(CONFIG, VIEW).data


def test_what_was_turned_is_an_event() -> None:
    *_, event = open_cluster().prepare(wanted(NAME), CONFIG, NOW).events
    assert (event.name, event.device) == ("config.rewritten", "SEP001122334455")
    assert "device/deviceSecurityMode: 1 -> 3" in event.fields["changes"]  # type: ignore[operator]
    assert event.fields["kept"] == ["198.51.100.11:80"]


def test_an_unauthenticated_cluster_is_told_once() -> None:
    preparer = open_cluster()
    names = [event.name for _ in range(3) for event in preparer.prepare(wanted(NAME), CONFIG, NOW).events]
    assert names.count("config.upstream-unauthenticated") == 1
    assert mixed_mode().prepare(wanted(NAME), by_cluster(), NOW).events[0].name == "config.rewritten"


def by_cluster(name: str = f"{NAME}.sgn", by: str = "CCM2", content: bytes = CONFIG) -> bytes:
    return sign_file(content, name, signer(by), NOW)


def test_mixed_mode_files_are_verified_and_signed_anew() -> None:
    prepared = mixed_mode().prepare(wanted(f"{NAME}.sgn"), by_cluster(), NOW)
    assert validate_signed(prepared.content, (read_list(CTL),), f"{NAME}.sgn").payload == rewrite(CONFIG, VIEW).data


def test_mixed_mode_files_that_do_not_verify_are_refused() -> None:
    for upstream, cause in (
        (by_cluster(by="STRANGER"), "digest"),  # the same serial number
        (by_cluster("SEP00112233445A.cnf.xml.sgn"), "file-name"),
        (by_cluster()[:-1], "digest"),
        (CONFIG, "malformed"),
    ):
        found, fix = refused(mixed_mode(), f"{NAME}.sgn", upstream)
        assert (found, "record-entry cucm-tftp" in fix) == (cause, True)


def test_resources_pass_unturned() -> None:
    name = "New_Zealand/g3-tones.xml"
    upstream = b"<!DOCTYPE tones><tones/>"  # nobody reads it here
    assert open_cluster().prepare(wanted(name), upstream, NOW).content == upstream
    signed = open_cluster().prepare(wanted(f"{name}.sgn"), upstream, NOW).content
    assert validate_signed(signed, (read_list(CTL),), f"{name}.sgn").payload == upstream
    firmware = b"\x01" * 100
    assert mixed_mode().prepare(wanted("kern88xx.12-1.sbn"), firmware, NOW).content == firmware


def test_encrypted_configurations_are_refused_with_the_way_out() -> None:
    with pytest.raises(FileRefused) as caught:
        open_cluster().own(wanted("SEP001122334455.cnf.xml.enc.sgn"))
    assert "TFTP Encrypted Config" in caught.value.event.fix
    cause, fix = refused(open_cluster(), NAME, b"<device><fullConfig>false</fullConfig></device>")
    assert (cause, "TFTP Encrypted Config" in fix) == ("encrypted", True)
    assert refused(open_cluster(), NAME, b"<!DOCTYPE a><device/>") == ("dtd", "")
