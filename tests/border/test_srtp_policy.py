"""Which leg is SRTP, which RTP, and what is refused (vendor: `srtp`, `srtp fallback`, `srtp negotiate cisco`)."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.values import MediaRefused, Need, ReserveMedia
from tests.border.scene import NODE_1, SAVP_KEY, Scene, called, calling, fitting, media_of, rtp, sample, srtp

ACCESS_SRTP = " dtmf-relay rtp-nte\n srtp\n"
CORE_RTP = " incoming uri from CORE\n"


def scene(access: str = "srtp", core: str = "", *, extra: str = "", version: str = "17.9") -> Scene:
    """`access` and `core` are what the dial peers say about SRTP."""
    replace = {
        "version 17.9": f"version {version}",
        ACCESS_SRTP: f" dtmf-relay rtp-nte\n {access}\n" if access else " dtmf-relay rtp-nte\n",
        CORE_RTP: CORE_RTP + (f" {core}\n" if core else "") + extra,
    }
    return Scene(sample(replace=replace))


# access dial peer, what the phone offers -> what the core is offered, or the refusal with its Warning
OFFERED = [
    ("srtp", srtp(), None),
    ("srtp", rtp(), (488, "Cannot fallback to RTP. SRTP configured on dial peer")),
    ("srtp fallback", srtp(), None),
    ("srtp fallback", rtp(), None),
    ("", rtp(), None),
    ("", srtp(), (488, "SRTP is not configured on dial peer")),
    ("srtp pass-thru", rtp(), (415, "SRTP pass-thru needs RTP/SAVP")),
]


@pytest.mark.parametrize(("access", "body", "refusal"), OFFERED)
def test_what_a_phone_may_offer(access: str, body: bytes, refusal: tuple[int, str] | None) -> None:
    one = scene(access)
    phone = one.registered()
    phone.calls("2001", body)
    phone.gets(100)
    if refusal is None:
        assert media_of(one.node().hears("INVITE")).protocol == "RTP/AVP"
        return
    answer = phone.gets(refusal[0])
    assert answer.headers.get("Warning") == f'399 192.0.2.1 "{refusal[1]}"'
    assert one.event("call.refused").cause
    assert one.quiet()
    phone.acks_failure()
    assert one.leftovers() == {}


def test_crypto_lines_on_rtp_avp_make_no_srtp() -> None:
    """RFC 4568 5.1.2: the profile decides; the attribute has no meaning in RTP/AVP."""
    line = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{SAVP_KEY}\r\n".encode()
    one = scene("srtp")
    phone = one.registered()
    phone.calls("2001", rtp() + line)
    phone.gets(100)
    phone.gets(488)
    one = scene("srtp fallback")
    phone, node, invite = calling(one, rtp() + line)
    node.answers(invite, 200, body=rtp())
    answer = media_of(phone.gets(200))
    assert answer.protocol == "RTP/AVP"
    assert not answer.crypto
    assert one.access.receive_key is None


@pytest.mark.parametrize("core", ["srtp", "srtp fallback"])
def test_srtp_on_both_sides_has_keys_of_its_own_on_each(core: str) -> None:
    one = scene("srtp", core)
    phone, node, invite = calling(one)
    offer = media_of(invite)
    assert offer.protocol == "RTP/SAVP"
    assert SAVP_KEY not in invite.body.decode()
    node.answers(invite, 200, body=fitting(invite).replace(SAVP_KEY.encode(), b"Z" * 40))
    node.hears("ACK")
    assert "ZZZZ" not in phone.gets(200).body.decode()
    keys = [one.access.send_key, one.access.receive_key, one.core.send_key, one.core.receive_key]
    assert len({key.master for key in keys if key}) == 4


def test_a_core_that_refuses_srtp_is_asked_again_with_rtp_when_fallback_allows() -> None:
    for status in (415, 488, 606):
        one = scene("srtp", "srtp fallback")
        phone, node, invite = calling(one)
        node.answers(invite, status)
        node.hears("ACK")
        again = node.hears("INVITE")
        assert media_of(again).protocol == "RTP/AVP"
        assert again.call_id != invite.call_id
        node.answers(again, 200, body=rtp())
        node.hears("ACK")
        assert media_of(phone.gets(200)).protocol == "RTP/SAVP"
        assert one.core.send_key is None


def test_it_is_asked_again_once_only() -> None:
    one = scene("srtp", "srtp fallback")
    phone, node, invite = calling(one)
    node.answers(invite, 488)
    node.hears("ACK")
    node.answers(node.hears("INVITE"), 488)
    node.hears("ACK")
    phone.gets(488)
    assert one.quiet()


def test_and_not_at_all_where_srtp_is_strict() -> None:
    one = scene("srtp", "srtp")
    phone, node, invite = calling(one)
    node.answers(invite, 488)
    node.hears("ACK")
    phone.gets(488)
    assert one.quiet()


@pytest.mark.parametrize(("core", "works"), [("srtp fallback", True), ("srtp", False)])
def test_an_rtp_answer_to_an_srtp_offer(core: str, works: bool) -> None:
    one = scene("srtp", core)
    phone, node, invite = calling(one)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    if works:
        assert media_of(phone.gets(200)).protocol == "RTP/SAVP"
        assert one.core.send_key is one.core.receive_key is None
    else:
        assert "Cannot fallback" in (phone.gets(488).headers.get("Warning") or "")
        node.hears("BYE")


def test_an_srtp_answer_to_an_rtp_offer_is_an_error() -> None:
    one = scene()
    phone, node, invite = calling(one)
    node.answers(invite, 200, body=srtp())
    phone.gets(502)


def test_negotiate_cisco_says_so_and_takes_srtp_offers_by_answering_rtp() -> None:
    one = scene("srtp", "", extra=" voice-class sip srtp negotiate cisco\n")
    phone, node, invite = calling(one)
    assert "X-cisco-srtp-fallback" in (invite.headers.get("Supported") or "")
    node.answers(invite, 486)
    node.hears("ACK")
    phone.gets(486)
    phone.acks_failure()
    node.calls("1001", srtp(NODE_1[0]))
    node.gets(100)
    invite = phone.hears("INVITE")
    phone.answers(invite, 200, body=fitting(invite))
    phone.hears("ACK")
    answer = media_of(node.gets(200))
    assert answer.protocol == "RTP/AVP"
    assert not answer.crypto


def test_the_phone_s_own_tag_is_not_doubled() -> None:
    one = scene("srtp", "srtp fallback", extra=" voice-class sip srtp negotiate cisco\n")
    _, _, invite = calling(one, headers=[("Supported", "replaces,X-cisco-srtp-fallback")])
    assert invite.headers.all("Supported") == ["replaces", "X-cisco-srtp-fallback"]


def test_without_it_an_srtp_offer_of_an_rtp_core_is_refused() -> None:
    one = scene()
    one.registered()
    node = one.node()
    node.calls("1001", srtp(NODE_1[0]))
    node.gets(100)
    node.gets(488)


class TestSuites:
    @pytest.mark.parametrize(
        ("suite", "key"),
        [
            ("AES_CM_128_HMAC_SHA1_80", SAVP_KEY),
            ("AES_CM_128_HMAC_SHA1_32", SAVP_KEY),
            ("AEAD_AES_128_GCM", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw=="),
            ("AEAD_AES_256_GCM", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis="),
        ],
    )
    def test_each_of_the_four_is_answered_with_its_tag(self, suite: str, key: str) -> None:
        one = scene()
        body = srtp(suite=suite, key=key).replace(
            b"a=crypto:1 ", b"a=crypto:9 F8_128_HMAC_SHA1_80 inline:x\r\na=crypto:7 "
        )
        phone, node, invite = calling(one, body)
        node.answers(invite, 200, body=rtp())
        (line,) = media_of(phone.gets(200)).crypto
        assert line.split()[:2] == ["7", suite]
        assert key not in line
        assert one.access.receive_key is not None
        assert one.access.receive_key.suite.value == suite

    def test_none_in_common_is_refused_with_their_names_in_the_event(self) -> None:
        one = scene()
        phone = one.registered()
        phone.calls("2001", srtp(suite="F8_128_HMAC_SHA1_80"))
        phone.gets(100)
        assert "No common SRTP crypto suite" in (phone.gets(488).headers.get("Warning") or "")
        event = one.event("call.refused")
        assert event.cause == "no-suite"
        assert "F8_128_HMAC_SHA1_80" in event.text
        assert event.fix

    def test_a_bad_line_is_passed_over(self) -> None:
        one = scene()
        good = f"a=crypto:2 AES_CM_128_HMAC_SHA1_32 inline:{SAVP_KEY}\r\n".encode()
        body = srtp(key="@@@@").replace(b"a=rtpmap:0", good + b"a=rtpmap:0")
        phone, node, invite = calling(one, body)
        node.answers(invite, 200, body=rtp())
        assert media_of(phone.gets(200)).crypto[0].startswith("2 AES_CM_128_HMAC_SHA1_32 ")

    def test_with_bad_lines_only_the_event_says_why_and_shows_no_key(self) -> None:
        one = scene()
        phone = one.registered()
        phone.calls("2001", srtp(key="AAEC@AwQFBgcICQ"))
        phone.gets(100)
        phone.gets(488)
        text = one.event("call.refused").text
        assert "base64" in text
        assert "AAEC" not in text

    def test_without_any_line(self) -> None:
        one = scene()
        phone = one.registered()
        body = srtp().replace(f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{SAVP_KEY}\r\n".encode(), b"")
        phone.calls("2001", body)
        phone.gets(100)
        phone.gets(488)

    def test_the_offer_has_the_dial_peer_s_order(self) -> None:
        one = scene()
        _, _, invite = called(one)
        names = [line.split()[1] for line in media_of(invite).crypto]
        assert names == [
            "AEAD_AES_256_GCM",
            "AEAD_AES_128_GCM",
            "AES_CM_128_HMAC_SHA1_80",
            "AES_CM_128_HMAC_SHA1_32",
        ]

    @pytest.mark.parametrize(
        "answer",
        [
            srtp().replace(b"crypto:1", b"crypto:9"),
            srtp(suite="AES_CM_128_HMAC_SHA1_32").replace(b"crypto:1", b"crypto:3"),
            srtp().replace(b"a=crypto", b"a=nothing"),
        ],
    )
    def test_an_answer_that_takes_no_line_of_ours(self, answer: bytes) -> None:
        """RFC 4568 5.1.3."""
        one = scene()
        phone, node, invite = called(one)
        phone.answers(invite, 200, body=answer)
        phone.hears("ACK")
        phone.hears("BYE")
        node.gets(488)

    def test_ios_15_knows_sha1_32_only(self) -> None:
        one = scene(version="15.7")
        _, _, invite = called(one)
        assert [line.split()[1] for line in media_of(invite).crypto] == ["AES_CM_128_HMAC_SHA1_32"]


class TestCodecs:
    def test_only_what_both_dial_peers_allow_is_offered(self) -> None:
        one = Scene(
            sample(
                replace={
                    " codec g711ulaw\n no vad\n!\ndial-peer voice 101": " codec transparent\n!\ndial-peer voice 101"
                }
            )
        )
        body = srtp(formats="8 18 0 101")
        _, _, invite = calling(one, body)
        assert media_of(invite).formats == ["0", "101"]

    def test_none_in_common(self) -> None:
        one = Scene()
        phone = one.registered()
        phone.calls("2001", srtp(formats="18 8 101"))
        phone.gets(100)
        assert "No common codec" in (phone.gets(488).headers.get("Warning") or "")
        assert "g729" in one.event("call.refused").text

    def test_events_of_a_clock_that_no_codec_has_are_left_out(self) -> None:
        one = Scene()
        body = srtp(formats="0 101 102").replace(b"a=rtpmap:0", b"a=rtpmap:102 telephone-event/48000\r\na=rtpmap:0")
        _, _, invite = calling(one, body)
        assert media_of(invite).formats == ["0", "101"]

    def test_events_need_dtmf_relay_on_both_dial_peers(self) -> None:
        one = Scene(sample(replace={" dtmf-relay rtp-nte\n codec g711ulaw\n": " codec g711ulaw\n"}))
        _, _, invite = calling(one)
        assert media_of(invite).formats == ["0"]

    def test_format_parameters_and_ptime_pass(self) -> None:
        one = Scene()
        body = srtp() + b"a=fmtp:101 0-11\r\na=ptime:30\r\n"
        phone, node, invite = calling(one, body)
        assert media_of(invite).fmtp(101) == "0-11"
        assert media_of(invite).ptime == 30
        node.answers(invite, 200, body=rtp() + b"a=ptime:30\r\n")
        assert media_of(phone.gets(200)).ptime == 30
        assert one.access.ptime == 30

    @pytest.mark.parametrize(
        ("body", "status"),
        [
            (b"v=0\r\nnonsense\r\n", 400),
            (b"\xff\xfe\x00", 400),
            (srtp().replace(b"m=audio", b"m=video"), 488),
            (srtp().replace(b"c=IN IP4 203.0.113.7\r\n", b""), 488),
            (srtp() + b"m=video 1 RTP/AVP 97\r\n" * 20, 488),
        ],
    )
    def test_descriptions_that_are_none(self, body: bytes, status: int) -> None:
        one = Scene()
        phone = one.registered()
        phone.calls("2001", body)
        phone.gets(100)
        phone.gets(status)
        phone.acks_failure()
        assert one.leftovers() == {}


class TestNoMedia:
    @pytest.mark.parametrize(
        ("cause", "status", "warning", "q850", "retry"),
        [
            ("no-transcoder", 500, "Transcoder Not Configured", 16, None),
            ("pool-full", 503, "Transcoder reservation failure during SRTP-RTP I/W", 47, "10"),
            ("no-ports", 503, "Resource unavailable", 47, "10"),
            ("engine-full", 503, "Resource unavailable", 47, "10"),
            ("no-worker", 503, "Resource unavailable", 47, "5"),
        ],
    )
    def test_the_vendor_s_answer(self, cause: str, status: int, warning: str, q850: int, retry: str | None) -> None:
        one = scene(version="15.7")
        one.auto_media = False
        phone = one.registered()
        phone.calls("2001", srtp())
        phone.gets(100)
        (wanted,) = one.media
        assert isinstance(wanted, ReserveMedia)
        assert wanted.need is Need.TRANSCODER
        one.feed(MediaRefused(wanted.ticket, cause, "as told"))
        answer = phone.gets(status)
        assert answer.headers.get("Warning") == f'399 192.0.2.1 "{warning}"'
        assert answer.headers.get("Reason") == f"Q.850;cause={q850}"
        assert answer.headers.get("Retry-After") == retry
        assert (answer.headers.get("Server") or "").startswith("Cisco-SIPGateway/IOS-15.7")
        event = one.event("call.refused")
        assert (event.cause, bool(event.fix)) == (cause, True)
        assert "as told" in event.text
        one.feed(MediaRefused(wanted.ticket, cause, "again"))
        phone.acks_failure()
        assert one.leftovers() == {}

    def test_without_warn_header_there_is_no_warning(self) -> None:
        one = scene()
        one.config.voice.warn_header = False
        one = Scene(one.config, auto_media=False)
        phone = one.registered()
        phone.calls("2001", rtp())
        phone.gets(100)
        assert "Warning" not in phone.gets(488).headers

    @pytest.mark.parametrize(
        ("version", "access", "core", "body", "need"),
        [
            ("15.7", "srtp", "", b"", Need.TRANSCODER),
            ("15.7", "srtp", "srtp", srtp(suite="AES_CM_128_HMAC_SHA1_32"), Need.CRYPTO),
            ("15.7", "srtp fallback", "", rtp(), Need.RELAY),
            ("15.7", "srtp fallback", "srtp", rtp(), Need.TRANSCODER),
            ("17.9", "srtp", "", srtp(), Need.CRYPTO),
            ("17.9", "", "srtp", rtp(), Need.CRYPTO),
            ("17.9", "srtp", "srtp", srtp(), Need.CRYPTO),
            ("17.9", "", "", rtp(), Need.RELAY),
        ],
    )
    def test_what_has_to_stand_between(self, version: str, access: str, core: str, body: bytes, need: Need) -> None:
        one = scene(access, core, version=version)
        one.auto_media = False
        phone = one.registered()
        phone.calls("2001", body)
        phone.gets(100)
        (wanted,) = one.media
        assert isinstance(wanted, ReserveMedia)
        assert wanted.need is need

    def test_an_answer_that_needs_more_than_was_reserved(self) -> None:
        """RTP answered to SRTP on IOS: nobody can transcode now."""
        one = scene("srtp", "srtp fallback", version="15.7")
        phone, node, invite = calling(one, srtp(suite="AES_CM_128_HMAC_SHA1_32"))
        node.answers(invite, 200, body=rtp())
        node.hears("ACK")
        node.hears("BYE")
        phone.gets(500)
        assert one.event("call.refused").cause == "no-transcoder"

    def test_and_a_fallback_that_would_need_it_is_not_tried(self) -> None:
        one = scene("srtp", "srtp fallback", version="15.7")
        phone, node, invite = calling(one, srtp(suite="AES_CM_128_HMAC_SHA1_32"))
        node.answers(invite, 488)
        node.hears("ACK")
        phone.gets(500)
        assert one.quiet()
        assert one.released()
        assert len(one.border.calls) == 0
