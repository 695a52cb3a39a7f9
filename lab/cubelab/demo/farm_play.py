"""The whole evening: a phone out of the box, the calls over a DSP farm, the eavesdropper, and the farm that is gone."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from cubelab.agent.voice_call import CallFailed
from cubelab.demo.boot import watch_boot
from cubelab.demo.dissector import RTP, SKINNY, TOOL, dissect
from cubelab.demo.observations import FarmSeen, Observations, Refusal
from cubelab.demo.play import PATIENCE, Act, Play, end, with_warning
from cubelab.demo.stage import NUMBERS
from cubelab.eavesdropper.eavesdropper import eavesdrop
from cubelab.eavesdropper.sccp import SccpSeen, read_sccp
from cubelab.voice.negotiation import PLAIN


class FarmPlay(Play):
    @property
    def acts(self) -> tuple[tuple[str, Act], ...]:
        return (
            ("starting the cluster, the proxy and its DSP farm", self._open),
            ("booting phone 1: trust list, configuration, certificate", self._boot),
            ("registering two phones over mutual TLS", self._register),
            ("offering plain RTP to the secure access side", self._offer_plain),
            ("calling from phone 1 to phone 2", self._call),
            ("speaking, each direction with its own tone", self._talk),
            ("stopping the DSP farm, and calling again", self._without_farm),
        )

    async def run(self) -> Observations:
        await super().run()
        self._progress("eavesdropping on both sides")
        await self._examine()
        return self.seen

    async def _open(self) -> None:
        await super()._open()
        if self.stage.farm is not None:
            self.seen.farm = FarmSeen()
            self._farm = asyncio.create_task(self.stage.start_farm(), name="farm")

    async def _boot(self) -> None:
        """A phone that cannot boot is a failed claim; the call is shown all the same, with an LSC made beforehand."""
        stage = self.stage
        device = stage.phones[0].settings.device
        self.seen.boot = await watch_boot(stage.booting, stage.flash, stage.cluster, device, PATIENCE)
        self.seen.served = stage.proxy.field("ctl.serving", "sha1")
        if not self.seen.boot.stopped:
            stage.adopt_booted()
        await stage.start_phones()

    async def _offer_plain(self) -> None:
        call = await self.stage.phones[0].call(NUMBERS[1], voice=PLAIN)
        try:
            async with asyncio.timeout(PATIENCE):
                await call.answered()
        except CallFailed as error:
            self.seen.plain_offer = (error.status, with_warning(error))
        except TimeoutError:
            self.seen.plain_offer = (0, "nothing")
        else:
            self.seen.plain_offer = (200, "200 OK")
        await end(call)

    async def _call(self) -> None:
        """The farm has had the time of a boot to register; without it the call is tried all the same."""
        await self._farm_there()
        await super()._call()

    async def _farm_there(self) -> None:
        farm, seen = self.stage.farm, self.seen.farm
        if farm is None or seen is None:
            return
        seen.started = await self._farm
        if seen.stopped is None and farm.exit_code is not None:
            seen.trouble = farm.last_words()

    async def _without_farm(self) -> None:
        """Stop the farm, and see what becomes of the next call."""
        farm, seen = self.stage.farm, self.seen.farm
        if farm is None or seen is None:
            return
        seen.stopped = await farm.stop()
        await self._farm_forgotten()
        call = await self.stage.phones[0].call(NUMBERS[1])
        seen.refusal = Refusal(200, "200 OK")
        try:
            async with asyncio.timeout(PATIENCE):
                await call.answered()
        except CallFailed as error:
            seen.refusal = Refusal(error.status, str(error), error.warning, error.reason)
        except TimeoutError:
            seen.refusal = Refusal(0, f"no answer in {PATIENCE:.0f} s")
        await end(call)

    async def _farm_forgotten(self) -> None:
        """Until the proxy knows that it is gone; if it never does, the call will tell."""
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(PATIENCE):
                while "UNREGISTERED" not in await self.stage.proxy.show("sdspfarm units"):  # noqa: ASYNC110 - its process
                    await asyncio.sleep(0.02)

    async def _close(self) -> None:
        """The farm ends before the proxy does, whether the evening went on to that act or not."""
        await self._farm_there()
        if self.seen.farm is not None and self.stage.farm is not None:
            await self.stage.farm.stop()
            self.seen.farm.complaints = self.stage.farm.complaints()
        await super()._close()

    async def _examine(self) -> None:
        """The same eavesdropper, the same code, on what either wire forwarded; and our decoder on port 2000."""
        sccp = await self._read_sccp()
        if not self._calls:
            return
        captures, out = self.stage.captures, self.stage.options.out
        dissections = asyncio.gather(
            *(dissect(one.path, one.written, RTP) for one in captures.values() if one.written),
            *([dissect(self.stage.sccp_capture.path, sccp.total, SKINNY)] if sccp is not None else []),
        )
        self.seen.core = await asyncio.to_thread(eavesdrop, captures["core"].path, out)
        self.seen.access = await asyncio.to_thread(eavesdrop, captures["access"].path, out)
        results = await dissections
        if any(result is None for result in results):
            self.seen.no_dissector = TOOL
        else:
            self.seen.dissected = [result for result in results if result is not None]

    async def _read_sccp(self) -> SccpSeen | None:
        if self.seen.farm is None:
            return None
        self.seen.farm.sccp = await asyncio.to_thread(read_sccp, self.stage.sccp_capture.path)
        return self.seen.farm.sccp
