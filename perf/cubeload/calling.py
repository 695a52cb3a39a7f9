"""Calls at a steady pace: INVITE, ACK, a hold time, BYE; each one counted as clean only when all of it went well.

The pace is kept by the clock, not by the answers: a system that falls behind gets no mercy (open model).
"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cubeload.links import Link
from cubeload.messages import CONTACT, RECORD_ROUTE, TO, Read, read, request, sdp

PATIENCE = 8.0  # s, for each answer
TICK = 0.002  # s
KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"  # of RFC 4568 9.1: a load call carries no media


@dataclass(slots=True)
class Call:
    """One call of the load. `stage` is what its answer is waited for: 1 INVITE, 2 BYE; 0 while it is held."""

    link: Link
    caller: str
    number: str
    call_id: str
    started: float
    to: str
    target: str = ""
    routes: str = ""
    stage: int = 1


@dataclass(slots=True)
class Outcome:
    """Of one run. Times are set-up times in seconds, INVITE to 200."""

    clean: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    setup: list[float] = field(default_factory=list)
    late: float = 0.0  # s, the most that the generator was behind its own pace

    def percentile(self, share: float) -> float:
        times = sorted(self.setup)
        return times[min(len(times) - 1, int(share * len(times)))] if times else float("nan")


class Caller:
    """Places calls over the links in turn. `lines` are (link, user): who calls; `number` is whom."""

    def __init__(self, number: str, domain: str, hold: float, *, secure: bool) -> None:
        self.number, self.domain, self.hold, self.secure = number, domain, hold, secure
        self.lines: list[tuple[Link, str]] = []
        self.outcome = Outcome()
        self.calls: dict[str, Call] = {}
        self.media_port: Callable[[], int] = itertools.cycle(range(30000, 50000, 2)).__next__
        self.media_host = ""  # "" is the phone's own address
        self.answered: Callable[[Call, bytes], None] = lambda _call, _ok: None
        self._held: deque[tuple[float, Call]] = deque()  # by when to hang up; one delay for all keeps it in order
        self._waiting: deque[tuple[float, Call, int]] = deque()  # by when to give up the stage
        self._registering: dict[str, asyncio.Future[int]] = {}
        self._numbers = itertools.count(1)
        self._run = f"{time.time_ns():x}"

    # messages in

    def received(self, link: Link, data: bytes, source: tuple[str, int]) -> None:
        message = read(data)
        if message is None or message.status < 200:
            return
        if waiting := self._registering.pop(message.call_id, None):
            waiting.set_result(message.status)
            return
        call = self.calls.get(message.call_id)
        if call is None:
            return
        if message.method == "INVITE":
            self._invited(call, message)
        elif message.method == "BYE":
            self._ended(call, message)

    def _invited(self, call: Call, message: Read) -> None:
        now = time.monotonic()
        if message.status >= 300:
            self._fail(call, f"{message.status} to INVITE")
            return
        if not call.target:
            contact, to = CONTACT.search(message.raw), TO.search(message.raw)
            if contact is None or to is None:
                self._fail(call, "200 without Contact or To")
                return
            call.target, call.to = contact[1].decode(), to[1].decode()
            rows = [row.decode() for row in RECORD_ROUTE.findall(message.raw)]
            call.routes = "".join(f"Route: {row}\r\n" for row in reversed(rows))
            self.outcome.setup.append(now - call.started)
            call.stage = 0
            self._held.append((now + self.hold, call))
            self.answered(call, message.raw)
        call.link.send(self._request(call, "ACK", 1))  # RFC 3261 13.2.2.4: each 200 again gets its ACK

    def _ended(self, call: Call, message: Read) -> None:
        if message.status >= 300:
            self._fail(call, f"{message.status} to BYE")
            return
        del self.calls[call.call_id]
        self.outcome.clean += 1

    def _fail(self, call: Call, cause: str) -> None:
        self.outcome.failed[cause] += 1
        self.calls.pop(call.call_id, None)

    # messages out

    async def register(self, link: Link, user: str) -> None:
        """Binds a number to the link; an error when the answer is not 200."""
        call = self._call(link, user, user)
        answered = asyncio.get_running_loop().create_future()
        self._registering[call.call_id] = answered
        link.send(self._request(call, "REGISTER", 1, f"sip:{self.domain}", rows="Expires: 3600\r\n"))
        status = await asyncio.wait_for(answered, PATIENCE)
        if status != 200:
            raise RuntimeError(f"REGISTER of {user}: {status}")

    def place(self, link: Link, user: str) -> None:
        call = self._call(link, user, self.number)
        self.calls[call.call_id] = call
        self._waiting.append((call.started + PATIENCE, call, 1))
        body = sdp(self.media_host or link.host, self.media_port(), KEY if self.secure else "")
        rows = "Content-Type: application/sdp\r\n"
        link.send(self._request(call, "INVITE", 1, f"sip:{self.number}@{self.domain}", rows=rows, body=body))

    def _call(self, link: Link, user: str, number: str) -> Call:
        now = time.monotonic()
        call_id = f"{next(self._numbers)}-{self._run}@{link.host}"
        return Call(link, user, number, call_id, now, f"<sip:{number}@{self.domain}>")

    def _request(self, call: Call, method: str, cseq: int, uri: str = "", *, rows: str = "", body: str = "") -> bytes:
        return request(
            call.link,
            method,
            uri or call.target,
            user=call.caller,
            to=call.to,
            call_id=call.call_id,
            cseq=cseq,
            routes=call.routes,
            rows=rows,
            body=body,
        )

    # pace

    async def run(self, rate: float, seconds: float) -> Outcome:
        """Starts rate * seconds calls, and returns once each of them came to its end."""
        await self.start(rate, round(rate * seconds))
        while self.calls:
            self._look_at_clocks(time.monotonic())
            await asyncio.sleep(TICK)
        return self.outcome

    async def start(self, rate: float, total: int) -> None:
        """Starts so many calls, and returns when the last one was placed."""
        lines: Iterator[tuple[Link, str]] = itertools.cycle(self.lines)
        placed, begun = 0, time.monotonic()
        while placed < total:
            now = time.monotonic()
            should = min(total, int((now - begun) * rate) + 1)
            if placed < should:
                self.outcome.late = max(self.outcome.late, now - begun - placed / rate)
            for link, user in itertools.islice(lines, should - placed):
                self.place(link, user)
            placed = should
            self._look_at_clocks(now)
            await asyncio.sleep(TICK)

    async def up(self, calls: int) -> None:
        """Waits until so many calls are held; RuntimeError when one fails meanwhile."""
        while sum(call.stage == 0 for call in self.calls.values()) < calls:
            self._look_at_clocks(time.monotonic())
            if self.outcome.failed:
                raise RuntimeError(f"calls failed: {dict(self.outcome.failed)}")
            await asyncio.sleep(0.05)

    async def hang_up(self) -> Outcome:
        """Ends every held call now."""
        self._held = deque((0.0, call) for _, call in self._held)
        while self.calls:
            self._look_at_clocks(time.monotonic())
            await asyncio.sleep(TICK)
        return self.outcome

    def _look_at_clocks(self, now: float) -> None:
        while self._held and self._held[0][0] <= now:
            _, call = self._held.popleft()
            call.stage = 2
            self._waiting.append((now + PATIENCE, call, 2))
            call.link.send(self._request(call, "BYE", 2))
        while self._waiting and self._waiting[0][0] <= now:
            _, call, stage = self._waiting.popleft()
            if call.stage == stage and call.call_id in self.calls:
                self._fail(call, f"no answer to {'BYE' if stage == 2 else 'INVITE'}")
