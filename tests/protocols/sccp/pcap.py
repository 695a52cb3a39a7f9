"""A capture of one TCP conversation, written by hand: nothing of the product decides what the dissector sees."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

RAW = 101  # link type: an IP packet and nothing around it
CALL_MANAGER, FARM = bytes((192, 0, 2, 1)), bytes((192, 0, 2, 2))


def write(path: Path, segments: Iterable[tuple[bool, bytes]], port: int = 2000) -> None:
    """Each segment: whether the call manager speaks, and what."""
    numbers = {False: 1000, True: 2000}
    records = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW)]
    for count, (from_manager, payload) in enumerate(segments):
        source, destination = (CALL_MANAGER, FARM) if from_manager else (FARM, CALL_MANAGER)
        ports = (port, 40000) if from_manager else (40000, port)
        tcp = struct.pack(
            "!HHIIBBHHH", *ports, numbers[from_manager], numbers[not from_manager], 5 << 4, 0x18, 65535, 0, 0
        )
        numbers[from_manager] += len(payload)
        length = 20 + len(tcp) + len(payload)
        ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, length, count & 0xFFFF, 0, 64, 6, 0, source, destination)
        packet = ip + tcp + payload
        records.append(struct.pack("<IIII", count, 0, len(packet), len(packet)) + packet)
    path.write_bytes(b"".join(records))
