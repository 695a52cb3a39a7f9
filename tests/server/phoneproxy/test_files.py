"""What phones get from the file service, and what they never get."""

from __future__ import annotations

import asyncio
import re
import secrets
import socket
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from cubelab.pki.lab import Lab
from cubeproxy.pki.enrol import enrol_selfsigned
from cubeproxy.protocols.tftp import Data, Error, ErrorCode, Request, parse_packet
from cubeproxy.protocols.trustlist import (
    Role,
    Signer,
    read_list,
    sign_file,
    validate_list,
    validate_signed,
)
from cubeproxy.server.phoneproxy.fetch import FetchFailed, NotFound
from tests.phoneproxy.samples import CONFIG as SAMPLE
from tests.server.phoneproxy.bench import DEVICE, Bench

RING = secrets.token_bytes(70_000)
FILES = {f"{DEVICE}.cnf.xml": SAMPLE, "Chirp.raw": RING, "Empty.raw": b""}


def run(scene: Coroutine[None, None, None]) -> None:
    asyncio.run(asyncio.wait_for(scene, 30))


def manager(lab: Lab) -> Signer:
    """The cluster's CallManager certificate, which signs its files."""
    identity = lab.cucm["pub"]
    key = serialization.load_pem_private_key(identity.key.read_bytes(), None)
    return Signer(x509.load_pem_x509_certificate(identity.certificate.read_bytes()), key)  # type: ignore[arg-type]


def test_a_phone_gets_our_list_and_a_configuration_that_the_list_vouches_for(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            ctl = validate_list(await bench.get(f"CTL{DEVICE}.tlv"))
            itl = validate_list(await bench.get(f"ITL{DEVICE}.tlv"), (ctl,))
            assert itl.is_itl
            assert bench.cluster.asked == {}, "trust lists are never the cluster's"
            signed = await bench.get(f"{DEVICE}.cnf.xml.sgn")
            payload = validate_signed(signed, (ctl, itl), f"{DEVICE}.cnf.xml.sgn").payload.decode()
            assert f"<processNodeName>{bench.network.access}</processNodeName>" in payload
            assert "<deviceSecurityMode>3</deviceSecurityMode>" in payload
            assert await bench.get(f"{DEVICE}.cnf.xml") == payload.encode()
            assert bench.cluster.sources == {bench.network.core}, "the cluster is asked from local-addr"
            served = bench.named("file.served")
            assert [event.fields["file"] for event in served] == [
                f"CTL{DEVICE}.tlv", f"ITL{DEVICE}.tlv", f"{DEVICE}.cnf.xml.sgn", f"{DEVICE}.cnf.xml"
            ]  # fmt: skip
            assert {event.device for event in served} == {DEVICE}
            assert len(bench.named("config.upstream-unauthenticated")) == 1

    run(scene())


@pytest.mark.parametrize("name", ["Chirp.raw", "Empty.raw"])
def test_a_file_goes_through_octet_for_octet(nvram: Path, name: str) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            assert await bench.get(name) == FILES[name]
            head, _, body = (await bench.http(b"GET /%s HTTP/1.1\r\nHost: x\r\n\r\n" % name.encode())).partition(
                b"\r\n\r\n"
            )
            assert head.startswith(b"HTTP/1.1 200 OK\r\n")
            assert b"Content-length: %d" % len(FILES[name]) in head
            assert body == FILES[name]

    run(scene())


def test_who_asks_without_options_gets_blocks_of_512(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.bind((bench.network.phone(1), 0))
                sock.sendto(Request("Chirp.raw").serialise(), bench.tftp)
                data, source = await loop.sock_recvfrom(sock, 65535)
            assert parse_packet(data) == Data(1, RING[:512])
            assert source[0] == bench.tftp[0]
            assert source[1] != bench.tftp[1], "a transfer has a port of its own"

    run(scene())


def test_unknown_and_forbidden_sound_the_same(nvram: Path) -> None:
    """A phone that is not provisioned, a path, an encrypted configuration: one answer."""

    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            names = ["SEP0000000000FF.cnf.xml", "../../etc/passwd", "/etc/passwd", f"{DEVICE}.cnf.xml.enc.sgn", "x"]
            answers = set()
            for name in names:
                with pytest.raises(NotFound):
                    await bench.get(name)
                answers.add(await bench.http(b"GET /%s HTTP/1.1\r\n\r\n" % name.lstrip("/").encode()))
            assert len(answers) == 1
            assert answers.pop().startswith(b"HTTP/1.1 404 ")
            assert set(bench.cluster.asked) == {"SEP0000000000FF.cnf.xml"}
            assert any("encrypts" in event.text and event.fix for event in bench.named("file.refused"))

    run(scene())


def test_an_encrypted_configuration_is_refused_with_the_explanation(nvram: Path) -> None:
    short = b"<device><fullConfig>false</fullConfig><encrConfig>true</encrConfig></device>"

    async def scene() -> None:
        async with Bench(nvram, {f"{DEVICE}.cnf.xml": short}) as bench:
            with pytest.raises(NotFound):
                await bench.get(f"{DEVICE}.cnf.xml.sgn")
            (refused,) = bench.named("file.refused")
            assert refused.cause == "encrypted"
            assert "TFTP Encrypted Config" in refused.fix
            assert refused.device == DEVICE

    run(scene())


MIXED = " record-entry cucm-tftp trustpoint CCM_PUB\n"


def test_a_mixed_mode_cluster_must_have_signed(nvram: Path, lab: Lab) -> None:
    name = f"{DEVICE}.cnf.xml.sgn"
    good = sign_file(SAMPLE, name, manager(lab), 1)
    forged = bytearray(good)
    forged[-20] ^= 1

    async def scene() -> None:
        async with Bench(nvram, {name: good, f"{DEVICE}.cnf.xml": SAMPLE}, records=MIXED) as bench:
            ctl = validate_list(await bench.get("CTLFile.tlv"))
            validate_signed(await bench.get(name), (ctl,), name)
            assert set(bench.cluster.asked) == {name}
            assert bench.named("config.upstream-unauthenticated") == []
            bench.cluster.files[name] = bytes(forged)
            with pytest.raises(NotFound):
                await bench.get(name)
            assert bench.named("file.refused")[-1].cause == "digest"
            bench.cluster.files[name] = SAMPLE
            with pytest.raises(NotFound):
                await bench.get(name)
            del bench.cluster.files[name]
            with pytest.raises(NotFound):
                await bench.get(name)
            assert set(bench.cluster.asked) == {name}, "an unsigned one is never asked for"

    run(scene())


def test_mixed_mode_without_its_certificate_serves_nothing_unverified(nvram: Path) -> None:
    for path in (nvram / "CCM_PUB").iterdir():
        path.unlink()

    async def scene() -> None:
        async with Bench(nvram, FILES, records=MIXED) as bench:
            with pytest.raises(NotFound):
                await bench.get(f"{DEVICE}.cnf.xml.sgn")
            assert bench.cluster.asked == {}
            assert bench.named("file.refused")[0].cause == "no-cluster-certificate"
            assert bench.named("ctl.record-missing")[0].fields["trustpoint"] == "CCM_PUB"

    run(scene())


def test_a_silent_cluster_is_told_and_the_phone_is_answered(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            bench.instance.fetcher.pace = type(bench.instance.fetcher.pace)(first=0.02, last=0.02, tries=2)
            bench.cluster.silent = True
            with pytest.raises(NotFound):
                await bench.get("Chirp.raw")
            (event,) = bench.named("file.unreachable")
            assert event.cause == "no-answer"
            assert bench.network.nodes[0] in event.fix
            bench.cluster.silent = False
            assert await bench.get("Chirp.raw") == RING

    run(scene())


def test_who_waits_for_the_same_file_waits_for_one_transfer(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            found = await asyncio.gather(*(bench.get("Chirp.raw", phone) for phone in range(1, 21)))
            assert set(found) == {RING}
            assert bench.cluster.asked["Chirp.raw"] < 20

    run(scene())


def test_the_file_buffer_keeps_shared_files_and_no_phones_own(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES, head="voice-phone-proxy file-buffer size 10 aging 60\n") as bench:
            for _ in range(3):
                await bench.get("Chirp.raw")
                await bench.get(f"{DEVICE}.cnf.xml")
            assert bench.cluster.asked == {"Chirp.raw": 1, f"{DEVICE}.cnf.xml": 3}

    run(scene())


def test_sessions_beyond_the_limit_get_no_octet(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES, lines=" max-concurrent-sessions 1\n") as bench:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.bind((bench.network.phone(9), 0))
                sock.sendto(Request("Chirp.raw").serialise(), bench.tftp)
                await loop.sock_recvfrom(sock, 65535)
                with pytest.raises(FetchFailed, match="does not answer"):
                    await bench.get("Empty.raw")
                assert bench.named("tftp.busy")
                answer = await bench.http(b"GET /Empty.raw HTTP/1.1\r\n\r\n")
                assert answer.startswith(b"HTTP/1.1 200 ")
                sock.sendto(Error(ErrorCode.UNDEFINED, "enough").serialise(), (bench.tftp[0], bench.tftp[1]))

    run(scene())


# the list over restarts


def test_a_restart_serves_the_same_octets(nvram: Path) -> None:
    async def scene() -> None:
        lists = []
        for _ in range(2):
            async with Bench(nvram, FILES) as bench:
                bench.config.phone_proxies["PP"].tftp_access = "127.0.0.1"
                lists.append(read_list(await bench.get("CTLFile.tlv")))
        assert {one.header.signer for one in lists} == {"CN=cube.lab.example"}
        assert lists[0].header.timestamp <= lists[1].header.timestamp
        validate_list(lists[1].data, (lists[0],), refuse_older=True)

    run(scene())


def test_a_new_key_of_ours_is_introduced_by_the_spare(nvram: Path, tmp_path: Path) -> None:
    """A phone that holds the old list takes the new one, and the one after it, without anybody's hand."""

    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            held = validate_list(await bench.get("CTLFile.tlv"))
            assert len(list(held.with_role(Role.SAST))) == 2
            for path in (nvram / "CUBE_SS").iterdir():
                path.unlink()
            made = enrol_selfsigned(nvram, "CUBE_SS", "cube.lab.example", datetime.now(UTC))
            bench.store.reload()
            bench.service.trust_changed()
            renewed = validate_list(await bench.get("CTLFile.tlv"), (held,), refuse_older=True)
            assert renewed.data != held.data
            assert renewed.vouches(made.public_bytes(serialization.Encoding.DER), (Role.CCM_TFTP,))
            name = f"{DEVICE}.cnf.xml.sgn"
            validate_signed(await bench.get(name), (renewed,), name)
            assert bench.named("ctl.signer-changed") == []
            bench.service.trust_changed()
            assert await bench.get("CTLFile.tlv") == renewed.data

    run(scene())


def test_unauthenticated_files_are_told_of_once(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            for _ in range(3):
                await bench.get("Empty.raw")
                bench.service.trust_changed()
            assert len(bench.named("config.upstream-unauthenticated")) == 1

    run(scene())


def test_who_does_not_answer_gets_one_datagram(nvram: Path) -> None:
    """A request from a forged address is no way to make us talk to it."""

    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            loop = asyncio.get_running_loop()
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
                sock.setblocking(False)
                sock.bind((bench.network.phone(9), 0))
                asked = Request("Chirp.raw", options={"blksize": "65464", "windowsize": "64"}).serialise()
                sock.sendto(asked, bench.tftp)
                data, _ = await loop.sock_recvfrom(sock, 65535)
                assert len(data) <= 15 * len(asked)
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(2.5):  # longer than the first retransmission of a proven peer
                        await loop.sock_recvfrom(sock, 65535)

    run(scene())


def test_a_phone_proxy_that_is_not_complete_serves_nothing(nvram: Path) -> None:
    async def scene() -> None:
        bench = Bench(nvram, FILES)
        bench.config.phone_proxies["PP"].complete = False
        async with bench:
            assert bench.service.instances == []
            (event,) = bench.named("phoneproxy.inactive")
            assert "complete" in event.fix

    run(scene())


def test_a_broken_certificate_leaves_the_list_as_it_was(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            held = await bench.get("CTLFile.tlv")
            (nvram / "CUBE_SS" / "key.pem").unlink()
            bench.store.reload()
            bench.service.trust_changed()
            assert bench.named("ctl.failed")
            assert await bench.get("CTLFile.tlv") == held

    run(scene())


# HTTP


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /Chirp.raw HTTP/1.1\r\n\r\n", 405),
        (b"PUT /Chirp.raw HTTP/1.0\r\n\r\n", 405),
        (b"GET Chirp.raw HTTP/1.1\r\n\r\n", 400),
        (b"GET /Chirp.raw HTTP/2.0\r\n\r\n", 400),
        (b"GET /Chirp.raw\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"GET /%2e%2e/%2e%2e/etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET //etc/passwd HTTP/1.1\r\n\r\n", 404),
        (b"GET /%43hirp.raw HTTP/1.1\r\n\r\n", 200),
        (b"GET /%C3%28.raw HTTP/1.1\r\n\r\n", 404),
    ],
)
def test_http_answers(nvram: Path, request_: bytes, status: int) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            answer = await bench.http(request_)
            assert answer.startswith(b"HTTP/1.1 %d " % status)
            assert b"Cache-Control: no-store" in answer

    run(scene())


def test_http_head_has_no_body(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            answer = await bench.http(b"HEAD /Chirp.raw HTTP/1.1\r\n\r\n")
            assert re.search(rb"Content-length: 70000\r\n", answer)
            assert answer.endswith(b"\r\n\r\n")

    run(scene())


def test_a_head_without_end_is_cut(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            assert await bench.http(b"GET /Chirp.raw HTTP/1.1\r\nX: " + b"a" * 20_000) == b""

    run(scene())


def test_slow_heads_do_not_keep_others_from_their_files(nvram: Path) -> None:
    async def scene() -> None:
        async with Bench(nvram, FILES) as bench:
            slow = []
            for _ in range(40):
                _, writer = await asyncio.open_connection(
                    *bench.instance.http[0].address, local_addr=(bench.network.phone(5), 0)
                )
                writer.write(b"GET /")
                slow.append(writer)
            answer = await bench.http(b"GET /Chirp.raw HTTP/1.1\r\n\r\n", bench.network.phone(6))
            assert answer.endswith(RING)
            assert bench.instance.http[0].connections <= 16
            assert {event.cause for event in bench.named("http.busy")} == {"address-connections"}
            for writer in slow:
                writer.close()

    run(scene())
