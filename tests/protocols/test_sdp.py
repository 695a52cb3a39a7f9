"""Session descriptions: what is kept, what is refused, and what the methods say of a stream."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols import sdp
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sdp import Attribute, Direction, Media, Origin, SessionDescription
from cubeproxy.protocols.values import Codec

PHONE = b"""v=0\r
o=Cisco-SIPUA 26425 0 IN IP4 192.0.2.9\r
s=SIP Call\r
b=AS:4064\r
t=0 0\r
m=audio 20476 RTP/SAVP 9 0 8 116 101\r
c=IN IP4 192.0.2.9\r
b=TIAS:64000\r
a=crypto:1 AEAD_AES_256_GCM inline:secret\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:116 iLBC/8000\r
a=fmtp:116 mode=20\r
a=X-cisco-media:umts\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=ptime:20\r
a=sendrecv\r
m=video 20478 RTP/AVP 97\r
c=IN IP4 192.0.2.9\r
a=rtpmap:97 H264/90000\r
"""


def parse(*lines: str) -> SessionDescription:
    return SessionDescription.parse("\n".join(("v=0", "o=- 1 1 IN IP4 192.0.2.1", *lines)))


def stream(
    *lines: str, m: str = "audio 4000 RTP/AVP 0", session: tuple[str, ...] = ()
) -> tuple[Media, SessionDescription]:
    description = parse("s=-", *session, "t=0 0", f"m={m}", *lines)
    return description.media[0], description


class TestText:
    def test_a_legal_description_comes_back_to_the_octet(self) -> None:
        assert SessionDescription.parse(PHONE).serialise() == PHONE

    def test_lf_is_accepted_and_crlf_written(self) -> None:
        assert SessionDescription.parse(PHONE.replace(b"\r\n", b"\n")).serialise() == PHONE

    def test_the_last_line_needs_no_end_and_empty_lines_after_it_do_no_harm(self) -> None:
        assert SessionDescription.parse(PHONE.rstrip()).serialise() == PHONE
        assert SessionDescription.parse(PHONE + b"\r\n\n").serialise() == PHONE

    def test_every_session_line_is_kept(self) -> None:
        text = (
            b"v=0\r\no=a 1 2 IN IP6 2001:db8::1\r\ns=x\r\ni=title\r\nu=http://example.com/\r\ne=a@example.com\r\n"
            b"p=+1 617 555-6011\r\nc=IN IP6 2001:db8::1\r\nb=AS:1\r\nb=CT:2\r\nt=1 2\r\nr=7d 1h 0 25h\r\nz=1 -1h\r\n"
            b"k=clear:x\r\na=recvonly\r\na=empty:\r\nm=audio 0/2 RTP/AVP 0\r\ni=one\r\n"
            b"c=IN IP4 192.0.2.1\r\nk=prompt\r\n"
        )
        assert SessionDescription.parse(text).serialise() == text

    def test_unknown_and_second_lines_stay_between_the_attributes_where_they_stood(self) -> None:
        text = (
            b"v=0\r\no=a 1 2 IN IP4 192.0.2.1\r\ns=x\r\nt=0 0\r\ny=0\r\na=one\r\nx=1\r\nx=2\r\na=two\r\ns=again\r\n"
            b"m=audio 4 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\nc=IN IP4 192.0.2.2\r\na=one\r\nq=1\r\na=two\r\n"
        )
        assert SessionDescription.parse(text).serialise() == text

    def test_kept_lines_survive_when_the_attributes_around_them_go(self) -> None:
        media, description = stream("a=one", "a=two", "x=1")
        media.remove("one", "two")
        assert description.serialise().endswith(b"RTP/AVP 0\r\nx=1\r\n")

    def test_kinds_of_lines_are_written_in_the_order_of_the_grammar(self) -> None:
        """Attributes before c= are read from careless peers, and never sent on like that."""
        media, description = stream("a=ptime:20", "b=AS:64", "c=IN IP4 192.0.2.1")
        assert media.lines()[1:] == ["c=IN IP4 192.0.2.1", "b=AS:64", "a=ptime:20"]
        assert SessionDescription.parse(description.serialise()) == description

    def test_octets_that_are_no_utf8_pass_through(self) -> None:
        text = PHONE.replace(b"SIP Call", b"caf\xe9")
        assert SessionDescription.parse(text).serialise() == text

    def test_missing_name_and_time_are_filled_in(self) -> None:
        assert parse().serialise() == b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nt=0 0\r\n"

    @pytest.mark.parametrize(
        "text",
        [
            b"",
            b"\r\n",
            b"v=1\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
            b"v=0\r\n",
            b"v=0\r\ns=-\r\no=- 1 1 IN IP4 192.0.2.1\r\n",
            b"v=0\r\no=- 1 1 IN IP4\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=a\0b\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=a\rb\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n\r\ns=-\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns =-\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n1=-\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\na=\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\na=:x\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio RTP/AVP 0\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 65536 RTP/AVP 0\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio -1 RTP/AVP 0\r\n",
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 4/0 RTP/AVP 0\r\n",
            "v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio \u0664 RTP/AVP 0\r\n".encode(),
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nm=audio 4 RTP/AVP\r\n",
        ],
    )
    def test_what_is_no_sdp_is_a_400(self, text: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            SessionDescription.parse(text)
        assert caught.value.status == 400

    def test_a_value_with_a_line_end_never_leaves(self) -> None:
        for value in ("x\r\nm=audio", "x\n", "x\r"):
            description = parse()
            description.attributes.append(Attribute("tool", value))
            with pytest.raises(LocalProtocolError):
                description.serialise()


class TestCaps:
    @pytest.mark.parametrize(
        ("fits", "too_much"),
        [
            (["m=audio 4 RTP/AVP 0"] * 16, ["m=audio 4 RTP/AVP 0"] * 17),
            (["m=audio 4 RTP/AVP" + " 0" * 64], ["m=audio 4 RTP/AVP" + " 0" * 65]),
            (["m=audio 4 RTP/AVP 0", *["a=crypto:1 X y"] * 32], ["m=audio 4 RTP/AVP 0", *["a=crypto:1 X y"] * 33]),
            (["a=" + "x" * 65000], ["a=" + "x" * 65536]),
            (["a=x"] * 4998, ["a=x"] * 4999),
        ],
        ids=["m-lines", "formats", "crypto lines", "octets", "lines"],
    )
    def test_a_bomb_is_a_488(self, fits: list[str], too_much: list[str]) -> None:
        parse(*fits)
        with pytest.raises(RemoteProtocolError) as caught:
            parse(*too_much)
        assert caught.value.status == 488


class TestStream:
    def test_a_phone_offer(self) -> None:
        description = SessionDescription.parse(PHONE)
        audio = description.audio
        assert audio is description.media[0]
        assert (audio.kind, audio.port, audio.protocol) == ("audio", 20476, "RTP/SAVP")
        assert audio.is_secure
        assert audio.crypto == ["1 AEAD_AES_256_GCM inline:secret"]
        assert audio.ptime == 20
        assert audio.payload_types == [9, 0, 8, 116, 101]
        assert audio.codecs() == [
            (9, Codec("g722", 8000)),
            (0, Codec("pcmu", 8000)),
            (8, Codec("pcma", 8000)),
            (116, Codec("ilbc", 8000)),
            (101, Codec("telephone-event", 8000)),
        ]
        assert audio.rtpmap(116) == Codec("ilbc", 8000)
        assert audio.fmtp(116) == "mode=20"
        assert audio.fmtp(0) is None
        assert audio.payload_type("telephone-event") == 101
        assert audio.payload_type("telephone-event", 16000) is None
        assert audio.address(description) == ("192.0.2.9", 20476)
        assert audio.rtcp_address(description) == ("192.0.2.9", 20477)
        assert audio.get("X-cisco-media") == "umts"

    def test_static_payload_types_need_no_rtpmap(self) -> None:
        media, _ = stream(m="audio 4000 RTP/AVP 0 8 18 96 200 x")
        assert media.codecs() == [(0, Codec("pcmu", 8000)), (8, Codec("pcma", 8000)), (18, Codec("g729", 8000))]

    def test_rtpmap_overrides_the_static_table_and_knows_channels(self) -> None:
        media, _ = stream("a=rtpmap:0 L16/44100/2", "a=rtpmap:96 opus/48000/2", m="audio 4000 RTP/AVP 0 96")
        assert media.codecs() == [(0, Codec("l16", 44100, 2)), (96, Codec("opus", 48000, 2))]

    @pytest.mark.parametrize(
        "value",
        [
            "0 PCMU",
            "0 PCMU/",
            "0 PCMU/x",
            "0 PCMU/0",
            "0 /8000",
            "0 PCMU/8000/1/1",
            f"0 {'P' * 75}/80000",
            f"0 PCMU/8000{' ' * 80}x",
        ],
    )
    def test_a_bad_rtpmap_makes_the_payload_type_unknown(self, value: str) -> None:
        media, _ = stream(f"a=rtpmap:{value}")
        assert media.codecs() == []

    @pytest.mark.parametrize(
        ("text", "ptime"), [("20", 20), ("20.5", 20), ("0", None), ("-20", None), ("1_0", None), ("", None)]
    )
    def test_ptime(self, text: str, ptime: int | None) -> None:
        media, _ = stream(f"a=ptime:{text}")
        assert media.ptime == ptime

    @pytest.mark.parametrize(
        ("protocol", "rtp", "secure"),
        [
            ("RTP/AVP", True, False),
            ("RTP/SAVP", True, True),
            ("RTP/SAVPF", True, True),
            ("UDP/TLS/RTP/SAVP", True, False),
            ("udptl", False, False),
        ],
    )
    def test_profiles(self, protocol: str, rtp: bool, secure: bool) -> None:
        media, _ = stream(m=f"audio 4000 {protocol} 0")
        assert (media.is_rtp, media.is_secure) == (rtp, secure)

    def test_the_first_audio_is_the_first_that_is_wanted_and_is_rtp(self) -> None:
        description = parse("m=video 1 RTP/AVP 31", "m=audio 0 RTP/AVP 0", "m=audio 2 TCP x", "m=audio 3 RTP/AVP 0")
        assert description.audio_index == 3
        assert parse("m=video 1 RTP/AVP 31").audio is None


class TestDirection:
    @pytest.mark.parametrize("session", [None, *Direction])
    @pytest.mark.parametrize("media", [None, *Direction])
    def test_the_stream_decides_before_the_session(self, session: Direction | None, media: Direction | None) -> None:
        lines = (f"a={media.attribute}",) if media else ()
        above = (f"a={session.attribute}",) if session else ()
        found, description = stream(*lines, session=above)
        assert found.direction(description) is (media or session or Direction.SENDRECV)
        assert found.direction() is (media or Direction.SENDRECV)

    def test_mirror(self) -> None:
        assert Direction.SENDONLY.mirrored is Direction.RECVONLY
        assert Direction.RECVONLY.mirrored is Direction.SENDONLY
        assert Direction.SENDRECV.mirrored is Direction.SENDRECV
        assert Direction.INACTIVE.mirrored is Direction.INACTIVE
        assert (Direction.SENDONLY.sends, Direction.SENDONLY.receives) == (True, False)

    def test_setting_it_replaces_every_direction_in_the_place_of_the_first(self) -> None:
        media, _ = stream("a=ptime:20", "a=sendonly", "a=rtcp-mux", "a=inactive")
        media.set_direction(Direction.RECVONLY)
        assert [str(attribute) for attribute in media.attributes] == ["ptime:20", "recvonly", "rtcp-mux"]


class TestAddress:
    @pytest.mark.parametrize(
        ("connection", "host"),
        [
            ("IN IP4 192.0.2.1", "192.0.2.1"),
            ("IN IP4 224.2.1.1/127/3", "224.2.1.1"),
            ("IN IP6 2001:DB8:0::1", "2001:db8::1"),
            ("IN IP6 ::ffff:192.0.2.128", "::ffff:c000:280"),
            ("in ip4 192.0.2.1", "192.0.2.1"),
        ],
    )
    def test_a_literal(self, connection: str, host: str) -> None:
        media, description = stream(session=(f"c={connection}",))
        found = media.address(description)
        assert found is not None
        assert sdp.read_connection(sdp.write_connection(found[0])) == found[0]
        assert found == (host, 4000) or host.startswith("::ffff")

    @pytest.mark.parametrize(
        "connection",
        [
            "IN IP4 phone.example.com",
            "IN IP4 1",
            "IN IP4 2001:db8::1",
            "IN IP6 192.0.2.1",
            "IN IP6 fe80::1%eth0",
            "ATM NSAP 47",
            "IN IP4",
            "IN IP4 192.0.2.010",
            "",
        ],
    )
    def test_what_names_no_address_is_a_488(self, connection: str) -> None:
        media, description = stream(f"c={connection}")
        with pytest.raises(RemoteProtocolError) as caught:
            media.address(description)
        assert caught.value.status == 488

    def test_no_connection_at_all_is_a_488(self) -> None:
        media, description = stream()
        with pytest.raises(RemoteProtocolError) as caught:
            media.address(description)
        assert caught.value.status == 488

    def test_the_stream_decides_before_the_session(self) -> None:
        media, description = stream("c=IN IP4 192.0.2.2", session=("c=IN IP4 192.0.2.1",))
        assert media.address(description) == ("192.0.2.2", 4000)

    def test_a_refused_stream_needs_no_address_and_an_old_hold_has_none(self) -> None:
        media, description = stream(m="audio 0 RTP/AVP 0")
        assert media.address(description) is None
        assert media.rtcp_address(description) is None
        media, description = stream("c=IN IP4 0.0.0.0", "a=rtcp:9")
        assert media.address(description) is None

    @pytest.mark.parametrize(
        ("lines", "address"),
        [
            ([], ("192.0.2.1", 4001)),
            (["a=rtcp-mux"], ("192.0.2.1", 4000)),
            (["a=rtcp:53020"], ("192.0.2.1", 53020)),
            (["a=rtcp:53020 IN IP4 192.0.2.7"], ("192.0.2.7", 53020)),
            (["a=rtcp:53020 IN IP4 0.0.0.0"], None),
        ],
    )
    def test_rtcp(self, lines: list[str], address: tuple[str, int] | None) -> None:
        media, description = stream("c=IN IP4 192.0.2.1", *lines)
        assert media.rtcp_address(description) == address

    def test_rtcp_on_one_port_takes_two_to_agree(self) -> None:
        media, description = stream("c=IN IP4 192.0.2.1", "a=rtcp-mux")
        assert media.rtcp_address(description, muxed=False) == ("192.0.2.1", 4001)

    @pytest.mark.parametrize("value", ["0", "65536", "x", "1 IN IP4 host", "1 2"])
    def test_bad_rtcp_is_a_488(self, value: str) -> None:
        media, description = stream("c=IN IP4 192.0.2.1", f"a=rtcp:{value}")
        with pytest.raises(RemoteProtocolError) as caught:
            media.rtcp_address(description)
        assert caught.value.status == 488

    def test_setting_it_drops_the_rtcp_port_that_belonged_to_the_old_one(self) -> None:
        media, description = stream("c=IN IP4 192.0.2.1", "a=rtcp:9")
        media.set_address(("2001:db8::1", 5000))
        assert media.connection == "IN IP6 2001:db8::1"
        assert media.rtcp_address(description) == ("2001:db8::1", 5001)


class TestChange:
    def test_set_replaces_in_place_and_drops_the_others(self) -> None:
        media, _ = stream("a=one:1", "a=two", "a=one:2")
        media.set("one", "3")
        media.set("new")
        assert [str(attribute) for attribute in media.attributes] == ["one:3", "two", "new"]
        assert media.get("two") == ""
        assert media.get("none") is None
        assert media.all("one") == ["3"]

    def test_a_copy_shares_nothing(self) -> None:
        original = SessionDescription.parse(PHONE)
        copy = original.copy(name="other")
        copy.media[0].add("x")
        copy.media[0].formats.append("1")
        copy.media.pop()
        copy.origin.version = "9"
        copy.times.append("t=1 1")
        assert original == SessionDescription.parse(PHONE)
        assert copy.name == "other"

    def test_an_answer_that_takes_one_stream_refuses_the_others_in_their_places(self) -> None:
        offer = SessionDescription.parse(PHONE)
        taken = sdp.audio(5000, [(0, Codec("pcmu", 8000))])
        answer = sdp.describe("192.0.2.5", offer.with_only(0, taken), session_id=1, version=1)
        lines = answer.serialise().decode().split("\r\n")
        assert [line for line in lines if line[:2] == "m="] == ["m=audio 5000 RTP/AVP 0", "m=video 0 RTP/AVP 97"]
        assert lines[-2] == "m=video 0 RTP/AVP 97"

    def test_a_description_of_our_own(self) -> None:
        media = sdp.audio(
            20000,
            [(9, Codec("g722", 8000)), (96, Codec("opus", 48000, 2)), (101, Codec("telephone-event", 8000))],
            protocol="RTP/SAVP",
            crypto=["1 A inline:b", "2 C inline:d"],
            fmtp={96: "useinbandfec=1"},
            direction=Direction.SENDONLY,
            ptime=20,
        )
        description = sdp.describe("2001:db8::1", [media], session_id=7, version=8, username="cube", name="call")
        assert description.serialise() == (
            b"v=0\r\no=cube 7 8 IN IP6 2001:db8::1\r\ns=call\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\n"
            b"m=audio 20000 RTP/SAVP 9 96 101\r\na=crypto:1 A inline:b\r\na=crypto:2 C inline:d\r\n"
            b"a=rtpmap:9 G722/8000\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
            b"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendonly\r\n"
        )
        assert SessionDescription.parse(description.serialise()) == description

    def test_keys_do_not_show(self) -> None:
        text = PHONE.replace(b"a=ptime:20", b"k=clear:hidden\r\nk=clear:hidden")
        shown = repr(SessionDescription.parse(text))
        assert "secret" not in shown
        assert "hidden" not in shown
        assert "PCMU" in shown


class TestAnswer:
    """RFC 3264 6: same m-lines in the same order, each with a direction that the offer allows."""

    AUDIO, VIDEO = "m=audio 4000 RTP/AVP 0", "m=video 4002 RTP/AVP 31"

    @pytest.mark.parametrize(
        "answer",
        [
            [AUDIO],
            [AUDIO, VIDEO, VIDEO],
            [VIDEO, AUDIO],
            [AUDIO, "m=video 4002 udptl 31"],
        ],
    )
    def test_other_m_lines_are_illegal(self, answer: list[str]) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            sdp.check_answer(parse(self.AUDIO, self.VIDEO), parse(*answer))
        assert caught.value.status == 488

    def test_a_stream_may_be_refused_and_a_refused_one_not_taken(self) -> None:
        refused = "m=video 0 RTP/AVP 31"
        sdp.check_answer(parse(self.AUDIO, self.VIDEO), parse(self.AUDIO, refused))
        sdp.check_answer(parse(self.AUDIO, refused), parse(self.AUDIO, refused))
        with pytest.raises(RemoteProtocolError):
            sdp.check_answer(parse(self.AUDIO, refused), parse(self.AUDIO, self.VIDEO))

    @pytest.mark.parametrize("offered", ["sendrecv", "sendonly", "recvonly", "inactive"])
    def test_an_answer_without_a_direction_takes_what_the_offer_leaves(self, offered: str) -> None:
        sdp.check_answer(parse(self.AUDIO, f"a={offered}"), parse(self.AUDIO))

    def test_srtp_answered_by_rtp_is_left_to_policy(self) -> None:
        sdp.check_answer(parse("m=audio 4000 RTP/SAVP 0"), parse(self.AUDIO))

    @pytest.mark.parametrize(
        ("offered", "allowed"),
        [
            ("sendrecv", {"sendrecv", "sendonly", "recvonly", "inactive"}),
            ("sendonly", {"recvonly", "inactive"}),
            ("recvonly", {"sendonly", "inactive"}),
            ("inactive", {"inactive"}),
        ],
    )
    def test_directions(self, offered: str, allowed: set[str]) -> None:
        for answered in ("sendrecv", "sendonly", "recvonly", "inactive"):
            offer, answer = parse(self.AUDIO, f"a={offered}"), parse(self.AUDIO, f"a={answered}")
            if answered in allowed:
                sdp.check_answer(offer, answer)
            else:
                with pytest.raises(RemoteProtocolError):
                    sdp.check_answer(offer, answer)


word = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=8)
free = st.text(st.characters(exclude_characters="\0\r\n", codec="utf-8"), max_size=12)
attributes = st.lists(
    st.builds(
        Attribute,
        st.text(st.characters(exclude_characters="\0\r\n:", codec="utf-8"), min_size=1, max_size=6),
        st.none() | free,
    ),
    max_size=5,
)
sections = {
    "title": st.none() | free,
    "connection": st.none() | free,
    "bandwidth": st.lists(free, max_size=2),
    "key": st.none() | free,
    "attributes": attributes,
}
medias = st.builds(
    Media,
    kind=word,
    port=st.integers(0, 65535),
    protocol=word,
    formats=st.lists(word, min_size=1, max_size=4),
    port_count=st.integers(1, 99999),
    **sections,
)
origins = st.builds(Origin, word, word, word, word, word, word)
descriptions = st.builds(
    SessionDescription,
    origin=origins,
    media=st.lists(medias, max_size=3),
    name=free.filter(bool),
    uri=st.none() | free,
    contacts=st.lists(free.map("e={}".format) | free.map("p={}".format), max_size=2),
    times=st.lists(free.map("t={}".format) | free.map("z={}".format), min_size=1, max_size=2),
    **sections,
)


class TestProperties:
    @given(descriptions)
    @settings(max_examples=150)
    def test_what_we_write_we_read(self, description: SessionDescription) -> None:
        assert SessionDescription.parse(description.serialise()) == description

    @given(st.binary(max_size=200) | st.binary(max_size=60).map(b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\n".__add__))
    def test_any_octets_are_read_or_refused(self, octets: bytes) -> None:
        try:
            description = SessionDescription.parse(octets)
        except RemoteProtocolError:
            return
        assert SessionDescription.parse(description.serialise()) == description

    @given(st.lists(st.tuples(st.integers(0, len(PHONE) - 1), st.integers(0, 255)), min_size=1, max_size=8))
    @settings(max_examples=200)
    def test_a_damaged_offer_is_read_or_refused_whatever_is_asked(self, damage: list[tuple[int, int]]) -> None:
        octets = bytearray(PHONE)
        for place, value in damage:
            octets[place] = value
        try:
            description = SessionDescription.parse(bytes(octets))
        except RemoteProtocolError:
            return
        assert SessionDescription.parse(description.serialise()) == description
        for media in description.media:
            media.codecs()
            media.ptime  # noqa: B018
            media.direction(description)
            with contextlib.suppress(RemoteProtocolError):
                media.rtcp_address(description)
