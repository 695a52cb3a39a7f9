"""What a phone keeps when its power goes: trust lists, configuration and LSC, in a folder. The MIC is soldered in."""

from __future__ import annotations

import os
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from cubelab.agent.trust import read_identity
from cubelab.pki.issue import Issued, PrivateKey
from cubelab.pki.lab import Identity
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.trustlist import TrustList, read_list

CTL, ITL = "ctl", "itl"
_LISTS = {CTL: "CTLFile.tlv", ITL: "ITLFile.tlv"}
_CONFIG = "config.xml"
_CERTIFICATE, _KEY = "lsc-cert.pem", "lsc-key.pem"


class Flash:
    """`mic` is where the maker's certificate and its key are; None for a phone without."""

    def __init__(self, folder: Path, mic: Identity | None = None) -> None:
        self.folder = folder
        self.mic = mic
        folder.mkdir(parents=True, exist_ok=True)

    # Trust lists.

    def held(self, kind: str) -> TrustList | None:
        """A list that cannot be read any more is as none, as after a power cut in the middle of writing."""
        data = self._read(_LISTS[kind])
        if data is None:
            return None
        try:
            return read_list(data)
        except RemoteProtocolError:
            return None

    def lists(self) -> list[TrustList]:
        """The CTL first, as far as there are any."""
        return [one for kind in (CTL, ITL) if (one := self.held(kind)) is not None]

    def store_list(self, kind: str, data: bytes) -> None:
        self._write(_LISTS[kind], data)

    # Configuration.

    @property
    def config(self) -> bytes | None:
        return self._read(_CONFIG)

    def store_config(self, data: bytes) -> None:
        self._write(_CONFIG, data, secret=True)  # it has the line's password

    # Certificates.

    @property
    def lsc(self) -> Identity | None:
        certificate, key = self.folder / _CERTIFICATE, self.folder / _KEY
        return Identity(certificate, key) if certificate.exists() and key.exists() else None

    @property
    def identity(self) -> tuple[str, Identity] | None:
        """What the phone shows: the LSC before the MIC."""
        if self.lsc is not None:
            return "LSC", self.lsc
        return ("MIC", self.mic) if self.mic is not None else None

    def read(self, identity: Identity) -> Issued:
        chain, key = read_identity(identity.certificate, identity.key)
        return Issued(chain[0], key)

    def store_lsc(self, certificate: x509.Certificate, key: PrivateKey) -> None:
        """The key first: a certificate without its key is no LSC."""
        self._write(_KEY, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), secret=True)
        self._write(_CERTIFICATE, certificate.public_bytes(Encoding.PEM))

    def delete_lsc(self) -> None:
        self._delete(_CERTIFICATE, _KEY)

    # What is in the phone's menus.

    def delete_trust(self) -> None:
        """ "Delete ITL", as the menu calls it: both lists go, and the next one is taken on faith again."""
        self._delete(*_LISTS.values())

    def factory_reset(self) -> None:
        """All but the MIC."""
        self._delete(*_LISTS.values(), _CONFIG, _CERTIFICATE, _KEY)

    def _read(self, name: str) -> bytes | None:
        try:
            return (self.folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def _write(self, name: str, data: bytes, *, secret: bool = False) -> None:
        """Whole or not at all."""
        path = self.folder / f"{name}.new"
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if secret else 0o644)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        path.replace(self.folder / name)

    def _delete(self, *names: str) -> None:
        for name in names:
            (self.folder / name).unlink(missing_ok=True)
