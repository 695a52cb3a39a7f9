"""Many virtual phones in a process of their own: all register over TLS, then they call at a steady pace with SRTP.

Run as `python -m tests.interop.phone_load JSON`; prints one JSON object with what came of it. A process of its own, so
that it shares neither the interpreter of the tests nor the tracer of their coverage.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from cubelab.agent.voice_call import CallFailed
from cubelab.phone.phone import RegistrationFailed, VirtualPhone
from cubelab.phone.settings import PhoneSettings
from cubelab.voice.pacer import Pacer

AT_ONCE = 20  # registrations that are under way at the same time
FIRST_NUMBER = 1000


@dataclass(slots=True)
class Load:
    """Phone n has the device name, the address and the certificate folder at index n; calls go to `number`."""

    proxy: tuple[str, int]
    devices: list[str]
    hosts: list[str]
    phones: str  # folder of the phones' certificates
    trust: str
    password: str
    number: str
    calls: int
    rate: float  # calls a second
    hold: float  # s
    tone: int = 440  # Hz


@dataclass(slots=True)
class Report:
    registered: int = 0
    completed: int = 0  # calls that were answered, heard and ended as they should
    failures: dict[str, int] = field(default_factory=dict)
    packets_sent: int = 0
    packets_heard: int = 0  # authenticated SRTP
    packets_refused: int = 0
    quietest: int = 0  # packets heard in the call that heard least


class Runner:
    def __init__(self, load: Load) -> None:
        self.load = load
        self.failures: Counter[str] = Counter()
        self.heard: list[int] = []
        self.report = Report()
        self.pacer = Pacer()
        self.phones = [self._phone(index) for index in range(len(load.devices))]

    def _phone(self, index: int) -> VirtualPhone:
        load, device = self.load, self.load.devices[index]
        folder = Path(load.phones) / device
        return VirtualPhone(
            PhoneSettings(
                number=str(FIRST_NUMBER + index),
                password=load.password,
                device=device,
                host=load.hosts[index],
                proxy=(load.proxy[0], load.proxy[1]),
                certificate=folder / "cert.pem",
                key=folder / "key.pem",
                trust=(Path(load.trust),),
                says=load.tone,
                record=False,
            ),
            self.pacer,
        )

    async def run(self) -> Report:
        gate = asyncio.Semaphore(AT_ONCE)
        await asyncio.gather(*(self._register(phone, gate) for phone in self.phones))
        begun, tasks = asyncio.get_running_loop().time(), []
        for number in range(self.load.calls):
            due = begun + number / self.load.rate
            await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
            tasks.append(asyncio.create_task(self._call(self.phones[number % len(self.phones)])))
        await asyncio.gather(*tasks)
        await asyncio.gather(*(phone.close() for phone in self.phones))
        self.report.failures = dict(self.failures)
        self.report.quietest = min(self.heard, default=0)
        return self.report

    async def _register(self, phone: VirtualPhone, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                await phone.start()
                await phone.register()
                self.report.registered += 1
            except (RegistrationFailed, OSError) as error:
                self.failures[f"REGISTER: {error}"] += 1

    async def _call(self, phone: VirtualPhone) -> None:
        try:
            call = await phone.call(self.load.number)
            await call.answered()
            await asyncio.sleep(self.load.hold)
            await call.hang_up()
        except (CallFailed, OSError) as error:
            self.failures[f"INVITE: {error}"] += 1
            return
        except Exception as error:  # a bug of the lab is a failed call, not a hung test
            self.failures[f"{type(error).__name__}: {error}"] += 1
            return
        counters = call.voice.counters
        self.report.completed += 1
        self.report.packets_sent += counters.sent
        self.report.packets_heard += counters.received
        self.report.packets_refused += counters.refused
        self.heard.append(counters.received)


def main(text: str) -> None:
    report = uvloop.run(Runner(Load(**json.loads(text))).run())
    print(json.dumps(asdict(report)))


if __name__ == "__main__":
    main(sys.argv[1])
