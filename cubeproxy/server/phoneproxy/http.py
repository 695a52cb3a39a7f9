"""Port 6970 of the access side: the same files by HTTP, which newer phones ask first. Head and file, then closed.

Nothing more of HTTP/1.1 (RFC 9112) than a phone uses: GET and HEAD of one name. What is bounded: connections, the
octets and the seconds of a head, the seconds of a reply.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from urllib.parse import unquote

from cubeproxy.phoneproxy.names import Wanted, classify
from cubeproxy.protocols.values import Address, Event, Severity
from cubeproxy.server.phoneproxy.library import Library, Missing
from cubeproxy.transport.gate import source_of
from cubeproxy.transport.tcp import listening_socket
from cubeproxy.transport.tls import format_address

PORT = 6970
LARGEST_HEAD = 4096  # octets
PATIENCE = 5.0  # s for the whole head
PER_ADDRESS = 16  # connections: phones may share an address
TOTAL = 1024  # connections, those that have not asked yet included

_REQUEST = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,512}) HTTP/1\.[01]", re.ASCII)
REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}


class HttpService:
    """`most` replies at once; beyond it phones hear 503, and ask by TFTP."""

    def __init__(
        self, library: Library, report: Callable[[Event], None], *, most: int = 200, timeout: float = 180.0
    ) -> None:
        self._library = library
        self._report = report
        self._most = most
        self._timeout = timeout
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._sources: Counter[str] = Counter()
        self.address: Address = ("", 0)
        self.sessions = 0  # replies that are on their way
        self.completed = 0

    @property
    def connections(self) -> int:
        return len(self._tasks)

    async def listen(self, address: Address) -> Address:
        """Port 0 takes any. OSError as from bind."""
        sock = listening_socket(address)
        self._server = await asyncio.start_server(self._accepted, sock=sock, limit=LARGEST_HEAD)
        self.address = sock.getsockname()[:2]
        return self.address

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        peer: Address = writer.get_extra_info("peername")[:2]
        source = source_of(peer[0])
        if len(self._tasks) >= TOTAL or self._sources[source] >= PER_ADDRESS:
            writer.transport.abort()
            cause = "http-connections" if len(self._tasks) >= TOTAL else "address-connections"
            text = "HTTP connection refused: too many are open"
            self._report(Event("http.busy", Severity.WARNING, text, peer=format_address(peer), cause=cause))
            return
        self._sources[source] += 1
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer, peer), name="http")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._done(done, source))

    def _done(self, task: asyncio.Task[None], source: str) -> None:
        self._tasks.discard(task)
        self._sources[source] -= 1
        if not self._sources[source]:
            del self._sources[source]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Address) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                head = await reader.readuntil(b"\r\n\r\n")
            async with asyncio.timeout(self._timeout):
                await self._reply(head, writer, peer)
                writer.close()
                await writer.wait_closed()
        except (TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass
        finally:
            writer.transport.abort()

    async def _reply(self, head: bytes, writer: asyncio.StreamWriter, peer: Address) -> None:
        began = asyncio.get_running_loop().time()
        match = _REQUEST.fullmatch(head.partition(b"\r\n")[0])
        if match is None:
            return await _send(writer, 400)
        if match[1] not in (b"GET", b"HEAD"):
            return await _send(writer, 405)
        wanted = classify(unquote(match[2].decode("ascii"), errors="surrogateescape"))
        if wanted is None:
            return await _send(writer, 404)
        if self.sessions >= self._most:
            return await _send(writer, 503)
        self.sessions += 1
        try:
            content = await self._library.find(wanted, format_address(peer))
            await _send(writer, 200, content, body=match[1] == b"GET")
        except Missing:
            return await _send(writer, 404)
        finally:
            self.sessions -= 1
        self.completed += 1
        seconds = asyncio.get_running_loop().time() - began
        self._report(_served(wanted, peer, len(content), seconds))
        return None


async def _send(writer: asyncio.StreamWriter, status: int, content: bytes = b"", *, body: bool = True) -> None:
    """As CUCM's own file service says it."""
    lines = [
        f"HTTP/1.1 {status} {REASONS[status]}",
        f"Content-length: {len(content)}",
        "Cache-Control: no-store",
        "Content-type: */*",
        "Connection: close",
    ]
    if status == 405:
        lines.append("Allow: GET, HEAD")
    writer.write("\r\n".join([*lines, "", ""]).encode("ascii") + (content if body else b""))
    await writer.drain()


def _served(wanted: Wanted, peer: Address, octets: int, seconds: float) -> Event:
    return Event(
        "file.served",
        Severity.INFO,
        f"{wanted.name} served by HTTP, {octets} octets in {seconds:.2f} s",
        format_address(peer),
        wanted.device,
        fields={"file": wanted.name, "octets": octets, "seconds": round(seconds, 3), "by": "http"},
    )
