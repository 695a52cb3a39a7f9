"""Voice through the media worker: SRTP from phones becomes RTP towards the core, and the other way round.

Calls are set up through the signalling as ever, then each side sends a packet of 20 ms every 20 ms in every call. The
payload names the call and the packet, so that on arrival delay, loss and content are judged packet by packet; what
arrives encrypted is opened after the run with libsrtp. Neither the product's relay nor its SRTP code is used here.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import re
import select
import socket
import struct
import time
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass, field

from pylibsrtp import Error as SrtpError
from pylibsrtp import Policy, Session

from cubeload.calling import KEY, PATIENCE, Call
from cubeload.measure import Loaded
from cubeload.processes import split
from cubeload.systems import System

PTIME = 0.02  # s
HEADER = struct.Struct("!BBHII")
MARK = struct.Struct("!II")  # call, packet: at the head of the payload
PAYLOAD = 160  # octets: 20 ms of G.711
SSRC = 0x10000000
HOPELESS = 0.01
ROOM = 8 << 20  # octets of receive buffer
SET_UP_RATE = 100  # calls a second
M_LINE = re.compile(rb"^m=audio (\d+) ", re.MULTILINE)
C_LINE = re.compile(rb"^c=IN IP4 (\S+)", re.MULTILINE)
CRYPTO = re.compile(rb"^a=crypto:\d+ AES_CM_128_HMAC_SHA1_80 inline:([A-Za-z0-9+/=]+)", re.MULTILINE)


@dataclass(slots=True)
class Bridged:
    """`cpu_us_per_packet` is the worker's CPU time over the packets that it passed on, both directions together."""

    system: str
    calls: int
    seconds: float
    sent: int
    arrived: int
    lost: int
    wrong: int  # arrived twice, with another payload, or not to be authenticated
    per_second: int
    cpu_us_per_packet: float
    worker_cores: float
    delay_us_p50: float
    delay_us_p99: float
    generator_late_ms: float
    cores_used_by_others: float

    def row(self) -> dict[str, object]:
        return asdict(self)

    @property
    def clean(self) -> bool:
        """The criterion of a capacity: less than 0.1 % lost, nothing wrong, 99 % of packets within 5 ms."""
        return self.lost < 0.001 * self.sent and not self.wrong and self.delay_us_p99 < 5000


@dataclass(slots=True)
class Ends:
    """What the SIP of one call said: where the proxy's two ports are, and its key towards the phone."""

    phone: tuple[str, int]
    core: tuple[str, int]
    opener: Session  # for what the proxy sends to the phone


@dataclass(slots=True)
class Flight:
    """One direction. `seen` are (call's far port, datagram, time of arrival) as they came."""

    sock: socket.socket
    sent: list[list[float]]  # by call and packet: when
    seen: list[tuple[int, bytes, float]] = field(default_factory=list)


class Bench:
    """The calls of a run and the two sockets: all phones speak from one, the core from the other."""

    def __init__(self, loaded: Loaded) -> None:
        self.loaded = loaded
        self.phone, self.core = _socket("127.0.0.1"), _socket(loaded.system.core[0][0])
        self.ends: list[Ends] = []
        self._offers: deque[tuple[str, int]] = deque()
        self._answer = asyncio.Event()
        self._first = 0  # sequence number of the next run: nothing may look like a replay

    async def set_up(self, calls: int) -> None:
        """Places that many more calls, one after the other, so that answer and offer are known to belong together."""
        caller, system = self.loaded.caller, self.loaded.system
        phone_port = self.phone.getsockname()[1]
        caller.media_port = lambda: phone_port
        caller.media_host = "127.0.0.1"
        caller.answered = self._answered
        for answerer in self.loaded.answerers:
            answerer.media = self.core.getsockname()[:2]
            answerer.offered = lambda invite: self._offers.append(_place(invite))
        wanted = len(caller.calls) + calls
        for _ in range(calls):
            self._answer.clear()
            await caller.start(SET_UP_RATE, 1)
            await asyncio.wait_for(self._answer.wait(), PATIENCE)
        await caller.up(wanted)
        if len(self.ends) != wanted or len(self._offers) != 0:
            raise RuntimeError(f"{system.name}: {wanted} calls set up, {len(self.ends)} with media on both sides")

    def _answered(self, _call: Call, ok: bytes) -> None:
        found = CRYPTO.search(ok)
        if found is None:
            raise RuntimeError("the answer to SDES has no AES_CM_128_HMAC_SHA1_80 line")
        core = self._offers.pop()
        self._offers.clear()  # the INVITE again
        key = base64.b64decode(found[1])
        self.ends.append(Ends(_place(ok), core, Session(policy(key, Policy.SSRC_ANY_INBOUND))))
        self._answer.set()

    def run(self, calls: int, seconds: float) -> Bridged:
        """Sends in the first `calls` calls and judges what arrived."""
        ends, packets, first = self.ends[:calls], round(seconds / PTIME), self._first
        self._first += packets
        key = base64.b64decode(KEY)
        outward = [_packets(number, range(first, first + packets), key) for number in range(calls)]
        inward = [_packets(number, range(first, first + packets), None) for number in range(calls)]
        times = [[[0.0] * packets for _ in range(calls)] for _ in range(2)]
        flights = (Flight(self.core, times[0]), Flight(self.phone, times[1]))
        before = split(self.loaded.system.pid)
        late = _send(self, ends, outward, inward, flights, packets)
        used = split(self.loaded.system.pid).since(before)
        delays, wrong, arrived = judge(flights, ends, first)
        sent = 2 * calls * packets
        delays.sort()
        return Bridged(
            system=self.loaded.system.name,
            calls=calls,
            seconds=seconds,
            sent=sent,
            arrived=arrived,
            lost=sent - arrived,
            wrong=wrong,
            per_second=round(arrived / seconds),
            cpu_us_per_packet=round(1e6 * used.media.cpu / max(1, arrived), 2),
            worker_cores=round(used.media.cpu / used.media.at, 2),
            delay_us_p50=round(1e6 * _share(delays, 0.5)),
            delay_us_p99=round(1e6 * _share(delays, 0.99)),
            generator_late_ms=round(1000 * late, 1),
            cores_used_by_others=round(max(0.0, used.others) / used.media.at, 2),
        )

    def close(self) -> None:
        self.phone.close()
        self.core.close()


async def bridging(
    system: System, steps: list[int], seconds: float, said: Callable[[str], None] = lambda _text: None
) -> list[Bridged]:
    """A step for each number of calls, until one loses too much for a larger one to make sense."""
    async with Loaded(system, hold=3600) as loaded:
        bench = Bench(loaded)
        results: list[Bridged] = []
        try:
            for calls in steps:
                said(f"{calls} calls")
                await bench.set_up(calls - len(bench.ends))
                bench.run(calls, 0.2)  # both sides learn where the other is, contexts are made
                results.append(bench.run(calls, seconds))
                if results[-1].lost > HOPELESS * results[-1].sent:
                    break
        finally:
            bench.close()
            loaded.caller.answered = lambda _call, _ok: None
            await loaded.caller.hang_up()
        return results


def _send(
    bench: Bench,
    ends: list[Ends],
    outward: list[list[bytes]],
    inward: list[list[bytes]],
    flights: tuple[Flight, Flight],
    packets: int,
) -> float:
    """Paced by the clock, calls spread over the 20 ms. The most that a packet was late, in s."""
    poll = select.epoll()
    for flight in flights:
        poll.register(flight.sock.fileno(), select.EPOLLIN)
    clock, worst, gap = time.monotonic, 0.0, PTIME / len(ends)
    begun = clock() + 0.01
    for number in range(packets):
        for call, end in enumerate(ends):
            due = begun + number * PTIME + call * gap
            now = clock()
            while now < due:
                _receive(poll, flights, min(due - now, 0.001))
                now = clock()
            worst = max(worst, now - due)
            flights[0].sent[call][number] = clock()
            bench.phone.sendto(outward[call][number], end.phone)
            flights[1].sent[call][number] = clock()
            bench.core.sendto(inward[call][number], end.core)
        _receive(poll, flights, 0)
    until = clock() + 0.3
    while clock() < until:
        _receive(poll, flights, 0.01)
    poll.close()
    return worst


def _receive(poll: select.epoll, flights: tuple[Flight, Flight], wait: float) -> None:
    if not poll.poll(wait):
        return
    for flight in flights:
        sock, seen = flight.sock, flight.seen
        with contextlib.suppress(BlockingIOError):
            while True:
                datagram, source = sock.recvfrom(2048)
                seen.append((source[1], datagram, time.monotonic()))


def judge(flights: tuple[Flight, Flight], ends: list[Ends], first: int) -> tuple[list[float], int, int]:
    """(delays in s, wrong packets, right packets)."""
    delays: list[float] = []
    wrong = 0
    phone_calls = {end.phone[1]: call for call, end in enumerate(ends)}
    core_calls = {end.core[1]: call for call, end in enumerate(ends)}
    clear = [(core_calls[port], data, at) for port, data, at in flights[0].seen if port in core_calls]
    opened: list[tuple[int, bytes, float]] = []
    for port, data, at in flights[1].seen:
        call = phone_calls.get(port)
        try:
            if call is not None:
                opened.append((call, ends[call].opener.unprotect(data), at))
        except SrtpError:
            wrong += 1
    for flight, packets in zip(flights, (clear, opened), strict=True):
        known: set[tuple[int, int]] = set()
        for call, packet, at in packets:
            named, number = MARK.unpack_from(packet, HEADER.size)
            if named != call or (call, number) in known or packet[HEADER.size :] != _payload(call, number):
                wrong += 1
                continue
            known.add((call, number))
            delays.append(at - flight.sent[call][number - first])
    return delays, wrong, len(delays)


def _packets(call: int, numbers: range, key: bytes | None) -> list[bytes]:
    """RTP of one stream, protected when there is a key. A run ends before the sequence numbers do."""
    rtp = [HEADER.pack(0x80, 0, n, n * 160, SSRC + call) + _payload(call, n) for n in numbers]
    if key is None:
        return rtp
    session = Session(policy(key, Policy.SSRC_ANY_OUTBOUND))
    return [session.protect(packet) for packet in rtp]


def _payload(call: int, number: int) -> bytes:
    return MARK.pack(call, number) + bytes(PAYLOAD - MARK.size)


def policy(key: bytes, ssrc_type: int) -> Policy:
    return Policy(key=key, ssrc_type=ssrc_type, srtp_profile=Policy.SRTP_PROFILE_AES128_CM_SHA1_80)


def _place(message: bytes) -> tuple[str, int]:
    port, host = M_LINE.search(message), C_LINE.search(message)
    if port is None or host is None:
        raise RuntimeError("a description without audio")
    return host[1].decode(), int(port[1])


def _socket(host: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
        sock.setsockopt(socket.SOL_SOCKET, option, ROOM)
    sock.bind((host, 0))
    sock.setblocking(False)
    return sock


def _share(values: list[float], share: float) -> float:
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
