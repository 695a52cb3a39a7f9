"""The native worker's connected sockets: a call that lasts gets them, and nothing but the cost of a packet changes."""

from __future__ import annotations

import os
import signal
import socket

from cubeproxy.protocols.values import PASS_THROUGH, MediaReserved, ReleaseMedia
from tests.waiting import until

from .media_lab import Call, Exchange, live, running


def sockets(lab: Exchange) -> int:
    (pid,) = lab.service.workers.values()
    return len(os.listdir(f"/proc/{pid}/fd"))


def talk_until_connected(lab: Exchange, call: Call) -> int:
    """How many descriptors the worker had without the lines."""
    call.talk(1)  # it has its sockets now
    before = sockets(lab)
    for _ in range(2000):
        call.talk(1)
        if sockets(lab) == before + 2:
            return before
    raise AssertionError("no line was made")


@live
async def test_a_call_that_lasts_gets_a_line_for_each_leg_and_gives_them_back() -> None:
    async with running() as lab:
        call = await lab.call()
        before = talk_until_connected(lab, call)
        call.talk(50)
        lab.service.handle(ReleaseMedia(call.session))
        (await lab.call()).talk()
        assert sockets(lab) == before


@live
async def test_a_phone_that_moves_is_heard_and_followed() -> None:
    async with running() as lab:
        call = await lab.call()
        talk_until_connected(lab, call)
        access = call.stations[0]
        for _ in range(3):
            access.rtp.close()
            access.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            access.rtp.bind(("127.0.40.3", 0))
            access.send(call.local[0])
            call.stations[1].receive()
            call.talk(400)


@live
async def test_strangers_are_still_counted_and_not_heard() -> None:
    async with running() as lab:
        call = await lab.call()
        talk_until_connected(lab, call)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind(("127.0.40.66", 0))
            for _ in range(10):
                stranger.sendto(call.stations[1].say(), call.local[1])
                call.talk(1)
        await until(lambda: lab.service.counters(call.session)[1].strangers >= 10)
        assert lab.service.counters(call.session)[1].strangers == 10


async def unopened(lab: Exchange) -> Call:
    """A call whose packets go on octet by octet, as to somebody else who has their keys."""
    reserved = await lab.ask()
    assert isinstance(reserved, MediaReserved), reserved
    call = Call(lab.service, reserved, lab.station("127.0.40.3"), lab.station("127.0.40.4"))
    call.negotiate(*(station.spec(codec=PASS_THROUGH) for station in call.stations))
    return call


async def say_alone(lab: Exchange, call: Call) -> None:
    """One packet from leg 0, and no other before the worker has passed it on."""
    before = lab.service.counters(call.session)[1].sent
    call.stations[0].send(call.local[0])
    await until(lambda: lab.service.counters(call.session)[1].sent > before)


async def lose_and_find_the_core(lab: Exchange, call: Call) -> None:
    talk_until_connected(lab, call)
    access, core = call.stations
    core.rtp.close()
    for _ in range(10):
        await say_alone(lab, call)
    core.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    core.rtp.bind(core.address)
    core.send(call.local[1])
    access.receive()
    for number in range(50):
        access.send(call.local[0], b"back" + bytes((number,)))
    while core.receive().payload != b"back" + bytes((49,)):
        pass
    call.talk(20)


@live
async def test_a_peer_whose_port_is_closed_costs_nothing() -> None:
    """Its ICMP errors reach a connected socket; the other direction goes on, and this one when the peer is back.

    The error of a packet that no other follows is told to the standing receive, and ends it.
    """
    async with running() as lab:
        await lose_and_find_the_core(lab, await lab.call())
        await lose_and_find_the_core(lab, await unopened(lab))


@live
async def test_a_line_overtakes_nothing_that_waits() -> None:
    """A worker that is far behind: what waits in the first socket goes out before what comes by the line."""
    behind, more = 200, 50
    async with running() as lab:
        calls = [await lab.call() for _ in range(30)]
        for call in calls:
            call.talk(30)
        (pid,) = lab.service.workers.values()
        os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(behind):
                for call in calls:
                    call.stations[0].send(call.local[0], number.to_bytes(4, "big") * 40)
        finally:
            os.kill(pid, signal.SIGCONT)
        for number in range(behind, behind + more):
            for call in calls:
                call.stations[0].send(call.local[0], number.to_bytes(4, "big") * 40)
        for call in calls:
            heard = [call.stations[1].receive() for _ in range(behind + more)]
            assert [each.payload for each in heard] == [number.to_bytes(4, "big") * 40 for number in range(250)]
            assert len({(each.sequence - number) & 0xFFFF for number, each in enumerate(heard)}) == 1
