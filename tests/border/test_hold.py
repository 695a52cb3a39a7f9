"""Hold, resume and other changes of the stream (RFC 3264 8; vendor: re-INVITEs are never consumed in SRTP-RTP)."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.sdp import SessionDescription
from tests.border.scene import Peer, Scene, established, fitting, media_of, rtp, srtp


def reinvite(first: Peer, last: Peer, body: bytes, answer: bytes) -> tuple[bytes, bytes]:
    """One re-INVITE: (what the other side heard, what came back)."""
    first.within("INVITE", body=body)
    first.gets(100)
    invite = last.hears("INVITE")
    last.answers(invite, 200, body=answer or fitting(invite))
    last.hears("ACK")
    ok = first.gets(200)
    first.acks()
    return invite.body, ok.body


@pytest.mark.parametrize(
    ("offered", "answered", "access", "core"),
    [
        ("sendonly", "recvonly", (False, True), (True, False)),
        ("recvonly", "sendonly", (True, False), (False, True)),
        ("inactive", "inactive", (False, False), (False, False)),
        ("sendrecv", "sendrecv", (True, True), (True, True)),
        ("sendrecv", "recvonly", (False, True), (True, False)),
        ("sendonly", "inactive", (False, False), (False, False)),
    ],
)
def test_directions_pass_both_ways(
    offered: str, answered: str, access: tuple[bool, bool], core: tuple[bool, bool]
) -> None:
    scene = Scene()
    phone, node = established(scene)
    heard, back = reinvite(phone, node, srtp(direction=offered), rtp(direction=answered))
    assert f"a={offered}\r\n".encode() in heard
    assert f"a={answered}\r\n".encode() in back
    assert (scene.access.sends, scene.access.receives) == access
    assert (scene.core.sends, scene.core.receives) == core


@pytest.mark.parametrize(
    ("offered", "claimed", "meant"),
    [("sendonly", "sendrecv", "recvonly"), ("inactive", "sendrecv", "inactive"), ("recvonly", "recvonly", "inactive")],
)
def test_an_answer_that_claims_more_than_was_offered_is_cut_down(offered: str, claimed: str, meant: str) -> None:
    """RFC 3264 6.1."""
    scene = Scene()
    phone, node = established(scene)
    _, back = reinvite(phone, node, srtp(direction=offered), rtp(direction=claimed))
    assert f"a={meant}\r\n".encode() in back


def test_the_old_hold_with_a_null_address() -> None:
    """RFC 3264 8.4: c=0.0.0.0 says that nothing shall be sent there."""
    scene = Scene()
    phone, node = established(scene)
    heard, back = reinvite(phone, node, srtp("0.0.0.0"), rtp(direction="recvonly"))
    assert b"a=sendonly" in heard
    assert b"0.0.0.0" not in heard
    assert b"a=recvonly" in back
    assert scene.access.remote is None
    assert not scene.access.sends
    reinvite(phone, node, srtp(), rtp())
    assert scene.access.remote == ("203.0.113.7", 20000)


def test_hold_by_the_core_keeps_ports_and_keys_and_resume_too() -> None:
    scene = Scene()
    phone, node = established(scene)
    first = scene.access.send_key
    heard, _ = reinvite(node, phone, rtp(direction="sendonly"), b"")
    assert b"m=audio 16004 RTP/SAVP" in heard
    heard, _ = reinvite(node, phone, rtp(), b"")
    assert b"m=audio 16004 RTP/SAVP" in heard
    assert scene.access.send_key == first


def test_the_version_grows_only_with_a_change() -> None:
    """RFC 3264 8."""
    scene = Scene()
    phone, node = established(scene)
    versions = []
    for direction in ("sendrecv", "sendonly", "sendonly", "sendrecv"):
        heard, _ = reinvite(phone, node, srtp(direction=direction), b"")
        versions.append(SessionDescription.parse(heard).origin.version)
    assert versions == ["0", "1", "1", "2"]
    call = next(iter(scene.border.calls))
    assert SessionDescription.parse(call.negotiation.sides[1].sent).origin.version == "2"


def test_a_refused_stream_and_its_return() -> None:
    scene = Scene()
    phone, node = established(scene)
    heard, back = reinvite(phone, node, srtp(port=0), rtp(port=0))
    assert b"m=audio 0 RTP/AVP" in heard
    assert b"m=audio 0 RTP/SAVP" in back
    assert scene.updated().legs == (None, None)
    reinvite(phone, node, srtp(), rtp())
    assert scene.access.remote == ("203.0.113.7", 20000)


def test_the_far_side_refuses_the_stream() -> None:
    scene = Scene()
    phone, node = established(scene)
    _, back = reinvite(phone, node, srtp(), rtp(port=0))
    assert media_of_body(back) == (0, "RTP/SAVP")
    assert scene.updated().legs == (None, None)


def media_of_body(body: bytes) -> tuple[int, str]:
    media = SessionDescription.parse(body).media[0]
    return media.port, media.protocol


def test_other_streams_are_refused_and_stay_in_their_place_for_ever() -> None:
    """RFC 3264 6 and 8: an answer has the offer's m-lines, and no later offer has fewer."""
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    video = b"m=video 40000 RTP/SAVP 97\r\na=rtpmap:97 H264/90000\r\n"
    offer = srtp().replace(b"m=audio", video + b"m=audio")
    phone.calls("2001", offer)
    phone.gets(100)
    invite = node.hears("INVITE")
    assert len(SessionDescription.parse(invite.body).media) == 1
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    answer = SessionDescription.parse(phone.gets(200).body)
    assert [(media.kind, bool(media.port)) for media in answer.media] == [("video", False), ("audio", True)]
    phone.acks()
    node.within("INVITE", body=rtp(direction="sendonly"))
    node.gets(100)
    invite = phone.hears("INVITE")
    streams = SessionDescription.parse(invite.body).media
    assert [(media.kind, bool(media.port)) for media in streams] == [("video", False), ("audio", True)]
    crypto = next(value for value in streams[1].crypto if "SHA1_80" in value).split()[0].encode()
    back = srtp(direction="recvonly").replace(b"crypto:1", b"crypto:" + crypto)
    phone.answers(invite, 200, body=back.replace(b"m=audio", b"m=video 0 RTP/SAVP 97\r\nm=audio"))
    phone.hears("ACK")
    assert media_of(node.gets(200)).kind == "audio"


def test_payload_types_are_each_side_s_own() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    phone.calls("2001", srtp(formats="0 101"))
    phone.gets(100)
    invite = node.hears("INVITE")
    answer = rtp(formats="0 96").replace(b"rtpmap:101", b"rtpmap:96")
    node.answers(invite, 200, body=answer)
    node.hears("ACK")
    assert media_of(phone.gets(200)).formats == ["0", "101"]
    assert (scene.access.dtmf_payload_type, scene.core.dtmf_payload_type) == (101, 96)


def test_telephone_events_that_one_side_does_not_take() -> None:
    scene = Scene()
    phone, node = scene.registered(), scene.node()
    phone.calls("2001", srtp())
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp(formats="0"))
    node.hears("ACK")
    assert media_of(phone.gets(200)).formats == ["0"]
    assert (scene.access.dtmf_payload_type, scene.core.dtmf_payload_type) == (None, None)
