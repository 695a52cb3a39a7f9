"""MediaService with real workers and real sockets on loopback."""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import socket
import struct

import pytest

from cubeproxy.protocols.rtcp import Goodbye, ReceiverReport, SenderReport, SourceDescription
from cubeproxy.protocols.values import (
    MediaLost,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    StreamCounters,
    UpdateMedia,
)
from cubeproxy.server.media import RESTARTS
from tests.media.phones import key, outbound

from .media_lab import LOCAL, PATIENCE, Exchange, gone, live, running, silent

SENDER_REPORT = struct.pack("!BBHIQIII", 0x80, 200, 6, 0x11223344, 1, 2, 3, 4)


def only_worker(lab: Exchange) -> int:
    (pid,) = lab.service.workers.values()
    return pid


@live
async def test_audio_passes_both_ways_and_is_counted() -> None:
    async with running() as lab:
        call = await lab.call()
        call.talk(10)
        access, core = lab.service.counters(call.session)
        assert (access.received, access.sent, core.received, core.sent) == (10, 10, 10, 10)
        assert access.received_octets == 10 * 161


@live
async def test_totals_are_of_all_sessions_and_never_go_back() -> None:
    async with running() as lab:
        calls = [await lab.call() for _ in range(2)]
        for call in calls:
            call.talk(4)
        assert (lab.service.totals().received, lab.service.totals().sent) == (16, 16)
        lab.service.handle(ReleaseMedia(calls[0].session))
        assert lab.service.totals().received == 16
        calls[1].talk(1)
        assert lab.service.totals().received == 18


@live
async def test_ports_are_pairs_and_hold_across_updates() -> None:
    async with running() as lab:
        call = await lab.call()
        assert [port % 2 for _host, port in call.local] == [0, 0]
        access, core = call.stations
        for _ in range(100):  # an update counts for every packet that is sent after it
            call.negotiate(access.spec(receives=False, sends=False), core.spec())
            call.negotiate(access.spec(), core.spec())
            call.talk(1)


@live
async def test_signalling_keeps_no_media_socket() -> None:
    async with running(workers=2) as lab:
        gc.collect()
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(30):
            assert isinstance(await lab.ask(), MediaReserved)
        assert len(os.listdir("/proc/self/fd")) == before


@live
async def test_a_released_session_is_silent_and_its_ports_are_free() -> None:
    async with running(rest=0.0) as lab:
        call = await lab.call()
        call.talk()
        lab.service.handle(ReleaseMedia(call.session))
        assert lab.service.counters(call.session) == (StreamCounters(), StreamCounters())
        later = await lab.call()
        later.talk()
        call.stations[0].send(call.local[0])
        later.talk()
        assert silent(call.stations[1].rtp)


@live
async def test_a_worker_keeps_no_socket_of_released_sessions() -> None:
    async with running() as lab:
        (await lab.call()).talk()
        before = len(os.listdir(f"/proc/{only_worker(lab)}/fd"))
        for _ in range(40):
            reserved = await lab.ask()
            assert isinstance(reserved, MediaReserved)
            lab.service.handle(ReleaseMedia(reserved.session))
        (await lab.call()).talk()  # commands are obeyed in order: what came before is done
        assert len(os.listdir(f"/proc/{only_worker(lab)}/fd")) == before + 4


@live
async def test_a_killed_worker_loses_its_calls_and_the_next_call_works() -> None:
    async with running() as lab:
        call = await lab.call()
        call.talk(5)
        pid = only_worker(lab)
        os.kill(pid, signal.SIGKILL)
        lost = await lab.event()
        assert isinstance(lost, MediaLost)
        assert lost.session == call.session
        assert lost.cause
        assert lab.service.counters(call.session)[0].received == 5, "what it counted stays readable"
        (await lab.call()).talk()
        assert only_worker(lab) != pid
        assert [report.name for report in lab.reports] == ["media.engine", "media.worker.lost"]


@live
async def test_a_killed_worker_takes_no_other_workers_calls_along() -> None:
    async with running(workers=2) as lab:
        calls = [await lab.call() for _ in range(2)]
        os.kill(next(iter(lab.service.workers.values())), signal.SIGKILL)
        lost = await lab.event()
        assert isinstance(lost, MediaLost)
        (left,) = [call for call in calls if call.session != lost.session]
        left.talk()


@live
async def test_a_hung_worker_is_replaced() -> None:
    async with running(heartbeat=0.02) as lab:
        call = await lab.call()
        pid = only_worker(lab)
        os.kill(pid, signal.SIGSTOP)
        assert await lab.event() == MediaLost(call.session, "the media worker does not answer")
        assert gone(pid)
        (await lab.call()).talk()


@live
async def test_a_worker_that_keeps_dying_is_not_started_without_pause() -> None:
    async with running() as lab:
        for number in range(RESTARTS + 1):
            assert isinstance(await lab.ask(), MediaReserved)
            os.kill(only_worker(lab), signal.SIGKILL)
            assert isinstance(await lab.event(), MediaLost), number
        refused = await lab.ask()
        assert isinstance(refused, MediaRefused)
        assert refused.cause == "no-worker"


@live
async def test_a_worker_guards_itself() -> None:
    """No core dump with keys, a session of its own, and no death by what is meant for signalling."""
    async with running() as lab:
        call = await lab.call()
        pid = only_worker(lab)
        assert resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0)
        assert os.getsid(pid) == pid != os.getsid(0)
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
            os.kill(pid, number)
        call.talk()


@live
async def test_closing_ends_the_workers() -> None:
    async with running(workers=2) as lab:
        await lab.call()
        pids = list(lab.service.workers.values())
        await lab.service.close()
        assert all(gone(pid, within=0.0) for pid in pids)


@live
async def test_workers_can_be_left_to_their_calls() -> None:
    async with running() as lab:
        call = await lab.call()
        pid = only_worker(lab)
        await lab.service.close(orphan=True)
        call.talk(20)
        os.kill(pid, signal.SIGKILL)


@live
async def test_draining_waits_for_the_calls_and_takes_no_new_ones() -> None:
    async with running() as lab:
        call = await lab.call()
        assert not await lab.service.drain(within=0.01)
        refused = await lab.ask()
        assert isinstance(refused, MediaRefused)
        draining = asyncio.create_task(lab.service.drain())
        call.talk()
        assert not draining.done()
        lab.service.handle(ReleaseMedia(call.session))
        assert await asyncio.wait_for(draining, PATIENCE)


@live
async def test_a_port_of_somebody_else_is_skipped() -> None:
    async with running(ports=(21000, 21005)) as lab:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((LOCAL[0], 21001))
            reserved = await lab.ask()
            assert isinstance(reserved, MediaReserved)
            assert reserved.local == ((LOCAL[0], 21002), (LOCAL[1], 21000))


@live
async def test_ports_that_are_all_taken_are_a_refusal() -> None:
    async with running(ports=(21000, 21001)) as lab:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
            taken.bind((LOCAL[1], 21000))
            refused = await lab.ask()
        assert isinstance(refused, MediaRefused)
        assert refused.cause == "no-ports"
        assert lab.service.sessions == 0


@live
async def test_an_address_that_is_not_ours_is_a_refusal_that_names_it() -> None:
    async with running() as lab:
        refused = await lab.ask(local=("127.0.40.1", "192.0.2.1"))
        assert isinstance(refused, MediaRefused)
        assert "192.0.2.1" in refused.text


@live
async def test_a_transcoder_is_refused() -> None:
    async with running() as lab:
        refused = await lab.ask(need=Need.TRANSCODER)
        assert isinstance(refused, MediaRefused)
        assert refused.cause == "no-transcoder"


@live
async def test_ipv6_legs_work_too() -> None:
    async with running() as lab:
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
                probe.bind(("::1", 0))
        except OSError:
            return  # this machine has no IPv6: nothing to show
        reserved = await lab.ask(local=("::1", "127.0.40.2"))
        assert isinstance(reserved, MediaReserved)
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as phone:
            phone.bind(("::1", 0))
            phone.settimeout(PATIENCE)
            core = lab.station("127.0.40.4")
            spec = core.spec(remote=phone.getsockname()[:2])
            lab.service.handle(UpdateMedia(reserved.session, (spec, core.spec())))
            core.send(reserved.local[1])
            datagram = phone.recv(2048)
            assert len(datagram) == 172
            phone.sendto(datagram, reserved.local[0])
            assert core.receive().payload == datagram[12:]


class TestAttacks:
    """A9 to A12 and A24 of the hardening plan, in small."""

    def test_a_port_scan_gets_no_answer_and_harms_no_call(self) -> None:
        @live
        async def scan() -> None:
            async with running() as lab:
                call = await lab.call()
                call.talk()
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as scanner:
                    scanner.bind(("127.0.40.66", 0))
                    for host, port in call.local:
                        for garbage in (b"", b"\x00" * 20, b"\x80\x00" + bytes(170), b"\x80\xc8\x00\x01" + bytes(4)):
                            for target in (port, port + 1):
                                scanner.sendto(garbage, (host, target))
                    call.talk(50)
                    assert silent(scanner)
                assert lab.service.counters(call.session)[1].strangers >= 1

        scan()

    def test_rtp_bleed_neither_hears_nor_is_heard(self) -> None:
        @live
        async def bleed() -> None:
            async with running() as lab:
                call = await lab.call()
                forger = outbound(key(66))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as attacker:
                    attacker.bind(("127.0.40.66", 0))
                    for number in range(100):
                        clear = struct.pack("!BBHII", 0x80, 0, number, number * 160, 0xBAD) + b"B" * 160
                        attacker.sendto(clear, call.local[1])
                        attacker.sendto(forger.protect(clear), call.local[0])
                        call.talk(1)
                    assert silent(attacker)
                assert silent(call.stations[0].rtp)
                assert silent(call.stations[1].rtp)
                access, core = lab.service.counters(call.session)
                assert (access.auth_failures, core.strangers) == (100, 100)

        bleed()

    @pytest.mark.parametrize("port", [0, 1], ids=["on the RTP port", "on its own port"])
    def test_rtcp_is_never_forwarded(self, port: int) -> None:
        @live
        async def rtcp() -> None:
            async with running() as lab:
                call = await lab.call()
                for leg in (0, 1):
                    host, local = call.local[leg]
                    sender = call.stations[leg].rtcp if port else call.stations[leg].rtp
                    sender.sendto(SENDER_REPORT, (host, local + port))
                call.talk()
                for station in call.stations:
                    assert silent(station.rtcp)
                    assert silent(station.rtp)
                assert [each.rtcp_dropped for each in lab.service.counters(call.session)] == [1, 1]

        rtcp()

    def test_replays_are_dropped(self) -> None:
        @live
        async def replay() -> None:
            async with running() as lab:
                call = await lab.call()
                access, core = call.stations
                recorded = [access.say(bytes((number,)) * 160) for number in range(20)]
                for datagram in recorded:
                    access.rtp.sendto(datagram, call.local[0])
                    core.receive()
                for datagram in recorded:
                    access.rtp.sendto(datagram, call.local[0])
                call.talk()
                assert silent(core.rtp)
                assert lab.service.counters(call.session)[0].replays == 20

        replay()


@live
async def test_terminated_rtcp_is_answered_on_each_leg_and_never_forwarded() -> None:
    """The secure leg's reports are SRTCP in both directions; each says what its own leg heard and sent."""
    async with running(reports=0.1) as lab:
        call = await lab.call()
        access, core = call.stations
        call.talk(5)
        for leg, station in enumerate(call.stations):
            host, port = call.local[leg]
            station.rtcp.sendto(station.tell(SenderReport(station.ssrc, 0x1122334455667788, 1, 2, 3)), (host, port + 1))
            station.rtcp.settimeout(PATIENCE)
        for leg, station in enumerate(call.stations):
            answered = 0
            for _ in range(200):  # a report that was made before ours was read has no answer in it
                call.talk(1)
                datagram, source = station.rtcp.recvfrom(2048)
                assert source == (call.local[leg][0], call.local[leg][1] + 1)
                report, name = station.told(datagram)
                assert isinstance(report, SenderReport | ReceiverReport)
                assert isinstance(name, SourceDescription)
                assert isinstance(report, ReceiverReport) or report.octets == report.packets * 161
                assert {block.ssrc for block in report.blocks} <= {station.ssrc}
                assert {block.lost for block in report.blocks} <= {0}
                answered = report.blocks[0].last_sr if report.blocks else 0
                if answered:
                    break
            assert answered == 0x33445566
        counted = lab.service.counters(call.session)
        assert [each.rtcp_received for each in counted] == [1, 1]
        assert all(each.rtcp_sent and not each.rtcp_dropped for each in counted)
        assert silent(access.rtp)
        assert silent(core.rtp)
        lab.service.handle(ReleaseMedia(call.session))
        for station in call.stations:
            while len(last := station.told(station.rtcp.recv(2048))) == 2:
                pass
            assert isinstance(last[2], Goodbye)


@live
async def test_a_worker_that_was_starved_of_its_core_loses_nothing() -> None:
    """200 ms without a turn: what came meanwhile waits in the sockets and goes out in order."""
    async with running() as lab:
        call = await lab.call()
        call.talk(3)
        pid = only_worker(lab)
        os.kill(pid, signal.SIGSTOP)
        try:
            for number in range(10):
                for leg in (0, 1):
                    call.stations[leg].send(call.local[leg], bytes((leg, number)) * 80)
            await asyncio.sleep(0.2)  # the starvation itself
        finally:
            os.kill(pid, signal.SIGCONT)
        for leg in (0, 1):
            heard = [call.stations[1 - leg].receive().payload for _ in range(10)]
            assert heard == [bytes((leg, number)) * 80 for number in range(10)]
        call.talk(3)
