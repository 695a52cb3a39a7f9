"""Media for calls: workers, port pairs and counters behind one object.

`MediaService` carries out the media commands of the border. It binds the port pairs, hands them to a worker and
answers with events; no packet passes through this process.

What happens when a side dies:

* a worker dies (or hangs): every session that it carried gets `MediaLost`, a new worker starts at
  once and takes the next calls; a worker that keeps dying is started with growing pauses;
* signalling dies, even by SIGKILL: the worker reads the end of the seam and goes on relaying both ways. It ends by
  itself when `lease` seconds have passed since the last heartbeat, or earlier when no session is left; a
  session silent on both legs for `idle` seconds counts as over then. Nobody adopts such a worker: a signalling
  process started meanwhile has workers of its own, and skips the ports that the orphan still holds.
  `close(orphan=True)` does the same on purpose;
* orderly end: `close()` ends the workers at once, `drain()` first waits for the calls.
"""

from __future__ import annotations

import asyncio
import errno
import os
import resource
import socket
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress

from cubeproxy.media.commands import Open, OpenCoding
from cubeproxy.media.counters import LEG_WORDS, Health, stream_counters
from cubeproxy.media.pool import Bind, Coders, Effect, MediaPool, Send
from cubeproxy.media.ports import PortPool
from cubeproxy.media.room import Room, room, slots
from cubeproxy.protocols.values import (
    Event,
    MediaCommand,
    MediaEvent,
    MediaLost,
    ReleaseMedia,
    Severity,
    StreamCounters,
)
from cubeproxy.server.media_engine import CODING, Engine, choose
from cubeproxy.server.media_process import WorkerProcess

SLOTS = 4096  # sessions a worker has room for, if descriptors allow
HEARTBEAT = 0.5  # s
PATIENCE = 10  # unanswered heartbeats before a worker counts as hung
RESTARTS = 5  # at once within RESTART_SPAN seconds; then with pauses
RESTART_SPAN = 60.0
EXPEDITED = 0xB8  # DSCP EF (RFC 3246) in the traffic class octet, the vendor's default for media

OnEvent = Callable[[MediaEvent], None]
OnReport = Callable[[Event], None]


class MediaService:
    """`await start()`, then `handle` commands; `on_event` is called later from the loop, never inside `handle`.

    `ports` are the first and last port of the range, `rest`, `lease` and `idle` are seconds. `on_report` gets what
    the operator should know about workers. `engine` is what a worker is; without it CUBEPROXY_MEDIA chooses.
    `reports` are the seconds between the RTCP reports of a leg; 0 drops RTCP, as the router does. `coders` is how many
    workers sessions get that change codecs; they are started for the first of these, or by `start_coders`.
    """

    def __init__(
        self,
        on_event: OnEvent,
        ports: tuple[int, int] = (16384, 32767),
        *,
        workers: int = 1,
        rest: float = 10.0,
        lease: float = 3600.0,
        idle: float = 300.0,
        heartbeat: float = HEARTBEAT,
        on_report: OnReport | None = None,
        engine: Engine | None = None,
        reports: float = 0.0,
        coders: int = 1,
    ) -> None:
        self._on_event = on_event
        self._on_report = on_report or (lambda _event: None)
        self._pool = MediaPool(PortPool(*ports, rest=rest))
        self._count = workers
        self._coders = coders
        self._engine = engine or choose(os.environ.get("CUBEPROXY_MEDIA", "auto"))
        self._terms = (lease, idle, reports)
        self._heartbeat = heartbeat
        self._workers: dict[int, WorkerProcess] = {}
        self._coding: set[int] = set()  # those of them that do nothing but change codecs
        self._waiting: dict[int, list[socket.socket]] = {}  # of sessions that no worker has yet
        self._started = 0
        self._losses: deque[float] = deque(maxlen=RESTARTS)
        self._places: dict[int, tuple[WorkerProcess, int]] = {}  # session -> who counts it, and in which slot
        self._ended = [0] * LEG_WORDS  # the words of all sessions that were released, summed
        self._counting = threading.Lock()  # metrics have a thread: no session may be missed by it, or count twice
        self._empty = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()
        self._closed = False

    async def start(self, within: float = 10.0) -> None:
        """Start the workers and wait until they answer; TimeoutError when one does not `within` seconds."""
        self._loop = asyncio.get_running_loop()
        for _ in range(self._count):
            self._start_worker()
        self._beat()
        severity = Severity.NOTICE if self._engine.degraded else Severity.INFO
        self._on_report(Event("media.engine", severity, f"media engine: {self.describe()}"))
        async with asyncio.timeout(within):
            await asyncio.gather(*(worker.ready.wait() for worker in self._workers.values()))

    def describe(self) -> str:
        """Which engine carries the calls, and why this one: for `show version` and the log."""
        return f"{self._engine.text}, {self._count} worker process{'es' if self._count != 1 else ''}"

    def room(self, access: Collection[str], core: Collection[str]) -> Room:
        """How many calls fit when they use these media addresses."""
        return room(self._count, _slots(), self._pool.ports.pairs, access, core)

    @property
    def workers(self) -> Mapping[int, int]:
        """Process ids of the workers in service, by their number."""
        return {number: worker.pid for number, worker in self._workers.items()}

    @property
    def sessions(self) -> int:
        """Sessions that are reserved and not yet released or lost."""
        return len(self._pool.sessions)

    def handle(self, command: MediaCommand) -> None:
        """Carry out a command. Answers come through `on_event`. Nothing after `close`: no worker is ours any more."""
        if self._closed:
            return
        self._carry_out(self._pool.receive(command, self._loop.time()))
        if isinstance(command, ReleaseMedia):
            self._unbind(command.session)
            with self._counting:
                place = self._places.pop(command.session, None)
                if place is not None:
                    place[0].board.add(self._ended, place[1], command.session)
            self._note_empty()

    def counters(self, session: int) -> tuple[StreamCounters, StreamCounters]:
        """What both legs counted until now, also for a lost session; zeros once it is released."""
        place = self._places.get(session)
        if place is None:
            return StreamCounters(), StreamCounters()
        worker, slot = place
        return worker.board.read(slot, session)

    def totals(self) -> StreamCounters:
        """What all legs counted since the start, of sessions that ended too. Also called from another thread."""
        with self._counting:
            total = list(self._ended)
            for session, (worker, slot) in list(self._places.items()):
                worker.board.add(total, slot, session)
        return stream_counters(total)

    def health(self, session: int) -> tuple[Health, Health]:
        """What `MediaWatch` looks at, of both legs."""
        place = self._places.get(session)
        if place is None:
            return (0, 0, 0), (0, 0, 0)
        worker, slot = place
        return worker.board.health(slot, session)

    async def drain(self, within: float | None = None) -> bool:
        """Refuse new sessions and wait, `within` seconds if given, for those in progress. Whether none is left."""
        self._pool.draining = True
        self._note_empty()
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._empty.wait()
        return not self._pool.sessions

    async def close(self, *, orphan: bool = False) -> None:
        """End the workers and wait for them; with `orphan` leave them to their sessions and their lease."""
        self._closed = True
        for timer in self._timers:
            timer.cancel()
        for sockets in self._waiting.values():
            for sock in sockets:
                sock.close()
        self._waiting.clear()
        workers = list(self._workers.values())
        self._workers.clear()
        for worker in workers:
            worker.shutdown(orphan=orphan)
        if not orphan:
            for worker in workers:
                await worker.ended()

    # carrying out

    def _carry_out(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self._send(effect)
            elif isinstance(effect, Bind):
                self._bind(effect)
            elif isinstance(effect, Coders):
                self.start_coders()
                self._carry_out(self._pool.receive(effect.command, self._loop.time()))
            else:
                if isinstance(effect, MediaLost):
                    self._unbind(effect.session)
                    self._note_empty()
                self._tell(effect)

    def _unbind(self, session: int) -> None:
        """Close the sockets of a session that no worker has."""
        for sock in self._waiting.pop(session, ()):
            sock.close()

    def _bind(self, bind: Bind) -> None:
        """Bind what the pool chose, with other ports while somebody else holds them, and open the session."""
        sockets: list[socket.socket] = []
        while len(sockets) < 4:
            leg = len(sockets) // 2
            host, port = bind.rtp[leg]
            try:
                sockets.append(_bound(host, port))
                sockets.append(_bound(host, port + 1))
            except OSError as error:
                while len(sockets) > leg * 2:
                    sockets.pop().close()
                another = self._another(bind.session, leg, host, error)
                if another is None:
                    for sock in sockets:
                        sock.close()
                    return
                bind = another
        self._open(bind.session, sockets)

    def _another(self, session: int, leg: int, host: str, error: OSError) -> Bind | None:
        now = self._loop.time()
        if error.errno != errno.EADDRINUSE:
            text = f"cannot bind media on {host}: {error.strerror}"
            self._tell(self._pool.unbindable(session, text, now))
            return None
        (effect,) = self._pool.occupied(session, leg, now)
        if isinstance(effect, Bind):
            return effect
        self._carry_out([effect])
        return None

    def _open(self, session: int, sockets: list[socket.socket]) -> None:
        self._waiting[session] = sockets
        self._carry_out(self._pool.bound(session))

    def _send(self, effect: Send) -> None:
        worker, command = self._workers[effect.worker], effect.command
        if isinstance(command, Open | OpenCoding):
            self._places[command.session] = (worker, command.slot)
            worker.send(command, self._waiting.pop(command.session))
        else:
            worker.send(command)

    def _tell(self, event: MediaEvent) -> None:
        self._loop.call_soon(self._on_event, event)

    def _note_empty(self) -> None:
        if self._pool.draining and not self._pool.sessions:
            self._empty.set()

    # workers

    def start_coders(self) -> None:
        """Have workers that change codecs, if there are none yet. They are ready when their first session comes."""
        for _ in range(self._coders - len(self._coding)):
            self._start_worker(coding=True)

    def _start_worker(self, *, coding: bool = False) -> None:
        if self._closed:
            return
        self._started += 1
        slots = _slots()
        command = CODING if coding else self._engine.command
        worker = WorkerProcess(self._started, slots, command, self._worker_lost, self._worker_fault)
        worker.greet(*self._terms)
        self._workers[worker.number] = worker
        if coding:
            self._coding.add(worker.number)
        self._pool.joined(worker.number, slots, relays=not coding, codes=coding)

    def _worker_lost(self, worker: WorkerProcess, cause: str) -> None:
        now = self._loop.time()
        self._workers.pop(worker.number, None)
        coding = worker.number in self._coding
        self._coding.discard(worker.number)  # the next session that needs one starts the next
        lost = self._pool.lost(worker.number, cause, now)
        for event in lost:
            self._tell(event)
        pause = self._pause(now)
        self._report(
            "media.worker.lost", f"media worker {worker.pid} is gone: {cause}; {len(lost)} calls with it", cause
        )
        if not coding:
            self._later(pause, self._start_worker) if pause else self._start_worker()
        self._note_empty()

    def _pause(self, now: float) -> float:
        """Seconds before the next worker: none for the first losses, growing when they follow each other."""
        recent = [at for at in self._losses if now - at < RESTART_SPAN]
        self._losses.append(now)
        return 0.0 if len(recent) < RESTARTS else RESTART_SPAN / RESTARTS

    def _worker_fault(self, text: str) -> None:
        self._report("media.worker.fault", f"media worker: {text}", text)

    def _report(self, name: str, text: str, cause: str) -> None:
        self._on_report(Event(name, Severity.ERROR, text, cause=cause))

    def _beat(self) -> None:
        for worker in list(self._workers.values()):
            worker.heartbeat(PATIENCE)
        self._later(self._heartbeat, self._beat)

    def _later(self, delay: float, action: Callable[[], None]) -> None:
        def run() -> None:
            self._timers.discard(timer)
            action()

        timer = self._loop.call_later(delay, run)
        self._timers.add(timer)


def _slots() -> int:
    """Sessions of one worker: it takes all descriptors that it may have."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return slots(None if hard == resource.RLIM_INFINITY else hard, SLOTS)


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if family == socket.AF_INET:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, EXPEDITED)
        else:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, EXPEDITED)
        sock.bind((host, port))
    except OSError:
        sock.close()
        raise
    return sock
