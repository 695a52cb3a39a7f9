"""TLS for CAPF and TVS. A phone builds no chain here: the certificate is pinned, and judged after the handshake."""

from __future__ import annotations

import asyncio
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cubeproxy.protocols.values import Address

PATIENCE = 8.0  # s for a connection and its handshake
LEGACY_CIPHERS = "DEFAULT:@SECLEVEL=0"


def server_context(certificate: Path, key: Path, *, legacy: bool = False) -> ssl.SSLContext:
    """CAPF and TVS ask for no client certificate. `legacy` lets TLS 1.0 and short keys in."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_level(context, legacy)
    context.load_cert_chain(certificate, key)
    return context


def client_context(*, legacy: bool = False) -> ssl.SSLContext:
    """`legacy` is a phone that has nothing newer than TLS 1.0."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # pinned: see `connect`
    _set_level(context, legacy)
    if legacy:
        with _quietly():
            context.maximum_version = ssl.TLSVersion.TLSv1
    return context


def _set_level(context: ssl.SSLContext, legacy: bool) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if legacy:
        with _quietly():
            context.minimum_version = ssl.TLSVersion.TLSv1
        context.set_ciphers(LEGACY_CIPHERS)


@contextmanager
def _quietly() -> Iterator[None]:
    """Without the warning that TLS 1.0 is old: so are the phones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


class Connection:
    """A stream and the certificate (DER) that the server has shown. Say nothing before that one is judged."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer
        shown: ssl.SSLObject = writer.get_extra_info("ssl_object")
        self.certificate: bytes = shown.getpeercert(binary_form=True) or b""
        self.version = str(shown.version())

    async def close(self) -> None:
        """Without waiting for the far end: whoever is gone is gone."""
        self.writer.close()


async def connect(address: Address, host: str, *, legacy: bool = False) -> Connection:
    """From `host`. OSError (ssl.SSLError, TimeoutError)."""
    async with asyncio.timeout(PATIENCE):
        streams = await asyncio.open_connection(
            *address, ssl=client_context(legacy=legacy), local_addr=(host, 0), server_hostname=""
        )
    return Connection(*streams)
