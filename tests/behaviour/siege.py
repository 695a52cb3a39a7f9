"""A lab under attack: everything of a `Stage` runs in a thread of its own, the attacker in the test's.

`with siege.calm():` around an attack holds what must hold for everybody else: the call in progress loses no packet,
and no exception stands in the log, nor anything secret.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

from cubelab.agent.voice_call import VoiceCall
from cubeproxy.protocols.sip.message import Request as SipRequest
from cubeproxy.protocols.sip.message import Response
from cubeproxy.protocols.values import Flow
from tests.behaviour.raw import Rogue, client_context
from tests.behaviour.stage import NUMBERS, Stage, silent, speak

T = TypeVar("T")
Record = dict[str, Any]

ROGUE, ROGUE_DEVICE = "1666", "SEP0011223344EE"
ROGUE_HOST = 66  # last octet of the rogue's own address


class Siege:
    """`with Siege(folder) as siege`: 1001 and 1002 are registered, 1001 talks to the cluster's 3001."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.arguments = arguments
        self.loop = asyncio.new_event_loop()
        self.core_heard: list[bytes] = []  # every message that the cluster got from the proxy
        self._thread = threading.Thread(target=self.loop.run_forever, name="stage", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self.do(self._start())
        return self

    async def _start(self) -> None:
        self.stage = Stage(
            self.folder,
            "--log-format",
            "json",
            "--drain",
            "0",
            *self.arguments,
            numbers={**NUMBERS, ROGUE: ROGUE_DEVICE},
        )
        del self.stage.phones[ROGUE]  # it is ours
        await self.stage.__aenter__()
        self._listen_in()
        self.call, self.far = await self.stage.call("1001")
        self.worker = self.stage.workers()[0]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.do(self.stage.__aexit__(kind, error, trace), 30)
            self.do(_end_tasks())
        finally:
            self.loop.call_soon_threadsafe(self.loop.stop)
            self._thread.join(5)

    def _listen_in(self) -> None:
        """Keep what the cluster is sent, as octets."""
        agent = self.stage.cucm.agent
        original = agent.received

        def received(flow: Flow, message: SipRequest | Response) -> None:
            self.core_heard.append(message.serialise())
            original(flow, message)

        agent.received = received  # type: ignore[method-assign]

    def do(self, work: Coroutine[Any, Any, T], patience: float = 30.0) -> T:
        """Run something of the stage in its own loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(patience)

    # places

    @property
    def access(self) -> tuple[str, int]:
        return self.stage.network.access, 5061

    @property
    def core(self) -> tuple[str, int]:
        return self.stage.network.core, 5060

    def host(self, number: int = ROGUE_HOST) -> str:
        return self.stage.network.phone(number)

    def rogue(self) -> Rogue:
        """A connection with a valid certificate; not registered yet."""
        identity = self.stage.pki.phones[ROGUE_DEVICE]
        context = client_context(identity.certificate, identity.key)
        return Rogue(self.access, context, ROGUE, f"lab-{ROGUE}", self.host())

    # what can be seen from outside

    def log(self) -> str:
        return self.stage.log.read_text("utf-8", "surrogateescape")

    def events(self, name: str = "", **fields: object) -> list[Record]:
        """Operator events, by name and fields."""
        records = [json.loads(line) for line in self.log().splitlines() if line.startswith("{")]
        return [
            record
            for record in records
            if (not name or record["event"] == name) and all(record.get(key) == value for key, value in fields.items())
        ]

    def mark(self) -> Mark:
        return Mark(self, len(self.events()))

    def show(self, command: str) -> str:
        return self.do(self.stage.proxy.show(command))

    def rss(self) -> tuple[int, int]:
        """Resident memory of signalling and of the media worker, in kB."""
        return resident(self.stage.pid), resident(self.worker)

    # the promise

    @contextmanager
    def calm(self) -> Iterator[None]:
        """What happens inside costs the call in progress no packet, and leaves the log clean."""
        call, far = self.call, self.far
        sent, heard, far_sent, far_heard = self.do(silent(self.stage, call, far))
        self._speak(call, far)
        yield
        self.wait(lambda: call.voice.counters.received > heard + 10 and far.voice.counters.received > far_heard + 10)
        after = self.do(silent(self.stage, call, far))
        self._speak(call, far)
        assert after[3] - far_heard == after[0] - sent, "the core heard another number than the phone said"
        assert after[1] - heard == after[2] - far_sent, "the phone heard another number than the core said"
        assert call.voice.counters.refused == call.voice.counters.replayed == 0
        self.clean()

    def _speak(self, *calls: VoiceCall) -> None:
        async def start() -> None:
            speak(self.stage, *calls)

        self.do(start())

    def clean(self) -> None:
        """No trace of an exception in the log, no key and no password in it."""
        text = self.log()
        for word in ("Traceback", "handler.crashed", "media.worker.fault", "Exception"):
            assert word not in text, _around(text, word)
        for secret in ("inline:", "lab-1001", "lab-1002", "lab-1666"):
            assert secret not in text, _around(text, secret)

    def wait(self, condition: Callable[[], bool], patience: float = 10.0) -> None:
        end = time.monotonic() + patience
        while not condition():
            assert time.monotonic() < end, "it never came true"
            time.sleep(0.02)


class Mark:
    """What was logged since a moment."""

    def __init__(self, siege: Siege, seen: int) -> None:
        self._siege = siege
        self._seen = seen

    def events(self, name: str = "", **fields: object) -> list[Record]:
        later = self._siege.events()[self._seen :]
        return [
            record
            for record in later
            if (not name or record["event"] == name) and all(record.get(key) == value for key, value in fields.items())
        ]

    def one(self, name: str, **fields: object) -> Record:
        """Exactly one such event, waited for."""
        self._siege.wait(lambda: bool(self.events(name, **fields)), 5)
        found = self.events(name, **fields)
        assert len(found) == 1, found
        return found[0]


async def _end_tasks() -> None:
    """Whatever a phone that was switched off still wanted to do."""
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def resident(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError(f"{pid} has no memory: it is gone")


def _around(text: str, word: str) -> str:
    place = text.index(word)
    return text[max(0, place - 1500) : place + 1500]
