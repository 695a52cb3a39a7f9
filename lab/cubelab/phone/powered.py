"""A phone on the mains: boots, registers with what it has found, and boots again when it is told to reset."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from cubelab.phone.boot import Boot, Booted, BootSettings
from cubelab.phone.diary import Diary
from cubelab.phone.download import Downloader
from cubelab.phone.flash import Flash
from cubelab.phone.phone import Registration, VirtualPhone
from cubelab.phone.settings import PhoneSettings
from cubelab.voice.pacer import Pacer

Furnish = Callable[[PhoneSettings], PhoneSettings]


class PoweredPhone:
    """`furnish` adds to the settings from the configuration what no configuration says: voice, wire."""

    def __init__(
        self,
        settings: BootSettings,
        flash: Flash,
        downloader: Downloader,
        pacer: Pacer,
        furnish: Furnish = replace,
        diary: Diary | None = None,
    ) -> None:
        self.diary = diary or Diary()
        self.resets = 0
        self.booted: Booted | None = None
        self.phone: VirtualPhone | None = None
        self._boot = Boot(settings, flash, downloader, self.diary)
        self._downloader = downloader
        self._pacer = pacer
        self._furnish = furnish

    async def boot(self) -> Booted:
        """Boot, and once more when CAPF has changed the certificate. BootFailed."""
        self.booted = await self._boot.run()
        if self.booted.enrolled:
            self.reset("the certificate has changed")
            self.booted = await self._boot.run()
        return self.booted

    def make(self) -> VirtualPhone:
        """After `boot`: the phone that its configuration makes of it, not started yet."""
        assert self.booted is not None
        self.phone = VirtualPhone(self._furnish(self._boot.phone(self.booted, self._downloader.host)), self._pacer)
        return self.phone

    async def power_on(self) -> Registration:
        """BootFailed, RegistrationFailed."""
        await self.boot()
        phone = self.make()
        await phone.start()
        done = await phone.register()
        shown = self.booted.identity[0] if self.booted and self.booted.identity else "no certificate"
        self.diary.note("register", f"{phone.settings.number} registered with {shown}, expires {done.expires} s")
        return done

    async def obey(self) -> str:
        """Wait for one service-control, and do it; the action. BootFailed, RegistrationFailed."""
        assert self.phone is not None
        action = await self.phone.controls.get()
        self.reset(f"the cluster says {action}")
        old, self.phone = self.phone, None
        await old.close()
        await self.power_on()
        return action

    def reset(self, why: str) -> None:
        self.resets += 1
        self.diary.note("reset", why)

    async def power_off(self) -> None:
        """Without a word."""
        if self.phone is not None and hasattr(self.phone, "agent"):
            await self.phone.close()
        self._downloader.close()
