"""SIP over UDP, against plain sockets."""

from __future__ import annotations

import asyncio
import itertools
import socket

import pytest

from cubeproxy.protocols.values import Address, Flow, Target, Transport
from cubeproxy.transport.limits import Limits

from .conftest import Run
from .recorder import eventually, options, side, target_to


class Peer:
    """A plain UDP socket."""

    def __init__(self, host: str = "127.0.40.20") -> None:
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind((host, 0))
        self.sock.setblocking(False)
        self.address: Address = self.sock.getsockname()

    async def receive(self) -> bytes:
        async with asyncio.timeout(10):
            return await asyncio.get_running_loop().sock_recv(self.sock, 65_535)

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()


def test_a_request_is_answered_on_its_flow_and_the_flow_is_the_same_next_time(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.UDP, answers=True) as us:
            with Peer() as peer:
                for number in (1, 2):
                    peer.sock.sendto(options(number), us.address)
                    assert (await peer.receive()).startswith(b"SIP/2.0 200")
                (first, _), (second, _) = us.recorder.of("received")
                assert first is second
                assert (first.remote, first.local) == (peer.address, us.address)
                target = target_to(Transport.UDP, peer.address, us.address)
                us.transport.send(target, options(3))
                assert (await peer.receive()).startswith(b"OPTIONS")
                assert not us.recorder.of("failed")

    run(work())


def test_a_datagram_larger_than_an_mtu_is_sent_as_it_is(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.UDP) as us:
            with Peer() as peer:
                message = options(1, b"x" * 9000)
                us.transport.send(target_to(Transport.UDP, peer.address, us.address), message)
                assert await peer.receive() == message

    run(work())


def test_a_closed_port_fails_the_flow_and_the_target(run: Run) -> None:
    """The kernel's ICMP error is told with the address it is about; other peers are not touched."""

    async def work() -> None:
        async with side(Transport.UDP, answers=True) as us:
            with Peer() as gone:
                address = gone.address
            target = target_to(Transport.UDP, address, us.address)
            for _ in range(3):
                us.recorder.log.clear()
                us.transport.send(target, options(1))
                failed = await us.recorder.until("failed", 2)
                assert {cause for _, cause in failed} == {"ECONNREFUSED"}
                flow = next(path for path, _ in failed if isinstance(path, Flow))
                assert flow.remote == address
                assert target in [path for path, _ in failed]
            with Peer() as peer:  # the socket is still read after errors
                peer.sock.sendto(options(2), us.address)
                assert (await peer.receive()).startswith(b"SIP/2.0 200")

    run(work())


def test_no_listener_on_that_address_fails(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.UDP) as us:
            target = Target(Transport.UDP, "127.0.40.20", 5060, ("127.0.40.77", 5060))
            us.transport.send(target, options(1))
            ((path, cause),) = await us.recorder.until("failed")
            assert path == target
            assert "127.0.40.77:5060" in cause

    run(work())


def test_a_message_too_large_for_udp_fails(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.UDP) as us:
            target = Target(Transport.UDP, "127.0.40.20", 5060, us.address)
            us.transport.send(target, b"x" * 70_000)
            assert await us.recorder.until("failed") == [(target, "EMSGSIZE")]

    run(work())


def test_garbage_is_told_and_keepalives_are_not(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.UDP, answers=True) as us:
            with Peer() as peer:
                for data in (b"", b"\r\n\r\n", b"\0\0\0\0", b"\xff" * 700, options(1)[:-1], options(9)):
                    peer.sock.sendto(data, us.address)
                assert (await peer.receive()).startswith(b"SIP/2.0 200")
                assert us.recorder.call_ids == ["call-9"]
                assert len(us.recorder.of("malformed")) == us.transport.counters.malformed == 2

    run(work())


def test_flows_are_forgotten_least_recently_used_first(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.UDP, limits=Limits(udp_flows=2), answers=True) as us:
            peers = [Peer() for _ in range(3)]
            for number in (0, 1, 0, 2, 0, 1):
                peers[number].sock.sendto(options(number + 1), us.address)
                assert await peers[number].receive()
            flows = [flow for flow, _ in us.recorder.of("received")]
            assert flows[0] is flows[2] is flows[4]
            assert flows[1] is not flows[5]  # the second peer was forgotten when the third came
            us.transport.send(flows[1], options(5))  # who holds a forgotten flow can still use it
            assert (await peers[1].receive()).startswith(b"OPTIONS")
            for peer in peers:
                peer.sock.close()

    run(work())


def test_a_flood_is_read_in_batches_so_that_others_have_their_turn(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.UDP, limits=Limits(udp_batch=8)) as us:
            with Peer() as peer:
                for number in range(100):
                    peer.sock.sendto(options(number), us.address)
                turns: list[int] = []
                while len(us.recorder.of("received")) < 100:
                    turns.append(len(us.recorder.of("received")))
                    await asyncio.sleep(0)
                steps = [after - before for before, after in itertools.pairwise(turns)]
                assert max(steps) <= 8

    run(work())


def test_strangers_are_discarded_unread(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.UDP, trusted=lambda host: host == "127.0.40.21", answers=True) as us:
            with Peer() as stranger, Peer("127.0.40.21") as friend:
                stranger.sock.sendto(options(1), us.address)
                stranger.sock.sendto(b"\xff", us.address)
                friend.sock.sendto(options(2), us.address)
                assert (await friend.receive()).startswith(b"SIP/2.0 200")
                assert us.recorder.call_ids == ["call-2"]
                assert us.transport.counters.untrusted == 2
                assert not us.recorder.of("malformed")

    run(work())


@pytest.mark.parametrize("number", [1])
def test_a_crash_of_the_handler_is_reported_and_the_socket_goes_on(run: Run, number: int) -> None:
    async def work() -> None:
        async with side(Transport.UDP, answers=True) as us:

            def crash(flow: Flow, message: object) -> None:
                if len(us.recorder.of("received")) == number:
                    raise ValueError

            us.recorder.on_received = crash
            with Peer() as peer:
                peer.sock.sendto(options(1), us.address)
                await eventually(lambda: bool(us.recorder.events))
                assert us.recorder.events[0].name == "handler.crashed"
                peer.sock.sendto(options(2), us.address)
                assert (await peer.receive()).startswith(b"SIP/2.0 200")

    run(work())


def test_strangers_are_discarded_unread_and_told_without_their_names(run: Run) -> None:
    """Sources can be spoofed: an event per source would fill the operator's disk."""

    async def work() -> None:
        async with side(Transport.UDP, answers=True, trusted=lambda host: host == "127.0.40.20") as us:
            with Peer("127.0.40.66") as stranger, Peer("127.0.40.20") as peer:
                for data in (options(1), b"garbage", b"\x00" * 40, options(2)):
                    stranger.sock.sendto(data, us.address)
                peer.sock.sendto(options(3), us.address)
                assert (await peer.receive()).startswith(b"SIP/2.0 200")
                assert us.recorder.call_ids == ["call-3"]
                assert us.transport.counters.untrusted == 4
                assert {(event.name, event.peer, event.text) for event in us.recorder.events} == {
                    ("sip.untrusted", "", us.recorder.events[0].text)
                }
                with pytest.raises(BlockingIOError):
                    stranger.sock.recv(100)

    run(work())
