"""CAPF and mapped services go through unread; the cluster's own file service does not."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest
from OpenSSL import SSL

from cubeproxy.config.model import PhoneProxy, ServiceMap
from cubeproxy.server.phoneproxy.service import relays
from tests.server.phoneproxy.bench import Bench
from tests.server.phoneproxy.test_files import FILES, RING, run

LINES = """\
 capf-address ipv4 {server} acc-addr ipv4 {access}
 service-map server-addr ipv4 {server} port 8080 acc-addr ipv4 {access} port 8181
 service-map server-addr ipv4 {server} port 6970 acc-addr ipv4 {access} port 16970
"""


def proxy(*maps: tuple[int, int], capf: bool = False) -> PhoneProxy:
    inside, outside = "198.51.100.11", "192.0.2.1"
    found = PhoneProxy("PP", service_maps=[ServiceMap((inside, theirs), (outside, ours)) for theirs, ours in maps])
    if capf:
        found.capf_server, found.capf_access = inside, outside
    return found


@pytest.mark.parametrize(
    ("given", "ports"),
    [
        (proxy(), []),
        (proxy(capf=True), [("CAPF", 3804, 3804)]),
        (proxy((3804, 3804)), [("CAPF", 3804, 3804)]),
        (proxy((3804, 3804), capf=True), [("CAPF", 3804, 3804)]),
        (proxy((8080, 80), (8443, 443)), [("service 80", 8080, 80), ("service 443", 8443, 443)]),
        (proxy((6970, 6970)), []),
    ],
)
def test_what_is_relayed(given: PhoneProxy, ports: list[tuple[str, int, int]]) -> None:
    assert [(name, server[1], access[1]) for name, server, access in relays(given)] == ports


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(4096):
            writer.write(data)
        writer.write_eof()


def client_hello() -> bytes:
    connection = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD))
    connection.set_connect_state()
    connection.set_tlsext_host_name(b"capf.lab.example")
    with pytest.raises(SSL.WantReadError):
        connection.do_handshake()
    return connection.bio_read(16_384)


def test_capf_goes_through_and_the_log_says_who_how_much_and_which_name(nvram: Path) -> None:
    async def scene() -> None:
        bench = Bench(nvram, FILES, lines=LINES)
        server = await asyncio.start_server(echo, bench.network.nodes[0], 3804)
        async with server, bench:
            hello = client_hello()
            reader, writer = await asyncio.open_connection(
                bench.network.access, 3804, local_addr=(bench.network.phone(1), 0)
            )
            writer.write(hello)
            writer.write_eof()
            assert await reader.read(-1) == hello
            writer.close()
            closed = await bench.told("relay.closed")
            assert closed.peer.startswith(f"{bench.network.phone(1)}:")
            assert closed.fields["server_name"] == "capf.lab.example"
            assert (closed.fields["up"], closed.fields["down"]) == (len(hello), len(hello))
            assert closed.fields["relay"] == "PP CAPF"

    run(scene())


def test_what_is_no_tls_never_reaches_the_capf_server(nvram: Path) -> None:
    async def scene() -> None:
        bench = Bench(nvram, FILES, lines=LINES)
        reached: list[object] = []
        server = await asyncio.start_server(lambda _r, w: reached.append(w), bench.network.nodes[0], 3804)
        async with server, bench:
            reader, writer = await asyncio.open_connection(bench.network.access, 3804)
            writer.write(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(OSError):
                assert await reader.read(-1) == b""
            writer.close()
            await bench.told("relay.closed")
            assert reached == []

    run(scene())


def test_a_mapped_service_goes_through_and_mapped_files_are_ours(nvram: Path) -> None:
    async def scene() -> None:
        bench = Bench(nvram, FILES, lines=LINES)
        server = await asyncio.start_server(echo, bench.network.nodes[0], 8080)
        async with server, bench:
            reader, writer = await asyncio.open_connection(bench.network.access, 8181)
            writer.write(b"GET /services HTTP/1.1\r\n\r\n")
            assert await reader.readuntil(b"\r\n\r\n") == b"GET /services HTTP/1.1\r\n\r\n"
            writer.close()
            reader, writer = await asyncio.open_connection(bench.network.access, 16970)
            writer.write(b"GET /Chirp.raw HTTP/1.1\r\n\r\n")
            assert (await reader.read(-1)).endswith(RING)
            writer.close()

    run(scene())


def test_a_port_that_is_taken_is_told_and_the_rest_runs(nvram: Path) -> None:
    async def scene() -> None:
        bench = Bench(nvram, FILES, lines=LINES)
        server = await asyncio.start_server(echo, bench.network.access, 3804)
        async with server, bench:
            (event,) = bench.named("phoneproxy.not-listening")
            assert "CAPF" in event.text
            assert event.fix
            assert await bench.get("Chirp.raw") == RING

    run(scene())
