"""The largest module with its dearest codec, in real time: 60 sessions between SRTP in G.729 and RTP in G.711 over one
farm. Each of the 120 ends says a tone of its own; everything that is heard is decoded and judged second by second."""

from __future__ import annotations

import asyncio
import os
import select
import time

import numpy as np
import pytest

from cubeproxy.media.codecs import table
from cubeproxy.protocols.values import Codec, MediaReserved, UpdateMedia
from cubeproxy.server.dsp_farm import Registration
from tests.media.coding.ends import judge
from tests.media.coding.signals import pcm, peak_of, tone
from tests.media.phones import key
from tests.server import soak_record
from tests.server.farm_limit import FRAME, LAG, MOST_LOST, SECONDS, full, largest_module
from tests.server.media_lab import Station, live
from tests.server.test_transcoding import Box

SESSIONS = 60
PACKETS = 50  # a second
WARMING = 1  # s before, for whatever the first packets cost
CORES = 2
G729, PCMU = Codec("g729", 8000), Codec("pcmu", 8000)
CODECS = (G729, PCMU)  # of leg 0 and leg 1

Ears = dict[int, tuple[Station, list[bytes]]]  # by descriptor: who, and what it heard


def frequency(call: int, leg: int) -> int:
    """Of an end's tone, in Hz."""
    return 400 + 20 * call + 10 * leg


def spoken(call: int, leg: int, seconds: int) -> list[bytes]:
    """The payloads of an end's tone. It swells three times a second, as speech does: on one that never changes bcg729's
    encoder lets its own echo grow. And it is one stream: a G.729 decoder hears when the same second comes twice."""
    encoder = table.encoder(CODECS[leg], 20)
    swell = 0.65 + 0.35 * np.sin(2 * np.pi * 3 * np.arange(8000 * seconds) / 8000)
    pieces = pcm(tone(8000, seconds, frequency(call, leg)) * swell)
    coded = [encoder.encode(pieces[at : at + 160]) for at in range(0, len(pieces), 160)]
    encoder.close()
    return coded


class Ends:
    """Both ends of all calls."""

    def __init__(self, calls: list[tuple[MediaReserved, tuple[Station, Station]]]) -> None:
        self.calls = calls
        self.speech = [[spoken(call, leg, WARMING + SECONDS) for leg in (0, 1)] for call in range(len(calls))]
        self.place = 0
        self.heard: dict[tuple[int, int], list[bytes]] = {}  # by call and leg
        self.said = 0

    def run(self, seconds: float) -> None:
        """Speak for so long, 50 packets a second each, and keep all that is heard."""
        self.heard = {(call, leg): [] for call in range(len(self.calls)) for leg in (0, 1)}
        self.said = 0
        listeners = {self._phone(*ear).rtp.fileno(): (self._phone(*ear), heard) for ear, heard in self.heard.items()}
        with select.epoll() as poll:
            for descriptor, (phone, _heard) in listeners.items():
                phone.rtp.setblocking(False)
                poll.register(descriptor, select.EPOLLIN)
            began = time.monotonic()
            for frame in range(round(seconds / FRAME)):
                self._say()
                self._listen(poll, listeners, began + FRAME * (frame + 1))
                time.sleep(max(0.0, began + FRAME * (frame + 1) - time.monotonic()))
            self._listen(poll, listeners, time.monotonic() + LAG)

    def _say(self) -> None:
        for (reserved, phones), speech in zip(self.calls, self.speech, strict=True):
            for leg, phone in enumerate(phones):
                packet = phone.say(speech[leg][self.place], payload_type=18 * (1 - leg))
                phone.rtp.sendto(packet, reserved.local[leg])
        self.said += 1
        self.place += 1

    def _listen(self, poll: select.epoll, listeners: Ears, until: float) -> None:
        """Until everything that was said is heard, at most `until`."""
        while (left := until - time.monotonic()) > 0 and any(len(one) < self.said for one in self.heard.values()):
            for descriptor, _mask in poll.poll(left):
                phone, heard = listeners[descriptor]
                heard.append(phone.hear(phone.rtp.recv(2048)).payload)

    def _phone(self, call: int, leg: int) -> Station:
        return self.calls[call][1][leg]

    @property
    def packets(self) -> int:
        return sum(map(len, self.heard.values()))

    @property
    def lost(self) -> float:
        """The share that all ears together missed."""
        return 1 - self.packets / (self.said * len(self.heard))

    @property
    def worst(self) -> float:
        """The share that the unluckiest ear missed."""
        return 1 - min(map(len, self.heard.values())) / self.said


def wrong_seconds(before: list[bytes], heard: list[bytes], name: str, hertz: int) -> int:
    """Seconds of what an ear heard in which another tone, or none, was the strongest."""
    decode, _rate = judge(name)
    for payload in before:
        decode(payload)
    samples = np.concatenate([decode(payload) for payload in heard])
    wrong = 0
    for at in range(0, len(samples) - 8000 + 1, 8000):
        found, level, clear = peak_of(samples[at : at + 8000], 8000)
        wrong += not (abs(found - hertz) < 2 and -25 < level < -15 and clear > 8)
    return wrong


async def fill(box: Box) -> Ends:
    """As many calls as there is room for, all of them running."""
    calls = []
    for number in range(SESSIONS):
        reserved = await box.reserve()
        assert isinstance(reserved, MediaReserved), (number, reserved)
        phones = Station("127.0.41.3", key(1), key(2)), Station("127.0.41.4")
        box.stations += phones
        legs = phones[0].spec(codec=G729, payload_type=18), phones[1].spec(codec=PCMU)
        box.service.handle(UpdateMedia(reserved.session, legs))
        calls.append((reserved, phones))
    await full(box)
    return Ends(calls)


def processes(box: Box, registration: Registration) -> dict[str, int]:
    """Who works, by the name that the page has for it. Helpers are children of the workers with codecs."""
    named = {f"CUBE's media worker {number}": pid for number, pid in box.service.workers.items()}
    for number, pid in registration.workers.items():
        named[f"farm's media worker {number}"] = pid
        children = open(f"/proc/{pid}/task/{pid}/children").read().split()  # noqa: SIM115
        named |= {f"G.729 helper of worker {number}": int(child) for child in children}
    return named | {"phones and signalling": os.getpid()}


def record(measured: Ends, meter: soak_record.Meter, wrong: int, engine: str) -> None:
    soak_record.write(
        "transcoding-farm",
        "The largest module with its dearest codec: 60 G.729 sessions over one DSP farm",
        "pytest --soak tests/server/test_transcoding_at_its_limit.py",
        "Every call is SRTP (AES_CM_128_HMAC_SHA1_80) in G.729 on one side and RTP in G.711 on the other, 20 ms,\n"
        "both ways: phone, CUBE's media worker, farm's media worker (unprotect, decode, encode, protect), CUBE's\n"
        "media worker, phone. Each of the 120 ends says a tone of its own; all that was heard is decoded afterwards\n"
        "(G.729 by FFmpeg, not by bcg729) and judged second by second. One call more was refused first (pool full).\n"
        "The farm has two workers with codecs. The phones are Python, in the process of the signalling ends.",
        [
            ("sessions", str(len(measured.calls))),
            ("seconds", f"{meter.elapsed:.1f}"),
            ("media engine", engine),
            ("packets said, both ways", f"{measured.said * len(measured.heard):,}"),
            ("packets heard", f"{measured.packets:,}"),
            ("seconds of speech judged", f"{measured.packets // PACKETS:,}"),
            ("seconds with another tone, or none", str(wrong)),
            ("loss, all together", f"{measured.lost:.4%}"),
            ("loss, the worst of 120 ears", f"{measured.worst:.4%}"),
            *meter.rows,
        ],
    )


@pytest.mark.soak
@live
async def test_the_largest_module_carries_its_g729_sessions() -> None:
    async with largest_module(SESSIONS, workers=CORES, codecs=["g711ulaw", "g729r8"]) as (box, registration):
        ends = await fill(box)
        await asyncio.to_thread(ends.run, WARMING)
        before = ends.heard
        meter = soak_record.Meter(processes(box, registration))
        meter.start()
        await asyncio.to_thread(ends.run, SECONDS)
        meter.stop()
        engine = box.service.describe()
    wrong = 0
    for call in range(SESSIONS):
        for leg in (0, 1):
            heard = before[call, leg], ends.heard[call, leg]
            wrong += wrong_seconds(*heard, CODECS[leg].name, frequency(call, 1 - leg))
    assert wrong == 0
    assert ends.worst <= MOST_LOST, f"{ends.lost:.4%} of all, {ends.worst:.4%} at worst; {meter.rows}"
    record(ends, meter, wrong, engine)
