"""Each leg calls codec and telephone-event by its own payload types."""

from __future__ import annotations

from cubeproxy.media.counters import MALFORMED
from cubeproxy.protocols.values import Codec

from .phones import Line, clear_line

DYNAMIC = Codec("opus", 48_000, 2)
EVENT = b"\x05\x0a\x03\x20"  # digit 5, RFC 4733


def with_types(access: dict[str, int], core: dict[str, int]) -> Line:
    line = clear_line()
    line.negotiate(line.phones[0].spec(**access), line.phones[1].spec(**core))
    return line


def passed(line: Line, leg: int, payload_type: int) -> int | None:
    heard = line.carry(leg, line.phones[leg].say(EVENT, payload_type=payload_type))
    return heard.payload_type if heard else None


def test_the_codec_is_renamed_each_way() -> None:
    line = with_types({"payload_type": 8}, {"payload_type": 118})
    assert passed(line, 0, 8) == 118
    assert passed(line, 1, 118) == 8


def test_telephone_events_are_renamed_each_way_and_keep_their_payload() -> None:
    line = with_types({"dtmf_payload_type": 101}, {"dtmf_payload_type": 97})
    heard = line.carry(0, line.phones[0].say(EVENT, payload_type=101, marker=True))
    assert heard is not None
    assert (heard.payload_type, heard.payload, heard.marker) == (97, EVENT, True)
    assert passed(line, 1, 97) == 101


def test_the_first_packet_of_a_digit_keeps_no_marker_that_it_did_not_have() -> None:
    """A marker begins a digit (RFC 4733 2.3): a joined stream must not invent one."""
    line = with_types({"dtmf_payload_type": 101}, {"dtmf_payload_type": 97})
    heard = line.carry(0, line.phones[0].say(EVENT, payload_type=101))
    assert heard is not None
    assert not heard.marker


def test_events_that_one_leg_did_not_negotiate_end_here() -> None:
    line = with_types({"dtmf_payload_type": 101}, {})
    assert passed(line, 0, 101) is None
    assert line.talk(0)


def test_a_payload_type_of_nobody_is_malformed() -> None:
    line = with_types({}, {})
    assert passed(line, 0, 77) is None
    assert line.words(0, MALFORMED) == 1


def test_comfort_noise_passes_between_codecs_of_8_khz() -> None:
    assert passed(with_types({}, {}), 0, 13) == 13
    line = clear_line()
    changes = {"codec": DYNAMIC, "payload_type": 111}
    line.negotiate(line.phones[0].spec(**changes), line.phones[1].spec(**changes))
    assert passed(line, 0, 13) is None


def test_a_new_negotiation_changes_the_names_and_not_the_stream() -> None:
    line = with_types({}, {})
    before = line.talk(0)[0]
    line.negotiate(line.phones[0].spec(payload_type=8), line.phones[1].spec(payload_type=118))
    heard = line.carry(0, line.phones[0].say(payload_type=8))
    assert heard is not None
    assert heard.payload_type == 118
    assert (heard.ssrc, heard.sequence) == (before.ssrc, (before.sequence + 1) & 0xFFFF)
