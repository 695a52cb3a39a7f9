"""What was heard stands on the sender's clock."""

from __future__ import annotations

from array import array

from cubelab.audio.codec import PCMU, SAMPLES
from cubelab.audio.tones import tone
from cubelab.voice.recording import Recording

SOUND = tone(440, 0.1)
PACKETS = [PCMU.encode(SOUND[at : at + SAMPLES]) for at in range(0, len(SOUND), SAMPLES)]
HEARD = PCMU.decode(b"".join(PACKETS))
SILENCE = array("h", bytes(2 * SAMPLES))


def recorded(order: list[int], start: int = 0) -> array[int]:
    recording = Recording()
    for number in order:
        recording.add((start + number * SAMPLES) % 2**32, 0, PACKETS[number])
    return recording.samples()


def test_packets_in_order_are_the_sound():
    assert recorded([0, 1, 2, 3, 4]) == HEARD


def test_a_late_and_a_doubled_packet_change_nothing():
    assert recorded([0, 2, 1, 1, 3, 4]) == HEARD


def test_a_lost_packet_is_silence():
    sound = recorded([0, 1, 3, 4])
    assert sound[2 * SAMPLES : 3 * SAMPLES] == SILENCE
    assert sound[3 * SAMPLES :] == HEARD[3 * SAMPLES :]


def test_the_clock_may_wrap():
    assert recorded([0, 1, 2, 3, 4], start=2**32 - 2 * SAMPLES) == HEARD


def test_a_sender_that_starts_its_clock_anew_goes_on_where_it_was():
    recording = Recording()
    recording.add(0, 0, PACKETS[0])
    recording.add(2**31, 0, PACKETS[1])
    recording.add(2**31 + SAMPLES, 0, PACKETS[2])
    assert recording.samples() == HEARD[: 3 * SAMPLES]


def test_other_payload_types_are_passed_over():
    recording = Recording()
    recording.add(0, 101, b"\x05\x0a\x00\xa0")
    recording.add(0, 0, PACKETS[0])
    assert recording.samples() == HEARD[:SAMPLES]
    assert len(recording) == 2
    recording.clear()
    assert recording.samples() == array("h")
