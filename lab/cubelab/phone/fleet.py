"""Many phones in one process: registrations and calls at a given rate, and what became of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from cubelab.agent.voice_call import CallFailed, VoiceCall, quiet
from cubelab.phone.phone import RegistrationFailed, VirtualPhone


@dataclass(slots=True)
class Tally:
    """Outcomes of one kind of attempt. `seconds` are from the request to its final answer."""

    succeeded: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)

    @property
    def failed(self) -> int:
        return self.failures.total()


class Fleet:
    """`phones` are started already; each carries one call of the fleet at a time, when `calls` is not too fast."""

    def __init__(self, phones: Sequence[VirtualPhone]) -> None:
        self.phones = phones
        self.registrations = Tally()
        self.calls = Tally()
        self.peak = 0  # calls up at the same time
        self._up = 0

    async def register(self, rate: float = 50.0) -> Tally:
        """Register every phone, so many a second."""
        await self._paced([self._register(phone) for phone in self.phones], rate)
        return self.registrations

    async def unregister(self) -> None:
        await asyncio.gather(*(phone.unregister() for phone in self.phones if phone.registration))

    async def call(self, number: Callable[[int], str], count: int, rate: float, hold: float) -> Tally:
        """`count` calls from the phones in turn, `rate` a second, each `hold` seconds long.

        `number` gives whom the n-th call is for.
        """
        phones = self.phones
        await self._paced([self._call(phones[n % len(phones)], number(n), hold) for n in range(count)], rate)
        return self.calls

    async def _paced(self, jobs: Sequence[Coroutine[Any, Any, None]], rate: float) -> None:
        """Start the jobs on an absolute schedule and wait for all."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        async with asyncio.TaskGroup() as group:
            for position, job in enumerate(jobs):
                await asyncio.sleep(began + position / rate - loop.time())
                group.create_task(job)

    async def _register(self, phone: VirtualPhone) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await phone.register()
        except RegistrationFailed as error:
            self.registrations.failures[str(error)] += 1
        else:
            self.registrations.succeeded += 1
            self.registrations.seconds.append(loop.time() - began)

    async def _call(self, phone: VirtualPhone, number: str, hold: float) -> None:
        loop = asyncio.get_running_loop()
        began = loop.time()
        call = await phone.call(number)
        try:
            await call.answered()
        except CallFailed as error:
            self.calls.failures[str(error)] += 1
            return
        self.calls.seconds.append(loop.time() - began)
        self._up += 1
        self.peak = max(self.peak, self._up)
        self._settle(call, await self._hold(call, hold))

    async def _hold(self, call: VoiceCall, hold: float) -> bool:
        """Let the call stand; False when it ended before we did."""
        try:
            async with asyncio.timeout(hold):
                await asyncio.shield(call.leg.over)
        except TimeoutError:
            await quiet(call)
            return True
        return False

    def _settle(self, call: VoiceCall, lasted: bool) -> None:
        self._up -= 1
        if not lasted:
            self.calls.failures[f"ended early: {call.leg.over.result()}"] += 1
        elif call.voice.counters.refused:
            self.calls.failures["packets failed authentication"] += 1
        else:
            self.calls.succeeded += 1
