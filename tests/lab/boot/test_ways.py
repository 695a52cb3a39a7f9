"""TFTP, HTTP, TLS and TVS between phones and the virtual cluster: both ends against each other, and against noise."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubelab.cluster.tvs import answer
from cubelab.phone.configuration import read_configuration
from cubelab.provisioning.http import LARGEST_FILE, HttpServer, fetch_http
from cubelab.provisioning.tftp import FetchFailed, NoFile, TftpClient, TftpServer
from cubelab.provisioning.tvs import Command, Question, Verdict, parse_question, parse_verdict
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.tftp import Pace, Terms
from cubeproxy.protocols.trustlist import Record
from cubeproxy.protocols.values import Address

SERVER, PHONE = "127.53.1.1", "127.53.2.1"
FILES = {"empty": b"", "one-block": b"x" * 512, "long": bytes(range(256)) * 300}
QUICK = Pace(first=0.02, last=0.05, tries=2)


def find(name: str, _peer: Address) -> bytes | None:
    return FILES.get(name)


@pytest.mark.parametrize("terms", [Terms(), Terms(block_size=1428), Terms(block_size=1024, window=4)], ids=str)
async def test_tftp_brings_every_file_whole(terms: Terms) -> None:
    server, client = TftpServer(find), TftpClient(PHONE, terms)
    where = server.listen((SERVER, 0))
    fetched = await asyncio.gather(*(client.fetch(name, where) for name in FILES))
    assert dict(zip(FILES, fetched, strict=True)) == FILES
    with pytest.raises(NoFile):
        await client.fetch("other", where)
    client.close()
    server.close()


async def test_tftp_that_nobody_serves() -> None:
    client = TftpClient(PHONE, pace=QUICK)
    with pytest.raises(FetchFailed, match="does not answer"):
        await client.fetch("long", (SERVER, 16968))
    client.close()


async def test_tftp_noise_brings_nothing_out() -> None:
    server = TftpServer(find)
    where = server.listen((SERVER, 0))
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((PHONE, 0))
    sock.setblocking(False)
    for noise in (b"", b"\x00", b"\x00\x04\x00\x01", b"\x00\x01long", b"\xff" * 600):
        sock.sendto(noise, where)
    client = TftpClient(PHONE)
    assert await client.fetch("long", where) == FILES["long"]
    with pytest.raises(BlockingIOError):
        sock.recv(100)
    sock.close()
    client.close()
    server.close()


async def test_http_brings_every_file_whole() -> None:
    server = HttpServer(find)
    where = await server.listen((SERVER, 0))
    for name, content in FILES.items():
        assert await fetch_http(name, where, PHONE) == content
    with pytest.raises(NoFile):
        await fetch_http("other", where, PHONE)
    assert server.completed == len(FILES)
    await server.close()
    with pytest.raises(FetchFailed):
        await fetch_http("long", where, PHONE)


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (b"", "0 bytes"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 503 Busy\r\nContent-length: 0\r\n\r\n", "status 503"),
        (b"HTTP/1.1 200 OK\r\n\r\n", "no HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-length: 99\r\n\r\nshort", "5 bytes"),
        (b"HTTP/1.1 200 OK\r\nContent-length: %d\r\n\r\n" % (LARGEST_FILE + 1), "a phone takes"),
        (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 2000, "limit"),
    ],
    ids=["nothing", "no-http", "busy", "no-length", "short", "too-large", "long-head"],
)
async def test_a_phone_takes_no_broken_reply(reply: bytes, why: str) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(reply)
        writer.close()

    server = await asyncio.start_server(serve, SERVER, 0)
    with pytest.raises(FetchFailed, match=why):
        await fetch_http("long", server.sockets[0].getsockname(), PHONE)
    server.close()


# TVS

RECORDS = [
    Record(0, subject="CN=a", issuer="CN=a", serial=b"\x01", certificate=b"DER a"),
    Record(2, subject="CN=a", issuer="CN=a", serial=b"\x01", certificate=b"DER a"),
    Record(4, subject="CN=b", issuer="CN=b", serial=b"\x02", certificate=b"DER b"),
    Record(2, dns_name="stub"),
]


def test_a_query_has_the_size_of_a_real_one() -> None:
    """153 octets in a dump of a real cluster's: 27 of name (with its head), 69 + 25 of names, 22 of serial number."""
    question = Question(7, "CP-8861-SEP001122334455", None, "s" * 65, "i" * 21, b"n" * 19)
    assert len(question.serialise()) == 10 + 27 + 69 + 25 + 22 == 153


def test_tvs_says_yes_with_the_roles_of_every_record() -> None:
    verdict = answer(Question(1, "SEP", b"DER a"), RECORDS)
    assert (verdict.valid, verdict.roles, verdict.certificate) == (True, {0, 2}, None)
    queried = answer(Question(1, "SEP", None, "CN=b", "CN=b", b"\x02"), RECORDS)
    assert (queried.roles, queried.certificate) == ({4}, b"DER b")
    assert not answer(Question(1, "SEP", b"DER c"), RECORDS).valid
    assert not answer(Question(1, "SEP", None, "CN=b", "CN=b", b"\x01"), RECORDS).valid


@pytest.mark.parametrize(
    "question", [Question(9, "CP-8841-SEP001122334455", b"DER"), Question(9, "SEP1", None, "CN=a", "CN=b", b"\xff\x01")]
)
def test_questions_and_verdicts_come_back_as_they_were(question: Question) -> None:
    assert parse_question(question.serialise()) == question
    verdict = Verdict(9, True, frozenset({0, 21}), None if question.certificate else b"DER")
    command = Command.VERIFY_RESPONSE if question.certificate else Command.QUERY_RESPONSE
    assert parse_verdict(verdict.serialise(command), 9) == verdict
    assert parse_verdict(Verdict(9, False).serialise(command), 9) == Verdict(9, False)
    with pytest.raises(RemoteProtocolError):
        parse_verdict(verdict.serialise(command), 8)


@given(st.binary(max_size=80) | st.binary(max_size=40).map(lambda tail: b"W\x01\x01\x00" + tail))
@settings(max_examples=200)
def test_noise_is_no_tvs_message(data: bytes) -> None:
    for parse in (parse_question, lambda octets: parse_verdict(octets, 0)):
        with suppress(RemoteProtocolError):
            parse(data)


# configurations that a phone cannot use


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "no XML"),
        (b"<device>", "no XML"),
        (b"<Default/>", "no configuration of a device"),
        (b"<device/>", "no CallManager"),
        (b'<!DOCTYPE d [<!ENTITY a "b">]><device>&a;</device>', "document type"),
        (b"<device>" + b" " * 600_000 + b"</device>", "octets"),
    ],
)
def test_configurations_that_a_phone_cannot_use(data: bytes, why: str) -> None:
    with pytest.raises(RemoteProtocolError, match=why):
        read_configuration(data)
