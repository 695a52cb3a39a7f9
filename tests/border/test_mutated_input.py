"""Broken input in any form through a border with phones and calls: no exception, an answer or silence, nothing kept."""

from __future__ import annotations

import gc
import itertools
import random
import re
from collections.abc import Callable, Iterator

import psutil
import pytest

from cubeproxy.protocols.sip.message import Request, response_to, validate_request
from cubeproxy.protocols.values import Side
from tests.border.scene import Peer, Scene, established, rtp, srtp

TOKENS = (
    b"", b"\x00", b"\r\n", b"\r", b" ", b"\t", b",", b";", b"<", b">", b'"', b"@", b"%00", b"*", b"-1", b"0", b"1_0",
    b"99999999999999999999", b"\xff\xfe", "\u0661".encode(), b"sip:", b"inline:", b"a=crypto:1 ", b"SIP/2.0", b"tag=",
    b"m=audio 1 RTP/SAVP 0", b"c=IN IP4 0.0.0.0", b"INVITE", b"Via: SIP/2.0/TLS a;branch=z9hG4bKa", b"Contact: *",
    b"Content-Length: 5", b"Expires: 0", b"Require: foo", b"Replaces: a;to-tag=b", b"RSeq: 1", b"RAck: 1 1 INVITE",
)  # fmt: skip


_CSEQ = re.compile(rb"CSeq: [0-9]+ ")


def flip(octets: bytearray, dice: random.Random) -> None:
    octets[dice.randrange(len(octets))] ^= 1 << dice.randrange(8)


def insert(octets: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(octets))
    octets[at:at] = dice.choice(TOKENS)


def replace(octets: bytearray, dice: random.Random) -> None:
    at = dice.randrange(len(octets))
    octets[at : at + dice.randrange(1, 30)] = dice.choice(TOKENS)


def cut(octets: bytearray, dice: random.Random) -> None:
    del octets[dice.randrange(len(octets)) :]


def double_a_line(octets: bytearray, dice: random.Random) -> None:
    lines = bytes(octets).split(b"\r\n")
    line = dice.choice(lines)
    lines.insert(dice.randrange(len(lines)), line * dice.choice((1, 1, 1, 50)))
    octets[:] = b"\r\n".join(lines)


def drop_a_line(octets: bytearray, dice: random.Random) -> None:
    lines = bytes(octets).split(b"\r\n")
    del lines[dice.randrange(len(lines))]
    octets[:] = b"\r\n".join(lines)


CHANGES: tuple[Callable[[bytearray, random.Random], None], ...] = (
    flip, flip, insert, replace, cut, double_a_line, drop_a_line,
)  # fmt: skip


def seeds(scene: Scene, phone: Peer, node: Peer) -> list[tuple[Peer, bytes]]:
    """Messages of both sides that are right: outside and inside a call, answers too."""
    found: list[tuple[Peer, bytes]] = []

    def said(peer: Peer) -> None:
        assert peer.request is not None
        found.append((peer, peer.request.serialise()))

    phone.register()
    said(phone)
    for method in ("INFO", "UPDATE", "REFER", "NOTIFY", "PRACK", "INVITE"):
        body = srtp(direction="sendonly") if method in ("UPDATE", "INVITE") else b""
        phone.within(method, body=body, headers=[("Refer-To", "<sip:3@192.0.2.1?Replaces=a>"), ("RAck", "1 1 INVITE")])
        said(phone)
    phone.calls("2001", srtp(), [("Require", "timer"), ("Session-Expires", "90"), ("Diversion", "<sip:a@192.0.2.1>")])
    said(phone)
    phone.out("OPTIONS", "sip:192.0.2.1")
    said(phone)
    node.calls("1001", rtp(), [("P-Asserted-Identity", "<sip:2@198.51.100.11>")])
    said(node)
    node.out("OPTIONS", "sip:198.51.100.1")
    said(node)
    for sent in list(scene.sent):
        request = sent.message
        if isinstance(request, Request) and request.method not in ("ACK", "CANCEL"):
            peer = phone if sent.path is phone.flow else node
            for status in (183, 200, 401):
                answer = response_to(request, status, to_tag="t")
                answer.headers.add("Contact", peer.contact)
                answer.headers.add("Content-Type", "application/sdp")
                answer.body = srtp() if peer is phone else rtp()
                found.append((peer, answer.serialise()))
    return found


def mutants(dice: random.Random, pool: list[tuple[Peer, bytes]]) -> Iterator[tuple[Peer, bytes]]:
    """Requests are new ones each time, so that what is wrong with them is what was changed."""
    requests = [one for one in pool if not one[1].startswith(b"SIP/2.0")]
    answers = [one for one in pool if one[1].startswith(b"SIP/2.0")]
    for serial in itertools.count(1000):
        peer, octets = dice.choice(requests if dice.random() < 0.8 else answers)
        if not octets.startswith(b"SIP/2.0"):
            octets = octets.replace(b"branch=z9hG4bK", b"branch=z9hG4bKm%d" % serial, 1)
            octets = _CSEQ.sub(b"CSeq: %d " % serial, octets, count=1)
        changed = bytearray(octets)
        for _ in range(dice.choice((1, 1, 1, 2, 5))):
            if changed:
                dice.choice(CHANGES)(changed, dice)
        yield peer, bytes(changed)


def storm(count: int, seed: int = 1) -> None:
    """`count` mutated messages; after every 100 both sides give up what is open, and all is as it was."""
    dice = random.Random(seed)
    turns = count // 100
    objects, memory = [], []
    for turn in range(turns):
        scene = Scene(strict=False)
        phone, node = established(scene)
        source = mutants(dice, seeds(scene, phone, node))
        scene.sent.clear()
        for peer, octets in itertools.islice(source, 100):
            peer.sends(octets)
            judge(scene)
        scene.wait(400)
        end(scene, node)
        assert scene.leftovers() == {}
        if turn % (turns // 5) == 1:
            del scene, phone, node, source, peer
            gc.collect()
            objects.append(len(gc.get_objects()))
            memory.append(psutil.Process().memory_info().rss)
    assert objects[-1] - objects[1] < 1000, objects
    assert memory[-1] - memory[1] < 8 * 2**20, [value >> 20 for value in memory]


def judge(scene: Scene) -> None:
    """Nothing that left us is unreadable (the scene parses it), and a request is valid whoever it is for."""
    for sent in scene.sent:
        if isinstance(sent.message, Request):
            validate_request(sent.message)
    scene.sent.clear()


def end(scene: Scene, node: Peer) -> None:
    """The core hangs up what is still up."""
    for call in list(scene.border.calls):
        dialog = next(leg.dialog for leg in call.legs if leg.side is Side.CORE)
        assert dialog is not None
        to = f"<sip:x@198.51.100.1>;tag={dialog.local_tag}"
        node.out("BYE", "sip:198.51.100.1", to=to, call_id=dialog.call_id, tag=dialog.remote_tag, cseq=2**30)
    scene.wait(70)


def test_two_thousand_mutated_messages() -> None:
    storm(2_000)


@pytest.mark.soak
def test_a_hundred_thousand_mutated_messages() -> None:
    storm(100_000, seed=2)
