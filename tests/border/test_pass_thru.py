"""`srtp pass-thru`: the far ends agree on keys, suites and payload types, and nothing of ours opens a packet."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.values import PASS_THROUGH, Need, ReserveMedia
from tests.border.scene import SAVP_KEY, Scene, called, calling, media_of, rtp, srtp
from tests.border.test_hold import reinvite
from tests.border.test_srtp_policy import scene

THEIRS = "Z" * 40
PASS = "srtp pass-thru"


def both(version: str = "17.9") -> Scene:
    return scene(PASS, PASS, version=version)


def answered(one: Scene, offer: bytes, answer: bytes) -> bytes:
    """A phone calls the core with `offer`; what it hears of `answer`."""
    phone, node, invite = calling(one, offer)
    node.answers(invite, 200, body=answer)
    node.hears("ACK")
    return phone.gets(200).body


@pytest.mark.parametrize("version", ["15.7", "17.9"])
def test_lines_and_keys_pass_both_ways_as_they_are(version: str) -> None:
    """Needs no DSP on either personality: a relay is all."""
    one = both(version)
    phone, node, invite = calling(one, srtp())
    offered = media_of(invite)
    assert offered.protocol == "RTP/SAVP"
    assert offered.crypto == [f"1 AES_CM_128_HMAC_SHA1_80 inline:{SAVP_KEY}"]
    node.answers(invite, 200, body=srtp("198.51.100.11", 30000, key=THEIRS))
    node.hears("ACK")
    answer = media_of(phone.gets(200))
    assert answer.protocol == "RTP/SAVP"
    assert answer.crypto == [f"1 AES_CM_128_HMAC_SHA1_80 inline:{THEIRS}"]
    (reserved,) = [command for command in one.media if isinstance(command, ReserveMedia)]
    assert reserved.need is Need.RELAY
    for leg in (one.access, one.core):
        assert leg.codec == PASS_THROUGH
        assert leg.send_key is leg.receive_key is None


def test_the_addresses_are_still_ours() -> None:
    one = both()
    _, _, invite = calling(one, srtp())
    assert b"203.0.113.7" not in invite.body
    assert b"198.51.100.1" in invite.body


def test_suites_that_we_do_not_know_pass_too() -> None:
    """Vendor: pass-through also passes unsupported suites."""
    one = both()
    line = b"a=crypto:3 F8_128_HMAC_SHA1_80 inline:" + SAVP_KEY.encode() + b"|2^20|1:4 KDR=2\r\n"
    offer = srtp().replace(b"a=rtpmap:0", line + b"a=rtpmap:0")
    answer = srtp(suite="F8_128_HMAC_SHA1_80", key=THEIRS).replace(b"crypto:1", b"crypto:3")
    phone, node, invite = calling(one, offer)
    assert media_of(invite).crypto[1] == line.decode().removeprefix("a=crypto:").strip()
    node.answers(invite, 200, body=answer)
    node.hears("ACK")
    assert media_of(phone.gets(200)).crypto == [f"3 F8_128_HMAC_SHA1_80 inline:{THEIRS}"]


def test_payload_types_are_those_of_whoever_reads_them() -> None:
    """A packet that is not opened keeps its payload type, so an answer with numbers of its own passes as it is."""
    one = both()
    offer = srtp()
    answer = srtp("198.51.100.11", 30000, key=THEIRS).replace(b" 101", b" 96").replace(b":101 ", b":96 ")
    answer += b"a=fmtp:96 0-11\r\n"
    heard = answered(one, offer, answer)
    assert b"RTP/SAVP 0 96\r\n" in heard
    assert b"a=rtpmap:96 telephone-event/8000" in heard
    assert b"a=fmtp:96 0-11" in heard


@pytest.mark.parametrize("towards", ["core", "phone"])
def test_without_savp_it_is_415(towards: str) -> None:
    one = both()
    phone = one.registered()
    node = one.node()
    caller = phone if towards == "core" else node
    caller.calls("2001" if towards == "core" else "1001", rtp())
    caller.gets(100)
    answer = caller.gets(415)
    assert "SRTP pass-thru needs RTP/SAVP" in (answer.headers.get("Warning") or "")
    caller.acks_failure()
    assert one.quiet()
    assert one.leftovers() == {}


def test_the_core_may_call_too() -> None:
    one = both()
    _, _, invite = called(one, srtp("198.51.100.11", 30000))
    assert media_of(invite).crypto == [f"1 AES_CM_128_HMAC_SHA1_80 inline:{SAVP_KEY}"]


@pytest.mark.parametrize(("access", "core"), [(PASS, "srtp"), (PASS, ""), ("srtp", PASS), ("srtp fallback", PASS)])
def test_one_dial_peer_alone_is_refused(access: str, core: str) -> None:
    one = scene(access, core)
    phone = one.registered()
    phone.calls("2001", srtp())
    phone.gets(100)
    answer = phone.gets(488)
    assert "SRTP pass-thru is not configured on both dial peers" in (answer.headers.get("Warning") or "")
    assert one.event("call.refused").fix
    assert one.quiet()


def test_an_rtp_answer_ends_the_call() -> None:
    one = both()
    phone, node, invite = calling(one, srtp())
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    node.hears("BYE")
    assert "RTP/SAVP" in (phone.gets(415).headers.get("Warning") or "")


@pytest.mark.parametrize(
    "answer",
    [
        srtp(key=THEIRS).replace(b"crypto:1", b"crypto:2"),
        srtp(suite="AES_CM_128_HMAC_SHA1_32", key=THEIRS),
        srtp(key="short"),
        srtp(key=THEIRS).replace(b"a=crypto", b"a=nothing"),
    ],
)
def test_an_answer_must_take_a_line_that_was_offered(answer: bytes) -> None:
    """RFC 4568 5.1.3."""
    one = both()
    phone, node, invite = calling(one, srtp())
    node.answers(invite, 200, body=answer)
    phone.gets(488)


def test_an_offer_without_lines_is_refused() -> None:
    one = both()
    phone = one.registered()
    phone.calls("2001", srtp().replace(b"a=crypto", b"a=nothing"))
    phone.gets(100)
    phone.gets(488)


def test_hold_and_a_new_key_pass_in_the_middle_of_a_call() -> None:
    one = both()
    phone, node, invite = calling(one, srtp())
    node.answers(invite, 200, body=srtp("198.51.100.11", 30000, key=THEIRS))
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    key = "Y" * 40
    held = srtp("198.51.100.11", 30000, key=THEIRS, direction="recvonly")
    heard, back = reinvite(phone, node, srtp(key=key, direction="sendonly"), held)
    assert f"inline:{key}".encode() in heard
    assert b"a=sendonly" in heard
    assert f"inline:{THEIRS}".encode() in back
    assert (one.access.codec, one.access.sends, one.access.receives) == (PASS_THROUGH, False, True)


def test_no_key_is_told() -> None:
    one = both()
    answered(one, srtp(), srtp("198.51.100.11", 30000, key=THEIRS))
    texts = " ".join(f"{event.text} {event.fields}" for event in one.events) + repr(one.updated())
    assert SAVP_KEY not in texts
    assert THEIRS not in texts
