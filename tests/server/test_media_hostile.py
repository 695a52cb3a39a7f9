"""What a network does to a call costs the call nothing but a counter, in every worker."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

from cubeproxy.protocols.values import StreamCounters
from tests.media.phones import Phone, key
from tests.waiting import until

from .media_lab import Call, Exchange, live, running, silent

FULL = ("10.77.0.1", "10.77.0.2")  # ours and the peer's on a slow link
PACKETS = 3000
BEGINNINGS = (b"\x80\x00", b"\x80\xc8", b"\x90\x00", b"\xbf\x00", b"\x00", b"\x16", b"")


def counted(lab: Exchange, call: Call) -> tuple[StreamCounters, StreamCounters]:
    return lab.service.counters(call.session)


@live
async def test_a_dead_peer_costs_its_own_direction_only_and_is_heard_when_it_is_back() -> None:
    """Its ICMP errors reach some back ends and not others; a call survives them in all."""
    async with running() as lab:
        call, other = await lab.call(), await lab.call()
        call.talk(5)
        access, core = call.stations
        core.rtp.close()
        for _ in range(200):
            access.send(call.local[0])
            other.talk(1)
        await until(lambda: counted(lab, call)[0].received == 205)
        core.rtp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        core.rtp.bind(core.address)
        core.send(call.local[1])
        access.receive()
        access.send(call.local[0], b"back")
        while core.receive().payload != b"back":
            pass
        call.talk(20)


@live
async def test_a_peer_that_no_route_leads_to_is_counted() -> None:
    """From a loopback address nothing can be sent to the world: the kernel refuses each packet."""
    async with running() as lab:
        call, other = await lab.call(), await lab.call()
        access, core = call.stations
        call.talk(3)
        call.negotiate(access.spec(), core.spec(remote=("192.0.2.9", 5000)))
        for _ in range(20):
            access.send(call.local[0])
            other.talk(1)
        await until(lambda: counted(lab, call)[1].unsent == 20)
        call.negotiate(access.spec(), core.spec())
        call.talk(5)
        assert [each.unsent for each in counted(lab, other)] == [0, 0]
        assert counted(lab, call)[0].unsent == 0


@live
async def test_garbage_over_all_ports_for_a_while_is_counted_and_not_answered() -> None:
    """Every kind of first octet, every length, on all four ports, while the call talks."""
    source = random.Random(5)
    async with running() as lab:
        call = await lab.call()
        call.talk(3)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as scanner:
            scanner.bind(("127.0.40.66", 0))
            for _ in range(300):
                for host, port in call.local:
                    for more in (0, 1):
                        length = source.choice((0, 1, 8, 12, 40, 172, 1472, 4000))
                        garbage = source.choice(BEGINNINGS) + source.randbytes(length)
                        scanner.sendto(garbage[:length], (host, port + more))
                call.talk(1)
            assert silent(scanner)
        for station in call.stations:
            assert silent(station.rtp)
            assert silent(station.rtcp)

        def noise() -> int:
            return sum(
                each.malformed + each.strangers + each.auth_failures + each.replays + each.rtcp_dropped
                for each in counted(lab, call)
            )

        await until(lambda: noise() >= 1200)  # nothing orders what comes by other ports
        assert noise() == 1200
        assert [each.received for each in counted(lab, call)] == [303, 303]


@live
async def test_a_recorded_stream_played_again_is_counted_and_not_heard() -> None:
    """The whole of it, from the phone's own address, while the call goes on."""
    async with running() as lab:
        call = await lab.call()
        access, core = call.stations
        recorded = [access.say(bytes((number,)) * 160) for number in range(200)]
        for datagram in recorded:
            access.rtp.sendto(datagram, call.local[0])
            core.receive()
        for datagram in recorded:
            access.rtp.sendto(datagram, call.local[0])
            call.talk(1)
        assert counted(lab, call)[0].replays == 200
        assert silent(core.rtp)


def test_a_full_send_queue_drops_its_own_packets_and_nothing_else(root: Path) -> None:
    """In a network namespace of its own: a link that takes five packets a second, and then all."""
    if not shutil.which("unshare") or not shutil.which("tc"):
        pytest.skip("no unshare, or no tc (iproute2) to make a link slow")
    command = ["unshare", "-Urn", sys.executable, "-m", "tests.server.test_media_hostile"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=dict(os.environ), check=False)
    if "not permitted" in done.stderr:
        pytest.skip(f"no namespaces here: {done.stderr.splitlines()[-1]}")
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["received"] == told["sent"] == PACKETS
    assert told["unsent"] > PACKETS // 10
    assert told["arrived"] < PACKETS - told["unsent"]
    assert told["heard_meanwhile"] == told["heard_after"] == 20


# --- inside the namespace


def _link() -> socket.socket:
    """Two virtual devices: the near one has our address and a slow queue, the far one's frames are in our hands."""
    for command in (
        "link set lo up",
        "link add near type veth peer name far",
        "link set near address 02:00:00:00:00:01",
        f"address add {FULL[0]}/24 dev near",
        "link set near up",
        "link set far up",
        f"neighbour add {FULL[1]} lladdr 02:00:00:00:00:02 dev near",
    ):
        subprocess.run(["ip", *command.split()], check=True)
    _queue("tbf rate 8kbit burst 1600 limit 10000000")
    far = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
    far.bind(("far", 0x0800))
    far.setblocking(False)
    return far


def _queue(kind: str) -> None:
    """Give the link another queue; what waits in the one before goes with it."""
    subprocess.run(f"tc qdisc replace dev near root {kind}".split(), check=True)


def _drain(far: socket.socket) -> int:
    """Media packets that wait at the other end."""
    count = 0
    while True:
        try:
            frame = far.recv(4096)
        except BlockingIOError:
            return count
        count += frame[23] == socket.IPPROTO_UDP and frame[36:38] == (5000).to_bytes(2, "big")


async def _fill() -> dict[str, int]:
    far = _link()
    async with running() as lab:
        reserved = await lab.ask(("127.0.40.1", FULL[0]))
        access = lab.station("127.0.40.3", key(1), key(2))
        core = Phone((FULL[1], 5000))
        call = Call(lab.service, reserved, access, lab.station("127.0.40.4"))  # type: ignore[arg-type]
        call.negotiate(access.spec(), core.spec())

        def hears(count: int) -> int:
            """Packets that come over the link and are heard by the phone."""
            heard = 0
            for number in range(count):
                spoken = bytes((number,)) * 160
                packet = IP(src=FULL[1], dst=FULL[0]) / UDP(sport=5000, dport=call.local[1][1]) / core.say(spoken)
                far.send(bytes(Ether(src="02:00:00:00:00:02", dst="02:00:00:00:00:01") / packet))
                heard += access.receive().payload == spoken
            return heard

        for number in range(PACKETS):
            access.send(call.local[0])
            if number % 50 == 49:
                await until(lambda most=number: counted(lab, call)[0].received == most + 1)  # type: ignore[misc]
        meanwhile = hears(20)
        await until(lambda: counted(lab, call)[1].sent == PACKETS)
        _queue("pfifo")
        arrived = _drain(far)
        before = counted(lab, call)[1].unsent
        for _ in range(20):
            access.send(call.local[0])
        await until(lambda: counted(lab, call)[1].sent == PACKETS + 20)
        await until(lambda: _drain(far) > 0)
        after = counted(lab, call)
        assert after[1].unsent == before, "room again: nothing is refused any more"
        return {
            "received": after[0].received - 20,
            "sent": after[1].sent - 20,
            "unsent": before,
            "arrived": arrived,  # in time
            "heard_meanwhile": meanwhile,
            "heard_after": hears(20),
        }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_fill())))
