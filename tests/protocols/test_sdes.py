"""Crypto lines: RFC 4568 read strictly, written padded, one bad line never spoils the others."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sdes import CryptoLine, SessionParameters, choose, fresh, offered, read_lines
from cubeproxy.protocols.suites import MasterKey, Suite

CM80, CM32 = Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32
GCM128, GCM256 = Suite.AEAD_AES_128_GCM, Suite.AEAD_AES_256_GCM
MASTER = bytes(range(30))
KEY = base64.b64encode(MASTER).decode()
OTHER = base64.b64encode(bytes(30)).decode()


def line(tail: str = "", *, tag: int = 1, suite: Suite = CM80, key: str = KEY) -> str:
    return f"{tag} {suite.value} inline:{key}{tail}"


def refused(value: str) -> RemoteProtocolError:
    with pytest.raises(RemoteProtocolError) as caught:
        CryptoLine.parse(value)
    assert caught.value.status == 488
    return caught.value


class TestExamples:
    """The lines of RFC 4568 4.1, 6.1 and 9.1."""

    def test_with_lifetime_and_mki(self) -> None:
        read = CryptoLine.parse(
            "1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20|1:4 FEC_ORDER=FEC_SRTP"
        )
        assert read.tag == 1
        assert read.suite is CM80
        assert read.key.master == base64.b64decode("WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz")
        assert read.key.lifetime == 2**20
        assert read.key.mki == b"\0\0\0\1"
        assert read.parameters.fec_order == "FEC_SRTP"
        assert read.usable

    def test_with_two_keys(self) -> None:
        read = CryptoLine.parse(
            "2 AES_CM_128_HMAC_SHA1_80 inline:MTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5QUJjZGVm|2^20|1:4;"
            "inline:QUJjZGVmMTIzNDU2Nzg5QUJDREUwMTIzNDU2Nzg5|2^20|2:4 FEC_ORDER=FEC_SRTP"
        )
        assert [key.mki for key in read.keys] == [b"\0\0\0\1", b"\0\0\0\2"]

    def test_without_lifetime(self) -> None:
        read = CryptoLine.parse("1 AES_CM_128_HMAC_SHA1_32 inline:NzB4d1BINUAvLEw6UzF3WSJ+PSdFcGdUJShpX1Zj|1:32")
        assert read.key.lifetime is None
        assert read.key.mki == bytes(31) + b"\1"


class TestKeys:
    @pytest.mark.parametrize("suite", Suite)
    def test_padding_is_written_always_and_not_demanded(self, suite: Suite) -> None:
        mine = CryptoLine.own(1, fresh(suite))
        text = mine.serialise()
        encoded = text.partition("inline:")[2]
        assert len(encoded) % 4 == 0
        assert CryptoLine.parse(text) == mine
        assert CryptoLine.parse(text.rstrip("=")) == mine

    @pytest.mark.parametrize(
        "key",
        [
            KEY[:-1],  # 39 characters cannot be 30 octets
            KEY[:-3],
            KEY + "A",
            KEY + "=",
            KEY + "==",
            KEY + "====",
            "=" + KEY,
            KEY[:20] + "@@" + KEY[20:],
            KEY[:20] + "-_" + KEY[22:],
            KEY[:20] + "=" + KEY[21:],
            "",
            base64.b64encode(MASTER + b"x").decode(),
            base64.b64encode(MASTER[:-2]).decode(),
        ],
    )
    def test_bad_base64_and_wrong_lengths_are_refused(self, key: str) -> None:
        refused(line(key=key))

    @pytest.mark.parametrize("suite", [GCM128, GCM256])
    def test_half_a_padding_is_refused(self, suite: Suite) -> None:
        encoded = base64.b64encode(bytes(suite.sizes.master)).decode()
        if encoded.endswith("=="):
            refused(line(suite=suite, key=encoded[:-1]))
        refused(line(suite=suite, key=encoded + "="))

    @pytest.mark.parametrize(
        ("text", "lifetime"),
        [("2^0", 1), ("2^20", 2**20), ("2^31", 2**31), ("2^48", 2**48), ("1048576", 2**20), ("1000", 1000), ("007", 7)],
    )
    def test_lifetime(self, text: str, lifetime: int) -> None:
        read = CryptoLine.parse(line(f"|{text}"))
        assert read.key.lifetime == lifetime
        assert CryptoLine.parse(read.serialise()) == read

    def test_a_lifetime_is_written_as_a_power_where_it_is_one(self) -> None:
        assert CryptoLine.parse(line("|1048576")).serialise() == line("|2^20")
        assert CryptoLine.parse(line("|1000")).serialise() == line("|1000")

    @pytest.mark.parametrize(
        "text", ["0", "2^49", "2^99999", "281474976710657", "2^", "^20", "-1", "1_0", "\u0661", "3^20", "2^2^2", ""]
    )
    def test_bad_lifetimes_are_refused(self, text: str) -> None:
        refused(line(f"|{text}"))

    @pytest.mark.parametrize(
        ("text", "mki"), [("1:4", b"\0\0\0\1"), ("0:1", b"\0"), ("255:1", b"\xff"), ("01:1", b"\1")]
    )
    def test_mki(self, text: str, mki: bytes) -> None:
        assert CryptoLine.parse(line(f"|{text}")).key.mki == mki
        assert CryptoLine.parse(line(f"|2^20|{text}")).key.mki == mki

    def test_the_longest_mki(self) -> None:
        biggest = b"\xff" * 128
        read = CryptoLine.parse(line(f"|{int.from_bytes(biggest, 'big')}:128"))
        assert read.key.mki == biggest
        assert CryptoLine.parse(read.serialise()) == read

    @pytest.mark.parametrize("text", ["256:1", "1:0", "1:129", "1:", ":4", "x:4", "1:4:4", f"{1 << 1024}:128"])
    def test_bad_mkis_are_refused(self, text: str) -> None:
        refused(line(f"|2^20|{text}"))

    @pytest.mark.parametrize("tail", ["|2^20|2^20", "|1:4|2^20", "|1:4|1:4", "|2^20|1:4|x", "||1:4"])
    def test_parts_out_of_place_are_refused(self, tail: str) -> None:
        refused(line(tail))

    @pytest.mark.parametrize(
        "tail",
        [
            f";inline:{OTHER}",
            f"|1:4;inline:{OTHER}",
            f"|1:4;inline:{OTHER}|1:4",
            f"|1:4;inline:{OTHER}|2:2",
            ";",
            f"|1:4;clear:{OTHER}|2:4",
        ],
    )
    def test_several_keys_need_mkis_that_differ_and_have_one_length(self, tail: str) -> None:
        refused(line(tail))

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "1",
            f"1 {CM80.value}",
            f"x {CM80.value} inline:{KEY}",
            f"1234567890 {CM80.value} inline:{KEY}",
            f"1 {CM80.value} {KEY}",
            f"1 AES-CM inline:{KEY}",
            line(" x" * 4096),
            line("\u00a0KDR=1"),
        ],
    )
    def test_what_is_no_crypto_line_is_refused(self, value: str) -> None:
        refused(value)

    def test_no_error_tells_the_key(self) -> None:
        assert KEY[:10] not in str(refused(line(key=KEY[:-3])))
        assert "1 AES_CM_128_HMAC_SHA1_80" in str(refused(line(key=KEY[:-3])))

    def test_no_repr_tells_the_key(self) -> None:
        known = CryptoLine.parse(line(f"|1:1 FEC_KEY=inline:{KEY}"))
        unknown = CryptoLine.parse(f"1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}")
        assert KEY not in repr(known) + repr(unknown)
        assert str(MASTER) not in repr(known)

    def test_fresh_keys_differ_and_come_from_the_given_source(self) -> None:
        assert fresh(CM80).master != fresh(CM80).master
        assert fresh(GCM256, lambda count: b"k" * count) == MasterKey(GCM256, b"k" * 44)


class TestSessionParameters:
    @pytest.mark.parametrize(
        ("word", "expected", "usable"),
        [
            ("KDR=0", SessionParameters(kdr=0), False),
            ("KDR=24", SessionParameters(kdr=24), False),
            ("UNENCRYPTED_SRTP", SessionParameters(unencrypted_srtp=True), False),
            ("UNENCRYPTED_SRTCP", SessionParameters(unencrypted_srtcp=True), False),
            ("UNAUTHENTICATED_SRTP", SessionParameters(unauthenticated_srtp=True), False),
            ("FEC_ORDER=SRTP_FEC", SessionParameters(fec_order="SRTP_FEC"), True),
            (f"FEC_KEY=inline:{OTHER}", SessionParameters(fec_keys=(MasterKey(CM80, bytes(30)),)), False),
            ("WSH=64", SessionParameters(wsh=64), True),
            ("-vendor=1", SessionParameters(extensions=("-vendor=1",)), True),
            ("vendor=1", SessionParameters(extensions=("vendor=1",)), False),
        ],
    )
    def test_each(self, word: str, expected: SessionParameters, usable: bool) -> None:
        read = CryptoLine.parse(line(f" {word}"))
        assert read.parameters == expected
        assert read.usable is usable
        assert read.serialise() == line(f" {word}")

    def test_all_together(self) -> None:
        words = f"KDR=3 UNENCRYPTED_SRTP UNENCRYPTED_SRTCP UNAUTHENTICATED_SRTP FEC_ORDER=FEC_SRTP FEC_KEY=inline:{KEY}"
        read = CryptoLine.parse(line(f" {words} WSH=128 -x y"))
        assert read.parameters.obstacles == [
            "KDR",
            "UNENCRYPTED_SRTP",
            "UNENCRYPTED_SRTCP",
            "UNAUTHENTICATED_SRTP",
            "FEC_KEY",
            "y",
        ]
        assert read.serialise() == line(f" {words} WSH=128 -x y")

    @pytest.mark.parametrize(
        "words",
        [
            "KDR",
            "KDR=",
            "KDR=25",
            "KDR=-1",
            "KDR=1_0",
            "UNENCRYPTED_SRTP=1",
            "FEC_ORDER",
            "FEC_ORDER=x",
            "FEC_KEY=x",
            "FEC_KEY",
            "WSH=63",
            "WSH",
            "WSH=9999999999",
            "KDR=1 KDR=1",
            "x=1 x=2",
        ],
    )
    def test_bad_ones_make_the_line_unusable(self, words: str) -> None:
        refused(line(f" {words}"))


class TestUnknownSuite:
    def test_it_is_kept_as_it_is_and_never_chosen(self) -> None:
        value = f"1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}|x KDR=99"
        read = CryptoLine.parse(value)
        assert (read.suite, read.name, read.usable) == (None, "AES_256_CM_HMAC_SHA1_80", False)
        assert read.serialise() == value

    def test_suite_names_are_not_case_sensitive(self) -> None:
        assert CryptoLine.parse(line().replace("AES_CM", "aes_cm")).suite is CM80


class TestOffer:
    OFFER = (
        f"1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}",
        line(tag=2, suite=CM32, key="broken"),
        line(" UNENCRYPTED_SRTP", tag=3, suite=CM32),
        line(tag=4, suite=CM32),
        line(tag=5, suite=CM80),
    )

    def test_bad_lines_are_set_aside(self) -> None:
        lines, errors = read_lines(self.OFFER)
        assert [each.tag for each in lines] == [1, 3, 4, 5]
        assert [error.status for error in errors] == [488]
        assert "crypto line 2" in str(errors[0])

    def test_a_tag_stands_once(self) -> None:
        lines, errors = read_lines([line(suite=CM32), line(suite=CM80)])
        assert [each.suite for each in lines] == [CM32]
        assert "twice" in str(errors[0])

    def test_the_order_of_the_offer_decides(self) -> None:
        lines, _ = read_lines(self.OFFER)
        chosen = choose(lines, (GCM256, CM80, CM32))
        assert chosen is not None
        assert chosen.tag == 4

    def test_or_ours(self) -> None:
        lines, _ = read_lines(self.OFFER)
        chosen = choose(lines, (GCM256, CM80, CM32), ours_first=True)
        assert chosen is not None
        assert chosen.tag == 5

    def test_nothing_fits(self) -> None:
        lines, _ = read_lines(self.OFFER)
        assert choose(lines, (GCM256,)) is None
        assert choose([], tuple(Suite)) is None

    def test_an_answer_takes_one_of_the_offered_lines(self) -> None:
        lines, _ = read_lines(self.OFFER)
        assert offered(lines, CryptoLine.own(5, fresh(CM80))) is lines[3]

    @pytest.mark.parametrize(
        "answer", [line(tag=6), line(tag=4), line(" KDR=1", tag=5), f"1 AES_256_CM_HMAC_SHA1_80 inline:{KEY}"]
    )
    def test_or_is_a_488(self, answer: str) -> None:
        lines, _ = read_lines(self.OFFER)
        with pytest.raises(RemoteProtocolError) as caught:
            offered(lines, CryptoLine.parse(answer))
        assert caught.value.status == 488


@st.composite
def crypto_lines(draw: st.DrawFn) -> CryptoLine:
    suite = draw(st.sampled_from(Suite))
    size = draw(st.integers(0, 128))
    count = draw(st.integers(1, 3)) if size else 1
    names = draw(st.lists(st.binary(min_size=size, max_size=size), min_size=count, max_size=count, unique=True))
    master = st.binary(min_size=suite.sizes.master, max_size=suite.sizes.master)
    lifetime = st.none() | st.integers(1, 2**48)
    keys = tuple(MasterKey(suite, draw(master), name, draw(lifetime)) for name in names)
    parameters = SessionParameters(
        kdr=draw(st.none() | st.integers(0, 24)),
        unencrypted_srtp=draw(st.booleans()),
        unencrypted_srtcp=draw(st.booleans()),
        unauthenticated_srtp=draw(st.booleans()),
        fec_order=draw(st.sampled_from([None, "FEC_SRTP", "SRTP_FEC"])),
        fec_keys=keys if draw(st.booleans()) else (),
        wsh=draw(st.none() | st.integers(64, 999_999_999)),
        extensions=tuple(
            draw(
                st.lists(
                    st.from_regex(r"-?[a-z]{1,5}(=[!-~]{0,5})?", fullmatch=True),
                    max_size=2,
                    unique_by=lambda word: word.partition("=")[0],
                )
            )
        ),
    )
    return CryptoLine(draw(st.integers(0, 999_999_999)), suite, keys, parameters)


class TestProperties:
    @given(crypto_lines())
    @settings(max_examples=150)
    def test_what_we_write_we_read(self, crypto: CryptoLine) -> None:
        text = crypto.serialise()
        assert CryptoLine.parse(text) == crypto if len(text) <= 4096 else refused(text)

    @given(
        st.text(max_size=80)
        | st.text(max_size=60).map(f"1 {CM80.value} inline:".__add__)
        | st.text(max_size=60).map(line().__add__)
    )
    @settings(max_examples=200)
    def test_any_text_is_read_or_refused(self, text: str) -> None:
        lines, errors = read_lines([text])
        assert len(lines) + len(errors) == 1
        assert all(error.status == 488 for error in errors)
        for read in lines:
            assert CryptoLine.parse(read.serialise()) == read
