"""The trustpoints as they are today: what the configuration says, and what the nvram folder holds.

    DIR/<trustpoint>/ca.pem     the authority (`crypto pki authenticate`), several may follow each other
    DIR/<trustpoint>/cert.pem   our own certificate and what leads to its root
    DIR/<trustpoint>/key.pem    its key
    DIR/<trustpoint>/crl.pem    revocation list

A file stands in the place of what the configuration has in hexadecimal for the same thing. What cannot be read is
an event and counts as missing: one broken trustpoint does not stop the others.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cubeproxy.config.model import Trustpoint
from cubeproxy.pki.anchors import TrustAnchors
from cubeproxy.pki.files import CA, CERTIFICATE, CRL, KEY, read_certificates
from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.values import Event, Severity

PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
LARGEST = 1 << 20  # octets of a file; revocation lists are the largest


@dataclass(frozen=True)
class OwnCertificate:
    """What we present: our certificate, then what leads to its root, and the key. The key never shows."""

    chain: tuple[x509.Certificate, ...]
    key: PrivateKey = field(repr=False)


@dataclass
class Material:
    """The certificates of one trustpoint."""

    name: str
    own: list[x509.Certificate] = field(default_factory=list)
    key: PrivateKey | None = field(default=None, repr=False)
    ca: list[x509.Certificate] = field(default_factory=list)
    crls: list[x509.CertificateRevocationList] = field(default_factory=list)
    crl_required: bool = False
    selfsigned: bool = False

    @property
    def authenticated(self) -> bool:
        return bool(self.ca)


class Store:
    """All trustpoints. With a configuration just its own, without one every subfolder that has certificates.

    `events` tells what was wrong with the files; `reload` reads them again.
    """

    def __init__(self, folder: Path | None, trustpoints: Mapping[str, Trustpoint] | None = None) -> None:
        self.folder = folder
        self.configured = trustpoints
        self.events: list[Event] = []
        self.material: dict[str, Material] = {}
        self._anchors: dict[frozenset[str] | None, TrustAnchors] = {}
        self.reload()

    def reload(self) -> list[Event]:
        """Read everything again; what was handed out stays as it is. Returns the events.

        A file that was readable before and is not now keeps its old content: half a copy is not a change of trust.
        """
        reader = _Reader()
        if self.material and self.folder is not None and not self.folder.is_dir():
            reader.missing(self.folder)
            self.events = reader.events
            return self.events
        names = list(self.configured) if self.configured is not None else self._subfolders()
        self.material = {name: self._material(name, reader, self.material.get(name)) for name in names}
        self._anchors = {}
        self.events = reader.events
        return self.events

    def own(self, name: str) -> OwnCertificate:
        """Certificate and key that trustpoint `name` presents. TrustError says what is missing."""
        material = self._known(name)
        if not material.own:
            raise self._incomplete(material, "has no certificate of its own")
        if material.key is None:
            raise self._incomplete(material, "has a certificate and not its key")
        if material.key.public_key() != material.own[0].public_key():
            raise self._incomplete(material, "has a key that does not belong to its certificate")
        return OwnCertificate((*material.own, *_issuers(material)), material.key)

    def certificates(self, name: str) -> Sequence[x509.Certificate]:
        """What a CTL record is made from: the authority of a trustpoint, or its own certificate. TrustError."""
        material = self._known(name)
        found = material.own if material.selfsigned else material.ca or material.own
        if not found:
            raise self._incomplete(material, "is configured but not authenticated")
        return found

    def anchors(self, names: Iterable[str] | None = None) -> TrustAnchors:
        """The authorities of all trustpoints, or of these."""
        key = None if names is None else frozenset(names)
        if key not in self._anchors:
            self._anchors[key] = self._make_anchors() if key is None else self.anchors().restricted(key)
        return self._anchors[key]

    def _make_anchors(self) -> TrustAnchors:
        found = self.material.values()
        return TrustAnchors(
            {material.name: material.ca for material in found if material.ca},
            [material.name for material in found if not material.ca and not material.selfsigned],
            frozenset(material.name for material in found if material.crl_required),
            [crl for material in found for crl in material.crls],
            str(self.folder or "DIR"),
        )

    def _known(self, name: str) -> Material:
        if name not in self.material:
            raise TrustError(
                f"there is no trustpoint {name}", trustpoint=name, fix=f"configure `crypto pki trustpoint {name}`"
            )
        return self.material[name]

    def _incomplete(self, material: Material, text: str) -> TrustError:
        subject = material.own[0].subject.rfc4514_string() if material.own else ""
        nvram = self.folder or "DIR"
        folder = f"{nvram}/{material.name}"
        return TrustError(
            f"trustpoint {material.name} {text}",
            subject=subject,
            trustpoint=material.name,
            fix=f"put ca.pem into {folder}, or: cubeproxy pki authenticate {material.name} --ca FILE --nvram {nvram}"
            if "authenticated" in text
            else f"put cert.pem and key.pem into {folder}, or: cubeproxy pki self-signed {material.name} "
            f"--nvram {nvram}; for the samples: cubelab pki init {nvram}",
        )

    def _subfolders(self) -> list[str]:
        if self.folder is None or not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.iterdir() if path.is_dir() and any(path.glob("*.pem")))

    def _material(self, name: str, reader: _Reader, before: Material | None) -> Material:
        before = before or Material(name)
        folder = self.folder / name if self.folder is not None else None
        configured = self.configured.get(name) if self.configured is not None else None
        material = Material(name)
        if folder is not None:
            material.own = reader.certificates(name, folder / CERTIFICATE, before.own)
            material.key = reader.key(name, folder / KEY, before.key)
            material.ca = reader.certificates(name, folder / CA, before.ca)
            material.crls = reader.crls(name, folder / CRL, before.crls)
        if configured is not None:
            material.selfsigned = configured.enrollment == "selfsigned"
            methods = configured.revocation_check
            material.crl_required = "crl" in methods and "none" not in methods
            material.own = material.own or [x509.load_der_x509_certificate(der) for der in configured.certificates]
            material.ca = material.ca or [x509.load_der_x509_certificate(der) for der in configured.ca_certificates]
        else:
            material.selfsigned = bool(material.own) and not material.ca
        return material


def _issuers(material: Material) -> list[x509.Certificate]:
    """Intermediate authorities of our own certificate that cert.pem does not hold; roots are not sent."""
    wanted, found = material.own[-1].issuer, list[x509.Certificate]()
    for certificate in material.ca:
        if certificate.subject == wanted != certificate.issuer and certificate not in material.own:
            found.append(certificate)
            wanted = certificate.issuer
    return found


class _Unreadable(Exception):
    """A file that is there and cannot be read."""


class _Reader:
    """Reads PEM files, and keeps an event for each that is wrong; that one's content is then what it was before."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def certificates(self, trustpoint: str, path: Path, before: list[x509.Certificate]) -> list[x509.Certificate]:
        try:
            data = self._read(path)
            return read_certificates(data) if data else []
        except _Unreadable as error:
            self._unreadable(trustpoint, path, str(error))
        except (ValueError, x509.InvalidVersion) as error:
            self._unreadable(trustpoint, path, f"holds no certificate in PEM: {error}")
        return before

    def crls(
        self, trustpoint: str, path: Path, before: list[x509.CertificateRevocationList]
    ) -> list[x509.CertificateRevocationList]:
        try:
            data = self._read(path)
            return [x509.load_pem_x509_crl(data)] if data else []
        except _Unreadable as error:
            self._unreadable(trustpoint, path, str(error))
        except ValueError as error:
            self._unreadable(trustpoint, path, f"holds no revocation list in PEM: {error}")
        return before

    def key(self, trustpoint: str, path: Path, before: PrivateKey | None) -> PrivateKey | None:
        try:
            data = self._read(path)
            if not data:
                return None
            self._check_mode(trustpoint, path)
            key = serialization.load_pem_private_key(data, None)
        except _Unreadable as error:
            self._unreadable(trustpoint, path, str(error))
            return before
        except (ValueError, TypeError, UnsupportedAlgorithm):
            self._unreadable(trustpoint, path, "holds no key in PEM without a passphrase")
            return before
        if not isinstance(key, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            self._unreadable(trustpoint, path, "holds a key that is neither RSA nor elliptic curve")
            return before
        return key

    def missing(self, folder: Path) -> None:
        """The whole folder, which was there before: a mount that went away revokes nobody."""
        text = f"the folder {folder} is gone; the trustpoints stay as they were"
        self.events.append(Event("pki.unreadable", Severity.ERROR, text, cause=str(folder), fix=f"bring {folder} back"))

    def _read(self, path: Path) -> bytes:
        """b"" for a file that is not there. _Unreadable."""
        try:
            with path.open("rb") as file:
                data = file.read(LARGEST + 1)
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise _Unreadable(f"cannot be read: {error.strerror}") from None
        if len(data) > LARGEST:
            raise _Unreadable(f"is larger than {LARGEST} octets")
        if not data:
            raise _Unreadable("is empty")
        return data

    def _check_mode(self, trustpoint: str, path: Path) -> None:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            self.events.append(
                Event(
                    "pki.key-permissions",
                    Severity.WARNING,
                    f"the key of trustpoint {trustpoint} can be used by others on this machine",
                    cause=str(path),
                    fix=f"chmod 600 {path}",
                    fields={"trustpoint": trustpoint},
                )
            )

    def _unreadable(self, trustpoint: str, path: Path, text: str) -> None:
        self.events.append(
            Event(
                "pki.unreadable",
                Severity.ERROR,
                f"trustpoint {trustpoint}: {path.name} {text}",
                cause=str(path),
                fix=f"replace {path}",
                fields={"trustpoint": trustpoint},
            )
        )
