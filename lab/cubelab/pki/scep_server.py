"""The authority's HTTP: `/certsrv/mscep/mscep.dll` as NDES has it, and the page that gives a one-time password."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from urllib.parse import parse_qs, urlsplit

from cubelab.pki.authority import Answer, Authority

PATHS = ("/certsrv/mscep/mscep.dll", "/certsrv/mscep/mscep.dll/pkiclient.exe")
PASSWORD_PATH = "/certsrv/mscep_admin/"  # noqa: S105 - a page, not a password
LARGEST = 1 << 17  # octets of a head, and of a body
PATIENCE = 10.0  # s
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}


class ScepServer:
    def __init__(self, authority: Authority) -> None:
        self.authority = authority
        self.requests: list[str] = []
        self._server: asyncio.Server | None = None

    async def start(self, host: str, port: int = 0) -> str:
        """The URL to enrol at."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=LARGEST)
        port = self._server.sockets[0].getsockname()[1]
        return f"http://{host}:{port}{PATHS[0]}"

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                first, *rows = head.split("\r\n")
                length = next((row.split(":")[1] for row in rows if row.lower().startswith("content-length:")), "0")
                body = await reader.readexactly(min(int(length), LARGEST))
                answer = self._answer(first.split(" ")[1], body)
                rows = [
                    f"HTTP/1.1 {answer.status} {REASONS[answer.status]}",
                    f"Content-Type: {answer.content_type}",
                    f"Content-Length: {len(answer.body)}",
                    "Connection: close",
                ]
                writer.write("\r\n".join([*rows, "", ""]).encode() + answer.body)
                await writer.drain()
        except (OSError, TimeoutError, ValueError, IndexError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def _answer(self, target: str, body: bytes) -> Answer:
        parts = urlsplit(target)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        now = datetime.now(UTC)
        self.requests.append(query.get("operation", parts.path))
        if parts.path == PASSWORD_PATH:
            return Answer(self.authority.new_password(now).encode(), "text/plain")
        if parts.path not in PATHS:
            return Answer(b"", "text/plain", 404)
        return self.authority.handle(query.get("operation", ""), query.get("message", ""), body, now)
