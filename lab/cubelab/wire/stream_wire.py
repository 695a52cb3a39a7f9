"""A TCP forwarder with a tap: an address of its own that leads to one port behind it.

It connects from an address that it is given, so that the server sees the client's; the tap gets the connection as
the server knows it. Nothing is read, unless `change` is there: a fault of the lab that may replace what passes.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

from cubelab.wire.conversation import Conversation
from cubelab.wire.tap import Segment, SegmentTap
from cubeproxy.protocols.values import Address

CHUNK = 65_536  # octets read at once
CONNECT = 5.0  # s

Change = Callable[[bytes, bool], bytes]  # octets, and whether the client has said them


def unchanged(data: bytes, by_client: bool) -> bytes:
    return data


class StreamWire:
    """`start`, then `close` once: it ends every connection."""

    def __init__(
        self, server: Address, source: str, change: Change = unchanged, clock: Callable[[], float] = time.time
    ) -> None:
        self.server = server
        self.source = source  # our address towards the server
        self.taps: list[SegmentTap] = []
        self.address: Address = ("", 0)
        self._change = change
        self._clock = clock
        self._listener: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self, address: Address) -> None:
        """Listen there. OSError when it is taken."""
        self._listener = await asyncio.start_server(self._accepted, *address)
        self.address = self._listener.sockets[0].getsockname()[:2]

    async def close(self) -> None:
        if self._listener is not None:
            self._listener.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        with suppress(OSError, asyncio.CancelledError):
            await self._join(reader, writer)
        writer.close()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A server that is not there is a connection that closes."""
        async with asyncio.timeout(CONNECT):
            far_reader, far_writer = await asyncio.open_connection(*self.server, local_addr=(self.source, 0))
        talk = Conversation(far_writer.get_extra_info("sockname")[:2], self.server, self._tell, self._clock)
        directions = (
            self._carry(reader, far_writer, talk, by_client=True),
            self._carry(far_reader, writer, talk, by_client=False),
        )
        try:
            await asyncio.gather(*directions)
        finally:
            talk.closed(by_client=True)
            talk.closed(by_client=False)
            far_writer.close()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, talk: Conversation, *, by_client: bool
    ) -> None:
        """Until this direction is closed; a half-close travels on, and a connection that breaks is closed."""
        with suppress(ConnectionError):
            while data := await reader.read(CHUNK):
                data = self._change(data, by_client)
                writer.write(data)
                talk.said(data, by_client=by_client)
                await writer.drain()
        talk.closed(by_client=by_client)
        with suppress(OSError):
            if writer.can_write_eof():
                writer.write_eof()

    def _tell(self, segment: Segment) -> None:
        for tap in self.taps:
            tap(segment)
