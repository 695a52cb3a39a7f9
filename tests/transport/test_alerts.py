"""What a refused phone is told: the alert names its own fault, never one of ours."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import DeviceIdentity
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.refusals import HandshakeRefused
from cubeproxy.transport.tls import TlsServer

from .pki import CUBE, PHONE

VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


def told(judge: object, version: ssl.TLSVersion, folder: Path) -> tuple[str, str]:
    """(what the phone's own library says of our alert, cause of our event)"""
    channel = TlsServer(CUBE.chain, CUBE.key, judge).channel(Limits(), "192.0.2.9:5061", lambda: 0.0)  # type: ignore[arg-type]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = context.maximum_version = version
    context.load_cert_chain(*PHONE.files(folder, "phone"))
    to_phone, from_phone = ssl.MemoryBIO(), ssl.MemoryBIO()
    phone = context.wrap_bio(to_phone, from_phone)
    cause = ""
    for _ in range(10):
        try:
            phone.read()  # shakes hands, too
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            return error.reason or "", cause
        try:
            channel.receive(from_phone.read())
        except HandshakeRefused as refusal:
            cause = refusal.event.cause
        to_phone.write(channel.outgoing())
    raise AssertionError("the phone was told nothing")


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        ("unknown-ca", "UNKNOWN_CA"),
        ("expired", "CERTIFICATE_EXPIRED"),
        ("revoked", "CERTIFICATE_REVOKED"),
        ("purpose", "UNSUPPORTED_CERTIFICATE"),
        ("rejected", "BAD_CERTIFICATE"),
    ],
)
def test_each_refusal_has_its_alert(alert: str, reason: str, version: ssl.TLSVersion, tmp_path: Path) -> None:
    def judge(chain: list[x509.Certificate]) -> DeviceIdentity:
        raise TrustError("refused", alert=alert)

    said, cause = told(judge, version, tmp_path)
    assert said.endswith(f"ALERT_{reason}")
    assert cause == "certificate"


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_judge_that_crashes_trusts_nobody(version: ssl.TLSVersion, tmp_path: Path) -> None:
    def judge(chain: list[x509.Certificate]) -> DeviceIdentity:
        raise ZeroDivisionError

    said, cause = told(judge, version, tmp_path)
    assert said.endswith("ALERT_BAD_CERTIFICATE")
    assert cause == "certificate"
