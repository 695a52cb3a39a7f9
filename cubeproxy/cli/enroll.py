"""`cubeproxy pki request` and `cubeproxy pki enroll`: certificates from a company's authority.

enrollment terminal      cubeproxy pki request, then cubeproxy pki import
enrollment url ...       cubeproxy pki authenticate --url, then cubeproxy pki enroll
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from cubeproxy.cli.common import fail, read_config
from cubeproxy.config.model import Trustpoint as Configured
from cubeproxy.pki import enrol, request
from cubeproxy.pki.files import REQUEST_KEY, trustpoint_folder, write_file
from cubeproxy.pki.scep.client import Enrolment
from cubeproxy.pki.scep.messages import Identity
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import CubeError, TrustError
from cubeproxy.server import scep

Trustpoint = Annotated[str, typer.Argument(metavar="TRUSTPOINT", help="Name of the trustpoint.")]
Nvram = Annotated[Path, typer.Option(envvar="CUBEPROXY_NVRAM", help="Folder with a subfolder for every trustpoint.")]
Config = Annotated[
    Path | None, typer.Option(help="Configuration: its trustpoint has `enrollment url`, `subject-name` and `fqdn`.")
]
Subject = Annotated[str, typer.Option("--subject", metavar="NAME", help="cn=NAME, o=..., ou=..., c=..")]
Names = Annotated[
    list[str] | None,
    typer.Option("--san", metavar="NAME", help="Alternative name, repeatable: dns:NAME, ip:ADDRESS, uri:URI."),
]
Template = Annotated[str, typer.Option(help=f"What is asked for: {', '.join(request.TEMPLATES)}.")]
DEFAULT = "web-server-x509v3"


def request_command(
    trustpoint: Trustpoint,
    nvram: Nvram,
    out: Annotated[Path | None, typer.Option(help="Write the request there instead of printing it.")] = None,
    config: Config = None,
    subject: Subject = "",
    names: Names = None,
    template: Template = DEFAULT,
) -> None:
    """Make a key and a certificate request (PKCS#10), to be pasted into an authority's page (certsrv)."""
    try:
        chosen = _template(template)
        configured = _configured(config, trustpoint)
        key = request.make_key(chosen)
        made = _request(key, trustpoint, configured, subject, names, chosen, "")
        enrol.keep_request_key(nvram, trustpoint, key)
        pem = made.public_bytes(serialization.Encoding.PEM)
        if out is not None:
            write_file(out, pem)
    except (CubeError, OSError) as error:
        fail(error)
    if out is None:
        typer.echo(pem.decode(), nl=False)
    typer.echo(
        f"% its certificate goes in with: cubeproxy pki import {trustpoint} --pem FILE --nvram {nvram}", err=True
    )


def enroll_command(
    trustpoint: Trustpoint,
    nvram: Nvram,
    url: Annotated[str, typer.Option(help="As `enrollment url`: http://HOST/certsrv/mscep/mscep.dll")] = "",
    config: Config = None,
    subject: Subject = "",
    names: Names = None,
    template: Template = DEFAULT,
    password: Annotated[
        str, typer.Option(envvar="CUBEPROXY_CHALLENGE", help="Challenge password (NDES: the page mscep_admin).")
    ] = "",
    renew: Annotated[
        bool, typer.Option("--renew", help="Sign with the certificate in use, without a password.")
    ] = False,
) -> None:
    """Enrol by SCEP. The trustpoint must be authenticated before, so that nobody else can answer."""
    try:
        chosen = _template(template)
        configured = _configured(config, trustpoint)
        where = url or _configured_url(configured)
        authority = _authority(nvram, trustpoint, where)
        old = _in_use(nvram, trustpoint) if renew else None
        if old is not None and not subject and configured is None:
            names = names or _names_of(old.certificate)
        key = _key(nvram, trustpoint, chosen)
        made = _request(key, trustpoint, configured, subject, names, chosen, password, old)
        typer.echo("% Start certificate enrollment ..")
        enrolled = scep.enrol(Enrolment(where, made, key, authority, datetime.now(UTC), old), typer.echo)
        enrol.import_own(nvram, trustpoint, enrol.Bundle(enrolled.chain[0], key, enrolled.chain[1:]))
    except (CubeError, OSError) as error:
        fail(error)
    typer.echo("% Certificate successfully received from Certificate Authority")
    typer.echo(enrol.describe(enrolled.chain[0]))


# what they share


def _template(name: str) -> request.Template:
    if name not in request.TEMPLATES:
        raise TrustError(f"there is no template {name}", fix=f"one of {', '.join(request.TEMPLATES)}")
    return request.TEMPLATES[name]


def _configured(config: Path | None, trustpoint: str) -> Configured | None:
    if config is None:
        return None
    model = read_config(config, [])
    if trustpoint not in model.trustpoints:
        raise TrustError(f"{config} has no trustpoint {trustpoint}", fix=f"crypto pki trustpoint {trustpoint}")
    return model.trustpoints[trustpoint]


def _configured_url(configured: Configured | None) -> str:
    kind, _, url = configured.enrollment.partition(" ") if configured else ("", "", "")
    if kind != "url":
        raise TrustError("no enrollment URL is known", fix="--url, or `enrollment url URL` in the configuration")
    return url


def _authority(nvram: Path, trustpoint: str, url: str) -> list[x509.Certificate]:
    material = Store(nvram).material.get(trustpoint)
    if material is None or not material.ca:
        raise TrustError(
            f"trustpoint {trustpoint} is not authenticated: anybody could answer",
            trustpoint=trustpoint,
            fix=f"cubeproxy pki authenticate {trustpoint} --url {url} --nvram {nvram}",
        )
    return material.ca


def _key(nvram: Path, trustpoint: str, template: request.Template) -> rsa.RSAPrivateKey:
    """The key of an enrolment that broke off, by which the authority knows us again, or a new one. Kept beforehand."""
    path = trustpoint_folder(nvram, trustpoint) / REQUEST_KEY
    if path.exists():
        kept = enrol.read_key(path.read_bytes(), None, trustpoint)
        if isinstance(kept, rsa.RSAPrivateKey):
            return kept
    key = request.make_key(template)
    enrol.keep_request_key(nvram, trustpoint, key)
    return key


def _in_use(nvram: Path, trustpoint: str) -> Identity:
    own = Store(nvram).own(trustpoint)
    if not isinstance(own.key, rsa.RSAPrivateKey):
        raise TrustError("SCEP takes RSA keys only", fix="enrol anew, without --renew")
    return Identity(own.chain[0], own.key)


def _names_of(certificate: x509.Certificate) -> list[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [f"dns:{name}" for name in found.get_values_for_type(x509.DNSName)] + [
        f"ip:{address}" for address in found.get_values_for_type(x509.IPAddress)
    ]


def _request(
    key: rsa.RSAPrivateKey,
    trustpoint: str,
    configured: Configured | None,
    subject: str,
    names: list[str] | None,
    template: request.Template,
    password: str,
    old: Identity | None = None,
) -> x509.CertificateSigningRequest:
    """The subject as given, as configured, as it was, or the trustpoint's name."""
    text = subject or (configured.subject_name if configured else "")
    asked = list(names or [])
    fqdn = configured.fqdn if configured and configured.fqdn.lower() != "none" else ""
    if fqdn and not asked:
        asked = [f"dns:{fqdn}"]
    name = old.certificate.subject if old and not text else request.parse_subject(text or f"cn={fqdn or trustpoint}")
    return request.make_request(key, name, request.alternatives(asked), template, password)
