"""The two ends of a call: each says a tone of its own, frame by frame, and judges the frames that it hears."""

from __future__ import annotations

import asyncio
import contextlib
import select
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cubelab.audio.tones import Hearing, strongest, tone
from cubeproxy.media.codecs import table
from cubeproxy.protocols import g711
from cubeproxy.protocols.rtcp import SenderReport
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import Address, Codec, StreamSpec
from tests.media.coding.ends import judge
from tests.media.coding.signals import pcm
from tests.media.phones import PCMU, Heard, inbound, outbound
from tests.server.media_lab import PATIENCE, Station
from tests.waiting import until

TONES = (440, 1000)  # Hz, of leg 0 and leg 1
FRAMES = 33  # of a conversation; 20 ms each
MISSING = 5  # that may get lost while a session begins, or wait in a jitter buffer when it ends
TAIL = 3.0  # s that a busy machine may have what was said on its way


@dataclass(slots=True, frozen=True)
class Speech:
    """A codec as an end speaks it: frames of samples to payloads and back. It may keep state between frames."""

    encode: Callable[[array[int]], bytes]
    decode: Callable[[bytes], array[int]]


def coded(name: str) -> Speech:
    """By the product's encoder, and a decoder that is not. Of wideband speech every other sample is judged."""
    encoder, (decode, rate) = table.encoder(Codec(name, 8000), 20), judge(name)
    step = rate // 8000
    return Speech(
        lambda samples: encoder.encode(array("h", (one for one in samples for _ in range(step)))),
        lambda payload: pcm(decode(payload)[::step]),
    )


SPEECH: dict[str, Callable[[], Speech]] = {
    "g722": lambda: coded("g722"),
    "g729": lambda: coded("g729"),
    "g726-32": lambda: coded("g726-32"),
    "pcmu": lambda: Speech(g711.encode_ulaw, g711.decode_ulaw),
    "pcma": lambda: Speech(g711.encode_alaw, g711.decode_alaw),
}


class Caller(Station):
    """One end, on a host of its own. `codec`, `payload_type` and `ptime` are what it negotiated."""

    def __init__(
        self,
        host: str,
        says: int,
        ours: MasterKey | None = None,
        theirs: MasterKey | None = None,
        *,
        codec: Codec = PCMU,
        payload_type: int = 0,
        ptime: int = 20,
    ) -> None:
        super().__init__(host, ours, theirs)
        self.rtp.setblocking(False)
        self.rtcp.setblocking(False)
        self.codec, self.payload_type, self.ptime, self.says = codec, payload_type, ptime, says
        self.speech = SPEECH[codec.name]()
        self.heard: list[Heard] = []

    def spec(self, **changes: object) -> StreamSpec:
        """The leg towards this end, as the proxy negotiated it."""
        fields: dict[str, object] = {
            "codec": self.codec, "payload_type": self.payload_type, "ptime": self.ptime,
        }  # fmt: skip
        return super().spec(**(fields | changes))

    def say(self, payload: bytes = b"", **details: Any) -> bytes:
        """The next packet, by default of this end's codec and with silence in it."""
        self.timestamp += 8 * self.ptime - 160  # what `Phone` adds is for 20 ms
        details.setdefault("payload_type", self.payload_type)
        return super().say(payload or self.speech.encode(array("h", bytes(16 * self.ptime))), **details)

    def send(self, to: Address, payload: bytes = b"") -> None:
        self.rtp.sendto(self.say(payload), to)

    def change_own_key(self, ours: MasterKey) -> None:
        """What this end sends begins anew under another key; what it hears goes on."""
        self.ours, self._out = ours, outbound(ours)

    def change_far_key(self, theirs: MasterKey) -> None:
        """What this end hears comes under another key; what it says goes on."""
        self.theirs, self._in = theirs, inbound(theirs)

    async def skip(self, packets: int, to: Address, listener: Caller) -> None:
        """Go on so many sequence numbers later, and be heard in each quarter of their space.

        A receiver may wait for a second packet before it believes such a jump (RFC 3550 A.1).
        """
        for step in range(0, packets, 0x4000):
            listener.deafen()
            self.rtp.sendto(self.say(step=min(0x4000, packets - step), payload_type=self.payload_type), to)
            async with asyncio.timeout(PATIENCE):
                while not listener.waiting():
                    self.send(to)
                    await asyncio.sleep(0.02)

    async def speak(self, to: Address, seconds: float) -> None:
        """Say the tone at the pace of real speech."""
        loop = asyncio.get_running_loop()
        size = 8 * self.ptime
        samples = tone(self.says, seconds)
        begun = loop.time()
        for number, at in enumerate(range(0, len(samples) - size + 1, size), 1):
            payload = self.speech.encode(samples[at : at + size])
            self.rtp.sendto(self.say(payload, payload_type=self.payload_type), to)
            await asyncio.sleep(max(0.0, begun + number * self.ptime / 1000 - loop.time()))

    async def hear_all(self) -> None:
        """Take what arrives, until cancelled; a packet that this end cannot open is an error."""
        loop = asyncio.get_running_loop()
        while True:
            self.heard.append(self.hear(await loop.sock_recv(self.rtp, 2048)))

    async def hear_one(self) -> Heard:
        """The next packet."""
        async with asyncio.timeout(PATIENCE):
            return self.hear(await asyncio.get_running_loop().sock_recv(self.rtp, 2048))

    def report(self) -> SenderReport:
        """What this end tells of its own stream."""
        return SenderReport(self.ssrc, 0xEC00_0000 << 32, self.timestamp, self.sequence, 160 * self.sequence)

    def hearing(self) -> Hearing:
        """Which tone there was in everything that was heard."""
        samples = array("h")
        for packet in self.heard:
            if packet.payload_type == self.payload_type:
                samples += self.speech.decode(packet.payload)
        return strongest(samples)

    def waiting(self) -> bool:
        """Whether something has arrived that was not yet taken."""
        return bool(select.select([self.rtp], [], [], 0)[0])

    def deafen(self) -> None:
        """Forget what has arrived."""
        self.heard.clear()
        with contextlib.suppress(BlockingIOError):
            while self.rtp.recv(2048):
                pass


async def converse(
    callers: tuple[Caller, Caller],
    local: tuple[Address, Address],
    frames: int = FRAMES,
    *,
    tail: float = 0.15,
    enough: Callable[[], bool] = lambda: False,
) -> None:
    """Both speak at once, and take what comes until `tail` seconds after, or until it is enough."""
    for caller in callers:
        caller.deafen()
    ears = [asyncio.ensure_future(caller.hear_all()) for caller in callers]
    try:
        await asyncio.gather(*(caller.speak(to, frames / 50) for caller, to in zip(callers, local, strict=True)))
        with contextlib.suppress(TimeoutError):
            await until(enough, tail)
        for ear in ears:
            if ear.done():
                await ear  # it only ends with an error
    finally:
        for ear in ears:
            ear.cancel()
        await asyncio.gather(*ears, return_exceptions=True)


async def talk(callers: tuple[Caller, Caller], local: tuple[Address, Address], frames: int = FRAMES) -> None:
    """Both speak at once; each must hear the other's tone, and nearly all of it."""
    least = (frames - MISSING) * 20

    def enough() -> bool:
        return all(len(caller.heard) * caller.ptime >= least for caller in callers)

    await converse(callers, local, frames, tail=TAIL, enough=enough)
    for listener, speaker in (callers, callers[::-1]):
        found = listener.hearing()
        assert found.heard, f"{listener.address} heard no tone: {found}"
        assert found.frequency == speaker.says, f"{listener.address} heard {found}, not {speaker.says} Hz"
        assert len(listener.heard) * listener.ptime >= least, f"{len(listener.heard)} packets"
