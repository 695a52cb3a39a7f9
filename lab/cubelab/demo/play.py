"""A run of the demo, act by act. It only acts and notes what it saw; judging comes afterwards.

`Play` has what both runs have: two phones that register and a call that is heard. `FarmPlay`, in `farm_play`, is the
whole evening.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from cubelab.agent.agent import NoAnswer
from cubelab.agent.voice_call import CallFailed, VoiceCall
from cubelab.audio.tones import listen
from cubelab.audio.wav import write_wav
from cubelab.demo.boot import fingerprint_of
from cubelab.demo.legs import passed_on, read_legs, total_legs
from cubelab.demo.observations import Heard, Lines, Observations, Registered
from cubelab.demo.proxy import ProxyFailed
from cubelab.demo.stage import NUMBERS, Stage
from cubelab.phone.phone import RegistrationFailed, VirtualPhone
from cubelab.pki.lab import Identity
from cubelab.voice.voice import Voice

PATIENCE = 8.0  # s for anything that one waits for
SETTLE = 0.2  # s at the start of a recording that are not judged: both ends are not there at once


class Stop(Exception):
    """The run cannot go on; the text is the reason that later claims get."""


Progress = Callable[[str], None]
Act = Callable[[], Awaitable[None]]


class Play:
    def __init__(self, stage: Stage, progress: Progress) -> None:
        self.stage = stage
        self.seen = Observations(
            tones=stage.options.tones,
            proxy_host=stage.network.access,
            access_host=stage.network.access_wire,
            core_host=stage.network.core_wire,
            core_own=stage.network.core,
            command=f"cubeproxy run {stage.proxy.arguments[1].rpartition('/')[2]}",
        )
        self._progress = progress
        self._calls: list[VoiceCall] = []  # phone 1's side, phone 2's side

    @property
    def acts(self) -> tuple[tuple[str, Act], ...]:
        return (
            ("", self._open),
            ("", self._start_phones),
            ("", self._register),
            ("", self._call),
            ("", self._talk),
        )

    async def run(self) -> Observations:
        """All acts; the last ones come whatever happened before."""
        try:
            for title, act in self.acts:
                if title:
                    self._progress(title)
                await act()
        except Stop as stop:
            self.seen.stopped = str(stop)
        await self._close()
        return self.seen

    # Acts.

    async def _open(self) -> None:
        await self.stage.raise_curtain()
        try:
            self.seen.ready_after = await self.stage.proxy.start()
        except ProxyFailed as error:
            self.seen.proxy_trouble = str(error)
            raise Stop("the proxy did not start") from None

    async def _start_phones(self) -> None:
        await self.stage.start_phones()

    async def _register(self) -> None:
        await asyncio.gather(*(self._register_one(phone) for phone in self.stage.phones))
        self.seen.registrations.sort(key=lambda one: one.number)
        if bad := [one.number for one in self.seen.registrations if not one.ok]:
            raise Stop(f"phone {' and '.join(bad)} could not register")

    async def _register_one(self, phone: VirtualPhone) -> None:
        s = phone.settings
        shown = fingerprint_of(Identity(s.certificate, s.key)) if s.certificate and s.key else ""
        try:
            async with asyncio.timeout(PATIENCE):
                done = await phone.register()
        except (RegistrationFailed, TimeoutError) as error:
            detail = str(error) or f"no answer in {PATIENCE:.0f} s"
            self.seen.registrations.append(Registered(s.number, s.device, False, _why(phone, detail), shown=shown))
            return
        digest = "digest answered" if done.challenged else "no digest"
        detail = f"{digest}, expires {done.expires} s"
        self.seen.registrations.append(Registered(s.number, s.device, True, detail, done.challenged, shown))

    async def _call(self) -> None:
        one, two = self.stage.phones
        while not two.incoming.empty():  # of the plain offer, should it have come through
            await end(two.incoming.get_nowait())
        call = await one.call(NUMBERS[1])
        try:
            async with asyncio.timeout(PATIENCE):
                session = await call.answered()
                other = await two.incoming.get()
                await other.answered()
        except (CallFailed, TimeoutError) as error:
            self.seen.call_ok = False
            self.seen.call_detail = with_warning(error) if isinstance(error, CallFailed) else "no answer in time"
            await end(call)
            raise Stop("the call did not come up") from None
        self._calls = [call, other]
        self.seen.lines = [
            Lines(number, c.session.send_key, c.session.receive_key)
            for number, c in zip(NUMBERS, self._calls, strict=True)
            if c.session and c.session.send_key and c.session.receive_key
        ]
        suites = [line.own.suite.value for line in self.seen.lines]
        self.seen.call_ok = session.secure and len(suites) == 2
        self.seen.call_detail = f"200 OK at both phones; SDES {', '.join(suites) or 'not agreed'}"

    async def _talk(self) -> None:
        await asyncio.sleep(self.stage.options.talk)
        with suppress(OSError, TimeoutError):
            self.seen.show = await self.stage.proxy.show("call active voice brief")
            self.seen.legs = read_legs(self.seen.show)
        one, two = self._calls
        for listener, speaker in ((1, 0), (0, 1)):
            self._hear(listener, speaker, self._calls[listener].voice, self._calls[speaker].voice)
        await self._hang_up(one, two)

    def _hear(self, listener: int, speaker: int, ear: Voice, mouth: Voice) -> None:
        samples = ear.recording.samples()
        legs = self.seen.legs or []
        leg = next((one for one in legs if one.remote == mouth.address), None)
        write_wav(self.stage.file(f"phone-{NUMBERS[listener]}-heard.wav"), samples)
        self.seen.heard.append(
            Heard(
                NUMBERS[listener],
                NUMBERS[speaker],
                listen(samples, self.seen.tones[speaker], SETTLE),
                ear.counters.received,
                ear.counters.refused,
                mouth.counters.sent,
                leg.received if leg else None,
                passed_on(legs, leg) if leg else None,
            )
        )

    async def _hang_up(self, *calls: VoiceCall) -> None:
        """Phone 1 hangs up; phone 2 must see it."""
        self.seen.byes = 0
        await end(calls[0])
        for call in calls:
            with suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE):
                    cause = await asyncio.shield(call.leg.over)
                    self.seen.byes += cause.startswith("BYE")

    async def _close(self) -> None:
        """The end that every run has: unregister who is registered, count the legs, stop the proxy."""
        registered = [phone for phone in self.stage.phones if phone.registration is not None]
        try:
            async with asyncio.timeout(PATIENCE):
                for phone in registered:
                    await phone.unregister()
            self.seen.unregistered = not self.stage.cucm.registrar.bindings
        except (RegistrationFailed, TimeoutError):
            self.seen.unregistered = False
        if self.seen.ready_after is not None:
            with suppress(OSError, TimeoutError):
                self.seen.legs_after = total_legs(await self.stage.proxy.show("call active voice brief"))
        self.seen.exit_code = await self.stage.proxy.stop()
        self.seen.complaints = self.stage.proxy.complaints()
        await self.stage.strike()


async def end(call: VoiceCall) -> None:
    with suppress(NoAnswer, RuntimeError, TimeoutError):
        async with asyncio.timeout(PATIENCE):
            await call.hang_up()


def with_warning(error: CallFailed) -> str:
    return f"{error} (Warning: {error.warning})" if error.warning else str(error)


def _why(phone: VirtualPhone, detail: str) -> str:
    """What the phone itself knows about it: a refused handshake says more than a closed connection."""
    events = [event.text for event in phone.agent.events]
    return f"{detail}; {events[-1]}" if events and events[-1] not in detail else detail
