"""The phone's side of TVS: asking the cluster about a certificate that no held list knows."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from cubelab.phone.rules import pinned
from cubelab.provisioning.tls import Connection, connect
from cubelab.provisioning.tvs import HEADER, Question, Verdict, length_of, parse_verdict
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.trustlist import Header, Role, TrustList
from cubeproxy.protocols.values import Address

PATIENCE = 8.0  # s


class NotVerified(Exception):
    """TVS could not be asked, is not who the list says, or does not know the certificate."""


@dataclass
class Verification:
    """`address` is the TVS of the current configuration; its own certificate has to stand in a held list."""

    device: str
    host: str
    address: Address | None
    held: Sequence[TrustList]
    legacy: bool = False

    def __post_init__(self) -> None:
        self._sessions = itertools.count(1)

    async def signer(self, header: Header) -> Verdict:
        """QUERY: the certificate of who signed, and its roles. NotVerified."""
        session = next(self._sessions)
        verdict = await self._ask(Question(session, self.device, None, header.signer, header.issuer, header.serial))
        if verdict.certificate is None:
            raise NotVerified("TVS says yes and gives no certificate")
        return verdict

    async def peer(self, certificate: bytes) -> Verdict:
        """VERIFY: a certificate (DER) that a TLS server has shown. NotVerified."""
        return await self._ask(Question(next(self._sessions), self.device, certificate))

    async def _ask(self, question: Question) -> Verdict:
        if self.address is None:
            raise NotVerified("the configuration names no TVS")
        try:
            async with asyncio.timeout(PATIENCE):
                connection = await connect(self.address, self.host, legacy=self.legacy)
                try:
                    return await self._talk(connection, question)
                finally:
                    await connection.close()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, RemoteProtocolError) as error:
            raise NotVerified(f"TVS {self.address[0]} gives no answer: {error or 'too slow'}") from None

    async def _talk(self, connection: Connection, question: Question) -> Verdict:
        if pinned(connection.certificate, self.held, (Role.TVS,)) is None:
            raise NotVerified(f"{self.address and self.address[0]} shows a certificate that no list has for TVS")
        connection.writer.write(question.serialise())
        await connection.writer.drain()
        header = await connection.reader.readexactly(HEADER.size)
        data = header + await connection.reader.readexactly(length_of(header))
        verdict = parse_verdict(data, question.session)
        if not verdict.valid:
            raise NotVerified("TVS does not know the certificate")
        return verdict
