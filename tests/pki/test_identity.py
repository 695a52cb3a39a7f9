"""Who a peer is, and why it is refused."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from OpenSSL._util import lib

from cubelab.pki.issue import Issued, Names, issue
from cubelab.pki.lab import Lab
from cubelab.pki.profiles import load_profiles
from cubeproxy.config.model import Config
from cubeproxy.pki.anchors import TrustAnchors
from cubeproxy.pki.identity import identify, make_judge
from cubeproxy.pki.names import DEVICE_NAME, authority_kind, names_host
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import TrustError
from tests.pki.conftest import NOW, presented

PHONE = "SEP001122334455"
PROFILES = load_profiles()


@pytest.fixture(scope="module")
def anchors(lab: Lab, sample_b: Config) -> TrustAnchors:
    return Store(lab.nvram, sample_b.trustpoints).anchors()


def made(profile: str, names: Names, issuer: Issued | None = None, now: datetime = NOW) -> Issued:
    return issue(PROFILES[profile], names, issuer, now)


def refusal(chain: Sequence[x509.Certificate], anchors: TrustAnchors, now: datetime = NOW) -> TrustError:
    with pytest.raises(TrustError) as refused:
        identify(chain, anchors, now)
    assert refused.value.fix
    return refused.value


def test_a_phone_with_an_lsc_is_known_by_its_name_and_by_the_node_that_issued_it(
    lab: Lab, anchors: TrustAnchors
) -> None:
    identity = identify(presented(lab.phones[PHONE]), anchors, NOW)
    assert (identity.name, identity.kind, identity.trustpoint) == (PHONE, "LSC", "CAPF_PUB")
    assert identity.subject.startswith("CN=CP-8841-SEP001122334455,")
    assert "CN=CAPF-1a2b3c4d" in identity.issuer
    certificate = presented(lab.phones[PHONE])[0]
    assert identity.fingerprint == certificate.fingerprint(hashes.SHA256()).hex()


def test_the_bare_device_name_and_the_other_node_are_as_good(lab: Lab, anchors: TrustAnchors) -> None:
    identity = identify(presented(lab.phones["SEP001122334466"]), anchors, NOW)
    assert (identity.name, identity.kind, identity.trustpoint) == ("SEP001122334466", "LSC", "CAPF_SUB")


def test_a_phone_with_a_mic_is_known_without_the_makers_root(lab: Lab, anchors: TrustAnchors) -> None:
    identity = identify(presented(lab.mics[PHONE]), anchors, NOW)
    assert (identity.name, identity.kind, identity.trustpoint) == (PHONE, "MIC", "Cisco_Manufacturing_CA")


def test_a_mic_is_one_when_the_trustpoint_has_the_root_and_the_phone_sends_what_is_between() -> None:
    root = made("mic-root", {})
    maker = made("manufacturing-ca", {}, root)
    mic = made("mic", {"device": PHONE, "model": "8841", "serial": "1"}, maker)
    anchors = TrustAnchors({"MAKER_ROOT": [root.certificate]})
    identity = identify([mic.certificate, maker.certificate], anchors, NOW)
    assert (identity.name, identity.kind, identity.trustpoint) == (PHONE, "MIC", "MAKER_ROOT")
    assert "no trustpoint vouches" in str(refusal([mic.certificate], anchors))


def test_the_trustpoint_nearest_to_the_certificate_vouches() -> None:
    root = made("mic-root", {})
    maker = made("manufacturing-ca", {}, root)
    mic = made("mic", {"device": PHONE, "model": "8841", "serial": "1"}, maker)
    anchors = TrustAnchors({"ROOT": [root.certificate], "MAKER": [maker.certificate]})
    assert identify([mic.certificate, maker.certificate], anchors, NOW).trustpoint == "MAKER"


def test_a_cluster_node_is_a_peer_without_a_name(lab: Lab, anchors: TrustAnchors) -> None:
    for role in ("client", "server"):
        identity = identify(presented(lab.cucm["pub"]), anchors, NOW, role=role)
        assert (identity.name, identity.kind, identity.trustpoint) == ("", "peer", "CCM_PUB")


def test_a_companys_own_authority_may_stand_behind_capf() -> None:
    authority = made("enterprise-ca", {})
    anchors = TrustAnchors({"COMPANY": [authority.certificate]})
    device = issue(PROFILES["lsc-plain"], {"device": PHONE}, authority, NOW)
    assert (identify([device.certificate], anchors, NOW).kind, identify([device.certificate], anchors, NOW).name) == (
        "LSC",
        PHONE,
    )
    server = issue(PROFILES["web-server"], {"host": "sbc.lab.example", "addresses": ["192.0.2.5"]}, authority, NOW)
    assert (identify([server.certificate], anchors, NOW).kind, identify([server.certificate], anchors, NOW).name) == (
        "peer",
        "",
    )


@pytest.mark.parametrize(
    ("fault", "says", "trustpoint"),
    [
        ("expired-mic", "expired on 2026-01-30", ""),
        ("not-yet-valid", "is not valid before 2026-03-02 12:00, and now is 2026-03-01 12:00", ""),
        ("wrong-usage", "extended key usage does not allow client authentication", "CAPF_PUB"),
        ("wrong-key-usage", "key usage does not allow digital signatures", "CAPF_PUB"),
        ("sha1", "signed with SHA1", "CAPF_PUB"),
        ("weak-key", "1024 bits", "CAPF_PUB"),
        ("unknown-capf", "no trustpoint vouches for that issuer", "CAPF_0badcafe"),
        ("forged-issuer", "CAPF_PUB has an authority of that name and another key", "CAPF_PUB"),
        ("self-signed", "a phone's signature vouches for nobody", ""),
        ("signed-by-phone", "a phone's signature vouches for nobody", ""),
        ("two-names", "2 CNs", "CAPF_PUB"),
        ("no-name", "0 CNs", "CAPF_PUB"),
        ("prefixed-name", "its CN is no device name", "CAPF_PUB"),
        ("suffixed-name", "its CN is no device name", "CAPF_PUB"),
        ("nul-name", "its CN is no device name", "CAPF_PUB"),
        ("newline-name", "its CN is no device name", "CAPF_PUB"),
        ("lower-case-name", "its CN is no device name", "CAPF_PUB"),
        ("wide-name", "its CN is no device name", "CAPF_PUB"),
        ("wildcard-name", "its CN is no device name", "CAPF_PUB"),
    ],
)
def test_a_bad_certificate_is_refused_for_its_fault(
    lab: Lab, anchors: TrustAnchors, fault: str, says: str, trustpoint: str
) -> None:
    error = refusal(presented(lab.bad[fault]), anchors)
    assert says in str(error)
    assert error.trustpoint == trustpoint
    assert error.issuer
    assert error.subject.isprintable()


def test_no_fault_of_the_lab_is_left_out(lab: Lab, anchors: TrustAnchors) -> None:
    assert lab.bad
    for identity in lab.bad.values():
        refusal(presented(identity), anchors)


def test_a_trustpoint_that_is_configured_and_not_authenticated_is_named_with_the_command(
    lab: Lab, sample_b: Config
) -> None:
    """Which trustpoint is missing, and the exact command."""
    material = Store(lab.nvram, sample_b.trustpoints).anchors()
    certificates = {name: found for name, found in material.certificates.items() if name != "CAPF_SUB"}
    error = refusal(
        presented(lab.phones["SEP001122334466"]), TrustAnchors(certificates, unauthenticated=["CCM_SUB", "CAPF_SUB"])
    )
    assert str(error) == "no trustpoint vouches for that issuer; CAPF_SUB is configured but not authenticated"
    assert error.trustpoint == "CAPF_SUB"
    assert error.fix == "cubeproxy pki authenticate CAPF_SUB --ca capf-sub.pem --nvram DIR"


def test_an_unknown_issuer_without_a_trustpoint_gets_one_proposed(lab: Lab, anchors: TrustAnchors) -> None:
    error = refusal(presented(lab.bad["unknown-capf"]), anchors)
    assert error.fix.startswith("configure `crypto pki trustpoint CAPF_0badcafe`, then cubeproxy pki authenticate")


def test_the_signer_is_named_when_it_is_no_authority() -> None:
    capf = made("capf", {"capf": "CAPF-1a2b3c4d"})
    other = made("lsc", {"device": "SEP0011223344FF", "model": "8841", "serial": "1"}, capf)
    forged = made("lsc", {"device": PHONE, "model": "8841", "serial": "1"}, other)
    error = refusal([forged.certificate, other.certificate], TrustAnchors({"CAPF_PUB": [capf.certificate]}))
    assert "SEP0011223344FF" in str(error)
    assert "is no authority" in str(error)


def test_an_authority_is_no_phone(lab: Lab, anchors: TrustAnchors) -> None:
    assert "its CN is no device name" in str(refusal(presented(lab.capf["pub"]), anchors))


def test_an_authority_of_another_trustpoint_does_not_vouch_where_trust_is_restricted(
    lab: Lab, anchors: TrustAnchors
) -> None:
    assert "no trustpoint vouches" in str(refusal(presented(lab.phones[PHONE]), anchors.restricted(["CCM_PUB"])))
    assert identify(presented(lab.cucm["pub"]), anchors.restricted(["CCM_PUB"]), NOW).kind == "peer"


def test_validity_is_judged_by_the_clock_that_is_given(lab: Lab, anchors: TrustAnchors) -> None:
    chain = presented(lab.phones[PHONE])
    end = chain[0].not_valid_after_utc
    assert identify(chain, anchors, end).name == PHONE
    assert "expired" in str(refusal(chain, anchors, end + timedelta(seconds=1)))


def test_an_authority_that_expired_vouches_no_more() -> None:
    capf = made("capf", {"capf": "CAPF-1a2b3c4d"}, now=NOW - timedelta(days=1820))
    device = made("lsc", {"device": PHONE, "model": "8841", "serial": "1"}, capf)
    anchors = TrustAnchors({"CAPF_PUB": [capf.certificate]})
    assert identify([device.certificate], anchors, NOW).name == PHONE
    error = refusal([device.certificate], anchors, NOW + timedelta(days=6))
    assert "the certificate of " in str(error)
    assert error.trustpoint == "CAPF_PUB"


def test_a_pinned_server_certificate_expires_too(lab: Lab, anchors: TrustAnchors) -> None:
    chain = presented(lab.cucm["pub"])
    assert "expired" in str(refusal(chain, anchors, chain[0].not_valid_after_utc + timedelta(seconds=1)))


@pytest.mark.parametrize("fault", ["sha1", "weak-key"])
def test_the_legacy_profile_takes_old_cryptography(lab: Lab, anchors: TrustAnchors, fault: str) -> None:
    assert identify(presented(lab.bad[fault]), anchors, NOW, legacy=True).name == PHONE


@pytest.mark.parametrize("fault", ["expired-mic", "wrong-usage", "unknown-capf", "forged-issuer", "two-names"])
def test_the_legacy_profile_takes_nothing_else(lab: Lab, anchors: TrustAnchors, fault: str) -> None:
    with pytest.raises(TrustError):
        identify(presented(lab.bad[fault]), anchors, NOW, legacy=True)


def test_a_peer_without_a_certificate_is_refused(anchors: TrustAnchors) -> None:
    assert "no certificate" in str(refusal([], anchors))


def test_a_long_chain_of_junk_is_no_way_to_an_anchor(lab: Lab, anchors: TrustAnchors) -> None:
    junk = [certificate for identity in lab.bad.values() for certificate in presented(identity)] * 3
    assert identify([*presented(lab.phones[PHONE]), *junk], anchors, NOW).name == PHONE


def test_the_judge_asks_for_todays_trust_and_time(lab: Lab, anchors: TrustAnchors) -> None:
    today = [anchors, NOW]
    judge = make_judge(lambda: today[0], lambda: today[1])  # type: ignore[arg-type, return-value]
    assert judge(presented(lab.phones[PHONE])).name == PHONE
    today[0] = anchors.restricted(["CAPF_SUB"])
    with pytest.raises(TrustError):
        judge(presented(lab.phones[PHONE]))
    today[0], today[1] = anchors, NOW + timedelta(days=4000)
    with pytest.raises(TrustError):
        judge(presented(lab.phones[PHONE]))


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 5000), mask=st.integers(1, 255))
def test_a_certificate_with_one_octet_changed_is_nobody(lab: Lab, anchors: TrustAnchors, place: int, mask: int) -> None:
    der = bytearray(presented(lab.phones[PHONE])[0].public_bytes(Encoding.DER))
    der[place % len(der)] ^= mask
    try:
        changed = x509.load_der_x509_certificate(bytes(der))
    except (ValueError, x509.InvalidVersion):
        return
    refusal([changed], anchors)
    assert lib.ERR_peek_error() == 0  # what is left there would break the next connection's read


def crl(issuer: Issued, revoked: Sequence[x509.Certificate], days: int = 7) -> x509.CertificateRevocationList:
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(NOW - timedelta(days=1))
        .next_update(NOW + timedelta(days=days))
    )
    for certificate in revoked:
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial_number).revocation_date(NOW).build()
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(issuer.key, hashes.SHA256())


def test_a_revoked_phone_is_refused_and_the_others_of_its_authority_are_not() -> None:
    capf = made("capf", {"capf": "CAPF-1a2b3c4d"})
    names = {"model": "8841", "serial": "1"}
    lost = made("lsc", {"device": PHONE, **names}, capf)
    kept = made("lsc", {"device": "SEP001122334466", **names}, capf)
    anchors = TrustAnchors({"CAPF_PUB": [capf.certificate]}, crls=[crl(capf, [lost.certificate])])
    assert "is revoked" in str(refusal([lost.certificate], anchors))
    assert identify([kept.certificate], anchors, NOW).name == "SEP001122334466"


def test_a_list_of_one_authority_does_not_lock_out_the_phones_of_another(lab: Lab) -> None:
    """OpenSSL's own CRL check demands a list of every authority; ours does not."""
    capf, maker = made("capf", {"capf": "CAPF-1a2b3c4d"}), made("manufacturing-ca", {}, made("mic-root", {}))
    mic = made("mic", {"device": PHONE, "model": "8841", "serial": "1"}, maker)
    anchors = TrustAnchors({"CAPF_PUB": [capf.certificate], "MAKER": [maker.certificate]}, crls=[crl(capf, [])])
    assert identify([mic.certificate], anchors, NOW).kind == "MIC"


def test_a_list_that_somebody_else_signed_revokes_nobody() -> None:
    capf, forged = made("capf", {"capf": "CAPF-1a2b3c4d"}), made("capf", {"capf": "CAPF-1a2b3c4d"})
    device = made("lsc", {"device": PHONE, "model": "8841", "serial": "1"}, capf)
    anchors = TrustAnchors({"CAPF_PUB": [capf.certificate]}, crls=[crl(forged, [device.certificate])])
    assert identify([device.certificate], anchors, NOW).name == PHONE


def test_revocation_check_crl_demands_a_current_list() -> None:
    capf = made("capf", {"capf": "CAPF-1a2b3c4d"})
    device = made("lsc", {"device": PHONE, "model": "8841", "serial": "1"}, capf)
    required = frozenset(["CAPF_PUB"])
    certificates = {"CAPF_PUB": [capf.certificate]}
    error = refusal([device.certificate], TrustAnchors(certificates, crl_required=required))
    assert "demands a revocation list" in str(error)
    current = TrustAnchors(certificates, crl_required=required, crls=[crl(capf, [])])
    assert identify([device.certificate], current, NOW).name == PHONE
    assert "demands" in str(refusal([device.certificate], current, NOW + timedelta(days=8)))


@given(st.text(min_size=1, max_size=30))
def test_nothing_may_follow_a_device_name(text: str) -> None:
    assert DEVICE_NAME.fullmatch("SEP0123456789AB" + text) is None


@given(st.text(min_size=1, max_size=30).filter(lambda text: not text.startswith("CP-")))
def test_nothing_but_a_model_may_stand_before_it(text: str) -> None:
    assert DEVICE_NAME.fullmatch(text + "SEP0123456789AB") is None


@pytest.mark.parametrize("name", ["SEP001122334455", "CP-8841-SEP001122334455", "CP-8845-NR-SEP001122334455"])
def test_models_may_stand_before_a_device_name(name: str) -> None:
    match = DEVICE_NAME.fullmatch(name)
    assert match is not None
    assert match[1] == PHONE


@pytest.mark.parametrize(
    "name",
    ["SEP00112233445", "SEP0011223344556", "SEP00112233445G", "sep001122334455", "CP-8841SEP001122334455",
     "CP--SEP001122334455", "SEP001122334455\n", "ＳEP001122334455",
     "CP-8841-SEP001122334466-SEP001122334455x", "CSF001122334455"],
)  # fmt: skip
def test_everything_else_is_no_device_name(name: str) -> None:
    assert DEVICE_NAME.fullmatch(name) is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [("Cisco Manufacturing CA", "MIC"), ("Cisco Manufacturing CA SHA2", "MIC"), ("Cisco_Manufacturing_CA", "MIC"),
     ("CAP-RTP-001", "MIC"), ("CAP-RTP-002", "MIC"), ("ACT2 SUDI CA", "MIC"), ("MFG_CA", "MIC"),
     ("CAPF-1a2b3c4d", "LSC"), ("CAPF_PUB", "LSC"), ("cucm-pub.lab.example", ""), ("CCM_PUB", ""),
     ("Lab Enterprise CA", "")],
)  # fmt: skip
def test_authorities_are_told_by_their_names(name: str, kind: str) -> None:
    assert authority_kind([name]) == kind


def test_a_servers_name_is_matched_whole_and_without_wildcards(lab: Lab) -> None:
    node = presented(lab.cucm["pub"])[0]
    assert names_host(node, "cucm-pub.lab.example")
    assert names_host(node, "CUCM-PUB.lab.example")
    assert names_host(node, "127.0.20.11")
    assert not names_host(node, "lab.example")
    assert not names_host(node, "cucm-sub.lab.example")
    assert not names_host(node, "127.0.20.12")
    wild = made("callmanager", {"host": "*.lab.example", "addresses": []}).certificate
    assert not names_host(wild, "cucm-pub.lab.example")
