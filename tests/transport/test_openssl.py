"""TLS against the openssl command line: a client and a server that we did not write."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.values import Target, Transport
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.tls import TlsClient, TlsServer, open_keylog

from .conftest import Run
from .pki import CA, CUBE, DAY, NOW, OTHER_CA, PHONE, SERVER, Judge, Pair, issue, rsa_key
from .recorder import PATIENCE, Side, options, side

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="the openssl command is missing")


def tls_server(judge: Judge | None = None, **more: object) -> TlsServer:
    return TlsServer(CUBE.chain, CUBE.key, judge or Judge(), **more)  # type: ignore[arg-type]


@contextlib.asynccontextmanager
async def openssl(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        "openssl",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def s_client(
    us: Side, folder: Path, pair: Pair | None = PHONE, *more: str
) -> contextlib.AbstractAsyncContextManager[asyncio.subprocess.Process]:
    arguments = ["s_client", "-connect", f"{us.address[0]}:{us.address[1]}", *more]
    if pair is not None:
        certificate, key = pair.files(folder, "client")
        arguments += ["-cert", str(certificate), "-key", str(key), "-cert_chain", str(certificate)]
    return openssl(*arguments)


async def read_until(process: asyncio.subprocess.Process, text: bytes) -> bytes:
    assert process.stdout is not None
    output = b""
    async with asyncio.timeout(PATIENCE):
        while text not in output:
            data = await process.stdout.read(65_536)
            if not data:
                break
            output += data
    return output


def say(process: asyncio.subprocess.Process, data: bytes) -> None:
    assert process.stdin is not None
    process.stdin.write(data)


@pytest.mark.parametrize(("flag", "version"), [("-tls1_2", "TLSv1.2"), ("-tls1_3", "TLSv1.3")])
def test_mutual_tls_carries_sip(run: Run, tmp_path: Path, flag: str, version: str) -> None:
    async def work() -> None:
        async with side(Transport.TLS, tls_server(), answers=True) as us:
            async with s_client(us, tmp_path, PHONE, flag, "-quiet") as process:
                say(process, options(1))
                output = await read_until(process, b"Content-Length: 0")
                assert b"SIP/2.0 200 OK" in output
                ((flow, message),) = us.recorder.of("received")
                assert isinstance(message, Request)
                assert flow.identity.name == "SEP001122334455"
                assert us.transport._streams[flow].channel.version() == version  # type: ignore[union-attr]
            ((closed, _),) = await us.recorder.until("closed")
            assert closed is flow

    run(work())


EXPIRED = issue("SEP001122334455", CA, ends=NOW - DAY)
REFUSED = {
    "no certificate": (None, "no-certificate", ""),
    "other CA": (issue("SEP001122334455", OTHER_CA), "certificate", "no trustpoint vouches for that issuer"),
    "self-signed": (issue("SEP001122334455"), "certificate", "no trustpoint vouches for that issuer"),
    "expired": (EXPIRED, "certificate", "the certificate has expired"),
    "wrong usage": (issue("SEP001122334455", CA, usage=(SERVER,)), "certificate", "may not be used for this purpose"),
    "weak key": (issue("SEP001122334455", CA, key=rsa_key(9, 1024)), "certificate", "key is too short"),
}


@pytest.mark.parametrize("flag", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("case", list(REFUSED))
def test_a_refused_client_fails_its_handshake_without_a_sip_octet(
    run: Run, tmp_path: Path, case: str, flag: str
) -> None:
    pair, cause, reason = REFUSED[case]

    async def work() -> None:
        async with side(Transport.TLS, tls_server(), answers=True) as us:
            weak = ["-cipher", "DEFAULT@SECLEVEL=0"] if case == "weak key" else []
            async with s_client(us, tmp_path, pair, flag, *weak) as process:
                say(process, options(1))
                output = await read_until(process, b"no such text: to the end")
            assert b"alert" in output
            assert b"SIP/2.0" not in output
            event = await us.recorder.event()
            assert (event.name, event.cause) == ("tls.refused", cause)
            assert event.peer.startswith("127.0.0.1:")
            assert event.fix
            if pair is not None:
                assert event.fields["subject"] == "CN=SEP001122334455"
                assert event.fields["issuer"] == pair.certificate.issuer.rfc4514_string()
                assert reason in str(event.fields["reason"])
            assert not us.recorder.of("opened")
            assert not us.recorder.of("received")
            assert us.transport.counters.handshakes_refused == 1

    run(work())


def test_a_sha_1_certificate_is_refused_with_its_own_reason(run: Run, tmp_path: Path) -> None:
    """Made by openssl, since cryptography refuses to sign with SHA-1."""

    async def work() -> None:
        certificate, key = CA.files(tmp_path, "ca")
        for arguments in (
            ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=SEP001122334455",
             "-keyout", f"{tmp_path}/sha1.key", "-out", f"{tmp_path}/sha1.csr"],
            ["x509", "-req", "-sha1", "-in", f"{tmp_path}/sha1.csr", "-CA", str(certificate), "-CAkey", str(key),
             "-CAcreateserial", "-out", f"{tmp_path}/sha1.pem"],
        ):  # fmt: skip
            async with openssl(*arguments) as process:
                await process.communicate()
                assert process.returncode == 0
        more = ["-cert", f"{tmp_path}/sha1.pem", "-key", f"{tmp_path}/sha1.key", "-cipher", "DEFAULT@SECLEVEL=0",
                "-cert_chain", str(certificate)]  # fmt: skip
        async with side(Transport.TLS, tls_server()) as us:
            async with s_client(us, tmp_path, None, *more) as process:
                await read_until(process, b"no such text: to the end")
            event = await us.recorder.event()
            assert event.cause == "certificate"
            assert "SHA-1" in str(event.fields["reason"])

    run(work())


@pytest.mark.parametrize("flag", ["-tls1", "-tls1_1"])
def test_old_tls_is_refused_by_default_and_served_by_the_legacy_profile(run: Run, tmp_path: Path, flag: str) -> None:
    async def work() -> None:
        old = [flag, "-cipher", "ALL@SECLEVEL=0"]
        async with side(Transport.TLS, tls_server()) as us:
            async with s_client(us, tmp_path, PHONE, *old) as process:
                output = await read_until(process, b"no such text: to the end")
            assert b"alert protocol version" in output
            event = await us.recorder.event()
            assert (event.name, event.cause) == ("tls.refused", "version")
            assert "legacy" in event.fix
        async with (
            side(Transport.TLS, tls_server(profile="legacy"), answers=True) as us,
            s_client(us, tmp_path, PHONE, *old, "-quiet") as process,
        ):
            say(process, options(1))
            assert b"SIP/2.0 200 OK" in await read_until(process, b"Content-Length: 0")

    run(work())


@pytest.mark.parametrize("flag", ["-tls1_2", "-tls1_3"])
@pytest.mark.parametrize("revoked", [False, True])
def test_resumption_works_and_is_judged_again(run: Run, tmp_path: Path, flag: str, revoked: bool) -> None:
    async def work() -> None:
        judge = Judge()
        session = tmp_path / "session.pem"
        async with side(Transport.TLS, tls_server(judge), answers=True) as us:
            async with s_client(us, tmp_path, PHONE, flag, "-sess_out", str(session)) as process:
                say(process, options(1))
                await read_until(process, b"Content-Length: 0")
                say(process, b"Q\n")
                await read_until(process, b"no such text: to the end")
            assert session.exists()
            if revoked:
                judge.revoked.add("CN=SEP001122334455")
            async with s_client(us, tmp_path, PHONE, flag, "-sess_in", str(session)) as process:
                say(process, options(2))
                output = await read_until(process, b"no such text" if revoked else b"SIP/2.0 200 OK")
            assert b"Reused, " in output
            assert len(judge.calls) == 2
            if revoked:
                assert b"SIP/2.0" not in output
                event = await us.recorder.event()
                assert event.fields["reason"] == "the certificate is revoked"
                assert us.recorder.call_ids == ["call-1"]
                assert us.transport.counters.handshakes_resumed == 0
            else:
                assert us.recorder.call_ids == ["call-1", "call-2"]
                assert us.transport.counters.handshakes_resumed == 1

    run(work())


def test_a_flood_of_key_updates_ends_the_connection_and_no_other(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        async with (
            side(Transport.TLS, tls_server(), limits=Limits(post_handshake_burst=20), answers=True) as us,
            s_client(us, tmp_path, PHONE, "-tls1_3", "-quiet") as other,
            s_client(us, tmp_path, PHONE, "-tls1_3") as process,
        ):
            await us.recorder.until("opened", 2)
            output = b""
            for _ in range(60):
                say(process, b"K\n")  # one update, with one asked for in return
                part = await read_until(process, b"KEYUPDATE")
                output += part
                if us.recorder.of("closed") or not part:
                    break
            ((_, cause),) = await us.recorder.until("closed")
            assert cause == "tls: flood of handshake messages"
            assert 10 <= output.count(b"KEYUPDATE") <= 21  # one that asks for an answer counts twice
            say(other, options(1))
            assert b"SIP/2.0 200" in await read_until(other, b"Content-Length: 0")

    run(work())


def test_a_refused_renegotiation_leaves_nothing_behind(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        async with side(Transport.TLS, tls_server()) as us:
            async with s_client(us, tmp_path, PHONE, "-tls1_2") as process:
                await us.recorder.until("opened")
                say(process, b"R\n")
                output = await read_until(process, b"no renegotiation")
                assert b"RENEGOTIATING" in output
                assert b"no renegotiation" in output
            await us.recorder.until("closed")
            assert us.transport.connections == 0

    run(work())


def test_the_key_log_names_the_clients_random(run: Run, tmp_path: Path) -> None:
    """The same lines as openssl's own key log, so that Wireshark reads them."""

    async def work() -> None:
        ours, theirs = tmp_path / "ours.log", tmp_path / "theirs.log"
        with open_keylog(ours) as file:
            async with (
                side(Transport.TLS, tls_server(keylog=file), answers=True) as us,
                s_client(us, tmp_path, PHONE, "-quiet", "-keylogfile", str(theirs)) as process,
            ):
                say(process, options(1))
                await read_until(process, b"Content-Length: 0")
        wanted = {line for line in theirs.read_text().splitlines() if not line.startswith("#")}
        assert len(wanted) >= 4
        assert wanted <= set(ours.read_text().splitlines())

    run(work())


@contextlib.asynccontextmanager
async def s_server(folder: Path, *more: str) -> AsyncIterator[tuple[asyncio.subprocess.Process, tuple[str, int]]]:
    """openssl's server on a free port, once it listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.40.5", 0))
        address = probe.getsockname()
    certificate, key = CUBE.files(folder, "server")
    ca, _ = CA.files(folder, "ca")
    async with openssl(
        "s_server", "-accept", f"{address[0]}:{address[1]}", "-cert", str(certificate), "-key", str(key),
        "-CAfile", str(ca), *more,
    ) as process:  # fmt: skip
        await read_until(process, b"ACCEPT")
        yield process, address


def test_we_connect_to_openssls_server_with_our_certificate(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        client = TlsClient(PHONE.chain, PHONE.key, Judge())
        async with s_server(tmp_path, "-Verify", "1") as (process, address), side(client=client) as us:
            us.transport.send(Target(Transport.TLS, address[0], address[1], us.address), options(1))
            output = await read_until(process, b"Content-Length: 0")
            assert b"CN = SEP001122334455" in output or b"CN=SEP001122334455" in output
            say(process, options(2))
            ((flow, message),) = await us.recorder.until("received")
            assert message.call_id == "call-2"
            assert flow.identity.name == "cube.example.com"
            say(process, b"Q\n")
            await us.recorder.until("closed")

    run(work())


def test_a_server_whose_certificate_is_not_trusted_gets_no_sip(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        client = TlsClient(PHONE.chain, PHONE.key, Judge(OTHER_CA))
        async with s_server(tmp_path) as (process, address), side(client=client) as us:
            target = Target(Transport.TLS, address[0], address[1], us.address)
            us.transport.send(target, options(1))
            event = await us.recorder.event()
            assert (event.name, event.cause) == ("tls.refused", "certificate")
            assert event.fields["subject"] == "CN=cube.example.com"
            assert await us.recorder.until("failed") == [(target, "tls: certificate")]
            assert b"OPTIONS" not in await read_until(process, b"ERROR")
            assert not us.recorder.of("opened")

    run(work())


@pytest.mark.parametrize("flag", ["-tls1_2", "-tls1_3"])
def test_a_server_that_refuses_us_is_explained(run: Run, tmp_path: Path, flag: str) -> None:
    """In TLS 1.3 our handshake is over when the refusal comes; the operator is told all the same."""

    async def work() -> None:
        stranger = issue("SEP001122334455", OTHER_CA)
        client = TlsClient(stranger.chain, stranger.key, Judge())
        arguments = (flag, "-Verify", "1", "-verify_return_error")
        async with s_server(tmp_path, *arguments) as (_, address), side(client=client) as us:
            target = Target(Transport.TLS, address[0], address[1], us.address)
            us.transport.send(target, options(1))
            event = await us.recorder.event()
            assert (event.name, event.cause) == ("tls.refused", "peer-refused")
            assert "trust" in event.fix
            ((path, _),) = await us.recorder.until("failed")
            assert path == target

    run(work())
