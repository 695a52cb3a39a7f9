"""What one end says the other hears, whatever happens to the stream: judged by its sound, on either leg.

Each end says a tone of its own. A listener puts packets where their time stamps say, as a phone does; what it gets has
to be the tone, sample for sample, with SRTP on the speaker's side, on the listener's, and on both.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable

import pytest

from cubelab.audio.codec import PCMU, payloads
from cubelab.audio.tones import listen, tone
from cubeproxy.media.counters import AUTH_FAILURES, INDEX_IN, INDEX_OUT, LATE, LOST, REPLAYS

from .phones import Heard, Line, Phone, key

TONES = (440, 1000)  # Hz
SECONDS = 1.0
WRAP = 65_536
LEGS = pytest.mark.parametrize("leg", [0, 1], ids=["access", "core"])


@pytest.fixture(params=["secure access", "secure core", "both secure"])
def line(request: pytest.FixtureRequest) -> Line:
    access, core = request.param != "secure core", request.param != "secure access"
    first = Phone(("127.0.0.1", 4000), *((key(1), key(2)) if access else ()))
    return Line(first, Phone(("127.0.0.2", 5000), *((key(3), key(4)) if core else ())))


def frames(leg: int) -> list[bytes]:
    return payloads(tone(TONES[leg], SECONDS), PCMU)


def placed(heard: Iterable[Heard | None]) -> array[int]:
    """The sound in its order of time, each moment once."""
    there = [each for each in heard if each is not None]
    first = there[0].timestamp
    by_time = {(each.timestamp - first + 2**31) % 2**32: each.payload for each in there}
    assert len(by_time) == len(there), "two packets for one moment"
    return PCMU.decode(b"".join(by_time[moment] for moment in sorted(by_time)))


def judge(leg: int, heard: Iterable[Heard | None]) -> None:
    """All of the tone, and nothing else."""
    sound = placed(heard)
    assert sound == PCMU.decode(b"".join(frames(leg)))
    assert listen(sound, TONES[leg]).heard
    assert not listen(sound, TONES[1 - leg]).heard


def carry(line: Line, leg: int, datagrams: Iterable[bytes]) -> list[Heard | None]:
    return [line.carry(leg, datagram) for datagram in datagrams]


@LEGS
def test_a_stream_over_two_wraps(line: Line, leg: int) -> None:
    """Of the sender's numbers and of ours: gaps take both round, and the counter of SRTP with them."""
    phone = line.phones[leg]
    for _ in range(2 * WRAP // 2048 + 4):
        assert line.carry(leg, phone.say(step=2048))
    judge(leg, carry(line, leg, [phone.say(frame) for frame in frames(leg)]))
    if phone.ours:
        assert line.words(leg, INDEX_IN) >> 16 == 2
    if line.phones[1 - leg].theirs:
        assert line.words(1 - leg, INDEX_OUT) >> 16 == 2


@LEGS
def test_a_wrap_in_the_middle_of_the_tone_with_packets_overtaken(line: Line, leg: int) -> None:
    phone = line.phones[leg]
    phone.sequence, phone.timestamp = 0xFFFF - 25, 0xFFFFFFFF - 25 * 160
    said = [phone.say(frame) for frame in frames(leg)]
    for at in range(1, len(said) - 1, 3):
        said[at], said[at + 1] = said[at + 1], said[at]
    judge(leg, carry(line, leg, said))
    assert line.words(leg, LATE) == len(range(1, len(said) - 1, 3))
    assert line.words(leg, LOST) == line.words(leg, AUTH_FAILURES) == 0


@LEGS
@pytest.mark.parametrize("kept", [False, True], ids=["reset", "kept"])
def test_new_keys_after_two_wraps(line: Line, leg: int, kept: bool) -> None:
    """Of every end that has some: the speaker may keep its rollover counter or begin at 0; what we send begins at 0."""
    speaker, listener = line.phones[leg], line.phones[1 - leg]
    for _ in range(2 * WRAP // 2048 + 4):
        assert line.carry(leg, speaker.say(step=2048))
    if speaker.ours:
        speaker.use(key(5), key(6))
        for _ in range(8 if kept else 0):
            speaker.say(step=0x4000)  # to nobody: its context is where the one before was
    if listener.ours:
        listener.use(key(7), key(8))
    line.negotiate(line.phones[0].spec(), line.phones[1].spec())
    judge(leg, carry(line, leg, [speaker.say(frame) for frame in frames(leg)]))
    assert line.words(leg, AUTH_FAILURES) == 0


@LEGS
def test_another_source_in_the_middle_of_the_tone(line: Line, leg: int) -> None:
    """A transfer: SSRC and all numbers are others. The listener hears one stream that goes on (RFC 3550 7.1)."""
    phone, said = line.phones[leg], frames(leg)
    heard = carry(line, leg, [phone.say(frame) for frame in said[:25]])
    phone.ssrc, phone.sequence, phone.timestamp = phone.ssrc ^ 0xABCDEF, 40_000, 3_000_000_000
    heard += carry(line, leg, [phone.say(frame) for frame in said[25:]])
    judge(leg, heard)
    assert len({each.ssrc for each in heard if each}) == 1


@LEGS
def test_everything_twice_and_long_ago_once_more(line: Line, leg: int) -> None:
    phone = line.phones[leg]
    said = [phone.say(frame) for frame in frames(leg)]
    heard = carry(line, leg, said[:5])
    for at in range(5, len(said)):
        heard += carry(line, leg, (said[at], said[at], said[at - 5]))
    judge(leg, heard)
    assert line.words(leg, REPLAYS) == 2 * (len(said) - 5)


@LEGS
def test_a_replay_from_before_the_wraps(line: Line, leg: int) -> None:
    """Known by its place in the stream where there is no tag to know it by, long after."""
    phone = line.phones[leg]
    old = [phone.say() for _ in range(50)]
    carry(line, leg, old)
    for _ in range(2 * WRAP // 2048 + 4):
        assert line.carry(leg, phone.say(step=2048))
    heard: list[Heard | None] = []
    for frame, datagram in zip(frames(leg), old, strict=True):
        heard += carry(line, leg, (phone.say(frame), datagram))
    judge(leg, heard)


@LEGS
def test_packets_later_than_any_listener_waits_do_no_harm(line: Line, leg: int) -> None:
    phone = line.phones[leg]
    late = [phone.say() for _ in range(10)]
    for _ in range(200):
        line.carry(leg, phone.say())
    heard: list[Heard | None] = []
    for number, frame in enumerate(frames(leg)):
        heard += carry(line, leg, [phone.say(frame), *late[number : number + 1]])
    judge(leg, heard)
