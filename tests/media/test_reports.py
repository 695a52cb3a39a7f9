"""RTCP that is terminated: each leg tells the truth about itself, and believes nothing that is not proven."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media.counters import (
    AUTH_FAILURES,
    MALFORMED,
    PEER_JITTER,
    PEER_LOST,
    RECEIVED,
    REPLAYS,
    ROUND_TRIP,
    RTCP_DROPPED,
    RTCP_RECEIVED,
    RTCP_SENT,
    SENT,
    STRANGERS,
)
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.rtcp import (
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    SourceDescription,
    parse,
    serialise,
)
from cubeproxy.protocols.suites import Suite

from .phones import Phone, key
from .reported import INTERVAL, START, WALL, Reported, Told, clear, secure

SECONDS_1900 = 2_208_988_800
ATTACKER = ("127.0.9.9", 6666)


@pytest.mark.parametrize("suite", Suite)
def test_a_secure_leg_reports_in_srtcp_and_a_clear_one_in_the_clear(suite: Suite) -> None:
    """RFC 3550 7.2: counts, numbers and times are those of the leg, not those of the other side."""
    line = secure(suite)
    line.talk(0, 10)
    heard = line.talk(1, 30)[-1]
    spoken_at = line.now
    told = line.due()
    access, core = told[0].report, told[1].report
    assert told[0].peer == ("127.0.0.1", 4001)
    assert told[1].peer == ("127.0.0.2", 5001)
    assert b"\x81\xc8" in told[1].datagram[:2]
    assert isinstance(access, SenderReport)
    assert isinstance(core, SenderReport)
    assert (access.ssrc, access.packets, access.octets) == (heard.ssrc, 30, 30 * 160)
    assert (core.packets, core.octets) == (10, 1600)
    assert access.ntp / 2**32 == pytest.approx(WALL + SECONDS_1900 + line.now - START, abs=1e-4)
    passed = (access.timestamp - heard.timestamp) & 0xFFFFFFFF
    assert passed == pytest.approx((line.now - spoken_at) * 8000, abs=1)
    phone = line.phones[0]
    assert (told[0].block.ssrc, told[0].block.highest) == (phone.ssrc, phone.sequence)
    assert (told[0].block.lost, told[0].block.fraction_lost, told[0].block.last_sr) == (0, 0, 0)
    assert [line.words(leg, RTCP_SENT) for leg in (0, 1)] == [1, 1]


def test_each_leg_has_a_name_of_its_own_that_stays() -> None:
    """RFC 7022: a CNAME that links neither the legs nor two calls."""
    line, other = clear(), clear()
    names = set()
    for each in (line, other):
        each.talk(0, 2)
        each.talk(1, 2)
        first = {leg: told.name.cname for leg, told in each.due().items()}  # type: ignore[union-attr]
        each.talk(0, 2)
        assert first == {leg: told.name.cname for leg, told in each.due().items()}  # type: ignore[union-attr]
        names |= set(first.values())
    assert len(names) == 4
    assert all(len(name) == 16 for name in names)


def test_reports_come_at_the_pace_of_rfc_3550() -> None:
    """6.3.1: between half and one and a half intervals, divided by e - 3/2; the first after half as long."""
    line = clear()
    line.talk(0)
    for first, low, high in ((True, 0.25, 0.75), (False, 0.5, 1.5), (False, 0.5, 1.5)):
        began = START if first else line.now
        line.now = max(began + low * INTERVAL / 1.21829, line.now)
        line.talk(0)
        assert first or not [each for each in line.session.reports(began + low * INTERVAL / 1.21829) if each[0] == 0]
        line.now = began + high * INTERVAL / 1.21827
        assert [each[0] for each in line.session.reports(line.now)].count(0) == 1


def test_a_call_without_media_tells_nothing() -> None:
    line = secure()
    assert line.due() == {}
    assert line.words(0, RTCP_SENT) == 0


def test_a_leg_that_sends_nothing_more_becomes_a_receiver() -> None:
    """RFC 3550 6.4: a sender report while something was sent since the last one but one."""
    line = clear()
    line.talk(0, 3)
    kinds = []
    for _ in range(4):
        line.talk(1, 1)
        kinds.append(type(line.due()[1].report))
    assert kinds == [SenderReport, SenderReport, ReceiverReport, ReceiverReport]


def test_a_peer_that_was_not_heard_since_the_last_report_has_no_block() -> None:
    line = clear()
    line.talk(0, 3)
    assert line.due()[0].block.ssrc == line.phones[0].ssrc
    line.talk(1, 1)
    assert line.due()[0].report.blocks == []  # type: ignore[union-attr]


def test_loss_is_told_in_all_and_since_the_last_report() -> None:
    line = secure()
    phone = line.phones[0]
    line.talk(0, 10)
    for _ in range(5):
        line.carry(0, phone.say(step=3))
    block = line.due()[0].block
    assert (block.lost, block.fraction_lost, block.highest) == (10, 10 * 256 // 25, phone.sequence)
    line.talk(0, 20)
    block = line.due()[0].block
    assert (block.lost, block.fraction_lost) == (10, 0)


def test_what_was_only_overtaken_is_not_lost() -> None:
    line = secure()
    line.talk(0, 3)
    late = [line.phones[0].say() for _ in range(3)]
    line.talk(0, 3)
    for datagram in reversed(late):
        assert line.carry(0, datagram)
    assert line.due()[0].block.lost == 0


def test_numbers_are_counted_over_the_wrap() -> None:
    line = clear()
    line.phones[0].sequence = 65_530
    line.talk(0, 20)
    assert line.due()[0].block.highest == 65_550


def test_jitter_is_that_of_the_leg() -> None:
    line = clear()
    for number in range(40):
        line.now += 0.01 if number % 2 else 0.0
        line.talk(0)
    assert line.due()[0].block.jitter == pytest.approx(40, abs=5)


def test_a_new_source_begins_a_new_account() -> None:
    line = clear()
    line.talk(0, 3)
    for _ in range(4):
        line.carry(0, line.phones[0].say(step=11))
    line.due()
    line.phones[0].ssrc, line.phones[0].sequence = 0x99, 7000
    line.talk(0, 5)
    block = line.due()[0].block
    assert (block.ssrc, block.lost, block.fraction_lost, block.highest) == (0x99, 0, 0, 7005)


@pytest.mark.parametrize("make", [secure, clear])
def test_the_peers_sender_report_is_answered_with_its_time_and_our_delay(make: Callable[[], Reported]) -> None:
    line = make()
    line.talk(0, 2)
    ntp = 0x1122_3344_5566_7788
    line.tell(0, SenderReport(line.phones[0].ssrc, ntp, 1, 2, 3))
    came = line.now
    block = line.due()[0].block
    assert block.last_sr == 0x3344_5566
    assert block.delay == pytest.approx((line.now - came) * 65536, abs=2)
    assert line.words(0, RTCP_RECEIVED) == 1


def test_another_sources_sender_report_is_not_the_peers() -> None:
    line = clear()
    line.talk(0, 2)
    line.tell(0, SenderReport(0xBAD, 0x1122_3344_5566_7788, 1, 2, 3))
    assert line.due()[0].block.last_sr == 0


def test_what_the_peer_says_of_us_is_kept() -> None:
    line = secure()
    ours = line.talk(1, 5)[-1].ssrc
    sent = line.due()[0].report
    assert isinstance(sent, SenderReport)
    middle = sent.ntp >> 16 & 0xFFFFFFFF
    line.now += 0.7
    line.tell(0, ReceiverReport(5, [ReportBlock(ours, 9, 17, 3, 42, middle, round(0.2 * 65536))]))
    assert (line.words(0, PEER_LOST), line.words(0, PEER_JITTER)) == (17, 42)
    assert line.words(0, ROUND_TRIP) == pytest.approx(0.5 * 65536, abs=10)
    line.tell(0, ReceiverReport(5, [ReportBlock(ours ^ 1, 9, 99, 3, 99), ReportBlock(ours, 0, -3, 3, 1)]))
    assert (line.words(0, PEER_LOST), line.words(0, PEER_JITTER)) == (0, 1)


def test_nothing_of_it_reaches_the_other_side() -> None:
    line = secure()
    line.talk(0, 2)
    line.talk(1, 2)
    report = SenderReport(line.phones[0].ssrc, 0x0102030405060708, 0x11121314, 0x21222324, 0x31323334)
    line.tell(0, report, SourceDescription(report.ssrc, "phone@example.net"))
    out = line.session.reports(line.now + 60)
    assert {leg for leg, *_rest in out} == {0, 1}
    for _leg, datagram, _peer, _muxed in out:
        assert b"phone@" not in datagram
        assert b"\x21\x22\x23\x24" not in datagram


def test_a_goodbye_ends_a_source_and_no_call() -> None:
    line = secure()
    line.talk(0, 2)
    ssrc = line.phones[0].ssrc
    line.tell(0, SenderReport(ssrc, 1 << 40, 1, 2, 3), Goodbye([ssrc]))
    assert line.talk(0, 2)
    assert line.talk(1, 2)
    assert line.due()[0].block.last_sr == 0


@pytest.mark.parametrize("make", [secure, clear])
def test_both_legs_take_leave_at_the_end(make: Callable[[], Reported]) -> None:
    """RFC 3550 6.3.7: at once, with a last report; and not when nothing was ever sent."""
    silent, line = make(), make()
    assert silent.session.reports(silent.now, last=True) == []
    line.talk(0, 2)
    line.talk(1, 3)
    told = [
        (leg, line.phones[leg].told(datagram)) for leg, datagram, *_rest in line.session.reports(line.now, last=True)
    ]
    assert [leg for leg, _reports in told] == [0, 1]
    for leg, (report, _name, leave) in told:
        assert isinstance(report, SenderReport)
        assert report.packets == (3, 2)[leg]
        assert leave == Goodbye([report.ssrc])


class TestWhatIsBelieved:
    def test_a_report_of_another_key_is_not(self) -> None:
        line = secure()
        line.talk(0)
        forger = Phone(ATTACKER, key(66), key(66))
        forger.ssrc = line.phones[0].ssrc
        line.session.receive_rtcp(0, forger.tell(SenderReport(forger.ssrc, 1 << 40, 1, 2, 3)), ATTACKER, line.now)
        line.session.receive_rtcp(0, serialise(SenderReport(forger.ssrc, 1 << 40, 1, 2, 3)), ATTACKER, line.now)
        assert line.words(0, AUTH_FAILURES) == 2
        assert line.due()[0].block.last_sr == 0

    def test_a_repeated_one_is_not(self) -> None:
        line = secure()
        line.talk(0)
        datagram = line.phones[0].tell(ReceiverReport(line.phones[0].ssrc))
        for _ in range(4):
            line.session.receive_rtcp(0, datagram, ATTACKER, line.now)
        assert (line.words(0, RTCP_RECEIVED), line.words(0, REPLAYS)) == (1, 3)

    def test_on_a_clear_leg_only_the_signalled_source_is(self) -> None:
        line = clear()
        line.talk(0, 2)
        report = SenderReport(line.phones[0].ssrc, 1 << 40, 1, 2, 3)
        for stranger in (ATTACKER, ("127.0.0.1", 4000), ("127.0.0.3", 4001)):
            line.tell(0, report, source=stranger)
        assert (line.words(0, STRANGERS), line.words(0, RTCP_RECEIVED)) == (3, 0)
        assert line.due()[0].peer == ("127.0.0.1", 4001)

    def test_a_verified_one_teaches_where_reports_go(self) -> None:
        line = secure()
        line.talk(0)
        line.tell(0, ReceiverReport(line.phones[0].ssrc), source=("127.0.0.1", 61_000))
        assert line.due()[0].peer == ("127.0.0.1", 61_000)
        line.negotiate(line.phones[0].spec(remote=("127.0.0.1", 4100)), line.phones[1].spec())
        line.phones[0].address = ("127.0.0.1", 4100)
        line.talk(0)
        assert line.due()[0].peer == ("127.0.0.1", 4101)

    def test_a_latched_leg_takes_any_port_of_its_peers_host(self) -> None:
        line = clear(latch=True)
        line.talk(0)
        line.tell(0, ReceiverReport(1), source=("127.0.0.9", 4001))
        assert line.words(0, STRANGERS) == 1
        line.tell(0, ReceiverReport(1), source=("127.0.0.1", 61_001))
        assert line.due()[0].peer == ("127.0.0.1", 61_001)

    @pytest.mark.parametrize("make", [secure, clear])
    def test_what_is_broken_is_malformed(self, make: Callable[[], Reported]) -> None:
        line = make()
        phone = line.phones[0]
        line.talk(0)
        broken = [
            struct.pack("!BBHI", 0x81, 201, 1, phone.ssrc),  # a block that is not there
            struct.pack("!BBHI", 0x80, 201, 7, phone.ssrc),
            struct.pack("!BBHI", 0x80, 203, 1, phone.ssrc),  # begins with no report
            struct.pack("!BBHII", 0xA0, 201, 2, phone.ssrc, 9),
        ]
        for compound in broken:
            datagram = phone._out.protect_rtcp(compound) if phone._out else compound
            line.session.receive_rtcp(0, datagram, ("127.0.0.1", 4001), line.now)
        for garbage in (b"", b"\x80\xc8", b"\xff" * 40, phone.say()):
            line.session.receive_rtcp(0, garbage, ("127.0.0.1", 4001), line.now)
        assert line.words(0, MALFORMED) == len(broken) + 4
        assert line.words(0, RTCP_RECEIVED) == 0
        assert line.talk(0)


def test_reports_go_where_they_were_signalled_to_go() -> None:
    line = clear(remote_rtcp=("127.0.0.7", 7000))
    line.talk(0)
    assert line.due()[0].peer == ("127.0.0.7", 7000)


def test_an_address_of_nowhere_gets_none() -> None:
    line = clear(remote_rtcp=("0.0.0.0", 7000))
    line.talk(0)
    assert 0 not in line.due()


class TestOnePortForBoth:
    """rtcp-mux (RFC 5761), when a leg negotiated it: its reports have the address of its packets."""

    def test_a_report_is_told_from_a_packet_and_leaves_by_the_same_port(self) -> None:
        line = secure(remote_rtcp=("127.0.0.1", 4000))
        line.talk(0, 2)
        report = line.phones[0].tell(SenderReport(line.phones[0].ssrc, 1 << 40, 1, 2, 3))
        assert line.pass_on(0, report) is None
        assert (line.words(0, RTCP_RECEIVED), line.words(0, RTCP_DROPPED)) == (1, 0)
        line.now += 60
        ((leg, datagram, peer, muxed),) = [each for each in line.session.reports(line.now) if each[0] == 0]
        assert (leg, peer, muxed) == (0, ("127.0.0.1", 4000), True)
        assert Told(line, 0, datagram, peer).block.ssrc == line.phones[0].ssrc

    def test_without_it_a_report_among_the_packets_is_dropped(self) -> None:
        line = secure()
        line.talk(0, 2)
        assert line.pass_on(0, line.phones[0].tell(ReceiverReport(line.phones[0].ssrc))) is None
        assert (line.words(0, RTCP_RECEIVED), line.words(0, RTCP_DROPPED)) == (0, 1)


class TestAnotherKey:
    def test_reports_go_on_under_it(self) -> None:
        """RFC 3711 3.4: their index is not set back."""
        line = secure()
        phone = line.phones[0]
        line.talk(0)
        line.due()
        line.talk(0)
        phone.use(key(5), key(6))
        line.negotiate(phone.spec(), line.phones[1].spec())
        line.talk(0)
        told = line.due()[0]
        assert int.from_bytes(told.datagram[-14:-10], "big") & 0x7FFFFFFF == 2

    def test_a_report_of_the_old_key_is_read_while_it_is_on_its_way(self) -> None:
        line = secure()
        phone = line.phones[0]
        line.talk(0)
        late, too_late = (phone.tell(ReceiverReport(phone.ssrc)) for _ in range(2))
        phone.use(key(5), key(6))
        line.negotiate(phone.spec(), line.phones[1].spec())
        line.session.receive_rtcp(0, late, ("127.0.0.1", 4001), line.now)
        assert line.words(0, RTCP_RECEIVED) == 1
        line.session.receive_rtcp(0, too_late, ("127.0.0.1", 4001), line.now + 60)
        assert (line.words(0, RTCP_RECEIVED), line.words(0, AUTH_FAILURES)) == (1, 1)

    def test_another_ssrc_of_ours_counts_anew(self) -> None:
        """A key that comes back takes a fresh SSRC, and a report is about one SSRC."""
        line = secure()
        phone = line.phones[0]
        line.talk(1, 7)
        for ours, theirs in ((key(1), key(6)), (key(1), key(2))):
            phone.use(ours, theirs)
            line.negotiate(phone.spec(), line.phones[1].spec())
        line.talk(1, 4)
        report = line.due()[0].report
        assert isinstance(report, SenderReport)
        assert report.packets == 4
        assert line.words(0, SENT) == 11


BITS = st.integers(0, 31)
PACKETS = st.lists(
    st.tuples(st.sampled_from((0x80, 0xA0)), BITS, st.sampled_from((200, 201, 202, 203, 204)), st.binary(max_size=64)),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(PACKETS, st.integers(-2, 2))
def test_every_relay_reads_a_compound_like_the_parser(packets: list[tuple[int, int, int, bytes]], off: int) -> None:
    """Counted as accepted or malformed, exactly as `cubeproxy.protocols.rtcp` would have it."""
    compound = b""
    for first, entries, kind, octets in packets:
        body = octets[: len(octets) // 4 * 4]
        words = max(len(body) // 4 + (off if entries == 7 else 0), 0)
        compound += struct.pack("!BBH", first | entries % 4, kind, words) + body
    try:
        parse(compound)
        good = len(compound) >= 8
    except RemoteProtocolError:
        good = False
    line = clear()
    line.session.receive_rtcp(0, compound, ("127.0.0.1", 4001), line.now)
    assert (line.words(0, RTCP_RECEIVED), line.words(0, MALFORMED)) == ((1, 0) if good else (0, 1))
    assert line.talk(0)
    assert line.words(0, RECEIVED) == 1
