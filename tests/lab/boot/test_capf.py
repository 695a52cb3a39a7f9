"""CAPF of the virtual cluster: who gets a certificate, how they prove themselves, and what is counted."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from cubelab.cluster.capf import MOST_FAILURES
from cubelab.cluster.proofs import device_of
from cubelab.phone.enrolment import Enrolment, make_key, proof_of
from cubelab.phone.flash import Flash
from cubelab.pki.issue import Issued, issue
from cubelab.pki.lab import Lab
from cubelab.pki.profiles import load_profiles
from cubeproxy.protocols.capf import Attempt, AuthMode, CertificateType, Curve, KeyRequest, Operation, Proof, Reason
from tests.lab.boot.stage import OTHER, PHONE, Plant, Station


def lsc_of(station: Station) -> Issued:
    assert station.flash.lsc is not None
    return station.flash.read(station.flash.lsc)


# the four modes, over TLS


@pytest.mark.parametrize("mode", [AuthMode.STRING, AuthMode.NULL, AuthMode.LSC, AuthMode.MIC])
async def test_each_mode_installs(pki: Lab, tmp_path: Path, mode: AuthMode) -> None:
    async with Plant(pki, tmp_path) as plant:
        plant.plan(mode=mode, string="4711" if mode is AuthMode.STRING else "")
        phone = plant.station(string="4711")
        booted = await phone.boot()
        assert booted.configuration.capf_mode is mode
        assert lsc_of(phone).certificate == plant.cluster.capf["pub"].installed[PHONE]
        assert plant.cluster.pending == {}
    assert "stored" in phone.said("lsc")


async def test_an_lsc_is_renewed_by_itself(pki: Lab, tmp_path: Path) -> None:
    """Mode LSC goes by the LSC when there is one: the phone's MIC is not asked for any more."""
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        plant.plan(mode=AuthMode.MIC)
        await phone.boot()
        first = lsc_of(phone).certificate
        phone.flash.mic = None
        plant.plan(mode=AuthMode.LSC)
        await phone.boot()
        assert lsc_of(phone).certificate != first
        plant.plan(mode=AuthMode.MIC)  # has no MIC now
        await phone.boot()
        assert plant.cluster.pending[PHONE].failures == 1
    assert "refused (reason 7)" in phone.said("lsc")


async def test_a_wrong_string_is_declined_and_after_too_many_the_operation_is_gone(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        plant.plan(mode=AuthMode.STRING, string="4711")
        phone = plant.station(string="4712")
        for attempt in range(MOST_FAILURES):
            assert plant.cluster.pending[PHONE].failures == attempt
            await phone.boot()
            assert phone.flash.lsc is None
        assert plant.cluster.pending == {}
        phone.settings.string = "4711"  # too late
        booted = await phone.boot()
        assert not booted.enrolled
    assert "refused (reason 7)" in phone.said("lsc") or phone.said("lsc") == ""
    assert any(f"{MOST_FAILURES} times: the operation is taken off the table" in line for line in plant.log)
    assert not any("4711" in line or "4712" in line for line in plant.log)


# keys


@pytest.mark.parametrize(
    "key", [KeyRequest(1024), KeyRequest(2048), *(KeyRequest(curve=curve) for curve in Curve)], ids=str
)
async def test_keys_of_each_kind(pki: Lab, tmp_path: Path, key: KeyRequest) -> None:
    async with Plant(pki, tmp_path) as plant:
        plant.plan(mode=AuthMode.NULL, key=key)
        phone = plant.station()
        await phone.boot()
    public = lsc_of(phone).certificate.public_key()
    if key.curve is None:
        assert isinstance(public, rsa.RSAPublicKey)
        assert public.key_size == key.bits
    else:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        assert public.key_size == {Curve.P256: 256, Curve.P384: 384, Curve.P521: 521}[key.curve]
    assert device_of(lsc_of(phone).certificate) == PHONE


async def test_a_key_that_no_library_makes_any_more_is_declined(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        plant.plan(mode=AuthMode.NULL, key=KeyRequest(512))
        phone = plant.station()
        await phone.boot()
        assert PHONE in plant.cluster.pending  # nothing was done
    assert phone.refused("lsc")
    assert phone.flash.lsc is None


async def test_an_ec_lsc_proves_itself(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone = plant.station()
        for mode, key in ((AuthMode.NULL, KeyRequest(curve=Curve.P256)), (AuthMode.LSC, KeyRequest())):
            plant.plan(mode=mode, key=key)
            assert (await phone.boot()).enrolled
    assert isinstance(lsc_of(phone).key, rsa.RSAPrivateKey)


# fetch and delete


async def test_fetch_shows_and_delete_deletes(pki: Lab, tmp_path: Path) -> None:
    async with Plant(pki, tmp_path) as plant:
        phone, capf = plant.station(), plant.cluster.capf["pub"]
        plant.plan(operation=Operation.FETCH)
        await phone.boot()
        mic = x509.load_pem_x509_certificate(pki.mics[PHONE].certificate.read_bytes())
        assert x509.load_der_x509_certificate(capf.fetched[PHONE]) == mic
        plant.plan(operation=Operation.INSTALL)
        await phone.boot()
        plant.plan(operation=Operation.FETCH)
        await phone.boot()
        assert x509.load_der_x509_certificate(capf.fetched[PHONE]) == lsc_of(phone).certificate
        plant.plan(operation=Operation.DELETE)
        booted = await phone.boot()
        assert phone.flash.lsc is None
        assert capf.installed == {}
    assert booted.identity is not None
    assert booted.identity[0] == "MIC"


# the desk without a network


def attempt(device: str, proof: Proof, session: int = 1) -> Attempt:
    return Attempt(session, device, 3, proof)


def test_unknown_devices_and_devices_without_an_operation(pki: Lab, tmp_path: Path) -> None:
    plant = Plant(pki, tmp_path)
    desk = plant.cluster.capf["pub"]
    assert desk.decide(attempt("SEPFFFFFFFFFFFF", Proof())).reason == Reason.UNKNOWN_DEVICE
    assert desk.decide(attempt(PHONE, Proof())).reason == Reason.NO_ACTION
    plant.plan(OTHER)
    assert desk.decide(attempt(PHONE, Proof())).reason == Reason.NO_ACTION
    assert desk.decide(attempt(OTHER, Proof())).operation is Operation.INSTALL


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("expired-mic", "not valid now"),
        ("two-names", "nobody here has issued"),  # an LSC's issuer, shown as a MIC
        ("self-signed", "nobody here has issued"),
    ],
)
def test_certificates_that_prove_nothing(pki: Lab, tmp_path: Path, fault: str, why: str) -> None:
    plant = Plant(pki, tmp_path)
    plant.plan(mode=AuthMode.MIC)
    identity = Flash(tmp_path / "f").read(pki.bad[fault])
    decision = plant.cluster.capf["pub"].decide(attempt(PHONE, proof_of(PHONE, identity, CertificateType.MIC)))
    assert decision.operation is None
    assert why in decision.text


def test_an_lsc_from_tomorrow_proves_nothing_today(pki: Lab, tmp_path: Path) -> None:
    plant = Plant(pki, tmp_path)
    plant.plan(mode=AuthMode.LSC)
    proof = proof_of(PHONE, Flash(tmp_path / "f").read(pki.bad["not-yet-valid"]), CertificateType.LSC)
    assert "its LSC is not valid now" in plant.cluster.capf["pub"].decide(attempt(PHONE, proof)).text


def test_anothers_certificate_and_anothers_key(pki: Lab, tmp_path: Path) -> None:
    plant, flash = Plant(pki, tmp_path), Flash(tmp_path / "f")
    desk = plant.cluster.capf["pub"]
    plant.plan(mode=AuthMode.MIC)
    other = flash.read(pki.mics[OTHER])
    assert f"is of {OTHER}" in desk.decide(attempt(PHONE, proof_of(PHONE, other, CertificateType.MIC))).text
    own = flash.read(pki.mics[PHONE])
    stolen = Issued(own.certificate, make_key(KeyRequest()))  # the certificate is public, its key is not
    assert "not by the key" in desk.decide(attempt(PHONE, proof_of(PHONE, stolen, CertificateType.MIC))).text
    proof = proof_of(PHONE, own, CertificateType.MIC)
    assert desk.decide(attempt(PHONE, proof)).operation is Operation.INSTALL
    half = Proof(certificate=proof.certificate, kind=proof.kind, signed=proof.signed, sha2_signed=b"\x01" * 256)
    assert "not by the key" in desk.decide(attempt(PHONE, half)).text


def test_an_lsc_of_another_node_is_none_of_ours(pki: Lab, tmp_path: Path) -> None:
    plant = Plant(pki, tmp_path)
    plant.plan(OTHER, mode=AuthMode.LSC)  # the lab's second phone has its LSC from the subscriber
    proof = proof_of(OTHER, Flash(tmp_path / "f").read(pki.phones[OTHER]), CertificateType.LSC)
    assert "nobody here has issued its LSC" in plant.cluster.capf["pub"].decide(attempt(OTHER, proof)).text
    assert plant.cluster.capf["sub"].decide(attempt(OTHER, proof)).operation is Operation.INSTALL


def test_a_key_that_was_not_asked_for_gets_no_certificate(pki: Lab, tmp_path: Path) -> None:
    desk = Plant(pki, tmp_path).cluster.capf["pub"]
    public = make_key(KeyRequest(curve=Curve.P256)).public_key()
    octets = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    for asked in (KeyRequest(), KeyRequest(curve=Curve.P384)):
        with pytest.raises(ValueError, match="not of the kind"):
            desk.issue(PHONE, octets, asked)
    with pytest.raises(ValueError, match="cannot be read"):
        desk.issue(PHONE, b"\x30\x00", KeyRequest())


def test_a_phone_stores_no_certificate_of_another_authority(pki: Lab, tmp_path: Path) -> None:
    flash = Flash(tmp_path / "f")
    capf = Flash(tmp_path / "g").read(pki.capf["pub"])
    owner = Enrolment(PHONE, flash, AuthMode.NULL, capf.certificate)
    owner._key = make_key(KeyRequest())
    names = {"device": PHONE, "model": "8841", "serial": "1"}
    other = Flash(tmp_path / "g").read(pki.capf["sub"])
    now = datetime.now(UTC)
    for issuer, key, stored in (
        (other, owner._key, False),
        (capf, make_key(KeyRequest()), False),
        (capf, owner._key, True),
    ):
        made = issue(load_profiles()["lsc"], names, issuer, now, key).certificate
        assert owner._store(made.public_bytes(Encoding.DER)) is stored
        assert (flash.lsc is not None) is stored
