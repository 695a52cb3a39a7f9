"""Many calls at once: held in one process on as many media addresses as that takes, and spread over the workers."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest

from cubeproxy.protocols.rtcp import ReceiverReport
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import MediaReserved, UpdateMedia
from tests.media import builds
from tests.media.phones import Phone, key
from tests.waiting import until

from .media_lab import PATIENCE, Exchange, live, port_pair, running

PORTS = (25000, 25199)  # a hundred pairs on an address
FEW, MANY = 250, 4000
STREAM = 8 * 1024  # octets of user space that an idle stream may take, both directions of a leg
KIB = 1024


class Crowd:
    """Calls whose phones share one socket a side: which call a packet belongs to, its local port tells."""

    def __init__(self, lab: Exchange) -> None:
        self.lab = lab
        pairs = [port_pair(host) for host in ("127.0.44.3", "127.0.44.4")]
        self.wires, self.reports = zip(*pairs, strict=True)
        for wire in self.wires:
            wire.settimeout(PATIENCE)
        self.calls: list[tuple[MediaReserved, tuple[Phone, Phone]]] = []

    async def add(self, suite: Suite) -> None:
        number = len(self.calls)
        pairs = (PORTS[1] + 1 - PORTS[0]) // 2
        local = (f"127.0.45.{1 + number // pairs}", f"127.0.46.{1 + number // pairs}")
        reserved = await self.lab.ask(local)
        assert isinstance(reserved, MediaReserved), reserved
        access = Phone(self.wires[0].getsockname(), key(number, suite), key(number + 1, suite))
        core = Phone(self.wires[1].getsockname())
        self.lab.service.handle(UpdateMedia(reserved.session, (access.spec(), core.spec())))
        self.calls.append((reserved, (access, core)))

    def talk(self) -> None:
        """A packet each way in every call."""
        for number, (reserved, phones) in enumerate(self.calls):
            for leg in (0, 1):
                spoken = bytes((leg,)) + number.to_bytes(4, "big") * 40
                self.wires[leg].sendto(phones[leg].say(spoken), reserved.local[leg])
                datagram, source = self.wires[1 - leg].recvfrom(2048)
                assert source == reserved.local[1 - leg]
                assert phones[1 - leg].hear(datagram).payload == spoken

    async def report(self) -> None:
        """A report each way in every call: contexts for SRTCP are made when the first one comes or goes."""
        for reserved, phones in self.calls:
            for leg in (0, 1):
                host, port = reserved.local[leg]
                self.reports[leg].sendto(phones[leg].tell(ReceiverReport(phones[leg].ssrc)), (host, port + 1))
        for reserved, _phones in self.calls:
            await until(partial(self._reported, reserved.session))

    def _reported(self, session: int) -> bool:
        return all(each.rtcp_received and each.rtcp_sent for each in self.lab.service.counters(session))

    def close(self) -> None:
        for wire in (*self.wires, *self.reports):
            wire.close()


def anonymous(pid: int) -> int:
    """Octets of a process that no file stands behind."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("RssAnon:")[2].split()[0]) * KIB


async def hold(count: int, reports: float = 0.0) -> None:
    async with running(ports=PORTS, reports=reports) as lab:
        (pid,) = lab.service.workers.values()
        assert lab.service.room(["a"], ["b"]).by_workers >= count, "raise the hard limit of open files"
        crowd = Crowd(lab)
        try:
            await crowd.add(Suite.AEAD_AES_256_GCM)
            crowd.talk()
            before = anonymous(pid)
            for number in range(1, count):
                await crowd.add(list(Suite)[number % 4])
            crowd.talk()
            if reports:
                await crowd.report()
            grown = anonymous(pid) - before
            assert len(os.listdir(f"/proc/{pid}/fd")) >= 4 * count
            stream = grown / (2 * (count - 1))
            print(f"{count} calls, {stream:.0f} octets of user space an idle stream")
            assert stream <= STREAM or builds.KIND != "plain", "a sanitizer's shadow is no stream's"
        finally:
            crowd.close()


@live
async def test_calls_on_several_addresses_are_held_and_a_stream_is_small() -> None:
    await hold(FEW)


@live
async def test_a_stream_with_reports_is_small_too() -> None:
    await hold(FEW, reports=0.2)


@pytest.mark.soak
@live
async def test_four_thousand_calls_are_held_in_one_process() -> None:
    await hold(MANY)


@live
async def test_calls_are_spread_over_the_workers() -> None:
    """Three loops, each a process of its own: nine calls make three each, and each hears only its own."""
    async with running(ports=PORTS, workers=3) as lab:
        crowd = Crowd(lab)
        before = {pid: len(os.listdir(f"/proc/{pid}/fd")) for pid in lab.service.workers.values()}
        try:
            for _ in range(9):
                await crowd.add(Suite.AES_CM_128_HMAC_SHA1_80)
            crowd.talk()
            sockets = {pid: len(os.listdir(f"/proc/{pid}/fd")) - count for pid, count in before.items()}
            assert set(sockets.values()) == {4 * 3}
        finally:
            crowd.close()
