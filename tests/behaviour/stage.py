"""A whole lab around a real proxy process: a cluster with a number of its own, phones, certificates."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self

from cubelab import data
from cubelab.agent.leg import State
from cubelab.agent.voice_call import VoiceCall
from cubelab.audio.tones import listen
from cubelab.cucm.cucm import CucmSettings, VirtualCucm
from cubelab.demo.network import free_network
from cubelab.demo.proxy import ProxyProcess
from cubelab.phone.phone import VirtualPhone
from cubelab.phone.settings import PhoneSettings
from cubelab.pki.lab import init_lab
from cubelab.voice.pacer import Pacer
from tests.waiting import until

NUMBERS = {"1001": "SEP001122334455", "1002": "SEP001122334466"}
ENDPOINT = "3001"  # a number of the cluster itself
PHONE_SAYS, CORE_SAYS = 440, 1000  # Hz


class Stage:
    """`async with Stage(folder, "--drain", "2") as stage`: everything runs and both phones are registered."""

    def __init__(
        self,
        folder: Path,
        *arguments: str,
        config: str = "sample-a-xe.ios",
        numbers: Mapping[str, str] = NUMBERS,
    ) -> None:
        self.network = free_network()
        nodes = self.network.nodes
        self.pki = pki = init_lab(
            folder / "nvram",
            devices=tuple(numbers.values()),
            nodes={"pub": (nodes[0],), "sub": (nodes[1],)},
            cube=(self.network.access, self.network.core),
        )
        self.log = folder / "proxy.log"
        self.proxy = ProxyProcess(data.config(config), pki.nvram, self.network.mapping, folder / "c.sock", self.log)
        self.proxy.arguments += arguments
        self.pacer = Pacer()
        passwords = {number: f"lab-{number}" for number in numbers}
        self.cucm = VirtualCucm(CucmSettings(nodes=nodes, users=passwords, endpoints={ENDPOINT: CORE_SAYS}), self.pacer)
        self.phones = {
            number: VirtualPhone(
                PhoneSettings(
                    number=number,
                    password=passwords[number],
                    device=device,
                    host=self.network.phone(index),
                    proxy=(self.network.access, 5061),
                    certificate=pki.phones[device].certificate,
                    key=pki.phones[device].key,
                    trust=(pki.cube,),
                    says=PHONE_SAYS,
                ),
                self.pacer,
            )
            for index, (number, device) in enumerate(numbers.items(), 1)
        }

    async def __aenter__(self) -> Self:
        await self.cucm.start()
        await self.proxy.start()
        for phone in self.phones.values():
            await phone.start()
            await phone.register()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.log.exists():
            print(self.log.read_text())
        for phone in self.phones.values():
            await phone.close()
        await self.cucm.close()
        await self.proxy.stop()
        for pid in self.workers_seen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    workers_seen: tuple[int, ...] = ()

    # acting

    async def call(self, number: str = "1001", to: str = ENDPOINT) -> tuple[VoiceCall, VoiceCall]:
        """A call that is up and heard at both ends: the phone's side and the far one."""
        call = await self.phones[number].call(to)
        async with asyncio.timeout(10):
            await call.answered()
        far = self.cucm.calls[-1] if to == ENDPOINT else await self.phones[to].incoming.get()
        await until(lambda: call.voice.counters.received > 10 and far.voice.counters.received > 10)
        return call, far

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    @property
    def pid(self) -> int:
        assert self.proxy._process is not None
        return self.proxy._process.pid

    def workers(self) -> tuple[int, ...]:
        """Process ids of the media workers: the proxy's children."""
        path = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        self.workers_seen = tuple(dict.fromkeys((*self.workers_seen, *map(int, path.read_text().split()))))
        return tuple(map(int, path.read_text().split()))

    async def exit_code(self, patience: float = 15.0) -> int:
        """Wait for the proxy to end by itself."""
        assert self.proxy._process is not None
        async with asyncio.timeout(patience):
            return await self.proxy._process.wait()


def alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def silent(stage: Stage, *calls: VoiceCall) -> tuple[int, ...]:
    """Let these voices stop speaking, wait for what is on its way, and count what each has said and heard."""
    for call in calls:
        stage.pacer.remove(call.voice)
    before: list[int] = []
    for _ in range(200):
        now = [count for call in calls for count in (call.voice.counters.sent, call.voice.counters.received)]
        if now == before:
            return tuple(now)
        before = now
        await asyncio.sleep(0.1)
    raise AssertionError("the voices never fell silent")


def speak(stage: Stage, *calls: VoiceCall) -> None:
    """Let voices that fell silent go on."""
    for call in calls:
        stage.pacer.add(call.voice)


def over(call: VoiceCall) -> bool:
    return call.leg.state is State.ENDED


async def heard_again(*voices: VoiceCall, packets: int = 25) -> None:
    """Each hears so many more."""
    before = [call.voice.counters.received for call in voices]
    await until(lambda: all(call.voice.counters.received > n + packets for call, n in zip(voices, before, strict=True)))


async def the_right_tones(call: VoiceCall, far: VoiceCall) -> None:
    """For a second, of a phone's call to `ENDPOINT`."""
    for each in (call, far):
        each.voice.recording.clear()
    await heard_again(call, far, packets=50)
    assert listen(call.voice.recording.samples(), CORE_SAYS).heard
    assert listen(far.voice.recording.samples(), PHONE_SAYS).heard
