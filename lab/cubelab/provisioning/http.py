"""HTTP on 6970 as phones and clusters use it: GET of one name, a reply with a length, then the connection is closed."""

from __future__ import annotations

import asyncio
import re

from cubelab.provisioning.tftp import FetchFailed, Find, NoFile
from cubeproxy.protocols.values import Address

PORT = 6970
LARGEST_HEAD = 4096  # octets
LARGEST_FILE = 2 * 1024 * 1024  # octets; phones stop there
PATIENCE = 5.0  # s

_REQUEST = re.compile(rb"GET /([!-~]{1,512}) HTTP/1\.[01]\r\n", re.ASCII)
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})[ \r]", re.ASCII)
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]{1,8})\r\n", re.ASCII | re.IGNORECASE)
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found"}


class HttpServer:
    """Serves what `find` gives, with the headers that CUCM writes."""

    def __init__(self, find: Find) -> None:
        self._find = find
        self._server: asyncio.Server | None = None
        self.completed = 0

    async def listen(self, address: Address) -> Address:
        self._server = await asyncio.start_server(self._accepted, *address, limit=LARGEST_HEAD)
        host, port = self._server.sockets[0].getsockname()[:2]
        return host, port

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
                asked = _REQUEST.match(head)
                peer = writer.get_extra_info("peername")[:2]
                content = self._find(asked[1].decode("ascii"), peer) if asked else None
                status = 400 if not asked else 404 if content is None else 200
                writer.write(_reply(status, content or b""))
                await writer.drain()
                self.completed += status == 200
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            return  # whoever asked went away, or says too much
        finally:
            writer.close()


def _reply(status: int, body: bytes) -> bytes:
    head = (
        f"HTTP/1.1 {status} {REASONS[status]}\r\nContent-length: {len(body)}\r\n"
        "Cache-Control: no-store\r\nContent-type: */*\r\nConnection: close\r\n\r\n"
    )
    return head.encode("ascii") + body


async def fetch_http(name: str, server: Address, host: str) -> bytes:
    """The file, asked for from `host`. NoFile, FetchFailed."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*server, local_addr=(host, 0), limit=LARGEST_HEAD)
            try:
                writer.write(f"GET /{name} HTTP/1.1\r\nHost: {server[0]}:{server[1]}\r\nAccept: */*\r\n\r\n".encode())
                return await _read(reader)
            finally:
                writer.close()
    except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
        raise FetchFailed(getattr(error, "strerror", "") or str(error) or "no answer in time") from None


async def _read(reader: asyncio.StreamReader) -> bytes:
    head = await reader.readuntil(b"\r\n\r\n")
    status, length = _STATUS.match(head), _LENGTH.search(head)
    if status is None or length is None:
        raise FetchFailed("the answer is no HTTP")
    if status[1] == b"404":
        raise NoFile("404 Not Found")
    if status[1] != b"200":
        raise FetchFailed(f"status {status[1].decode()}")
    if int(length[1]) > LARGEST_FILE:
        raise FetchFailed(f"{int(length[1])} octets, a phone takes {LARGEST_FILE}")
    return await reader.readexactly(int(length[1]))
