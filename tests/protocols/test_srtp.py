"""SRTP streams: wraps, loss, reordering, replays, forgeries, key identifiers, and sessions that start in the middle."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols import libsrtp, rtp
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.srtp import (
    MAX_PACKET,
    MAX_ROLLOVERS,
    MAX_SOURCES,
    AuthenticationFailed,
    KeyExpired,
    Replayed,
    SrtpError,
    SrtpReceiver,
    SrtpSender,
    TooManySources,
    estimate_index,
)
from cubeproxy.protocols.suites import MasterKey, Suite
from tests.protocols import srtp_reference as reference

SSRC = 0xCAFEBABE
REPORT = bytes.fromhex("80c90001cafebabe")
AES_CM = (Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32)


def key_of(suite: Suite, mki: bytes = b"", lifetime: int | None = None, first: int = 0) -> MasterKey:
    return MasterKey(suite, bytes((first + i) & 0xFF for i in range(suite.sizes.master)), mki, lifetime)


def clear(index: int, payload: bytes = b"voice", ssrc: int = SSRC) -> bytes:
    """A packet with the sequence number of an index."""
    return rtp.build(0, index, index * 160, ssrc, payload)


def judged(key: MasterKey, index: int, payload: bytes = b"voice", ssrc: int = SSRC) -> bytes:
    """The same packet, protected by the reference."""
    sizes = key.suite.sizes
    master, salt = key.master[: sizes.key], key.master[sizes.key :]
    return reference.protect(key.suite.value, master, salt, clear(index, payload, ssrc), index >> 16)


def forged(packet: bytes) -> bytes:
    return packet[:-1] + bytes((packet[-1] ^ 1,))


@pytest.fixture(params=Suite, ids=lambda suite: suite.value)
def suite(request: pytest.FixtureRequest) -> Suite:
    found: Suite = request.param
    return found


@pytest.fixture
def key(suite: Suite) -> MasterKey:
    return key_of(suite)


class TestStream:
    def test_both_directions_agree_with_the_reference(self, key: MasterKey) -> None:
        sender, receiver = SrtpSender(key, SSRC), SrtpReceiver(key)
        for index in range(100, 110):
            protected = sender.protect(clear(index))
            assert protected == judged(key, index)
            assert receiver.unprotect(protected) == clear(index)
        assert sender.index == receiver.index == 109
        assert receiver.ssrc == SSRC

    def test_four_wraps(self, key: MasterKey) -> None:
        sender, receiver = SrtpSender(key, SSRC), SrtpReceiver(key)
        for index in range(65000, 5 * 65536, 997):
            protected = sender.protect(clear(index))
            assert protected == judged(key, index)
            assert receiver.unprotect(protected) == clear(index)
            assert sender.index == receiver.index == index

    def test_a_packet_that_comes_late_over_the_wrap(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        for index in (65533, 65536, 65535, 65537, 65534):
            assert receiver.unprotect(judged(key, index)) == clear(index)
        assert receiver.index == 65537

    def test_a_gap_of_almost_half_the_sequence_space(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        for index in (60000, 60000 + 32767, 60000 + 2 * 32767):
            assert receiver.unprotect(judged(key, index)) == clear(index)
            assert receiver.index == index

    def test_a_replay_is_refused(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        protected = judged(key, 5)
        receiver.unprotect(protected)
        with pytest.raises(Replayed):
            receiver.unprotect(protected)

    def test_lateness_up_to_the_window(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key, window=128)
        receiver.unprotect(judged(key, 1000))
        assert receiver.unprotect(judged(key, 1000 - 127)) == clear(1000 - 127)
        with pytest.raises(Replayed):
            receiver.unprotect(judged(key, 1000 - 128))
        assert receiver.index == 1000

    def test_the_window_takes_20_seconds_of_voice(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        receiver.unprotect(judged(key, 2000))
        assert receiver.unprotect(judged(key, 1000)) == clear(1000)

    def test_a_forgery_moves_nothing(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        receiver.unprotect(judged(key, 5))
        for place in range(2, len(judged(key, 30000))):
            damaged = bytearray(judged(key, 30000))
            damaged[place] ^= 0x40
            with pytest.raises(SrtpError):
                receiver.unprotect(bytes(damaged))
        assert receiver.index == 5
        assert receiver.unprotect(judged(key, 6)) == clear(6)

    def test_a_wrong_key_is_an_authentication_failure(self, key: MasterKey) -> None:
        with pytest.raises(AuthenticationFailed):
            SrtpReceiver(key_of(key.suite, first=1)).unprotect(judged(key, 5))

    @pytest.mark.parametrize("length", [0, 4, 11, 12, 15])
    def test_a_short_packet_is_refused(self, key: MasterKey, length: int) -> None:
        for method in (SrtpReceiver(key).unprotect, SrtpReceiver(key).unprotect_rtcp):
            with pytest.raises(SrtpError):
                method(judged(key, 5)[:length])

    def test_a_long_packet_is_refused(self, key: MasterKey) -> None:
        for method in (SrtpReceiver(key).unprotect, SrtpReceiver(key).unprotect_rtcp):
            with pytest.raises(SrtpError):
                method(judged(key, 5) + bytes(1500))

    def test_the_longest_packet_that_we_can_send(self, key: MasterKey) -> None:
        sender = SrtpSender(key, SSRC)
        payload = bytes(MAX_PACKET - 12)
        assert SrtpReceiver(key).unprotect(sender.protect(clear(1, payload))) == clear(1, payload)
        with pytest.raises(LocalProtocolError, match="too long"):
            sender.protect(clear(2, payload + b"x"))

    def test_no_repr_tells_the_key(self, key: MasterKey) -> None:
        shown = repr(SrtpSender(key, SSRC)) + repr(SrtpReceiver(key))
        assert "redacted" in shown
        assert str(key.master)[2:-1] not in shown


class TestSender:
    def test_an_index_is_never_sent_twice(self, key: MasterKey) -> None:
        """It would be a two-time pad."""
        sender = SrtpSender(key, SSRC)
        sender.protect(clear(5))
        with pytest.raises(LocalProtocolError):
            sender.protect(clear(5, b"other"))

    def test_another_ssrc_is_our_mistake(self, key: MasterKey) -> None:
        sender = SrtpSender(key, SSRC)
        with pytest.raises(LocalProtocolError):
            sender.protect(clear(5, ssrc=1))
        with pytest.raises(LocalProtocolError):
            sender.protect_rtcp(bytes.fromhex("80c9000100000001"))
        assert sender.index is None

    def test_the_lifetime_of_a_key(self, suite: Suite) -> None:
        sender = SrtpSender(key_of(suite, lifetime=2), SSRC)
        sender.protect(clear(1))
        assert sender.packets_left == 1
        sender.protect(clear(2))
        with pytest.raises(KeyExpired):
            sender.protect(clear(3))

    def test_a_late_packet_does_not_move_the_index_back(self, key: MasterKey) -> None:
        sender = SrtpSender(key, SSRC)
        for index in (65530, 65540, 65531):
            assert sender.protect(clear(index)) == judged(key, index)
        assert sender.index == 65540


class TestRtcp:
    def test_the_index_counts_from_one_behind_the_payload(self, key: MasterKey) -> None:
        sender, receiver = SrtpSender(key, SSRC), SrtpReceiver(key)
        sizes = key.suite.sizes
        master, salt = key.master[: sizes.key], key.master[sizes.key :]
        for index in (1, 2, 3):
            protected = sender.protect_rtcp(REPORT + bytes(16))
            assert protected == reference.protect_rtcp(key.suite.value, master, salt, REPORT + bytes(16), index)
            word = protected[-4:] if key.suite not in AES_CM else protected[-14:-10]
            assert word == (index | 1 << 31).to_bytes(4, "big")
            assert receiver.unprotect_rtcp(protected) == REPORT + bytes(16)

    def test_the_tag_is_long_even_where_that_of_srtp_is_short(self) -> None:
        key = key_of(Suite.AES_CM_128_HMAC_SHA1_32)
        assert len(SrtpSender(key, SSRC).protect_rtcp(REPORT)) == len(REPORT) + 4 + 10

    def test_replays_and_forgeries(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        protected = SrtpSender(key, SSRC).protect_rtcp(REPORT)
        with pytest.raises(SrtpError):
            receiver.unprotect_rtcp(forged(protected))
        receiver.unprotect_rtcp(protected)
        with pytest.raises(Replayed):
            receiver.unprotect_rtcp(protected)

    def test_it_shares_the_source_with_rtp(self, key: MasterKey) -> None:
        sender, receiver = SrtpSender(key, SSRC), SrtpReceiver(key)
        receiver.unprotect_rtcp(sender.protect_rtcp(REPORT))
        assert receiver.index is None
        receiver.unprotect(sender.protect(clear(65535)))
        receiver.unprotect(sender.protect(clear(65536)))
        receiver.unprotect_rtcp(sender.protect_rtcp(REPORT))
        assert receiver.index == 65536

    def test_without_encryption_it_is_refused(self) -> None:
        """An E bit of 0 would let UNENCRYPTED_SRTCP in by the back door."""
        key = key_of(Suite.AES_CM_128_HMAC_SHA1_80)
        signed = REPORT + (1).to_bytes(4, "big")
        auth = reference.derive(key.master[:16], key.master[16:], reference.SRTCP + 1, 20)
        with pytest.raises(SrtpError):
            SrtpReceiver(key).unprotect_rtcp(signed + reference._tag(auth, signed)[:10])


class TestSources:
    def test_a_new_ssrc_begins_anew(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        for index in (65535, 65536):
            receiver.unprotect(judged(key, index))
        assert receiver.unprotect(judged(key, 7, ssrc=1)) == clear(7, ssrc=1)
        assert (receiver.ssrc, receiver.index) == (1, 7)
        assert receiver.unprotect(judged(key, 65537)) == clear(65537)
        assert (receiver.ssrc, receiver.index) == (SSRC, 65537)

    def test_the_packets_of_an_old_ssrc_cannot_be_replayed(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        receiver.unprotect(judged(key, 5))
        receiver.unprotect(judged(key, 5, ssrc=1))
        with pytest.raises(Replayed):
            receiver.unprotect(judged(key, 5))

    def test_their_number_is_bounded_and_forgeries_do_not_count(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        for ssrc in range(100):
            with pytest.raises(AuthenticationFailed):
                receiver.unprotect(forged(judged(key, 5, ssrc=ssrc)))
        for ssrc in range(MAX_SOURCES):
            receiver.unprotect(judged(key, 5, ssrc=ssrc))
        with pytest.raises(TooManySources):
            receiver.unprotect(judged(key, 5, ssrc=MAX_SOURCES))
        with pytest.raises(TooManySources):
            receiver.unprotect_rtcp(
                SrtpSender(key, MAX_SOURCES).protect_rtcp(REPORT[:4] + bytes((0, 0, 0, MAX_SOURCES)))
            )
        assert receiver.unprotect(judged(key, 6, ssrc=3)) == clear(6, ssrc=3)


class TestMki:
    def test_it_stands_before_the_tag_of_aes_cm_and_behind_that_of_gcm(self, suite: Suite) -> None:
        key = key_of(suite, mki=b"\1\2\3\4")
        bare = judged(key, 5)
        cut = len(bare) - (suite.sizes.tag if suite in AES_CM else 0)
        assert SrtpSender(key, SSRC).protect(clear(5)) == bare[:cut] + b"\1\2\3\4" + bare[cut:]
        bare = SrtpSender(key_of(suite), SSRC).protect_rtcp(REPORT)
        cut = len(bare) - (suite.sizes.rtcp_tag if suite in AES_CM else 0)
        assert SrtpSender(key, SSRC).protect_rtcp(REPORT) == bare[:cut] + b"\1\2\3\4" + bare[cut:]

    def test_a_round_trip(self, suite: Suite) -> None:
        key = key_of(suite, mki=bytes(128))
        sender, receiver = SrtpSender(key, SSRC), SrtpReceiver(key)
        assert receiver.unprotect(sender.protect(clear(5))) == clear(5)
        assert receiver.unprotect_rtcp(sender.protect_rtcp(REPORT)) == REPORT

    def test_it_chooses_among_keys(self, suite: Suite) -> None:
        keys = [key_of(suite, bytes((number,)), first=number) for number in range(3)]
        receiver = SrtpReceiver(*keys)
        for number in (0, 2, 1, 0):
            sender = SrtpSender(keys[number], SSRC + number)
            packet = clear(receiver.index + 1 if receiver.index else 1, ssrc=SSRC + number)
            assert receiver.unprotect(sender.protect(packet)) == packet

    @pytest.mark.parametrize("mki", [b"", b"\2"])
    def test_a_packet_without_it_or_with_another_is_refused(self, suite: Suite, mki: bytes) -> None:
        receiver = SrtpReceiver(key_of(suite, mki=b"\1"))
        other = SrtpSender(key_of(suite, mki=mki), SSRC)
        with pytest.raises(AuthenticationFailed):
            receiver.unprotect(other.protect(clear(5)))
        with pytest.raises(AuthenticationFailed):
            receiver.unprotect_rtcp(other.protect_rtcp(REPORT + bytes(16)))

    def test_keys_that_do_not_go_together_are_our_mistake(self) -> None:
        one = key_of(Suite.AEAD_AES_128_GCM, b"\1")
        for other in (key_of(Suite.AEAD_AES_256_GCM, b"\2"), key_of(Suite.AEAD_AES_128_GCM, b"\0\2")):
            with pytest.raises(LocalProtocolError):
                SrtpReceiver(one, other)


@pytest.fixture(params=["told", "led"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """How a session gets to a rollover: by libsrtp's own function, or by packets where that is not exported."""
    assert libsrtp.ROLLOVERS is not None, "the wheel that we pin exports it"
    if request.param == "led":
        monkeypatch.setattr(libsrtp, "ROLLOVERS", None)
    return str(request.param)


@pytest.mark.usefixtures("way")
class TestResume:
    @pytest.mark.parametrize("index", [0, 1, 70, 65535, 65536, 200_000, 7 * 65536 + 3])
    def test_a_stream_goes_on_where_another_process_left_it(self, suite: Suite, index: int) -> None:
        key = key_of(suite, mki=b"m")
        sender, receiver = SrtpSender(key, SSRC, resume=index), SrtpReceiver(key)
        receiver.resume(SSRC, index, b"m")
        assert (sender.index, receiver.index, receiver.ssrc) == (index, index, SSRC)
        protected = sender.protect(clear(index + 1))
        assert protected.replace(b"m", b"") == judged(key, index + 1).replace(b"m", b"")
        assert receiver.unprotect(protected) == clear(index + 1)
        assert sender.index == receiver.index == index + 1

    def test_what_was_sent_and_seen_last_stays_so(self, key: MasterKey) -> None:
        sender, receiver = SrtpSender(key, SSRC, resume=70000), SrtpReceiver(key)
        with pytest.raises(LocalProtocolError):
            sender.protect(clear(70000))
        receiver.resume(SSRC, 70000)
        with pytest.raises(Replayed):
            receiver.unprotect(judged(key, 70000))

    def test_twice_over_a_live_stream(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        receiver.unprotect(judged(key, 5))
        receiver.resume(SSRC, 70000)
        receiver.resume(SSRC, 70000)
        assert receiver.unprotect(judged(key, 70001)) == clear(70001)

    def test_the_lifetime_goes_on_too(self, suite: Suite) -> None:
        assert SrtpSender(key_of(suite, lifetime=100), SSRC, resume=50).packets_left == 49
        assert SrtpSender(key_of(suite, lifetime=100), SSRC, resume=500).packets_left == 0

    def test_no_session_is_led_round_the_world(self, key: MasterKey, way: str) -> None:
        index = (MAX_ROLLOVERS + 1) << 16 | 7
        if way == "led":
            with pytest.raises(LocalProtocolError):
                SrtpSender(key, SSRC, resume=index)
        else:
            assert SrtpSender(key, SSRC, resume=index).protect(clear(index + 1)) == judged(key, index + 1)

    def test_a_source_tells_its_rollover(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        assert receiver.rollover(SSRC) is None
        receiver.resume(SSRC, 5 << 16 | 9)
        assert receiver.rollover(SSRC) == 5
        receiver.unprotect(judged(key, 5 << 16 | 10))
        if libsrtp.ROLLOVERS is not None:
            assert libsrtp.ROLLOVERS.get(receiver._contexts[b""].session, SSRC) == 5


def test_libsrtp_knows_no_rollover_of_a_stranger(key: MasterKey) -> None:
    session = libsrtp.session(key, SSRC, 64)
    assert libsrtp.ROLLOVERS is not None
    with pytest.raises(libsrtp.Error):
        libsrtp.ROLLOVERS.get(session, SSRC + 1)
    with pytest.raises(libsrtp.Error):
        libsrtp.ROLLOVERS.set(session, SSRC + 1, 1)


@pytest.mark.usefixtures("way")
class TestSearch:
    """A stream that is joined after some of its wraps: nobody told us the rollover counter."""

    @pytest.mark.parametrize("index", [9, 65536, 2 * 65536 + 40000, 5 * 65536 + 65535])
    def test_it_is_found_and_followed(self, suite: Suite, index: int) -> None:
        key = key_of(suite, mki=b"m")
        sender, receiver = SrtpSender(key, SSRC, resume=index), SrtpReceiver(key)
        packet = sender.protect(clear(index + 1))
        assert receiver.search(packet, range(8)) == clear(index + 1)
        assert receiver.index == index + 1
        assert receiver.unprotect(sender.protect(clear(index + 2))) == clear(index + 2)
        with pytest.raises(Replayed):
            receiver.unprotect(packet)

    def test_not_beyond_the_rollovers_that_were_named(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        with pytest.raises(AuthenticationFailed):
            receiver.search(judged(key, 3 << 16), range(3))
        assert receiver.index is None
        assert receiver.search(judged(key, 3 << 16), range(4)) == clear(3 << 16)

    def test_a_known_source_is_only_moved_forward(self, key: MasterKey) -> None:
        """A packet from before a wrap, played to us first, must not keep us there; nor may one lead us back."""
        receiver = SrtpReceiver(key)
        receiver.unprotect(judged(key, 100))
        assert receiver.search(judged(key, 2 * 65536 + 90), range(8)) == clear(2 * 65536 + 90)
        for index in (101, 65536 + 91, 2 * 65536 + 90):
            with pytest.raises(AuthenticationFailed):
                receiver.search(judged(key, index), range(8))
        assert receiver.unprotect(judged(key, 2 * 65536 + 91)) == clear(2 * 65536 + 91)

    def test_a_forgery_moves_nothing(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        receiver.unprotect(judged(key, 5))
        for packet in (forged(judged(key, 70000)), judged(key_of(key.suite, first=9), 70000), b"short"):
            with pytest.raises(SrtpError):
                receiver.search(packet, range(8))
        assert receiver.index == 5
        assert receiver.unprotect(judged(key, 6)) == clear(6)
        with pytest.raises(Replayed):
            receiver.unprotect(judged(key, 5))

    def test_sources_are_bounded_here_too(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        for ssrc in range(MAX_SOURCES):
            receiver.unprotect(judged(key, 1, ssrc=ssrc))
        with pytest.raises(TooManySources):
            receiver.search(judged(key, 70000), range(8))


@pytest.mark.usefixtures("way")
class TestResynchronise:
    def fails(self, receiver: SrtpReceiver, packet: bytes) -> None:
        with pytest.raises(AuthenticationFailed):
            receiver.unprotect(packet)

    @pytest.mark.parametrize("index", [0, 40000, 65536 + 40000, 3 * 65536 + 40000])
    def test_to_rollover_0_or_one_either_way(self, key: MasterKey, index: int) -> None:
        receiver = SrtpReceiver(key)
        receiver.resume(SSRC, 2 * 65536 + 100)
        packet = judged(key, index)
        with pytest.raises(SrtpError):
            receiver.unprotect(packet)
        assert receiver.resynchronise(packet) == clear(index)
        assert receiver.index == index
        assert receiver.unprotect(judged(key, index + 1)) == clear(index + 1)
        with pytest.raises(Replayed):
            receiver.unprotect(packet)

    def test_a_stream_that_is_joined_late(self, suite: Suite) -> None:
        key = key_of(suite, mki=b"m")
        receiver = SrtpReceiver(key)
        sender = SrtpSender(key, SSRC, resume=65536 + 50)
        self.fails(receiver, sender.protect(clear(65536 + 51)))
        assert receiver.resynchronise(sender.protect(clear(65536 + 52))) == clear(65536 + 52)

    def test_a_forgery_leaves_everything_as_it_was(self, key: MasterKey) -> None:
        receiver = SrtpReceiver(key)
        receiver.unprotect(judged(key, 5))
        with pytest.raises(AuthenticationFailed):
            receiver.resynchronise(forged(judged(key, 65536 + 40000)))
        with pytest.raises(AuthenticationFailed):
            receiver.resynchronise(judged(key_of(key.suite, first=9), 6))
        with pytest.raises(SrtpError):
            receiver.resynchronise(b"short")
        assert receiver.unprotect(judged(key, 6)) == clear(6)
        with pytest.raises(Replayed):
            receiver.unprotect(judged(key, 5))


class TestIndex:
    @pytest.mark.parametrize(
        ("last", "sequence", "index"),
        [
            (0, 65535, 65535),  # there is no rollover before the first
            (5, 6, 6),
            (65535, 0, 65536),
            (65536, 65535, 65535),
            (65536 + 0x7FFF, 0xFFFF, 65536 + 0xFFFF),
            (65536 + 0x7FFE, 0xFFFF, 0xFFFF),
            (65536 + 0x8000, 0, 65536),
            (65536 + 0x8001, 0, 2 * 65536),
        ],
    )
    def test_estimate(self, last: int, sequence: int, index: int) -> None:
        assert estimate_index(last, sequence) == index


class TestProperties:
    @given(st.sampled_from(Suite), st.integers(0, 65535), st.lists(st.binary(max_size=64), max_size=40), st.randoms())
    @settings(max_examples=100, deadline=None)
    def test_any_payloads_over_loss_and_reordering(
        self, suite: Suite, start: int, payloads: list[bytes], chance: random.Random
    ) -> None:
        key = key_of(suite)
        sender, receiver = SrtpSender(key, SSRC), SrtpReceiver(key)
        sent = [
            (clear(start + i, payload), sender.protect(clear(start + i, payload))) for i, payload in enumerate(payloads)
        ]
        first = sent[:1]  # a stream whose first packet comes late over a wrap starts at the wrong rollover
        rest = [pair for pair in sent[1:] if chance.random() > 0.2]
        chance.shuffle(rest)
        for plain, protected in first + rest:
            assert receiver.unprotect(protected) == plain
            with pytest.raises(Replayed):
                receiver.unprotect(protected)

    @given(st.sampled_from(Suite), st.booleans(), st.binary(max_size=80), st.integers(0x80, 0xBF))
    @settings(max_examples=200, deadline=None)
    def test_any_octets_are_refused(self, suite: Suite, named: bool, octets: bytes, first: int) -> None:
        receiver = SrtpReceiver(key_of(suite, mki=b"" if not named else octets[-1:] or b"m"))
        for datagram in (octets, bytes((first,)) + octets):
            for method in (receiver.unprotect, receiver.unprotect_rtcp, receiver.resynchronise):
                with pytest.raises(RemoteProtocolError):
                    method(datagram)
