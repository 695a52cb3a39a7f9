"""The core side as an attacker reaches it: spoofed and unknown sources, answers out of nowhere, and the torture corpora
from both sides of the running proxy.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import socket
import time
from pathlib import Path

import pytest

from tests.behaviour.raw import Stream, answers, request, sdp, status, udp
from tests.behaviour.siege import Siege


def response(code: int, method: str, call_id: str, *, branch: str = "", tag: str = "x") -> bytes:
    return (
        f"SIP/2.0 {code} Whatever\r\nVia: SIP/2.0/UDP 127.0.0.1:5060;branch=z9hG4bK{branch or secrets.token_hex(8)}\r\n"
        f"From: <sip:a@h>;tag={secrets.token_hex(4)}\r\nTo: <sip:b@h>;tag={tag}\r\nCall-ID: {call_id}\r\n"
        f'CSeq: 1 {method}\r\nWWW-Authenticate: Digest realm="r", nonce="n"\r\nContent-Length: 0\r\n\r\n'
    ).encode()


def torture(corpora: Path) -> dict[str, tuple[bytes, str]]:
    """Every torture message: octets, and what its manifest expects of a parser."""
    cases = json.loads((corpora / "manifest.json").read_text())["cases"]
    return {
        case["id"]: ((corpora / case["file"]).read_bytes(), case["expect"].get("parse", ""))
        for case in cases
        if case["id"].startswith(("rfc4475/", "rfc5118/"))
    }


def test_strangers_get_no_answer_and_are_told_in_one_line(siege: Siege) -> None:
    """Spoofed sources at the core's UDP port: good requests, responses, garbage; nothing comes back."""
    mark = siege.mark()
    before, heard = siege.rss(), len(siege.core_heard)
    socks = [udp((siege.host(100 + number), 0)) for number in range(20)]
    with siege.calm():
        for number in range(10_000):
            sock = socks[number % len(socks)]
            method = ("INVITE", "REGISTER", "OPTIONS", "BYE", "MESSAGE")[number % 5]
            messages = (
                request(method, f"sip:1001@{siege.core[0]}", transport="UDP", body=sdp() if number % 5 == 0 else b""),
                response(200, method, secrets.token_hex(4)),
                os.urandom(200),
            )
            sock.sendto(messages[number % 3], siege.core)
            if number % 100 == 99:
                time.sleep(0.005)
        assert answers(*socks) == []
    assert len(siege.core_heard) == heard
    told = mark.one("sip.untrusted")
    assert told["source"].startswith(socks[0].getsockname()[0].rpartition(".")[0])
    assert siege.rss()[0] - before[0] < 3_000
    for sock in socks:
        sock.close()


def test_strangers_are_closed_on_tcp(siege: Siege) -> None:
    with siege.calm():
        for number in range(100):
            with Stream(siege.core, source=siege.host(120 + number % 8)) as stream:
                assert stream.ended(2)
                assert not stream.received


def test_answers_out_of_nowhere_change_nothing(siege: Siege) -> None:
    """From the address of a cluster's node: 2xx, 401 and 487 for the call in progress and for calls that never were."""
    dialog = siege.far.leg.dialog
    assert dialog is not None
    node = udp((siege.stage.network.nodes[1], 0))
    mark = siege.mark()
    with siege.calm():
        for method in ("INVITE", "BYE", "REGISTER", "OPTIONS", "ACK"):
            for code in (100, 180, 200, 302, 401, 481, 487, 503, 699):
                for call_id in (dialog.call_id, secrets.token_hex(8)):
                    node.sendto(response(code, method, call_id, tag=dialog.local_tag), siege.core)
        assert answers(node) == []
    assert not mark.events("call.ended")
    node.close()


def test_garbage_from_a_node_is_told_once_and_answered_where_it_can_be(siege: Siege) -> None:
    node = udp((siege.stage.network.nodes[1], 0))
    via = ":".join(map(str, node.getsockname()))
    mark = siege.mark()
    rng = random.Random(1)
    with siege.calm():
        for number in range(500):
            good = request("OPTIONS", f"sip:x@{siege.core[0]}", transport="UDP", via_host=via)
            broken = bytearray(good)
            for _ in range(1 + number % 8):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            node.sendto(bytes(broken), siege.core)
            if number % 50 == 49:
                time.sleep(0.01)
        replies = {status(reply) for reply in answers(node)}
    assert replies <= {0, 200, 400, 403, 405, 416, 420, 481, 501, 503, 505}, replies
    assert len(mark.events()) < 60
    node.close()


def test_the_torture_corpora_from_the_core_side(siege: Siege, corpora: Path) -> None:
    """Live, by UDP from a node's address: a refused message gets an error or nothing, others lose nothing."""
    node = udp((siege.stage.network.nodes[1], 0))
    phones = {number: phone.registration for number, phone in siege.stage.phones.items()}
    with siege.calm():
        for name, (octets, expected) in torture(corpora).items():
            node.sendto(octets, siege.core)
            for reply in answers(node, patience=0.02):
                assert reply.startswith(b"SIP/2.0 ") or reply.split(b" ", 1)[0].isalpha(), name
                if expected == "reject":
                    assert status(reply) >= 400, (name, reply)
        assert _served(siege)
    assert phones == {number: phone.registration for number, phone in siege.stage.phones.items()}
    node.close()


def test_the_torture_corpora_from_a_phone(siege: Siege, corpora: Path) -> None:
    """Live, over TLS, each on a connection of its own."""
    with siege.calm():
        for name, (octets, expected) in torture(corpora).items():
            with siege.rogue() as phone:
                phone.say(octets)
                reply = phone.hear(0.05)
                if reply is not None and expected == "reject":
                    assert status(reply) >= 400, (name, reply)
        assert _served(siege)


def _served(siege: Siege) -> bool:
    """A call of another phone goes through as if nothing were."""
    call = siege.do(siege.stage.phones["1002"].call("3001"))
    siege.do(call.answered())
    siege.do(call.hang_up())
    return True


def test_the_cluster_can_be_flooded_with_connections_by_nobody_but_itself(siege: Siege) -> None:
    """Half-written messages over TCP from a node's address: each is bounded, other phones are served."""
    socks: list[socket.socket] = []
    with siege.calm():
        for _ in range(100):
            sock = socket.create_connection(siege.core, 2, (siege.stage.network.nodes[1], 0))
            sock.sendall(request("OPTIONS", "sip:x@h", transport="TCP")[:-30])
            socks.append(sock)
        assert _served(siege)
    for sock in socks:
        sock.close()


@pytest.mark.parametrize("octets", [b"", b"\r\n\r\n", b"\0" * 8, b"SIP/2.0", b"x" * 65_000, b"\r\n" * 500 + b"\x80"])
def test_odd_datagrams_are_nothing(siege: Siege, octets: bytes) -> None:
    node = udp((siege.stage.network.nodes[1], 0))
    node.sendto(octets, siege.core)
    assert answers(node, patience=0.05) == []
    siege.clean()
    node.close()
