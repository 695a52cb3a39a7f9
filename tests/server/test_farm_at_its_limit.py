"""The largest module of the design guide, in real time: 192 secure sessions over one farm, every packet looked at."""

from __future__ import annotations

import asyncio
import os
import select
import time
from dataclasses import dataclass, field

import pytest

from cubeproxy.protocols.values import MediaReserved
from cubeproxy.server.dsp_farm import Registration
from tests.server import soak_record
from tests.server.farm_limit import FRAME, LAG, MOST_LOST, SECONDS, full, largest_module
from tests.server.media_lab import Station, live
from tests.server.test_transcoding import Box

SESSIONS = 192


@dataclass
class Speakers:
    """Both ends of all calls: each says its own number, and counts what it hears of the other's."""

    calls: list[tuple[MediaReserved, tuple[Station, Station]]]
    heard: dict[int, int] = field(default_factory=dict)
    wrong: int = 0
    said: int = 0

    def run(self, seconds: float) -> None:
        """Speak for so long, 50 packets a second each."""
        listeners = {}
        poll = select.epoll()
        for call, (_reserved, phones) in enumerate(self.calls):
            for leg, phone in enumerate(phones):
                phone.rtp.setblocking(False)
                poll.register(phone.rtp.fileno(), select.EPOLLIN)
                listeners[phone.rtp.fileno()] = phone, _word(call, 1 - leg)
        began = time.monotonic()
        for frame in range(round(seconds / FRAME)):
            for call, (reserved, phones) in enumerate(self.calls):
                for leg, phone in enumerate(phones):
                    phone.send(reserved.local[leg], _word(call, leg))
            self.said += 1
            self._listen(poll, listeners, began + FRAME * (frame + 1))
            time.sleep(max(0.0, began + FRAME * (frame + 1) - time.monotonic()))
        self._listen(poll, listeners, time.monotonic() + LAG)

    def _listen(self, poll: select.epoll, listeners: dict[int, tuple[Station, bytes]], until: float) -> None:
        """Until everything that was said is heard, at most `until`."""
        while (left := until - time.monotonic()) > 0 and sum(self.heard.values()) < len(listeners) * self.said:
            for descriptor, _mask in poll.poll(left):
                phone, expected = listeners[descriptor]
                self.wrong += phone.hear(phone.rtp.recv(2048)).payload != expected
                self.heard[descriptor] = self.heard.get(descriptor, 0) + 1

    @property
    def lost(self) -> float:
        """The share that all ears together missed."""
        return 1 - sum(self.heard.values()) / (self.said * 2 * len(self.calls))

    @property
    def worst(self) -> float:
        """The share that the unluckiest ear missed."""
        return 1 - min(self.heard.values()) / self.said


def _word(call: int, leg: int) -> bytes:
    return bytes((leg,)) + call.to_bytes(3, "big") * 53


async def fill(box: Box) -> Speakers:
    """As many calls as there is room for, all of them running."""
    calls = [await box.call() for _ in range(SESSIONS)]
    await full(box)
    return Speakers(calls)


def processes(box: Box, registration: Registration) -> dict[str, int]:
    """Who works, by the name that the page has for it."""
    (cube,), (farm,) = box.service.workers.values(), registration.workers.values()
    return {
        "CUBE's media worker": cube,
        "farm's media worker": farm,
        "phones and signalling": os.getpid(),
    }


def record(measured: Speakers, meter: soak_record.Meter, engine: str) -> None:
    soak_record.write(
        "dsp-farm",
        "The largest module at its limit: 192 secure sessions over one DSP farm",
        "pytest --soak tests/server/test_farm_at_its_limit.py",
        "Every call is SRTP (AES_CM_128_HMAC_SHA1_80) on one side and RTP on the other, G.711 in frames of 20 ms,\n"
        "both ways: phone, CUBE's media worker, farm's media worker, CUBE's media worker, phone. Each end says a\n"
        "word of its own, and every packet heard is compared with the other's. One call more was refused first\n"
        "(pool full). The phones are Python and run in the process of the two signalling ends, whose share is theirs.",
        [
            ("sessions", str(len(measured.calls))),
            ("seconds of speech", str(SECONDS)),
            ("seconds until all was heard", f"{meter.elapsed:.1f}"),
            ("media engine", engine),
            ("packets said, both ways", f"{measured.said * 2 * len(measured.calls):,}"),
            ("packets heard", f"{sum(measured.heard.values()):,}"),
            ("packets with a wrong content", str(measured.wrong)),
            ("loss, all together", f"{measured.lost:.4%}"),
            ("loss, the worst of 384 ears", f"{measured.worst:.4%}"),
            *meter.rows,
        ],
    )


@pytest.mark.soak
@live
async def test_the_largest_module_carries_its_secure_sessions() -> None:
    async with largest_module(SESSIONS) as (box, registration):
        speakers = await fill(box)
        await asyncio.to_thread(speakers.run, 0.5)  # whatever the first packets cost
        measured = Speakers(speakers.calls)
        meter = soak_record.Meter(processes(box, registration))
        meter.start()
        await asyncio.to_thread(measured.run, SECONDS)
        meter.stop()
        engine = box.service.describe()
    assert len(measured.heard) == 2 * SESSIONS
    assert measured.wrong == 0
    assert measured.worst <= MOST_LOST
    record(measured, meter, engine)
