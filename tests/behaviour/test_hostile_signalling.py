"""A phone with a valid certificate that attacks: bad descriptions, bad messages, other people's names and dialogs."""

from __future__ import annotations

import json
import os
import secrets
import time
from collections.abc import Callable

import pytest

from cubelab.agent.voice_call import CallFailed
from tests.behaviour.raw import CRYPTO, SDES_KEY, Rogue, header, sdp, status, tag_of
from tests.behaviour.siege import ROGUE, Siege
from tests.behaviour.traps import Traps

NO_SUITE = "No common SRTP crypto suite"
NO_SRTP = "Cannot fallback to RTP. SRTP configured on dial peer"
NO_AUDIO = "No usable audio stream in session description"
BAD_SDP = "Error parsing session description"
VIDEO = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=video 5000 RTP/SAVP 96\r\n"
SHA80 = "a=crypto:1 AES_CM_128_HMAC_SHA1_80"

#  name: description, status, Warning, cause of the event
DESCRIPTIONS = {
    "unknown suite": (sdp(crypto="a=crypto:1 AES_999 inline:AAAA\r\n"), 488, NO_SUITE, "no-suite"),
    "key that is not base64": (sdp(crypto=f"{SHA80} inline:@@@@\r\n"), 488, NO_SUITE, "no-suite"),
    "key with stray letters": (sdp(crypto=f"{SHA80} inline:@@{SDES_KEY}\r\n"), 488, NO_SUITE, "no-suite"),
    "short key": (sdp(crypto=f"{SHA80} inline:QUJD\r\n"), 488, NO_SUITE, "no-suite"),
    "no key": (sdp(crypto=f"{SHA80}\r\n"), 488, NO_SUITE, "no-suite"),
    "no crypto line": (sdp(crypto=""), 488, NO_SUITE, "no-suite"),
    "crypto lines under RTP/AVP": (sdp(profile="RTP/AVP"), 488, NO_SRTP, "srtp-required"),
    "plain RTP": (sdp(profile="RTP/AVP", crypto=""), 488, NO_SRTP, "srtp-required"),
    "no audio": (VIDEO, 488, NO_AUDIO, "no-audio"),
    "no media": (VIDEO.partition(b"m=")[0], 488, NO_AUDIO, "no-audio"),
    "a thousand media lines": (sdp() + b"m=audio 2 RTP/SAVP 0\r\n" * 1000, 488, "", ""),
    "twelve thousand lines": (sdp() + b"a=x\r\n" * 12000, 488, "", ""),
    "five thousand formats": (sdp().replace(b" 0\r\na=rtp", b" 0" * 5000 + b"\r\na=rtp"), 488, "", ""),
    "a hundred crypto lines": (sdp(crypto=CRYPTO * 100), 488, "", ""),
    "an impossible port": (sdp(port=99999), 400, BAD_SDP, "bad-sdp"),
    "a negative port": (sdp(port=-1), 400, BAD_SDP, "bad-sdp"),
    "NUL": (sdp().replace(b"s=-", b"s=\0"), 400, BAD_SDP, "bad-sdp"),
    "binary": (os.urandom(300), 400, BAD_SDP, "bad-sdp"),
    "audio to a group": (sdp("224.0.0.1"), 488, "Media address not allowed", "media-address"),
}  # fmt: skip

#  name: what is done to a good OPTIONS, status that comes back (0: none), whether the connection ends
SPOILT: dict[str, tuple[Callable[[bytes], bytes], int, bool]] = {
    "binary": (lambda _: os.urandom(2000) + b"\r\n\r\n", 0, True),
    "http": (lambda _: b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 0, True),
    "no Content-Length": (lambda m: m.replace(b"Content-Length: 0\r\n", b""), 400, True),
    "negative Content-Length": (lambda m: m.replace(b"Length: 0", b"Length: -1"), 400, True),
    "two Content-Lengths": (lambda m: m.replace(b"Length: 0", b"Length: 0\r\nContent-Length: 99"), 400, True),
    "underscored Content-Length": (lambda m: m.replace(b"Length: 0", b"Length: 1_0"), 400, True),
    "5000 digits of Content-Length": (lambda m: m.replace(b"Length: 0", b"Length: " + b"9" * 5000), 400, True),
    "body of 65537 octets": (lambda m: m.replace(b"Length: 0", b"Length: 65537"), 513, True),
    "head of 20000 octets": (lambda m: m.replace(b"Max-", b"X-Pad: " + b"y" * 20000 + b"\r\nMax-"), 0, True),
    "version 7": (lambda m: m.replace(b"SIP/2.0\r\nVia", b"SIP/7.0\r\nVia"), 505, False),
    "no CSeq": (lambda m: m.replace(b"CSeq:", b"X-CSeq:"), 400, False),
    "no From": (lambda m: m.replace(b"From:", b"X-From:"), 400, False),
    "To that is no address": (lambda m: m.replace(b"To: <sip:", b'To: <<sip:"'), 400, False),
    "From that is no address": (lambda m: m.replace(b"From: <sip:", b'From: ">sip:'), 400, False),
    "CSeq of another method": (lambda m: m.replace(b"1 OPTIONS", b"1 INVITE"), 400, False),
    "CSeq beyond 2^31": (lambda m: m.replace(b"1 OPTIONS", b"99999999999 OPTIONS"), 400, False),
    "CSeq in Arabic digits": (lambda m: m.replace(b"1 OPTIONS", "\u0661 OPTIONS".encode()), 400, False),
    "unknown extension required": (lambda m: m.replace(b"Max-", b"Require: evil\r\nMax-"), 420, False),
    "unknown method": (lambda m: m.replace(b"OPTIONS", b"FROBNICATE"), 501, False),
}


@pytest.fixture
def phone(siege: Siege) -> Rogue:
    rogue = siege.rogue()
    assert status(rogue.register()) == 200
    return rogue


def invite(phone: Rogue, body: bytes, **more: object) -> bytes:
    return phone.request("INVITE", f"sip:3001@{phone.host}", body=body, **more)


def hang_up(phone: Rogue, ok: bytes) -> int:
    """ACK and BYE for a 200; the status of the BYE."""
    ids = {
        "to": f"sip:3001@{phone.host}",
        "to_tag": tag_of(header(ok, "To")),
        "from_tag": tag_of(header(ok, "From")),
        "call_id": header(ok, "Call-ID"),
    }
    phone.say(phone.request("ACK", f"sip:3001@{phone.host}", **ids))
    return status(phone.ask(phone.request("BYE", f"sip:3001@{phone.host}", cseq=2, **ids)))


def test_bad_descriptions_get_the_right_answer_and_one_event(siege: Siege, phone: Rogue) -> None:
    with siege.calm():
        for name, (body, expected, warning, cause) in DESCRIPTIONS.items():
            mark = siege.mark()
            began = time.monotonic()
            answer = phone.ask(invite(phone, body))
            assert status(answer) == expected, (name, answer)
            assert time.monotonic() - began < 0.5, name
            assert answer is not None
            assert warning in header(answer, "Warning"), name
            event = mark.one("call.refused")
            assert not cause or event["cause"] == cause, name
        with_audio = phone.ask(invite(phone, sdp(phone.local[0])))
        assert with_audio is not None
        assert hang_up(phone, with_audio) == 200
    assert SDES_KEY not in siege.log()


@pytest.mark.parametrize("name", SPOILT)
def test_bad_messages_get_the_right_answer_and_one_event(siege: Siege, phone: Rogue, name: str) -> None:
    spoil, expected, ends = SPOILT[name]
    mark = siege.mark()
    phone.say(spoil(phone.request("OPTIONS", via_host=phone.via)))
    answer = phone.hear(2)
    assert status(answer) == expected, answer
    assert phone.ended(2) if ends else status(phone.ask(phone.request("OPTIONS"))) == 200
    if expected not in (420, 501):  # well-formed, and not ours
        siege.wait(lambda: bool(siege.events("sip.malformed")))
        assert len(mark.events("sip.malformed")) <= 1
    siege.clean()


def test_large_and_legal_is_served_quickly(siege: Siege, phone: Rogue) -> None:
    """64 KiB of body, 34 Via rows, 5000 lines of description."""
    body = sdp(phone.local[0])
    big = body + b"a=x:" + b"y" * (65_536 - len(body) - 6) + b"\r\n"
    assert len(big) == 65_536
    lines = body + b"a=x\r\n" * (4_980)
    with siege.calm():
        for description in (big, lines):
            began = time.monotonic()
            answer = phone.ask(invite(phone, description))
            assert time.monotonic() - began < 0.5
            assert status(answer) == 200
            assert answer is not None
            assert hang_up(phone, answer) == 200
        many = [f"Via: SIP/2.0/TLS 192.0.2.{number};branch=z9hG4bK{number}" for number in range(33)]
        answer = phone.ask(phone.request("OPTIONS", more=many))
        assert status(answer) == 200
        assert answer is not None
        assert answer.count(b"\nVia:") == 34


def test_smuggled_requests_and_headers_reach_nobody(siege: Siege, phone: Rogue) -> None:
    """One message is read one way: what stands in a body is a body, what does not pass is not passed."""
    inner = phone.request("OPTIONS", call_id="smuggled-inner") + phone.request("BYE", call_id="smuggled-bye")
    headers = [
        "X-Bypass-me : evil-one",
        "X-Evil: evil-two",
        "Subject: a\r\n evil-folded: yes\r\n\tevil-three",
        "Call-Info: <http://192.0.2.99/evil-four>",
        "Proxy-Require: evil-five",
    ]
    before = len(siege.core_heard)
    with siege.calm():
        phone.say(phone.request("SUBSCRIBE", body=inner, kind="text/plain") + phone.request("OPTIONS", call_id="last"))
        assert status(phone.hear()) == 405
        last = phone.hear()
        assert last is not None
        assert header(last, "Call-ID") == "last"
        assert phone.hear(0.3) is None
        answer = phone.ask(invite(phone, sdp(phone.local[0]), more=headers[:-1]))
        assert status(answer) == 200
        assert answer is not None
        hang_up(phone, answer)
    heard = b"".join(siege.core_heard[before:])
    assert b"INVITE sip:3001@" in heard
    for word in (b"smuggled", b"evil-one", b"evil-two", b"evil-five", b"\nevil-folded"):
        assert word not in heard, word


def test_nobody_is_contacted_but_the_core(siege: Siege, phone: Rogue) -> None:
    """Route, Request-URI, maddr, Contact, Record-Route, Refer-To, Call-Info, Via: none of them makes us speak there."""
    trap = siege.host(200)
    uri = f"sip:3001@{phone.host}"
    with siege.calm(), Traps(trap) as traps:
        for number, port in enumerate((5060, 5061, 9999)):
            there = f"<sip:x@{trap}:{port};transport={('udp', 'tcp', 'udp')[number]}>"
            phone.register(contact=there)
            answer = phone.ask(
                invite(
                    phone,
                    sdp(phone.local[0]),
                    contact=there,
                    more=[
                        f"Record-Route: {there[:-1]};lr>",
                        f"Call-Info: <http://{trap}:8080/>",
                        f"Alert-Info: {there}",
                    ],
                )
            )
            assert answer is not None
            assert status(answer) == 200
            ids = {
                "to": uri,
                "to_tag": tag_of(header(answer, "To")),
                "from_tag": tag_of(header(answer, "From")),
                "call_id": header(answer, "Call-ID"),
            }
            phone.say(phone.request("ACK", uri, **ids))
            phone.ask(phone.request("REFER", uri, cseq=2, contact=there, more=[f"Refer-To: {there}"], **ids))
            phone.ask(phone.request("INVITE", uri, cseq=3, contact=there, body=sdp(phone.local[0]), **ids))
            phone.say(phone.request("ACK", uri, cseq=3, **ids))
            phone.ask(phone.request("BYE", uri, cseq=4, **ids))
            phone.ask(invite(phone, sdp(phone.local[0]), more=[f"Route: {there[:-1]};lr>"]))
            for target in (f"sip:3001@{trap}:{port}", f"sip:3001@{phone.host};maddr={trap}", f"sip:x@{trap};lr"):
                phone.ask(phone.request("INVITE", target, body=sdp(phone.local[0])))
                phone.ask(phone.request("OPTIONS", target, via_host=f"{trap}:{port}"))
        far = siege.do(siege.stage.phones["1002"].call(ROGUE))  # a call to the Contact that was registered last
        ringing = phone.hear(3)
        while ringing is not None and not ringing.startswith(b"INVITE"):
            ringing = phone.hear(3)
        assert ringing is not None, "the phone is called on its own connection, whatever its Contact says"
        siege.do(far.hang_up())
        assert traps.caught() == []


def test_other_peoples_names_are_refused(siege: Siege, phone: Rogue) -> None:
    other = 'sip:1666@h>;+u.sip!devicename.ccm.cisco.com="SEP001122334455"'
    mac = 'sip:1666@h>;+sip.instance="<urn:uuid:00000000-0000-0000-0000-001122334455>"'
    with siege.calm():
        mark = siege.mark()
        for claim in (other, mac, other.replace("SEP", "sep")):
            answer = phone.register(contact=f"<{claim}")
            assert status(answer) == 403
            assert answer is not None
            assert "Device name does not match" in header(answer, "Warning")
        event = mark.one("registration.refused", cause="identity")
        assert event["device"] == "SEP0011223344EE"
        mark = siege.mark()
        for number in ("1001", "1002", "9999", ""):
            assert status(phone.ask(invite(phone, sdp(phone.local[0]), number=number))) in (400, 403), number
        assert mark.events("call.refused", cause="not-registered")
        assert status(phone.register(number="1001")) in (401, 403), "the cluster knows 1001's password, not us"
        call = siege.do(siege.stage.phones["1002"].call("1001"))  # and 1001 is still where it was
        incoming = siege.do(siege.stage.phones["1001"].incoming.get())
        siege.do(call.answered())
        siege.do(call.hang_up())
        assert incoming is not None


def test_other_peoples_dialogs_are_closed(siege: Siege, phone: Rogue) -> None:
    mark = siege.mark()
    dialog, core = siege.call.leg.dialog, siege.far.leg.dialog
    assert dialog is not None
    assert core is not None
    uri = str(dialog.remote_target)
    with siege.calm():
        for each in (dialog, core):
            for tags in ((each.remote_tag, each.local_tag), (each.local_tag, each.remote_tag)):
                for method in ("BYE", "INVITE", "UPDATE", "REFER", "INFO", "NOTIFY", "PRACK", "CANCEL", "ACK"):
                    body = sdp(phone.local[0], 40000) if method in ("INVITE", "UPDATE") else b""
                    message = phone.request(
                        method,
                        uri,
                        number="1001",
                        to_tag=tags[0],
                        from_tag=tags[1],
                        call_id=each.call_id,
                        cseq=90_000,
                        body=body,
                    )
                    if method == "ACK":
                        phone.say(message)
                    else:
                        assert status(phone.ask(message)) == 481, method
    assert mark.one("dialog.foreign")["device"] == "SEP0011223344EE"


@pytest.mark.parametrize("code", [401, 407])
def test_a_phone_that_challenges_us_gets_no_digest(siege: Siege, phone: Rogue, code: int) -> None:
    """Digest leak (CVE-2021-41158): the caller's credentials are for the cluster, and we have none of our own."""
    with siege.calm():
        call = siege.do(siege.stage.phones["1002"].call(ROGUE))
        asked = phone.hear(3)
        assert asked is not None
        assert asked.startswith(b"INVITE")
        assert b"Authorization" not in asked
        challenge = ("WWW-Authenticate", "Proxy-Authenticate")[
            code == 407
        ] + ': Digest realm="r", nonce="n", qop="auth"'
        copied = [f"{name}: {header(asked, name)}" for name in ("Via", "From", "Call-ID", "CSeq")]
        lines = [f"SIP/2.0 {code} Prove it", *copied, f"To: {header(asked, 'To')};tag=rogue", challenge]
        phone.say("\r\n".join([*lines, "Content-Length: 0"]).encode() + b"\r\n\r\n")
        ack = phone.hear(3)
        assert ack is not None
        assert ack.startswith(b"ACK")
        with pytest.raises(CallFailed):
            siege.do(call.answered())
        after = phone.hear(0.5)
        assert after is None or b"Authorization" not in after


def test_a_flood_is_rationed_and_nobody_else_waits(siege: Siege, phone: Rogue) -> None:
    """Two thousand requests at once: the rate goes on to the cluster, the rest gets 503 with Retry-After."""
    mark = siege.mark()
    before, heard = siege.rss(), len(siege.core_heard)
    numbers = iter(range(10_000))
    with siege.calm(), siege.rogue() as other:
        for method in ("REGISTER", "INVITE", "OPTIONS", "SUBSCRIBE"):
            batch = [
                phone.request(
                    method, f"sip:3001@{phone.host}", number=f"5{next(numbers)}" if method != "OPTIONS" else ROGUE
                )
                for _ in range(500)
            ]
            phone.say(b"".join(batch))
        began = time.monotonic()
        call = siege.do(siege.stage.phones["1002"].call("3001"))
        siege.do(call.answered())
        assert time.monotonic() - began < 2.0, "another phone's call had to wait"
        siege.do(call.hang_up())
        counts: dict[int, int] = {}
        retry = ""
        while (answer := phone.hear(2.5)) is not None:
            counts[status(answer)] = counts.get(status(answer), 0) + 1
            retry = header(answer, "Retry-After") if status(answer) == 503 else retry
        assert counts.get(503, 0) > 1000, counts
        assert retry.isdigit()
        assert status(other.ask(other.request("OPTIONS"))) in (200, 503)
    assert len(siege.core_heard) - heard < 1500, "the cluster got the flood"
    assert mark.one("device.throttled")["device"] == "SEP0011223344EE"
    assert len(mark.events()) < 120, "a flood of requests became a flood of lines"
    assert siege.rss()[0] - before[0] < 12_000


def test_nothing_that_a_peer_says_forges_a_line_or_moves_a_terminal(siege: Siege, phone: Rogue) -> None:
    evil = '\x1b[2J\x9b31m\u2028{"event": "forged"}'
    mark = siege.mark()
    phone.ask(phone.request("OPTIONS", more=[f"X-Evil: {evil}"]).replace(b"CSeq", b"X" + evil.encode()))
    phone.ask(invite(phone, sdp(phone.local[0]), number=f"{evil}1"))
    phone.ask(invite(phone, sdp(phone.local[0]).replace(b"RTP/SAVP", b"RTP/" + evil.encode())))
    phone.register(number="%0d%0aforged")
    with siege.rogue() as another:
        another.say(evil.encode() + b"\r\n\r\n")
        another.ended(2)
    assert mark.events("sip.malformed")
    for line in siege.log().split("\n")[:-1]:
        assert not [letter for letter in line if ord(letter) < 0x20 or 0x7F <= ord(letter) <= 0x9F], line
        assert json.loads(line)["event"] != "forged"
    for view in ("call active voice brief", "sip-ua registration passthrough status", "dial-peer voice summary"):
        text = siege.show(view)
        assert not [letter for letter in text if ord(letter) < 0x20 and letter != "\n"], text


def test_no_key_and_no_digest_stands_in_log_or_view(siege: Siege, phone: Rogue) -> None:
    key = secrets.token_urlsafe(30)
    phone.ask(invite(phone, sdp(phone.local[0], crypto=f"{SHA80} inline:{key}\r\n")))
    phone.ask(invite(phone, sdp(phone.local[0], crypto=f"{SHA80} inline:{key[:-4]}\r\n")))
    phone.ask(invite(phone, sdp(phone.local[0], crypto=f"a=crypto:1 {key} inline:{key}|{key}\r\n")))
    shown = "".join(
        siege.show(view)
        for view in (
            "call active voice brief",
            "call active voice compact",
            "sip-ua registration passthrough status",
            "voip rtp connections",
        )
    )
    for text in (siege.log(), shown):
        assert key[:20] not in text
        assert "Digest " not in text
        assert "response=" not in text
    siege.clean()
