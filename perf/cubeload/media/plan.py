"""What a media load says: keys for every call, streams encrypted before the run, and the file that `mediaload` reads.

Encrypted with pylibsrtp, and what comes back is decrypted with it: nothing of an engine under test is used.
"""

from __future__ import annotations

import mmap
import os
import socket
import struct
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
PHONES: Address = ("127.0.60.1", 40000)  # all phones, and all of the core: the relay's ports tell the calls apart
CORE: Address = ("127.0.60.2", 40002)
PAYLOAD = 160  # octets: 20 ms of G.711
STRIDE = 2 + 12 + PAYLOAD + 16
MAGIC = 0x4D4C4F31
SAMPLES = 16  # calls whose SRTP is checked afterwards
INTERVAL = 20_000  # us
HEAD = struct.Struct("=8I")


@dataclass(slots=True)
class MediaLoad:
    """`calls` calls with packets both ways each 20 ms for `seconds`, of which the first `warm` are not counted."""

    calls: int
    seconds: float = 5.0
    warm: float = 1.5
    suite: Suite = Suite.AES_CM_128_HMAC_SHA1_80

    @property
    def rounds(self) -> int:
        return round((self.seconds + self.warm) * 1e6 / INTERVAL)

    @property
    def warm_rounds(self) -> int:
        return round(self.warm * 1e6 / INTERVAL)


@dataclass(slots=True)
class CallPlan:
    """A call as its relay set it up."""

    phone_key: MasterKey  # protects what the phone says
    relay_key: MasterKey  # protects what the phone hears
    access: Address  # the relay's ports
    core: Address


def payload(call: int, number: int) -> bytes:
    return struct.pack("!II", call, number) + bytes((call + number & 0xFF,)) * (PAYLOAD - 8)


def fresh_key(suite: Suite) -> MasterKey:
    return MasterKey(suite, os.urandom(suite.sizes.master))


def session(key: MasterKey, *, sending: bool) -> pylibsrtp.Session:
    kind = pylibsrtp.Policy.SSRC_ANY_OUTBOUND if sending else pylibsrtp.Policy.SSRC_ANY_INBOUND
    return pylibsrtp.Session(pylibsrtp.Policy(key.master, kind, 0, PROFILES[key.suite]))


def write_plan(path: Path, load: MediaLoad, calls: list[CallPlan]) -> None:
    """The file that `mediaload` maps: addresses of the calls, then every packet that a phone will send."""
    rounds = load.rounds
    ends = _address(PHONES) + _address(CORE)
    head = HEAD.pack(MAGIC, len(calls), rounds, load.warm_rounds, INTERVAL, STRIDE, min(SAMPLES, len(calls)), 0) + ends
    table = b"".join(_address(call.access) + _address(call.core) for call in calls)
    size = len(head) + len(table) + len(calls) * rounds * STRIDE
    with path.open("w+b") as file:
        file.truncate(size)
        with mmap.mmap(file.fileno(), size) as memory:
            memory[: len(head) + len(table)] = head + table
            position = len(head) + len(table)
            for number, call in enumerate(calls):
                position = _write_stream(memory, position, number, call.phone_key, rounds)


def _write_stream(memory: mmap.mmap, position: int, number: int, key: MasterKey, rounds: int) -> int:
    protect = session(key, sending=True).protect
    for index in range(rounds):
        packet = protect(
            struct.pack("!BBHII", 0x80, 0, 1000 + index, index * 160, 0x1000 + number) + payload(number, index)
        )
        memory[position : position + 2 + len(packet)] = struct.pack("=H", len(packet)) + packet
        position += STRIDE
    return position


def _address(address: Address) -> bytes:
    host, port = address
    return struct.pack("=H", socket.AF_INET) + port.to_bytes(2, "big") + socket.inet_aton(host) + bytes(8)


def check_samples(path: Path, calls: list[CallPlan]) -> tuple[int, int]:
    """(packets, faults) of what phones heard: each must verify, and carry what the core said at that place."""
    data = path.read_bytes()
    sessions = [session(call.relay_key, sending=False) for call in calls[:SAMPLES]]
    position = packets = faults = 0
    while position + 12 <= len(data):
        call, number, length = struct.unpack_from("=III", data, position)
        packet = data[position + 12 : position + 12 + length]
        position += 12 + length
        packets += 1
        try:
            faults += sessions[call].unprotect(packet)[12:] != payload(call, number)
        except pylibsrtp.Error:
            faults += 1
    return packets, faults
