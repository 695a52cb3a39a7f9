"""The interworking tables: every case has a row, and what a row says is what a call does."""

from __future__ import annotations

from itertools import product

import pytest

from cubeproxy.border.interworking import ACCEPT, ANY, CARRIES, FIRST_OFFER, INTERWORKING, Codecs, Kind, accept, carried
from cubeproxy.border.plan import Plan
from cubeproxy.config.model import Personality, SrtpPolicy
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Codec, MediaRefused, Need, ReserveMedia
from tests.border.scene import SAVP_KEY, Scene, called, calling, fitting, media_of, rtp, sample, srtp

WIRE = (Kind.SRTP, Kind.RTP)  # what a description can say
ALL = "voice class srtp-crypto 1\n" + "".join(f" crypto {n} {suite.value}\n" for n, suite in enumerate(Suite, 1))
KEYS = {  # 44, 28 and 30 octets
    Suite.AEAD_AES_256_GCM: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKis=",
    Suite.AEAD_AES_128_GCM: "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGw==",
    Suite.AES_CM_128_HMAC_SHA1_80: SAVP_KEY,
    Suite.AES_CM_128_HMAC_SHA1_32: SAVP_KEY,
}


def test_every_policy_has_an_answer_to_every_profile() -> None:
    assert set(ACCEPT) == set(product(SrtpPolicy, WIRE))
    assert set(FIRST_OFFER) == set(SrtpPolicy)
    assert set(CARRIES) == set(product(Need, (False, True)))


def test_every_pair_that_policies_can_make_is_decided() -> None:
    """All but those with pass-thru on one side, which the vendor does not have."""
    possible = {kind for kind in (*ACCEPT.values(), *FIRST_OFFER.values()) if isinstance(kind, Kind)}
    pairs = {pair for pair in product(possible, possible) if pair.count(Kind.OPAQUE) != 1}
    decided = {
        (codecs, personality): {(one, other) for one, other, *rest in INTERWORKING if rest == [codecs, personality]}
        for codecs, personality in product(Codecs, Personality)
    }
    secure, opaque = {(Kind.SRTP, Kind.SRTP)}, {(Kind.OPAQUE, Kind.OPAQUE)}
    assert decided == {
        (Codecs.SAME, Personality.IOS): pairs,
        (Codecs.SAME, Personality.IOSXE): pairs,
        (Codecs.DIFFER, Personality.IOS): pairs - opaque - secure,  # vendor: no transcoding for SRTP-SRTP audio
        (Codecs.DIFFER, Personality.IOSXE): pairs - opaque,
    }


def test_the_decision_does_not_depend_on_who_calls() -> None:
    for (one, other, *rest), row in INTERWORKING.items():
        assert INTERWORKING[other, one, rest[0], rest[1]] == row


def test_only_ios_takes_a_dsp_for_encryption_and_both_take_one_for_another_codec() -> None:
    for (one, other, codecs, personality), (need, _) in INTERWORKING.items():
        crossing = {one, other} == {Kind.SRTP, Kind.RTP}
        taken = codecs is Codecs.DIFFER or (crossing and personality is Personality.IOS)
        assert (need is Need.TRANSCODER) is taken


def test_nothing_is_passed_through_unless_it_is_configured() -> None:
    for policy, offered in product(SrtpPolicy, WIRE):
        for negotiate in (False, True):
            if policy is not SrtpPolicy.PASS_THRU:
                assert accept(policy, negotiate, offered) is not Kind.OPAQUE


def test_negotiate_cisco_is_for_peers_without_srtp() -> None:
    assert accept(SrtpPolicy.OFF, True, Kind.SRTP) is Kind.RTP
    assert accept(SrtpPolicy.OFF, False, Kind.SRTP) == "srtp-refused"
    assert accept(SrtpPolicy.STRICT, True, Kind.RTP) == "srtp-required"


@pytest.mark.parametrize("need", list(Need))
@pytest.mark.parametrize("farms", [False, True])
def test_a_farm_is_told_no_key_that_does_not_fit(need: Need, farms: bool) -> None:
    keys = CARRIES[need, farms]
    limited = farms and need is Need.TRANSCODER
    assert (Suite.AEAD_AES_256_GCM in keys.suites, keys.mki) == (not limited, not limited)
    assert carried(tuple(Suite), keys) == tuple(Suite)[limited:]
    assert carried((), ANY) == ()


# in calls


def ios(classes: str = ALL, *, core: str = "") -> Scene:
    """IOS 15 with SCCP farms, all suites on the access side."""
    replace = {
        " dtmf-relay rtp-nte\n srtp\n": " dtmf-relay rtp-nte\n srtp\n voice-class sip srtp-crypto 1\n",
        "voice class uri ACC sip\n": f"{classes}!\nvoice class uri ACC sip\n",
        " incoming uri from CORE\n": " incoming uri from CORE\n" + core,
    }
    return Scene(sample("sample-a.ios", replace=replace))


def local() -> Scene:
    """The same with the local transcoder in the farm's place."""
    replace = {
        " dtmf-relay rtp-nte\n srtp\n": " dtmf-relay rtp-nte\n srtp\n voice-class sip srtp-crypto 1\n",
        "voice class uri ACC sip\n": f"{ALL}!\nvoice class uri ACC sip\n",
        " associate application SCCP\n": " associate application CUBE\n",
        " sdspfarm units 1\n": "",
    }
    return Scene(sample("sample-a.ios", replace=replace))


def lines(*suites: Suite, mki: str = "") -> bytes:
    """A phone's offer of these suites."""
    rows = "".join(f"a=crypto:{tag} {suite.value} inline:{KEYS[suite]}{mki}\r\n" for tag, suite in enumerate(suites, 1))
    offer = srtp()
    start = offer.index(b"a=crypto")
    return offer[:start] + rows.encode() + offer[offer.index(b"a=rtpmap:0") :]


def answer_to(one: Scene, offer: bytes) -> str:
    phone, node, invite = calling(one, offer)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    (line,) = media_of(phone.gets(200)).crypto
    return line


def test_aes_256_is_not_chosen_where_a_farm_does_the_work() -> None:
    line = answer_to(ios(), lines(Suite.AEAD_AES_256_GCM, Suite.AEAD_AES_128_GCM))
    assert line.startswith("2 AEAD_AES_128_GCM ")


def test_nor_is_it_offered_there() -> None:
    phone, node, invite = called(ios())
    names = [line.split()[1] for line in media_of(invite).crypto]
    assert names == [suite.value for suite in Suite if suite is not Suite.AEAD_AES_256_GCM]
    phone.answers(invite, 200, body=fitting(invite))
    phone.hears("ACK")
    node.gets(200)


def test_alone_it_is_refused_and_the_reason_told() -> None:
    one = ios()
    phone = one.registered()
    phone.calls("2001", lines(Suite.AEAD_AES_256_GCM))
    phone.gets(100)
    assert "No common SRTP crypto suite" in (phone.gets(488).headers.get("Warning") or "")
    assert "SCCP carries no AES-256" in one.event("call.refused").text


def test_a_dial_peer_that_has_nothing_else_refuses_calls_to_the_phone() -> None:
    one = ios("voice class srtp-crypto 1\n crypto 1 AEAD_AES_256_GCM\n")
    one.registered()
    node = one.node()
    node.calls("1001", rtp())
    node.gets(100)
    node.gets(488)
    assert "SCCP carries no AES-256" in one.event("call.refused").text


def test_between_two_secure_legs_no_farm_stands_and_aes_256_is_fine() -> None:
    one = ios(core=" srtp\n voice-class sip srtp-crypto 1\n")
    phone, node, invite = calling(one, lines(Suite.AEAD_AES_256_GCM))
    assert media_of(invite).crypto[0].split()[1] == "AEAD_AES_256_GCM"
    node.answers(invite, 200, body=fitting(invite))
    node.hears("ACK")
    assert media_of(phone.gets(200)).crypto[0].startswith("1 AEAD_AES_256_GCM ")


def test_the_local_transcoder_takes_any_key() -> None:
    assert answer_to(local(), lines(Suite.AEAD_AES_256_GCM)).startswith("1 AEAD_AES_256_GCM ")
    assert answer_to(local(), lines(Suite.AES_CM_128_HMAC_SHA1_80, mki="|2^20|1:4")).endswith("|1:4")


def test_a_line_with_an_mki_is_passed_over_where_a_farm_does_the_work() -> None:
    offer = lines(Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32, mki="|2^20|1:4")
    plain = offer.replace(f"_32 inline:{SAVP_KEY}|2^20|1:4".encode(), f"_32 inline:{SAVP_KEY}".encode())
    line = answer_to(ios(), plain)
    assert line.startswith("2 AES_CM_128_HMAC_SHA1_32 ")
    assert "|" not in line
    one = ios()
    phone = one.registered()
    phone.calls("2001", offer)
    phone.gets(100)
    phone.gets(488)
    assert "no MKI" in one.event("call.refused").text


def test_an_mki_goes_through_to_the_media_engine_and_back() -> None:
    """RFC 3711 3.1: its length is part of every packet, so the leg must know it; ours is as long."""
    one = Scene()
    line = answer_to(one, lines(Suite.AES_CM_128_HMAC_SHA1_80, mki="|2^20|258:4"))
    assert line.endswith("|1:4")
    send, receive = one.access.send_key, one.access.receive_key
    assert send is not None
    assert receive is not None
    assert (receive.mki, send.mki) == (b"\x00\x00\x01\x02", b"\x00\x00\x00\x01")


def test_without_an_mki_ours_has_none() -> None:
    one = Scene()
    assert "|" not in answer_to(one, srtp())
    assert one.access.send_key is not None
    assert one.access.send_key.mki == b""


def test_an_answer_with_an_mki_counts_where_no_farm_does_the_work() -> None:
    key = f"inline:{SAVP_KEY}|7:1"
    for one, fits in ((Scene(), True), (ios(), False)):
        phone, node, invite = called(one)
        answer = fitting(invite).replace(f"inline:{SAVP_KEY}".encode(), key.encode())
        phone.answers(invite, 200, body=answer)
        phone.hears("ACK")
        if fits:
            node.gets(200)
            spec = one.updated().legs[1]
            assert spec is not None
            assert spec.receive_key is not None
            assert spec.receive_key.mki == b"\x07"
        else:
            phone.hears("BYE")
            node.gets(488)


@pytest.mark.parametrize("auth", ["sha1-80", "sha1-32"])
def test_suites_that_do_not_meet_are_refused_on_ios(auth: str) -> None:
    """`srtp-auth`: 32 and 80 do not interwork in these releases."""
    ours = {"sha1-80": Suite.AES_CM_128_HMAC_SHA1_80, "sha1-32": Suite.AES_CM_128_HMAC_SHA1_32}[auth]
    other = next(suite for suite in (Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32) if suite is not ours)
    replace = {" dtmf-relay rtp-nte\n srtp\n": f" dtmf-relay rtp-nte\n srtp\n voice-class sip srtp-auth {auth}\n"}
    one = Scene(sample("sample-a.ios", replace=replace))
    assert answer_to(one, lines(ours)).startswith(f"1 {ours.value} ")
    one = Scene(sample("sample-a.ios", replace=replace))
    phone = one.registered()
    phone.calls("2001", lines(other))
    phone.gets(100)
    phone.gets(488)
    assert other.value in one.event("call.refused").text


def test_on_ios_xe_each_leg_has_the_suite_that_its_peer_took() -> None:
    """From 16.5.1b 32 and 80 interwork: `srtp-auth` does nothing there."""
    replace = {
        " dtmf-relay rtp-nte\n srtp\n": " dtmf-relay rtp-nte\n srtp\n voice-class sip srtp-auth sha1-80\n",
        " incoming uri from CORE\n": " incoming uri from CORE\n srtp\n",
    }
    one = Scene(sample(replace=replace))
    phone, node, invite = calling(one, lines(Suite.AES_CM_128_HMAC_SHA1_32))
    node.answers(invite, 200, body=fitting(invite))
    node.hears("ACK")
    assert media_of(phone.gets(200)).crypto[0].startswith("1 AES_CM_128_HMAC_SHA1_32 ")
    assert one.access.send_key is not None
    assert one.core.send_key is not None
    suites = (one.access.send_key.suite, one.core.send_key.suite)
    assert suites == (Suite.AES_CM_128_HMAC_SHA1_32, Suite.AES_CM_128_HMAC_SHA1_80)


# another codec

PROFILE = "dspfarm profile 7 transcode{}\n codec g711ulaw\n codec g729ar8\n codec g722-64\n maximum sessions 4\n"
PROFILE += " associate application CUBE\n no shutdown\n!\n"


def two_codecs(core: str, profile: str = PROFILE.format(" universal security"), *, extra: str = "") -> Scene:
    """The phone's dial peer has G.711 u-law, the core's another codec."""
    replace = {
        "voice class uri ACC sip\n": f"{profile}voice class uri ACC sip\n",
        " incoming uri from CORE\n": f" incoming uri from CORE\n{extra}",
        f"{CORE_TAIL}": CORE_TAIL.replace("codec g711ulaw", f"codec {core}"),
    }
    return Scene(sample(replace=replace))


CORE_TAIL = " voice-class sip bind media source-interface GigabitEthernet2\n dtmf-relay rtp-nte\n codec g711ulaw\n"


def answer_with(payload: str) -> bytes:
    return rtp(formats=f"{payload} 101")


def reserved(one: Scene) -> ReserveMedia:
    (command,) = [each for each in one.media if isinstance(each, ReserveMedia)]
    return command


def test_a_transcoder_stands_between_two_codecs() -> None:
    one = two_codecs("g729ar8")
    phone, node, invite = calling(one, srtp(formats="0 101"))
    offer = media_of(invite)
    assert offer.formats == ["18", "101"]
    assert offer.rtpmap(18) == Codec("g729", 8000)
    assert (reserved(one).need, reserved(one).transcodes) == (Need.TRANSCODER, True)
    node.answers(invite, 200, body=answer_with("18"))
    node.hears("ACK")
    answer = media_of(phone.gets(200))
    assert answer.formats == ["0", "101"]
    assert (one.access.codec.name, one.access.payload_type, one.access.dtmf_payload_type) == ("pcmu", 0, 101)
    assert (one.core.codec.name, one.core.payload_type, one.core.dtmf_payload_type) == ("g729", 18, 101)


def test_and_the_other_way_round() -> None:
    one = two_codecs("g722-64")
    phone, node, invite = called(one, rtp(formats="9 96").replace(b":101 ", b":96 "))
    offer = media_of(invite)
    assert offer.formats == ["0", "96"]  # the offerer's number for events
    phone.answers(invite, 200, body=fitting(invite).replace(b" 101", b" 96").replace(b":101 ", b":96 "))
    phone.hears("ACK")
    assert media_of(node.gets(200)).formats == ["9", "96"]
    core, access = one.updated().legs
    assert core is not None
    assert access is not None
    assert (core.codec.name, access.codec.name) == ("g722", "pcmu")


def test_a_codec_in_common_takes_none() -> None:
    one = two_codecs("g711ulaw")
    _, _, invite = calling(one)
    assert media_of(invite).formats == ["0", "101"]
    assert (reserved(one).need, reserved(one).transcodes) == (Need.CRYPTO, False)


@pytest.mark.parametrize(
    ("profile", "core", "works"),
    [
        ("", "g729ar8", False),  # no transcoder at all
        (PROFILE.format(" universal security"), "ilbc", False),  # not in the profile
        (PROFILE.format(" security"), "g729ar8", True),  # G.711 on one side
        (PROFILE.format(" security").replace(" no shutdown\n", ""), "g729ar8", False),
        (PROFILE.format(" security").replace("transcode", "mtp"), "g729ar8", False),
    ],
)
def test_without_one_for_both_codecs_it_is_488(profile: str, core: str, works: bool) -> None:
    one = two_codecs(core, profile)
    phone = one.registered()
    phone.calls("2001", srtp())
    phone.gets(100)
    if works:
        one.node().hears("INVITE")
    else:
        assert "No common codec" in (phone.gets(488).headers.get("Warning") or "")


def test_only_a_universal_one_stands_between_two_codecs_that_are_not_g711() -> None:
    for kind, works in ((" universal security", True), (" security", False)):
        config = sample(replace={"voice class uri ACC sip\n": PROFILE.format(kind) + "voice class uri ACC sip\n"})
        assert Plan(config).transcodes("g729", "g722") is works
        assert Plan(config).transcodes("g729", "pcmu")


def test_a_pool_that_cannot_change_codecs_refuses_the_call() -> None:
    """500, as where there is no transcoder: the phone is not left without audio."""
    one = two_codecs("g729ar8")
    one.auto_media = False
    phone = one.registered()
    phone.calls("2001", srtp())
    phone.gets(100)
    one.feed(MediaRefused(reserved(one).ticket, "no-transcoder", "LTI here changes no codec"))
    assert "Transcoder Not Configured" in (phone.gets(500).headers.get("Warning") or "")


def test_farms_elsewhere_answer_for_themselves() -> None:
    replace = {" sdspfarm tag 1 CUBEXCODE\n": " sdspfarm tag 1 CUBEXCODE\n sdspfarm tag 2 ELSEWHERE\n"}
    assert not Plan(sample("sample-a.ios")).transcodes("opus", "ilbc")
    assert Plan(sample("sample-a.ios", replace=replace)).transcodes("opus", "ilbc")


def test_pass_thru_transcodes_nothing() -> None:
    replace = {
        "voice class uri ACC sip\n": PROFILE.format(" universal security") + "voice class uri ACC sip\n",
        " incoming uri from CORE\n": " incoming uri from CORE\n srtp pass-thru\n",
        " dtmf-relay rtp-nte\n srtp\n": " dtmf-relay rtp-nte\n srtp pass-thru\n",
        CORE_TAIL: CORE_TAIL.replace("g711ulaw", "g729ar8"),
    }
    one = Scene(sample(replace=replace))
    phone = one.registered()
    phone.calls("2001", srtp())
    phone.gets(100)
    assert "No common codec" in (phone.gets(488).headers.get("Warning") or "")


def test_a_delayed_offer_reserves_what_it_will_need() -> None:
    one = two_codecs("g729ar8")
    phone, node, invite = calling(one, b"")
    assert (reserved(one).need, reserved(one).transcodes) == (Need.TRANSCODER, True)
    assert not invite.body
    node.answers(invite, 200, body=answer_with("18"))
    offer = phone.gets(200)
    assert media_of(offer).formats == ["0", "101"]
    tag = next(line.split()[0] for line in media_of(offer).crypto if "SHA1_80" in line)
    phone.acks(srtp().replace(b"crypto:1", f"crypto:{tag}".encode()))
    assert media_of(node.hears("ACK")).formats == ["18", "101"]
    assert (one.access.codec.name, one.core.codec.name) == ("pcmu", "g729")


def test_what_was_reserved_for_one_codec_is_not_used_for_two() -> None:
    """The first dial peer has the phone's codec; the second, asked when the first is gone, has not."""
    profile = PROFILE.format(" universal security")
    config = sample(replace={"voice class uri ACC sip\n": f"{profile}voice class uri ACC sip\n"})
    config.dial_peers[201].codecs = ("g729ar8",)
    one = Scene(config)
    phone, node, invite = calling(one)
    assert not reserved(one).transcodes
    node.answers(invite, 503)
    node.hears("ACK")
    phone.gets(500)
    assert one.event("call.refused").cause == "no-transcoder"
