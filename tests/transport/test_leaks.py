"""When all peers have left, however they behaved, nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import random
import socket
import ssl
import struct
from pathlib import Path

from cubeproxy.protocols.values import Transport
from cubeproxy.transport.connection import StreamConnection
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.tls import TlsServer

from .conftest import Run
from .pki import CUBE, OTHER_CA, PHONE, Judge, Pair, issue
from .recorder import PATIENCE, Side, eventually, options, side

STRANGER = issue("SEP001122334455", OTHER_CA)


def context(folder: Path, pair: Pair | None, name: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.check_hostname = False
    made.verify_mode = ssl.CERT_NONE
    if pair is not None:
        made.load_cert_chain(*pair.files(folder, name))
    return made


async def visit(us: Side, tls: ssl.SSLContext | None, data: bytes, *, reset: bool) -> None:
    """Connect, say something, leave politely or not."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_connection(*us.address, ssl=tls)
            writer.write(data)
            if data.startswith(b"OPTIONS") and data.endswith(b"\r\n\r\n"):
                await reader.read(65_536)
            if reset:
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            else:
                writer.close()
                await writer.wait_closed()
    except (OSError, ssl.SSLError):
        pass


def test_nothing_is_left_of_three_hundred_visitors(run: Run, tmp_path: Path) -> None:
    contexts = [
        None,
        context(tmp_path, PHONE, "phone"),
        context(tmp_path, STRANGER, "stranger"),
        context(tmp_path, None, "nobody"),
    ]
    says = [
        b"",
        options(1),
        options(1)[:60],
        b"\xff" * 3000,
        b"\r\n\r\n",
        b"\x16\x03\x01\x00\x05hello",
        options(2) * 30,
    ]

    async def work() -> None:
        rng = random.Random(7)
        limits = Limits(refusals_burst=10_000)
        async with side(Transport.TLS, TlsServer(CUBE.chain, CUBE.key, Judge()), limits=limits, answers=True) as us:
            for _ in range(10):
                visits = [
                    visit(us, rng.choice(contexts), rng.choice(says), reset=rng.random() < 0.3) for _ in range(30)
                ]
                await asyncio.gather(*visits)
            transport = us.transport
            await eventually(lambda: not transport._streams and not transport.gate.half_open_total)
            assert transport.counters.handshakes > 20
            assert transport.counters.handshakes_refused > 20
            assert transport.counters.messages_in > 20
            gate = transport.gate
            assert (gate.half_open, gate.shaking, gate.established) == ({}, {}, {})
            assert (gate.shaking_total, gate.established_total) == (0, 0)
            assert not gate._waiting
            assert not transport._acceptors[0].guests
            for queue in (transport._partial, transport._idle, transport._closing, transport._client_handshakes):
                assert len(queue) == 0
            assert not transport._dirty
            await eventually(lambda: not transport._tasks)
            opened, closed = us.recorder.of("opened"), us.recorder.of("closed")
            assert {flow for (flow,) in opened} == {flow for flow, _ in closed}
            assert len(opened) == len(closed)
            us.recorder.log.clear()
            gc.collect()
            assert not [each for each in gc.get_objects() if isinstance(each, StreamConnection)]

    run(work())


def test_a_transport_closes_with_peers_that_do_not(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.TCP, limits=Limits(linger=0.1), answers=True) as us:
            reader, writer = await asyncio.open_connection(*us.address)
            writer.write(options(1))
            await reader.read(65_536)
            silent = await asyncio.open_connection(*us.address)
            await eventually(lambda: us.transport.gate.half_open_total == 1)
            await us.transport.close()
            assert await reader.read(100) == b""
            assert us.recorder.of("closed")[0][1] == "shutdown"
            assert us.transport.connections == us.transport.gate.half_open_total == 0
            us.transport.send(us.recorder.of("opened")[0][0], options(2))  # does nothing, and does not raise
            writer.close()
            silent[1].close()

    run(work())


def test_an_address_of_failed_handshakes_is_kept_out_and_others_are_not(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        limits = Limits(refusals_burst=3, refusals_per_second=0.001)
        async with side(Transport.TLS, TlsServer(CUBE.chain, CUBE.key, Judge()), limits=limits, answers=True) as us:
            stranger, phone = context(tmp_path, STRANGER, "stranger"), context(tmp_path, PHONE, "phone")
            for number in range(1, 4):
                await visit(us, stranger, options(1), reset=False)
                await eventually(lambda wanted=number: us.transport.counters.handshakes_refused == wanted)  # type: ignore[misc]
            await visit(us, stranger, options(1), reset=False)
            await eventually(lambda: us.transport.counters.gate_refused == 1)
            assert us.recorder.events[-1].cause == "penalty"
            reader, writer = await asyncio.open_connection(*us.address, ssl=phone, local_addr=("127.0.40.8", 0))
            writer.write(options(2))
            assert (await reader.read(65_536)).startswith(b"SIP/2.0 200")
            writer.close()

    run(work())
