"""What a media load says: keys for every call, streams encrypted before the run, and the files that `mediaload` reads.

Encrypted with pylibsrtp, and what comes back is decrypted with it: nothing of an engine under test is used.
"""

from __future__ import annotations

import mmap
import os
import random
import socket
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pylibsrtp

from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Address

PROFILES = {
    Suite.AES_CM_128_HMAC_SHA1_80: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    Suite.AES_CM_128_HMAC_SHA1_32: pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_32,
    Suite.AEAD_AES_128_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_128_GCM,
    Suite.AEAD_AES_256_GCM: pylibsrtp.Policy.SRTP_PROFILE_AEAD_AES_256_GCM,
}
PHONES_HOST, CORE_HOST = "127.0.60.1", "127.0.60.2"
FIRST_PORT = 10_000  # of both; a call has an even port for RTP and the next for RTCP
MOST_CALLS = 25_000
PAYLOAD = 160  # octets: 20 ms of G.711
STRIDE = 2 + 12 + PAYLOAD + 16
MAGIC = 0x4D4C4F32
SAMPLES = 16  # calls whose SRTP is checked afterwards
INTERVAL = 20_000_000  # ns
REPORT_ROUNDS = 250  # packets from one sender report to the next: 5 s
HEAD = struct.Struct("=8I")
EVENT = struct.Struct("=2I")


@dataclass(slots=True, frozen=True)
class MediaLoad:
    """`calls` calls with packets both ways each 20 ms for `seconds`, of which the first `warm` are not counted.

    Calls begin one after the other, in the first third of `warm`: what a relay does for a young call is over before
    packets count. `seed` decides at which moment within the 20 ms each stream's packets leave: uniformly, one by one.
    """

    calls: int
    seconds: float = 5.0
    warm: float = 2.5
    suite: Suite = Suite.AES_CM_128_HMAC_SHA1_80
    seed: int = 1

    @property
    def rounds(self) -> int:
        return round((self.seconds + self.warm) * 1e9 / INTERVAL)

    @property
    def warm_rounds(self) -> int:
        return round(self.warm * 1e9 / INTERVAL)

    @property
    def reports(self) -> int:
        """Sender reports that a phone may come to send."""
        return self.rounds // REPORT_ROUNDS + 1

    @property
    def cells(self) -> int:
        """Packets of each phone in the file of streams."""
        return self.rounds + self.reports


@dataclass(slots=True)
class CallPlan:
    """A call as its relay set it up: the relay's ports, and the key of what the phone hears (None: in clear)."""

    access: Address
    core: Address
    relay_key: MasterKey | None


@dataclass(slots=True)
class Streams:
    """What the phones of all calls say, in a file, and their keys; without keys it is said in clear."""

    path: Path
    keys: list[MasterKey] | None


def phone_address(call: int) -> Address:
    return PHONES_HOST, FIRST_PORT + 2 * call


def core_address(call: int) -> Address:
    return CORE_HOST, FIRST_PORT + 2 * call


def payload(call: int, number: int) -> bytes:
    return struct.pack("!II", call, number) + bytes((call + number & 0xFF,)) * (PAYLOAD - 8)


def fresh_key(suite: Suite) -> MasterKey:
    return MasterKey(suite, os.urandom(suite.sizes.master))


def session(key: MasterKey, *, sending: bool) -> pylibsrtp.Session:
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND if sending else pylibsrtp.Policy.SSRC_ANY_INBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(key.master, kind, 0, PROFILES[key.suite]))


def schedule(load: MediaLoad) -> list[tuple[int, int]]:
    """(stream, ns into the 20 ms) of every stream, in order; stream 2 * call is the phone's, the next the core's."""
    dice = random.Random(load.seed)
    events = [(stream, dice.randrange(INTERVAL)) for stream in range(2 * load.calls)]
    return sorted(events, key=lambda event: event[1])


def write_plan(path: Path, load: MediaLoad, calls: Sequence[CallPlan]) -> None:
    """Addresses of the calls, and when each stream's packets leave."""
    samples = min(SAMPLES, len(calls))
    head = HEAD.pack(
        MAGIC, len(calls), load.rounds, load.warm_rounds, INTERVAL, STRIDE, samples, load.reports
    )  # fmt: skip
    ends = ((call.access, call.core, phone_address(number), core_address(number)) for number, call in enumerate(calls))
    table = b"".join(_address(end) for call in ends for end in call)
    path.write_bytes(head + table + b"".join(EVENT.pack(*event) for event in schedule(load)))


def write_streams(path: Path, load: MediaLoad, keys: list[MasterKey] | None) -> Streams:
    """Every packet that each phone will send, then its reports; they serve loads of fewer calls, too."""
    size = load.calls * load.cells * STRIDE
    with path.open("w+b") as file:
        file.truncate(size)
        with mmap.mmap(file.fileno(), size) as memory:
            for number in range(load.calls):
                _write_phone(memory, number, load, keys[number] if keys else None)
    return Streams(path, keys)


def _write_phone(memory: mmap.mmap, number: int, load: MediaLoad, key: MasterKey | None) -> None:
    under = session(key, sending=True) if key else None
    position = number * load.cells * STRIDE
    for index in range(load.rounds):
        packet = struct.pack("!BBHII", 0x80, 0, 1000 + index, index * 160, 0x1000 + number) + payload(number, index)
        position = _write_cell(memory, position, under.protect(packet) if under else packet)
    for report in range(load.reports):
        packet = struct.pack("!BBHI5I", 0x80, 200, 6, 0x1000 + number, report, 0, report, report, report)
        position = _write_cell(memory, position, under.protect_rtcp(packet) if under else packet)


def _write_cell(memory: mmap.mmap, position: int, packet: bytes) -> int:
    memory[position : position + 2 + len(packet)] = struct.pack("=H", len(packet)) + packet
    return position + STRIDE


def _address(address: Address) -> bytes:
    host, port = address
    return struct.pack("=H", socket.AF_INET) + port.to_bytes(2, "big") + socket.inet_aton(host) + bytes(8)


def check_samples(path: Path, calls: Sequence[CallPlan]) -> tuple[int, int]:
    """(packets, faults) of what phones heard: each must verify, and carry what the core said at that place."""
    data = path.read_bytes()
    sessions = [session(call.relay_key, sending=False) if call.relay_key else None for call in calls[:SAMPLES]]
    position = packets = faults = 0
    while position + 12 <= len(data):
        call, number, length = struct.unpack_from("=III", data, position)
        packet = data[position + 12 : position + 12 + length]
        position += 12 + length
        packets += 1
        under = sessions[call]
        try:
            faults += (under.unprotect(packet) if under else packet)[12:] != payload(call, number)
        except pylibsrtp.Error:
            faults += 1
    return packets, faults
