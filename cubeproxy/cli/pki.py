"""`cubeproxy pki ...`: trustpoints in the nvram folder, with the router's words.

    crypto pki enroll (selfsigned)    cubeproxy pki self-signed
    crypto pki authenticate           cubeproxy pki authenticate
    crypto pki enroll (url)           cubeproxy pki enroll; on paper: cubeproxy pki request
    crypto pki import                 cubeproxy pki import
    crypto pki export                 cubeproxy pki export
    crypto pki crl                    cubeproxy pki crl
    no crypto pki trustpoint          cubeproxy pki delete

What a running proxy holds changes within a minute, or at once on SIGHUP.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from rich.console import Console
from rich.table import Table

from cubeproxy.cli import enroll
from cubeproxy.cli.common import fail, read_config
from cubeproxy.pki import enrol, request
from cubeproxy.pki.files import KEY, certificates_pem, trustpoint_folder, write_file
from cubeproxy.pki.names import fingerprint
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import CubeError, TrustError
from cubeproxy.server import scep
from cubeproxy.views.trustpoints import rows

app = typer.Typer(help="Trustpoints: certificates, keys and authorities in the nvram folder.", no_args_is_help=True)

Trustpoint = Annotated[str, typer.Argument(metavar="TRUSTPOINT", help="Name of the trustpoint.")]
Nvram = Annotated[
    Path,
    typer.Option(envvar="CUBEPROXY_NVRAM", help="Folder with a subfolder for every trustpoint."),
]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer yes: for scripts.")]
Passphrase = Annotated[
    str,
    typer.Option(
        envvar="CUBEPROXY_PASSPHRASE",
        help="Passphrase of the key. Better in the environment: a command line can be seen by others.",
    ),
]
Names = Annotated[
    list[str] | None,
    typer.Option("--san", metavar="NAME", help="Alternative name, repeatable: dns:NAME, ip:ADDRESS, uri:URI."),
]

app.command("request")(enroll.request_command)
app.command("enroll")(enroll.enroll_command)


@app.command("self-signed")
def self_signed(
    trustpoint: Trustpoint,
    nvram: Nvram,
    common_name: Annotated[
        str, typer.Option("--cn", help="CN of the certificate; without it the trustpoint's name.")
    ] = "",
    names: Names = None,
) -> None:
    """Make a key (RSA 2048) and a self-signed certificate."""
    try:
        alternatives = request.alternatives(names or [])
        made = enrol.enrol_selfsigned(nvram, trustpoint, common_name or trustpoint, datetime.now(UTC), alternatives)
    except (TrustError, OSError) as error:
        fail(error)
    typer.echo("Router Self Signed Certificate successfully created")
    _attributes(made)
    typer.echo(f"phones get it in the CTL file; for the cluster: cubeproxy pki export {trustpoint} --nvram {nvram}")


@app.command("authenticate")
def authenticate(
    trustpoint: Trustpoint,
    nvram: Nvram,
    ca: Annotated[
        Path | None, typer.Option(help="Certificate of the authority, PEM or DER; `-` for standard input.")
    ] = None,
    url: Annotated[str, typer.Option(help="Ask the authority itself by SCEP, in place of --ca.")] = "",
    expected: Annotated[
        str, typer.Option("--fingerprint", help="SHA-256 (or SHA-1) that it must have, in place of the question.")
    ] = "",
    yes: Yes = False,
) -> None:
    """Take an authority as the trustpoint's, after its fingerprint was confirmed."""
    if (ca is None) == (not url):
        fail("give one of --ca and --url", 2)
    try:
        data = _read(ca) if ca is not None else _asked_for(url)
        authorities = enrol.load_authorities(data, trustpoint)
        for authority in authorities:
            _attributes(authority)
        _confirm_fingerprints(authorities, expected, yes)
        enrol.authenticate(nvram, trustpoint, data)
    except (CubeError, OSError) as error:
        fail(error)
    typer.echo("Trustpoint CA certificate accepted.")


def _asked_for(url: str) -> bytes:
    """The authorities that a SCEP server shows; certificates of its RA are no authorities."""
    found = [one for one in scep.fetch_authorities(url) if _is_authority(one)]
    if not found:
        raise TrustError("the answer holds no certificate of an authority", fix="give the certificate with --ca")
    return certificates_pem(found)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return certificate.issuer == certificate.subject


@app.command("import")
def import_(
    trustpoint: Trustpoint,
    nvram: Nvram,
    pem: Annotated[
        Path | None, typer.Option(help="Certificate in PEM, with its chain and its key as there are.")
    ] = None,
    key: Annotated[Path | None, typer.Option(help="Key in PEM, where --pem does not hold it.")] = None,
    pkcs12: Annotated[Path | None, typer.Option(help="Certificate and key in PKCS#12 (.p12, .pfx).")] = None,
    ca: Annotated[Path | None, typer.Option(help="Its authority, to be trusted from now on.")] = None,
    passphrase: Passphrase = "",
    yes: Yes = False,
) -> None:
    """Import a certificate and its key, or the certificate for a request that waits."""
    if (pem is None) == (pkcs12 is None):
        fail("give one of --pem and --pkcs12", 2)
    secret = passphrase.encode() or None
    try:
        if pkcs12 is not None:
            bundle = enrol.read_pkcs12(_read(pkcs12), secret, trustpoint)
            authorities = list(bundle.others)
        else:
            assert pem is not None
            bundle, authorities = _pem_bundle(nvram, trustpoint, _read(pem), key, secret), []
        if ca is not None:
            authorities = enrol.load_authorities(_read(ca), trustpoint)
        for authority in authorities:
            _attributes(authority)
        if authorities:
            _confirm_fingerprints(authorities, "", yes)
        _confirm_replacement(nvram, trustpoint, bundle, yes)
        enrol.import_own(nvram, trustpoint, bundle, authorities)
    except (TrustError, OSError) as error:
        fail(error)
    typer.echo("% Router Certificate successfully imported")
    _attributes(bundle.certificate)


def _pem_bundle(nvram: Path, trustpoint: str, data: bytes, key: Path | None, passphrase: bytes | None) -> enrol.Bundle:
    if key is not None or b"PRIVATE KEY-----" in data:
        private = enrol.read_key(_read(key) if key else data, passphrase, trustpoint)
    else:
        private = enrol.waiting_key(nvram, trustpoint)
    return enrol.read_pem(data, private, trustpoint)


@app.command("export")
def export(
    trustpoint: Trustpoint,
    nvram: Nvram,
    pkcs12: Annotated[
        Path | None, typer.Option(help="Write certificate, key and chain there, under the passphrase.")
    ] = None,
    passphrase: Passphrase = "",
) -> None:
    """Print the certificates in PEM (no keys), or write a PKCS#12 file with the key."""
    store = Store(nvram)
    try:
        trustpoint_folder(nvram, trustpoint)
        material = store.material.get(trustpoint)
        if material is None:
            raise TrustError(
                f"there is no trustpoint {trustpoint} in {nvram}", fix=f"cubeproxy pki list --nvram {nvram}"
            )
        if pkcs12 is not None:
            if len(passphrase) < 4:
                fail("a key leaves only under a passphrase of 4 characters or more: CUBEPROXY_PASSPHRASE", 2)
            own = store.own(trustpoint)
            bundle = enrol.Bundle(own.chain[0], own.key, (*own.chain[1:], *material.ca))
            write_file(pkcs12, enrol.export_pkcs12(bundle, trustpoint, passphrase.encode()), secret=True)
            typer.echo(f"% PKCS12 file written to {pkcs12}")
            return
    except (TrustError, OSError) as error:
        fail(error)
    for title, found in (("% CA certificate:", material.ca), ("% General Purpose Certificate:", material.own)):
        if found:
            typer.echo(title)
            for certificate in found:
                typer.echo(certificate.public_bytes(serialization.Encoding.PEM).decode(), nl=False)


@app.command("list")
def list_(
    nvram: Nvram,
    config: Annotated[Path | None, typer.Option(help="Only the trustpoints of this configuration.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON lines, one a certificate.")] = False,
) -> None:
    """List certificates with their expiry. Exit code 1 when one is expired, unreadable or without its key."""
    if not nvram.is_dir():
        fail(f"{nvram}: no such folder", 2)
    model = read_config(config, []) if config is not None else None
    store = Store(nvram, model.trustpoints if model else None)
    found = list(rows(store, datetime.now(UTC)))
    if as_json:
        for row in found:
            typer.echo(json.dumps(row.as_json()))
    else:
        table = Table("Trustpoint", "Kind", "State", "Subject", "Valid until", "Days", "SHA-256")
        for row in found:
            days = "" if row.days is None else str(row.days)
            table.add_row(row.trustpoint, row.kind, row.state, row.subject, row.until[:10], days, row.sha256[:16])
        Console(width=None if Console().is_terminal else 160).print(table, markup=False)
    for event in store.events:
        typer.echo(f"{event.severity.name.lower()}: {event.text}\n  fix: {event.fix}", err=True)
    if store.events or any(row.state in ("expired", "no key") for row in found):
        raise typer.Exit(1)


@app.command("crl")
def crl(
    trustpoint: Trustpoint,
    nvram: Nvram,
    file: Annotated[Path, typer.Option(help="Revocation list of the trustpoint's authority, PEM or DER.")],
) -> None:
    """Take a revocation list; `revocation-check crl` is what makes a proxy look at it."""
    try:
        taken = enrol.install_crl(nvram, trustpoint, _read(file))
    except (TrustError, OSError) as error:
        fail(error)
    following = taken.next_update_utc
    until = f", next update {following:%Y-%m-%d %H:%M} UTC" if following else ""
    typer.echo(f"CRL of {taken.issuer.rfc4514_string()} accepted: {len(list(taken))} revoked{until}")


@app.command("delete")
def delete(trustpoint: Trustpoint, nvram: Nvram, yes: Yes = False) -> None:
    """Remove a trustpoint's certificates and keys."""
    try:
        if not trustpoint_folder(nvram, trustpoint).is_dir():
            raise TrustError(
                f"there is no trustpoint {trustpoint} in {nvram}", fix=f"cubeproxy pki list --nvram {nvram}"
            )
        typer.echo("% Removing an enrolled trustpoint will destroy all certificates")
        typer.echo(" received from the related Certificate Authority.")
        _confirm("Are you sure you want to do this?", yes)
        enrol.delete(nvram, trustpoint)
    except (TrustError, OSError) as error:
        fail(error)
    typer.echo(f"% Trustpoint {trustpoint} removed from {nvram}")


# what the commands share


def _attributes(certificate: x509.Certificate) -> None:
    """A certificate as IOS shows it before it asks, and the SHA-256 that is kept."""
    typer.echo("Certificate has the following attributes:")
    typer.echo(f"           Subject: {enrol.describe(certificate)}")
    typer.echo(f"  Fingerprint MD5: {_groups(certificate.fingerprint(hashes.MD5()).hex())}")  # noqa: S303
    typer.echo(f" Fingerprint SHA1: {_groups(_sha1(certificate))}")
    typer.echo(f"Fingerprint SHA256: {_groups(fingerprint(certificate))}")
    if datetime.now(UTC) > certificate.not_valid_after_utc:
        typer.echo("% This certificate has expired")


def _sha1(certificate: x509.Certificate) -> str:
    return certificate.fingerprint(hashes.SHA1()).hex()  # noqa: S303 - what the router and CUCM show


def _unknown(trustpoint: str, nvram: Path) -> TrustError:
    return TrustError(f"there is no trustpoint {trustpoint} in {nvram}", fix=f"cubeproxy pki list --nvram {nvram}")


def _groups(text: str) -> str:
    return " ".join(text[start : start + 8].upper() for start in range(0, len(text), 8))


def _confirm_fingerprints(certificates: list[x509.Certificate], expected: str, yes: bool) -> None:
    """The question, or the comparison that stands in its place. Ends the program on a no."""
    if expected:
        wanted = "".join(letter for letter in expected.lower() if letter in "0123456789abcdef")
        found = {digest for one in certificates for digest in (fingerprint(one), _sha1(one))}
        if wanted not in found or len(certificates) > 1:
            fail("% Fingerprint mismatch: this is another certificate, or more than one; nothing was changed")
        typer.echo("Fingerprint validated")
        return
    _confirm("% Do you accept this certificate?", yes)


def _confirm_replacement(nvram: Path, trustpoint: str, bundle: enrol.Bundle, yes: bool) -> None:
    """Another key than the one in use: phones hold it in their CTL file."""
    path = trustpoint_folder(nvram, trustpoint) / KEY
    if path.exists() and enrol.read_key(path.read_bytes(), None, trustpoint).public_key() != bundle.key.public_key():
        typer.echo(f"% Trustpoint {trustpoint} has another key, which phones may hold in their CTL file.")
        _confirm("Are you sure you want to replace it?", yes)


def _confirm(question: str, yes: bool) -> None:
    if yes:
        typer.echo(f"{question} [yes/no]: yes")
        return
    answer = typer.prompt(f"{question} [yes/no]", prompt_suffix=": ", default="", show_default=False)
    if answer.strip().lower() not in ("y", "yes"):
        fail("nothing was changed")


def _read(path: Path) -> bytes:
    try:
        return typer.get_binary_stream("stdin").read() if str(path) == "-" else path.read_bytes()
    except OSError as error:
        fail(f"{path}: {error.strerror}", 2)
