"""`crypto pki trustpoint` and `crypto pki certificate chain`."""

from __future__ import annotations

import re

from cryptography import x509

from cubeproxy.config.grammar import Block, Commands, Unmodelled, nothing, text, word
from cubeproxy.config.lines import Line, shown
from cubeproxy.config.model import Trustpoint
from cubeproxy.protocols.errors import ConfigError

MAX_CERTIFICATE = 16384  # octets of DER; the largest we have seen is below 4 kB
MAX_CHAIN = 16  # certificates of one trustpoint
_SERIAL = re.compile(r"[0-9A-Fa-f]{1,64}")


def _enrollment(trustpoint: Trustpoint, line: Line) -> None:
    if line.negated:
        trustpoint.enrollment = ""
        return
    kind = line.accept("selfsigned", "terminal", "url", "pkcs12")
    if kind is None:  # mode, retry, profile, http-proxy: how to enrol, which happens elsewhere
        raise Unmodelled
    if kind == "url":
        kind = f"url {line.take('URL')}"
    elif kind == "terminal" and line.accept("pem"):
        kind = "terminal pem"
    trustpoint.enrollment = kind


def _revocation(trustpoint: Trustpoint, line: Line) -> None:
    if line.negated:
        trustpoint.revocation_check = ("none",)
        return
    methods = [line.choose("revocation check", ("none", "crl", "ocsp"))]
    while line.peek() is not None:
        methods.append(line.choose("revocation check", ("none", "crl", "ocsp")))
        if len(methods) > 3:
            raise line.error("at most three revocation checks can follow each other")
    trustpoint.revocation_check = tuple(methods)


def _rsakeypair(trustpoint: Trustpoint, line: Line) -> None:
    trustpoint.rsakeypair = "" if line.negated else line.name("key label")


def _hash(trustpoint: Trustpoint, line: Line) -> None:
    trustpoint.hash = (
        "" if line.negated else line.choose("hash", ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"))
    )


TRUSTPOINT: Commands[Trustpoint] = Commands(
    {
        "enrollment": _enrollment,
        "subject-name": text("subject_name", "subject name"),
        "revocation-check": _revocation,
        "rsakeypair": _rsakeypair,
        "hash": _hash,
        "fqdn": word("fqdn", "host name", 255),
        "serial-number": nothing,
        "ip-address": nothing,
        "auto-enroll": nothing,
        "subject-alt-name": nothing,
        "usage": nothing,
        "chain-validation": nothing,
        "crl": nothing,
        "source": nothing,
        "storage": nothing,
        "authorization": nothing,
        "eckeypair": nothing,
    }
)


def _certificate(trustpoint: Trustpoint, line: Line) -> Block | None:
    """`certificate [ca | self-signed] SERIAL`, then hexadecimal lines; or the name of a file in nvram."""
    kind = line.accept("ca", "self-signed") if not _is_serial(line.peek()) else None
    if kind is None and not _is_serial(line.peek()):
        raise Unmodelled  # rollover and the like
    serial = line.take("serial number")
    if not _is_serial(serial):
        raise line.error(f"serial number '{shown(serial)}' is not hexadecimal")
    if line.peek() is not None:  # `nvram:name.cer`: the folder of the trustpoint holds it
        raise Unmodelled
    target = trustpoint.ca_certificates if kind == "ca" else trustpoint.certificates
    if len(target) >= MAX_CHAIN:
        raise line.error(f"trustpoint {trustpoint.name} has more than {MAX_CHAIN} certificates")

    def finish(der: bytes, number: int) -> None:
        try:
            x509.load_der_x509_certificate(der)
        except (ValueError, x509.InvalidVersion):
            raise ConfigError(
                f"the {len(der)} octets of trustpoint {trustpoint.name} are not a certificate (X.509 in DER)",
                number,
                "paste the block from `certificate` to `quit` again, as `show running-config` prints it",
            ) from None
        if der not in target:
            target.append(der)

    return Block(MAX_CERTIFICATE, finish)


def _is_serial(word: str | None) -> bool:
    """`ca` is a serial number too; the keyword is meant when a serial number follows, as it always does."""
    return word is not None and word.lower() != "ca" and _SERIAL.fullmatch(word) is not None


CHAIN: Commands[Trustpoint] = Commands({"certificate": _certificate})
