"""Port 3804 of a node: TLS around CAPF sessions. One operation a connection."""

from __future__ import annotations

import asyncio
import itertools

from cryptography.hazmat.primitives.serialization import Encoding

from cubelab.cluster.capf import Capf
from cubelab.pki.lab import Identity
from cubelab.provisioning.capf import carry
from cubelab.provisioning.tls import server_context
from cubeproxy.protocols.capf import Effect, Server
from cubeproxy.protocols.capf.session import Authenticate, IssueCertificate
from cubeproxy.protocols.values import Address

LONGEST = 3600.0  # s: an old phone needs more than half an hour for a key
MOST = 256  # connections


class CapfService:
    def __init__(self, capf: Capf, files: Identity, *, legacy: bool = False) -> None:
        self.capf = capf
        self.peers: list[str] = []  # hosts that came, oldest first
        self._context = server_context(files.certificate, files.key, legacy=legacy)
        self._sessions = itertools.count(1)
        self._server: asyncio.Server | None = None
        self._open = 0

    async def listen(self, address: Address) -> Address:
        self._server = await asyncio.start_server(self._accepted, *address, ssl=self._context)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._open >= MOST:
            writer.close()
            return
        self._open += 1
        self.peers.append(writer.get_extra_info("peername")[0])
        session = Server(next(self._sessions))
        try:
            async with asyncio.timeout(LONGEST):
                ended = await carry(session, reader, writer, lambda effect: self._work(session, effect))
            self.capf.finished(session.attempt.device if session.attempt else "", ended)
        except (OSError, TimeoutError):
            return
        finally:
            self._open -= 1
            writer.close()

    async def _work(self, session: Server, effect: Effect) -> list[Effect]:
        loop = asyncio.get_running_loop()
        match effect:
            case Authenticate():
                decision = self.capf.decide(effect.attempt)
                if decision.operation is None:
                    return session.refuse(loop.time(), decision.reason, decision.text)
                return session.decide(decision.operation, loop.time(), decision.key)
            case IssueCertificate():
                try:
                    issued = self.capf.issue(effect.device, effect.public_key, effect.asked)
                except ValueError as error:
                    return session.not_issued(loop.time(), str(error))
                return session.issued(issued.public_bytes(Encoding.DER), loop.time())
        raise TypeError(f"a CAPF server has nothing to do with {type(effect).__name__}")
