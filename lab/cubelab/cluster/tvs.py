"""TVS of one node: what the cluster says about certificates, and its port 2445."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import replace

from cubelab.pki.lab import Identity
from cubelab.provisioning.tls import server_context
from cubelab.provisioning.tvs import HEADER, Command, Question, Verdict, length_of, parse_question
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.trustlist import Record
from cubeproxy.protocols.values import Address

PATIENCE = 10.0  # s for a question


def answer(question: Question, records: Iterable[Record]) -> Verdict:
    """Roles are those of all records that have the certificate; one that nothing has is not valid."""
    if question.certificate is not None:
        found = [record for record in records if record.certificate == question.certificate]
    else:
        found = [
            record
            for record in records
            if record.certificate and (record.issuer, record.serial) == (question.issuer, question.serial)
        ]
    if not found:
        return Verdict(question.session, False)
    verdict = Verdict(question.session, True, frozenset(record.role for record in found))
    return verdict if question.certificate is not None else replace(verdict, certificate=found[0].certificate)


class TvsService:
    """`records` are what the cluster vouches for: those of its lists, and of former ones it may be."""

    def __init__(self, records: list[Record], files: Identity, *, legacy: bool = False) -> None:
        self.records = records
        self.asked = 0
        self._context = server_context(files.certificate, files.key, legacy=legacy)
        self._server: asyncio.Server | None = None

    async def listen(self, address: Address) -> Address:
        self._server = await asyncio.start_server(self._accepted, *address, ssl=self._context)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                header = await reader.readexactly(HEADER.size)
                question = parse_question(header + await reader.readexactly(length_of(header)))
                self.asked += 1
                command = Command.QUERY_RESPONSE if question.certificate is None else Command.VERIFY_RESPONSE
                writer.write(answer(question, self.records).serialise(command))
                await writer.drain()
        except (OSError, TimeoutError, asyncio.IncompleteReadError, RemoteProtocolError):
            return  # no question, no answer
        finally:
            writer.close()
