"""The byte relay, between plain sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

from cubeproxy.protocols.values import Address, Event
from cubeproxy.transport.relay import ByteRelay, RelayLimits

from .conftest import Run
from .pki import CUBE
from .recorder import eventually

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
HELLO = b"\x16\x03\x01"


@contextlib.asynccontextmanager
async def relay(
    serve: Serve, limits: RelayLimits | None = None
) -> AsyncIterator[tuple[ByteRelay, Address, list[Event]]]:
    events: list[Event] = []
    talks: set[object] = set()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.add(writer)
        try:
            await serve(reader, writer)
        except ConnectionError:
            writer.close()
        finally:
            talks.discard(writer)

    server = await asyncio.start_server(talk, "127.0.41.1", 0)
    between = ByteRelay(server.sockets[0].getsockname(), events.append, limits, name="capf", source="127.0.41.2")
    try:
        yield between, await between.listen(("127.0.41.3", 0)), events
    finally:
        await between.close()
        server.close()
        await eventually(lambda: not talks)  # the server's own ends


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Until the client closes its half; then its own half, after a last word."""
    while data := await reader.read(65_536):
        writer.write(data)
        await writer.drain()
    writer.write(b"goodbye")
    writer.close()


async def ended(events: list[Event]) -> Event:
    await eventually(lambda: any(event.name == "relay.closed" for event in events))
    return next(event for event in events if event.name == "relay.closed")


async def to_end(reader: asyncio.StreamReader) -> bytes:
    with contextlib.suppress(ConnectionResetError):
        async with asyncio.timeout(10):
            return await reader.read(-1)
    return b""


def test_octets_pass_both_ways_and_a_half_close_travels_on(run: Run) -> None:
    async def work() -> None:
        async with relay(echo) as (between, address, events):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(HELLO + b"one")
            assert await reader.readexactly(6) == HELLO + b"one"
            writer.write(b"two")
            assert await reader.readexactly(3) == b"two"
            writer.write_eof()
            assert await to_end(reader) == b"goodbye"  # what the server said after our half was closed
            writer.close()
            event = await ended(events)
            assert event.cause == "closed by the client"
            assert (event.fields["relay"], event.fields["up"], event.fields["down"]) == ("capf", 9, 16)
            assert event.peer.startswith("127.0.0.1:")
            assert between.sessions == 0
            assert between._sources == {}

    run(work())


def test_tls_ends_behind_the_relay_not_in_it(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*CUBE.files(tmp_path, "capf"))
            await writer.start_tls(context)
            writer.write(await reader.read(100))
            await writer.drain()
            writer.close()

        async with relay(serve) as (_, address, events):
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            reader, writer = await asyncio.open_connection(*address, ssl=context)
            from cryptography.hazmat.primitives.serialization import Encoding

            peer = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
            assert peer == CUBE.certificate.public_bytes(Encoding.DER)
            writer.write(b"enrol me")
            assert await reader.read(100) == b"enrol me"
            writer.close()
            await ended(events)

    run(work())


def test_a_slow_reader_slows_the_writer_down(run: Run) -> None:
    """Back-pressure: what the client does not read stays with the server, not in our memory."""

    async def work() -> None:
        wrote = 0

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal wrote
            with contextlib.suppress(ConnectionError):
                while wrote < 100_000_000:
                    writer.write(bytes(65_536))
                    await writer.drain()
                    wrote += 65_536

        limits = RelayLimits(octets=0, buffer=65_536)
        async with relay(flood, limits) as (between, address, events):
            reader, writer = await asyncio.open_connection(*address, limit=4096)
            writer.write(HELLO)
            assert await reader.readexactly(1)
            passed = -1
            while passed != between.counters.octets_down:  # until nothing moves any more
                passed = between.counters.octets_down
                await asyncio.sleep(0.05)
            (session,) = between._sessions
            buffered = session.ends[0].transport.get_write_buffer_size()  # type: ignore[union-attr]
            assert buffered <= 65_536 + 262_144  # the mark, and one read more
            assert wrote < 50_000_000
            await reader.readexactly(wrote)  # reading makes it move again
            assert between.counters.octets_down > passed
            writer.transport.abort()
            await ended(events)

    run(work())


def test_the_octet_cap_cuts_the_session(run: Run) -> None:
    async def work() -> None:
        async with relay(echo, RelayLimits(octets=1000)) as (between, address, events):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(HELLO + bytes(900))
            await to_end(reader)
            event = await ended(events)
            assert event.cause == "too many octets"
            assert between.sessions == 0
            writer.close()

    run(work())


def test_what_does_not_begin_like_tls_never_reaches_the_server(run: Run) -> None:
    async def work() -> None:
        async with relay(echo) as (between, address, events):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            assert await to_end(reader) == b""
            event = await ended(events)
            assert event.cause == "the client did not begin with a TLS handshake"
            assert between.counters.connected == 0
            writer.close()

    run(work())


def test_silence_is_ended_before_the_server_hears_of_it(run: Run) -> None:
    async def work() -> None:
        async with relay(echo, RelayLimits(silence=0.05)) as (between, address, events):
            reader, writer = await asyncio.open_connection(*address)
            assert await to_end(reader) == b""
            await ended(events)
            assert between.counters.connected == 0
            writer.close()

    run(work())


def test_sessions_are_counted_by_address(run: Run) -> None:
    async def work() -> None:
        async with relay(echo, RelayLimits(per_address=2)) as (_, address, events):
            writers = []
            for _ in range(2):
                reader, writer = await asyncio.open_connection(*address)
                writer.write(HELLO)
                await reader.readexactly(3)
                writers.append(writer)
            reader, writer = await asyncio.open_connection(*address)
            assert await to_end(reader) == b""
            assert [(event.name, event.cause) for event in events] == [("relay.refused", "address-sessions")]
            writers[0].close()
            await ended(events)
            reader, again = await asyncio.open_connection(*address)
            again.write(HELLO)
            assert await reader.readexactly(3) == HELLO
            for each in (*writers, writer, again):
                each.close()

    run(work())


def test_a_dead_server_is_told_apart(run: Run) -> None:
    async def work() -> None:
        async with relay(echo) as (between, address, events):
            between.upstream = ("127.0.41.9", 1)
            reader, writer = await asyncio.open_connection(*address)
            writer.write(HELLO)
            assert await to_end(reader) == b""
            event = await ended(events)
            assert event.cause.startswith("the server 127.0.41.9:1 cannot be reached")
            assert between.counters.connect_failed == 1
            writer.close()

    run(work())


def test_time_without_octets_and_time_in_all_are_bounded(run: Run) -> None:
    async def work() -> None:
        async with relay(echo) as (between, address, events):
            now = [between._clock()]
            between._clock = lambda: now[0]
            for step, cause in ((31.0, "idle"), (121.0, "too long")):
                events.clear()
                reader, writer = await asyncio.open_connection(*address)
                writer.write(HELLO)
                await reader.readexactly(3)
                now[0] += step
                await to_end(reader)
                assert (await ended(events)).cause == cause
                writer.close()

    run(work())


def test_closing_the_relay_ends_all_sessions(run: Run) -> None:
    async def work() -> None:
        async with relay(echo) as (between, address, events):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(HELLO)
            await reader.readexactly(3)
            silent_reader, silent = await asyncio.open_connection(*address)
            await eventually(lambda: between.sessions == 2)
            await between.close()
            assert await to_end(reader) == b""
            assert await to_end(silent_reader) == b""
            assert between.sessions == 0
            assert [event.cause for event in events] == ["shutdown", "shutdown"]
            writer.close()
            silent.close()

    run(work())
