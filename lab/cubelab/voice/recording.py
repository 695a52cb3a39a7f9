"""What an endpoint heard, put together from RTP payloads."""

from __future__ import annotations

from array import array

from cubelab.audio.codec import FORMATS
from cubelab.audio.tones import RATE

LONGEST = (
    30 * RATE
)  # samples between two packets that are filled with silence; more is a new start of the sender's clock


class Recording:
    """Payloads in the order of arrival with their time stamps. Memory grows: 8 kB a second and stream."""

    def __init__(self) -> None:
        self._heard: list[tuple[int, int, bytes]] = []  # RTP time stamp, payload type, payload

    def add(self, timestamp: int, payload_type: int, payload: bytes) -> None:
        self._heard.append((timestamp, payload_type, payload))

    def __len__(self) -> int:
        """Packets."""
        return len(self._heard)

    def clear(self) -> None:
        self._heard.clear()

    def samples(self) -> array[int]:
        """Linear samples on the sender's clock: what was lost is silence, what came twice or late stands once."""
        sound = array("h")
        base: int | None = None
        for timestamp, payload_type, payload in self._heard:
            form = FORMATS.get(payload_type)
            if form is None:
                continue
            decoded = form.decode(payload)
            base = timestamp if base is None else base
            start = _ahead(timestamp, base)
            if start < 0 or start > len(sound) + LONGEST:
                base, start = (timestamp - len(sound)) % 2**32, len(sound)
            if start > len(sound):
                sound.extend(array("h", bytes(2 * (start - len(sound)))))
            sound[start : start + len(decoded)] = decoded
        return sound


def _ahead(timestamp: int, base: int) -> int:
    """Samples from `base` to `timestamp`, negative when it lies before (32-bit clocks wrap)."""
    return (timestamp - base + 2**31) % 2**32 - 2**31
