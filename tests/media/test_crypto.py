"""Every kind of leg to every kind of leg: the payload arrives, under the right key, both ways."""

from __future__ import annotations

import pylibsrtp
import pytest

from cubeproxy.media.counters import AUTH_FAILURES, INDEX_IN, INDEX_OUT, RECEIVED, REPLAYS, SENT
from cubeproxy.media.leg import OVERLAP
from cubeproxy.protocols.suites import MasterKey, Suite

from .phones import SHA1_80, Line, Phone, clear_line, inbound, key, outbound, secure_line

KINDS = [None, *Suite]


@pytest.mark.parametrize("access", KINDS, ids=lambda kind: kind.value if kind else "RTP")
@pytest.mark.parametrize("core", KINDS, ids=lambda kind: kind.value if kind else "RTP")
def test_payload_passes_both_ways_between_any_two_kinds(access: Suite | None, core: Suite | None) -> None:
    line = Line(
        Phone(("127.0.0.1", 4000), *((key(1, access), key(2, access)) if access else (None, None))),
        Phone(("127.0.0.2", 5000), *((key(3, core), key(4, core)) if core else (None, None))),
    )
    for leg in (0, 1):
        for number in range(3):
            heard = line.carry(leg, line.phones[leg].say(bytes((leg, number)) * 80))
            assert heard is not None
            assert heard.payload == bytes((leg, number)) * 80
    assert [line.words(leg, word) for leg in (0, 1) for word in (RECEIVED, SENT)] == [3, 3, 3, 3]


def test_nothing_of_one_key_is_readable_under_another() -> None:
    line = Line(Phone(("127.0.0.1", 4000), key(1), key(2)), Phone(("127.0.0.2", 5000), key(3), key(4)))
    datagram, _peer = line.pass_on(0, line.phones[0].say()) or (b"", None)
    for other in (1, 2, 3):
        with pytest.raises(pylibsrtp.Error):
            inbound(key(other)).unprotect(datagram)
    assert inbound(key(4)).unprotect(datagram)


def test_srtp_to_rtp_puts_the_clear_payload_on_the_core_only() -> None:
    line = secure_line()
    spoken = b"the secret is out" * 9
    datagram = line.phones[0].say(spoken)
    assert spoken not in datagram
    clear, _peer = line.pass_on(0, datagram) or (b"", None)
    assert clear[12:] == spoken
    protected, _peer = line.pass_on(1, line.phones[1].say(spoken)) or (b"", None)
    assert spoken not in protected


def test_a_replayed_packet_is_dropped_and_counted() -> None:
    line = secure_line()
    old = [line.phones[0].say() for _ in range(10)]
    for datagram in old:
        assert line.carry(0, datagram)
    for datagram in old * 3:
        assert line.pass_on(0, datagram) is None
    assert line.words(0, REPLAYS) == 30
    assert line.talk(0)


def test_packets_far_behind_the_window_are_dropped() -> None:
    line = secure_line()
    first = line.phones[0].say()
    line.carry(0, first)
    line.talk(0, 2000)
    assert line.pass_on(0, first) is None


def test_a_flood_of_bad_tags_is_counted_and_changes_nothing() -> None:
    line = secure_line()
    line.talk(0, 2)
    forged = bytearray(line.phones[0].say())
    before = line.words(0, RECEIVED)
    for number in range(5000):
        forged[2:4] = (200 + number).to_bytes(2, "big")
        assert line.pass_on(0, bytes(forged), ("127.0.9.9", 6666)) is None
    assert line.words(0, AUTH_FAILURES) == 5000
    assert line.words(0, RECEIVED) == before
    assert line.talk(0, 3)
    assert line.talk(1, 3)


def test_the_counter_rolls_over_on_both_sides_of_the_relay() -> None:
    """L9 in small: two wraps of either stream, checked by libsrtp itself; the indices are shown."""
    line = Line(Phone(("127.0.0.1", 4000), key(1), key(2)), Phone(("127.0.0.2", 5000), key(3), key(4)))
    line.phones[0].sequence = 60_000
    line.talk(0, 2 * 65_536)
    assert line.words(0, AUTH_FAILURES) == 0
    assert line.words(0, INDEX_IN) >> 16 == 2
    assert line.words(1, INDEX_OUT) >> 16 == 2


@pytest.mark.soak
def test_four_rollovers_with_packets_overtaken_all_the_way() -> None:
    """L9: every seventh packet comes after its successor, over the wraps too; libsrtp reads all of it."""
    line = Line(Phone(("127.0.0.1", 4000), key(1), key(2)), Phone(("127.0.0.2", 5000), key(3), key(4)))
    for number in range(0, 4 * 65_536 + 70, 7):
        packets = [line.phones[0].say((number + place).to_bytes(4, "big")) for place in range(7)]
        packets[5], packets[6] = packets[6], packets[5]
        heard = [line.carry(0, datagram) for datagram in packets]
        spoken = [int.from_bytes(each.payload, "big") - number for each in heard if each]
        assert spoken == [0, 1, 2, 3, 4, 6, 5]
    assert line.words(0, AUTH_FAILURES) == 0
    assert line.words(0, INDEX_IN) >> 16 == line.words(1, INDEX_OUT) >> 16 == 4


def test_an_update_with_the_same_key_keeps_the_rollover_counter() -> None:
    line = secure_line()
    line.talk(0, 66_000)
    line.talk(1, 66_000)
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    assert line.talk(0, 3)
    assert line.talk(1, 3)
    assert line.words(0, AUTH_FAILURES) == 0


def test_an_update_that_announces_another_lifetime_keeps_the_context() -> None:
    line = secure_line()
    line.talk(0, 66_000)
    line.phones[0].ours = MasterKey(SHA1_80, key(1).master, lifetime=1 << 31)
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    assert line.talk(0, 3)


def test_an_update_with_the_same_key_keeps_the_replay_window() -> None:
    line = secure_line()
    old = line.phones[0].say()
    line.carry(0, old)
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    assert line.pass_on(0, old) is None


def test_a_new_key_takes_over_and_the_old_one_serves_what_is_on_its_way() -> None:
    line = secure_line()
    line.talk(0, 5)
    phone = line.phones[0]
    on_its_way, too_late = phone.say(b"old" * 40), phone.say(b"old" * 40)
    phone.use(key(5), key(6))
    line.negotiate(phone.spec(), line.phones[1].spec())
    assert line.carry(0, phone.say(b"new" * 40))
    heard = line.carry(0, on_its_way)
    assert heard is not None
    assert heard.payload == b"old" * 40
    line.now += OVERLAP
    assert line.pass_on(0, too_late) is None
    assert line.talk(1, 2), "and we send under the new key"


def test_a_leg_that_becomes_clear_plays_no_noise() -> None:
    """SRTP that was on its way when the leg became clear is decrypted, never passed on as sound."""
    line = secure_line()
    phone = line.phones[0]
    line.talk(0, 2)
    on_its_way = phone.say(b"secret" * 20)
    phone.use(None, None)
    line.negotiate(phone.spec(), line.phones[1].spec())
    heard = line.carry(0, on_its_way)
    assert heard is not None
    assert heard.payload == b"secret" * 20
    assert line.talk(0, 2)
    assert line.talk(1, 2)


def test_a_leg_that_becomes_secure_accepts_nothing_clear() -> None:
    line = clear_line()
    line.talk(0, 2)
    clear = line.phones[0].say()
    line.phones[0].use(key(1), key(2))
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    assert line.pass_on(0, clear) is None
    assert line.talk(0, 2)


def test_a_key_that_comes_back_never_repeats_a_keystream() -> None:
    """A, then B, then A again: under A the SSRC is another, so no (key, SSRC, index) is used twice."""
    line = secure_line()
    phone = line.phones[0]
    first = line.talk(1, 3)[0].ssrc
    for ours, theirs in ((key(1), key(6)), (key(1), key(2))):
        phone.use(ours, theirs)
        line.negotiate(phone.spec(), line.phones[1].spec())
        last = line.talk(1, 3)[0].ssrc
    assert first != last


def test_a_new_key_protects_nothing_that_was_overtaken() -> None:
    """At a change of key the rollover counter begins anew: a number from before a wrap would get the wrong one."""
    line = Line(Phone(("127.0.0.1", 4000)), Phone(("127.0.0.2", 5000), key(3), key(4)))
    line.talk(0)
    late = line.phones[0].say()
    line.talk(0)
    line.phones[1].use(key(5), key(6))
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    assert line.pass_on(0, late) is None
    assert line.talk(0, 3)


def test_the_same_key_protects_what_was_overtaken_over_an_update() -> None:
    line = Line(Phone(("127.0.0.1", 4000)), Phone(("127.0.0.2", 5000), key(3), key(4)))
    line.talk(0)
    late = line.phones[0].say()
    line.talk(0)
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    assert line.carry(0, late)


def test_a_key_whose_lifetime_is_over_sends_nothing_more_and_the_call_goes_on() -> None:
    line = secure_line(send_key=MasterKey(SHA1_80, key(2).master, lifetime=3))
    spoken = [line.pass_on(1, line.phones[1].say()) for _ in range(5)]
    assert [each is not None for each in spoken] == [True, True, True, False, False]
    assert line.talk(0, 2)


def test_going_clear_and_back_to_the_same_key_never_repeats_a_keystream() -> None:
    line = secure_line()
    phone = line.phones[0]
    first = line.talk(1, 3)[0].ssrc
    phone.use(None, None)
    line.negotiate(phone.spec(), line.phones[1].spec())
    line.talk(1, 3)
    phone.use(key(1), key(2))
    line.negotiate(phone.spec(), line.phones[1].spec())
    assert line.talk(1, 3)[0].ssrc != first


class TestAPeerThatResetsItsRolloverCounter:
    """Some peers begin at rollover 0 again over a re-INVITE that keeps the key."""

    def long_call(self) -> Line:
        line = secure_line()
        line.talk(0, 66_000)
        return line

    def restart(self, line: Line) -> None:
        phone = line.phones[0]
        phone.use(phone.ours, phone.theirs)

    def test_is_followed_after_an_update(self) -> None:
        line = self.long_call()
        self.restart(line)
        line.negotiate(line.phones[0].spec(), line.phones[1].spec())
        heard = [line.carry(0, line.phones[0].say()) for _ in range(50)]
        assert heard[0] is None, "not at once: the peer might only have lost its way for a packet"
        assert None not in heard[20:]

    def test_is_not_followed_without_an_update(self) -> None:
        line = self.long_call()
        line.now += 60
        self.restart(line)
        assert not any(line.carry(0, line.phones[0].say()) for _ in range(50))

    def recorded(self, line: Line, before: int) -> list[bytes]:
        """Fifty packets that an eavesdropper kept, heard after `before` others."""
        line.talk(0, before)
        kept = [line.phones[0].say() for _ in range(50)]
        for datagram in kept:
            assert line.carry(0, datagram)
        return kept

    def test_old_packets_cannot_pose_as_one_while_the_peer_talks(self) -> None:
        line = secure_line()
        kept = self.recorded(line, 10_000)
        line.talk(0, 57_000)
        line.negotiate(line.phones[0].spec(), line.phones[1].spec())
        for datagram in kept:
            assert line.pass_on(0, datagram, ("127.0.9.9", 6666)) is None
            line.talk(0)

    def test_old_packets_in_a_pause_do_not_lock_the_peer_out(self) -> None:
        line = secure_line()
        kept = self.recorded(line, 10_000)
        line.talk(0, 57_000)
        line.negotiate(line.phones[0].spec(), line.phones[1].spec())
        line.now += 1
        assert any(line.pass_on(0, datagram) for datagram in kept), "the price of following such a peer"
        line.now += 60
        heard = [line.carry(0, line.phones[0].say()) for _ in range(10)]
        assert None not in heard[2:], "but its next packet brings the right context back"

    def test_old_packets_of_the_first_rollover_cannot_pose_as_one_within_it(self) -> None:
        """Half the sequence space behind they look like the next rollover, but nothing can have been reset."""
        line = secure_line()
        kept = self.recorded(line, 10)
        line.talk(0, 40_000)
        line.negotiate(line.phones[0].spec(), line.phones[1].spec())
        line.now += 1
        assert not any(line.pass_on(0, datagram) for datagram in kept)
        assert line.talk(0, 10)


def test_a_key_with_an_identifier_expects_and_carries_it() -> None:
    """RFC 3711 3.1: the MKI stands before the tag of AES-CM."""
    ours, theirs = key(1), key(2)
    phone = Phone(("127.0.0.1", 4000), ours, theirs)
    line = Line(phone, Phone(("127.0.0.2", 5000)))
    named = [MasterKey(SHA1_80, each.master, mki=b"\x07") for each in (ours, theirs)]
    line.negotiate(phone.spec(receive_key=named[0], send_key=named[1]), line.phones[1].spec())
    packet = outbound(ours).protect(b"\x80\x00\x00\x01" + bytes(8) + b"x" * 20)
    assert line.pass_on(0, packet[:-10] + b"\x07" + packet[-10:])
    assert line.pass_on(0, packet) is None
    datagram, _peer = line.pass_on(1, line.phones[1].say()) or (b"", None)
    assert datagram[-11:-10] == b"\x07"
    assert phone.hear(datagram[:-11] + datagram[-10:])


def test_keys_are_never_shown() -> None:
    line = secure_line()
    for leg in line.session.legs:
        assert "redacted" in repr(leg.receiver) or leg.receiver is None
        assert key(1).master.hex() not in repr((leg.receiver, leg.sender, leg.spec))
