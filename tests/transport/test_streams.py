"""SIP on TCP and TLS connections: framing, limits, and that one peer's trouble is his alone.

The peers are plain sockets and the standard library's ssl, not our own code.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from pathlib import Path

import pytest

from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.values import Flow, Target, Transport
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.tls import TlsClient, TlsServer

from .conftest import Run
from .pki import CUBE, PHONE, Judge
from .recorder import Clock, Side, eventually, options, side, target_to


async def dial(at: Side) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*at.address)


async def read_to_end(reader: asyncio.StreamReader) -> bytes:
    """What comes until the peer closes, orderly or not."""
    received = b""
    try:
        async with asyncio.timeout(10):
            while data := await reader.read(65_536):
                received += data
    except ConnectionResetError:
        pass
    return received


def tls_server(judge: Judge | None = None) -> TlsServer:
    return TlsServer(CUBE.chain, CUBE.key, judge or Judge())


def phone_context(folder: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.load_cert_chain(*PHONE.files(folder, "phone"))
    return context


def test_pipelined_and_split_messages_arrive_in_order(run: Run) -> None:
    async def work() -> None:
        async with side(answers=True) as us:
            reader, writer = await dial(us)
            stream = options(1) + options(2, b"v=0\r\n" * 50) + b"\r\n\r\n" + options(3)
            for at in range(0, len(stream), 61):
                writer.write(stream[at : at + 61])
                await writer.drain()
                await asyncio.sleep(0)
            await us.recorder.until("received", 3)
            assert us.recorder.call_ids == ["call-1", "call-2", "call-3"]
            answers = b""
            while answers.count(b"SIP/2.0 200") < 3 or b"CSeq: 3" not in answers:
                answers += await reader.read(65_536)
            assert answers.index(b"CSeq: 1 ") < answers.index(b"CSeq: 2 ") < answers.index(b"CSeq: 3 ")
            assert us.transport.counters.keepalives == 1
            writer.close()

    run(work())


def test_a_double_crlf_is_answered_with_a_single_one(run: Run) -> None:
    async def work() -> None:
        async with side() as us:
            reader, writer = await dial(us)
            writer.write(b"\r\n\r\n")
            assert await reader.readexactly(2) == b"\r\n"
            writer.write(b"\r\n\r\n\r\n\r\n")
            assert await reader.readexactly(4) == b"\r\n\r\n"
            assert not us.recorder.of("received")
            writer.close()
            await us.recorder.until("closed")

    run(work())


def test_all_answers_of_one_turn_leave_in_one_write(run: Run) -> None:
    """Writes are gathered: a TLS peer gets one record for what was answered at once."""

    async def work() -> None:
        async with side(answers=True) as us:
            reader, writer = await dial(us)
            writer.write(b"".join(options(number) for number in range(1, 11)))
            (flow, _), *_ = await us.recorder.until("received", 10)
            connection = us.transport._streams[flow]
            assert len(connection._out) == 10
            first = await reader.read(65_536)
            assert first.count(b"SIP/2.0 200") == 10
            writer.close()

    run(work())


@pytest.mark.parametrize(
    ("octets", "status"),
    [
        (b"\x16\x03\x01\x00\xee" + bytes(range(256)) * 8 + b"\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (options(1).replace(b"Content-Length: 0", b"Content-Length: 9999999"), 513),
        (b"OPTIONS sip:a SIP/2.0\r\nX: " + b"y" * 20_000, 513),
    ],
)
def test_what_cannot_be_framed_closes_that_connection_after_the_answer(run: Run, octets: bytes, status: int) -> None:
    async def work() -> None:
        async with side(answers=True) as us:
            other_reader, other = await dial(us)
            reader, writer = await dial(us)

            def answer(flow: Flow, error: Exception, message: object) -> None:
                us.recorder._note("malformed", flow, error, message)
                if isinstance(message, Request):
                    us.transport.send(flow, response_to(message, 513))

            us.recorder.malformed = answer  # type: ignore[method-assign]
            writer.write(octets)
            ((flow, error, message),) = await us.recorder.until("malformed")
            assert error.fatal
            assert error.status == status
            received = await read_to_end(reader)
            assert received.startswith(b"SIP/2.0 513" if isinstance(message, Request) else b"")
            writer.close()
            ((closed, cause),) = await us.recorder.until("closed")
            assert closed is flow
            assert cause.startswith("malformed: ")
            other.write(options(7))
            assert (await other_reader.read(65_536)).startswith(b"SIP/2.0 200")
            other.close()

    run(work())


def test_a_fault_that_can_be_skipped_leaves_the_connection_open(run: Run) -> None:
    async def work() -> None:
        async with side() as us:
            _, writer = await dial(us)
            writer.write(options(1).replace(b"OPTIONS sip:100@127.0.0.1 ", b"OPTIONS sip:1 00 ") + options(2))
            await us.recorder.until("received")
            ((flow, error, message),) = us.recorder.of("malformed")
            assert not error.fatal
            assert message is not None
            assert flow.open
            assert us.recorder.call_ids == ["call-2"]
            writer.close()

    run(work())


def test_a_crash_of_the_handler_closes_that_peer_alone(run: Run) -> None:
    async def work() -> None:
        async with side(answers=True) as us:
            other_reader, other = await dial(us)
            _, writer = await dial(us)

            def crash(flow: Flow, message: Request | Response) -> None:
                if message.call_id == "call-666":
                    raise RuntimeError("a bug")

            us.recorder.on_received = crash
            writer.write(options(666) + options(1))
            ((_, cause),) = await us.recorder.until("closed")
            assert cause == "internal error"
            assert us.recorder.events[0].name == "handler.crashed"
            assert us.recorder.call_ids == ["call-666"]
            other.write(options(2))
            assert (await other_reader.read(65_536)).startswith(b"SIP/2.0 200")
            writer.close()
            other.close()

    run(work())


def test_a_message_that_takes_too_long_closes_the_connection(run: Run) -> None:
    """One octet now and then does not prolong the time for a whole message."""

    async def work() -> None:
        clock = Clock()
        async with side(clock=clock, limits=Limits(message_time=30)) as us:
            other_reader, other = await dial(us)
            other.write(b"\r\n\r\n")
            assert await other_reader.readexactly(2) == b"\r\n"
            reader, writer = await dial(us)
            for number, octet in enumerate(b"OPTIO", 1):
                writer.write(bytes([octet]))
                await eventually(lambda wanted=number + 4: us.transport.counters.octets_in == wanted)  # type: ignore[misc]
                clock.now += 7
                us.transport.tick()
            assert await read_to_end(reader) == b""
            ((_, cause),) = await us.recorder.until("closed")
            assert cause == "slow-message"
            (event,) = us.recorder.events
            assert (event.name, event.cause) == ("flow.limit", "slow-message")
            other.write(b"\r\n\r\n")
            assert await other_reader.readexactly(2) == b"\r\n"
            writer.close()
            other.close()

    run(work())


def test_a_whole_message_ends_the_deadline_of_its_parts(run: Run) -> None:
    async def work() -> None:
        clock = Clock()
        async with side(clock=clock, limits=Limits(message_time=30)) as us:
            _, writer = await dial(us)
            for number in range(1, 5):
                text = options(number)
                writer.write(text[:50])
                await eventually(lambda: len(us.transport._partial) == 1)
                clock.now += 20
                us.transport.tick()
                writer.write(text[50:])
                await us.recorder.until("received", number)
                assert len(us.transport._partial) == 0
            assert not us.recorder.of("closed")
            writer.close()

    run(work())


def test_an_idle_connection_is_closed_and_a_used_one_is_not(run: Run) -> None:
    async def work() -> None:
        clock = Clock()
        async with side(clock=clock, limits=Limits(idle=100)) as us:
            idle_reader, idle = await dial(us)
            busy_reader, busy = await dial(us)
            for writer, reader in ((idle, idle_reader), (busy, busy_reader)):
                writer.write(b"\r\n\r\n")
                await reader.readexactly(2)
            clock.now += 60
            busy.write(b"\r\n\r\n")
            await busy_reader.readexactly(2)
            clock.now += 40
            us.transport.tick()
            assert await read_to_end(idle_reader) == b""
            ((_, cause),) = await us.recorder.until("closed")
            assert cause == "idle"
            assert us.transport.connections == 1
            idle.close()
            busy.close()

    run(work())


def test_too_many_messages_are_read_later_not_lost(run: Run) -> None:
    async def work() -> None:
        clock = Clock()
        limits = Limits(messages_per_second=10_000, messages_burst=5)
        async with side(limits=limits, clock=clock, answers=True) as us:
            reader, writer = await dial(us)
            for number in range(1, 41):
                writer.write(options(number))
            await us.recorder.until("received", 1)
            await eventually(lambda: us.transport.counters.throttled > 0)
            received = b""
            while received.count(b"SIP/2.0 200") < 40:
                received += await reader.read(65_536)
                clock.now += 1
            assert us.recorder.call_ids == [f"call-{number}" for number in range(1, 41)]
            writer.close()

    run(work())


def test_a_peer_that_does_not_read_is_cut_off_at_the_write_cap(run: Run) -> None:
    async def work() -> None:
        async with side(limits=Limits(write_buffer=65_536)) as us:
            deaf = socket.socket()
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.setblocking(False)
            await asyncio.get_running_loop().sock_connect(deaf, us.address)
            await asyncio.get_running_loop().sock_sendall(deaf, options(1))
            ((flow, _),) = await us.recorder.until("received")
            sent = 0
            while flow.open and sent < 64_000_000:
                us.transport.send(flow, b"x" * 50_000)
                sent += 50_000
                await asyncio.sleep(0)
            ((_, cause),) = await us.recorder.until("closed")
            assert cause == "the peer does not read"
            assert us.transport.counters.overflows == 1
            deaf.close()

    run(work())


def test_a_target_is_reached_over_one_connection_which_is_used_again(run: Run) -> None:
    async def work() -> None:
        client = TlsClient(PHONE.chain, PHONE.key, Judge())
        async with (
            side(Transport.TLS, tls_server(), answers=True) as far,
            side(Transport.TCP, host="127.0.40.2", client=client) as us,
        ):
            target = target_to(Transport.TLS, far.address, ("127.0.40.2", 5061))
            us.transport.send(target, options(1))
            us.transport.send(target, options(2))
            await us.recorder.until("received", 2)
            us.transport.send(target, options(3))
            await us.recorder.until("received", 3)
            assert far.transport.counters.accepted == 1
            assert far.recorder.call_ids == ["call-1", "call-2", "call-3"]
            ((flow,),) = us.recorder.of("opened")
            assert flow.local == ("127.0.40.2", 5061)
            assert flow.identity.name == "cube.example.com"
            ((theirs,),) = far.recorder.of("opened")
            assert theirs.identity.name == "SEP001122334455"
            assert theirs.local == far.address
            assert theirs.remote[0] == "127.0.40.2"
            # the flow ends: whoever waits for answers over the target hears of it, and the next one connects again
            far.transport.close_flow(theirs, "for a reason")
            assert await us.recorder.until("failed") == [(target, "closed by the peer")]
            assert far.recorder.of("closed") == [(theirs, "for a reason")]
            us.transport.send(target, options(4))
            await us.recorder.until("received", 4)
            assert far.transport.counters.accepted == 2
            assert far.transport.counters.handshakes_resumed == 1

    run(work())


def test_a_target_that_refuses_fails_once_for_all_that_waited(run: Run) -> None:
    async def work() -> None:
        async with side() as us:
            with socket.socket() as taken:  # bound, and not listening
                taken.bind(("127.0.40.3", 0))
                target = target_to(Transport.TCP, taken.getsockname(), ("127.0.40.1", 5060))
                us.transport.send(target, options(1))
                us.transport.send(target, options(2))
                assert not us.recorder.of("failed")  # never from inside send
                ((path, cause),) = await us.recorder.until("failed")
            assert path == target
            assert "Connect call failed" in cause or "refused" in cause.lower()
            assert len(us.recorder.of("failed")) == 1

    run(work())


def test_tls_without_a_client_certificate_configured_fails_with_a_cause(run: Run) -> None:
    async def work() -> None:
        async with side() as us:
            target = Target(Transport.TLS, "127.0.40.3", 5061, ("127.0.40.1", 5061))
            us.transport.send(target, options(1))
            ((path, cause),) = await us.recorder.until("failed")
            assert path == target
            assert "no certificate is configured" in cause

    run(work())


def test_a_closed_flow_fails_what_is_sent_on_it(run: Run) -> None:
    async def work() -> None:
        async with side() as us:
            _, writer = await dial(us)
            writer.write(options(1))
            ((flow, _),) = await us.recorder.until("received")
            writer.close()
            await us.recorder.until("closed")
            us.transport.send(flow, options(2))
            assert await us.recorder.until("failed") == [(flow, "the connection is closed")]

    run(work())


def test_what_was_sent_before_close_flow_arrives(run: Run) -> None:
    async def work() -> None:
        async with side() as us:
            reader, writer = await dial(us)
            writer.write(options(1))
            ((flow, message),) = await us.recorder.until("received")
            us.transport.send(flow, response_to(message, 503))
            us.transport.close_flow(flow, "drained")
            assert (await read_to_end(reader)).startswith(b"SIP/2.0 503")
            assert await us.recorder.until("closed") == [(flow, "drained")]
            writer.close()

    run(work())


def test_a_reset_is_told_with_its_cause(run: Run) -> None:
    async def work() -> None:
        async with side() as us:
            _, writer = await dial(us)
            writer.write(options(1))
            await us.recorder.until("received")
            raw = writer.get_extra_info("socket")
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            writer.transport.abort()
            ((_, cause),) = await us.recorder.until("closed")
            assert cause.startswith("lost: ")

    run(work())


def test_untrusted_sources_get_no_answer_at_all(run: Run) -> None:
    async def work() -> None:
        async with side(trusted=lambda host: host == "127.0.40.9") as us:
            reader, writer = await dial(us)
            assert await read_to_end(reader) == b""
            writer.close()
            assert us.transport.counters.untrusted == 1
            assert us.transport.gate.half_open_total == 0
            ((event,),) = await us.recorder.until("refused")
            assert (event.name, event.peer) == ("sip.untrusted", "")  # sources can be spoofed: one event for all
            assert not us.recorder.of("received")

    run(work())


def test_the_standard_librarys_client_registers_and_says_goodbye(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        async with side(Transport.TLS, tls_server(), answers=True) as us:
            reader, writer = await asyncio.open_connection(*us.address, ssl=phone_context(tmp_path))
            writer.write(options(1))
            assert (await reader.read(65_536)).startswith(b"SIP/2.0 200")
            ((flow,),) = us.recorder.of("opened")
            assert flow.identity is not None
            assert flow.identity.name == "SEP001122334455"
            writer.close()
            assert await us.recorder.until("closed") == [(flow, "closed by the peer")]

    run(work())


def test_we_connect_to_the_standard_librarys_server(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        seen: list[object] = []

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            seen.append(writer.get_extra_info("peercert"))
            request = await reader.readuntil(b"\r\n\r\n")
            assert request.startswith(b"OPTIONS")
            writer.write(b"SIP/2.0 200 OK\r\nCall-ID: call-1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            writer.close()

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*CUBE.files(tmp_path, "cube"))
        from cryptography.hazmat.primitives.serialization import Encoding

        from .pki import CA

        context.load_verify_locations(cadata=CA.certificate.public_bytes(Encoding.PEM).decode())
        context.verify_mode = ssl.CERT_REQUIRED
        server = await asyncio.start_server(serve, "127.0.40.4", 0, ssl=context)
        address = server.sockets[0].getsockname()
        async with side(client=TlsClient(PHONE.chain, PHONE.key, Judge())) as us:
            us.transport.send(target_to(Transport.TLS, address, ("127.0.40.1", 5061)), options(1))
            ((_, message),) = await us.recorder.until("received")
            assert isinstance(message, Response)
            await us.recorder.until("closed")
        server.close()
        assert seen[0]["subject"] == ((("commonName", "SEP001122334455"),),)  # type: ignore[index]

    run(work())


def test_certificates_of_open_connections_can_be_judged_again(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        judge = Judge()
        async with side(Transport.TLS, tls_server(judge), answers=True) as us:
            reader, writer = await asyncio.open_connection(*us.address, ssl=phone_context(tmp_path))
            writer.write(options(1))
            await reader.read(65_536)
            assert await us.transport.rejudge() == 0
            judge.revoked.add("CN=SEP001122334455")
            assert await us.transport.rejudge() == 1
            ((_, cause),) = await us.recorder.until("closed")
            assert cause == "tls: certificate"
            event = us.recorder.events[0]
            assert (event.name, event.fields["reason"]) == ("tls.refused", "the certificate is revoked")
            writer.close()

    run(work())


def test_sip_in_clear_text_on_a_tls_port_is_explained(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.TLS, tls_server()) as us:
            reader, writer = await dial(us)
            writer.write(options(1))
            event = await us.recorder.event()
            assert (event.name, event.cause) == ("tls.refused", "not-tls")
            assert "port" in event.fix
            assert await read_to_end(reader) == b""
            writer.close()
            assert us.transport.connections == 0

    run(work())


def test_silence_and_half_a_client_hello_cost_no_tls_and_end_by_the_timer(run: Run) -> None:
    async def work() -> None:
        clock = Clock()
        async with side(Transport.TLS, tls_server(), clock=clock, limits=Limits(first_octet=5)) as us:
            silent_reader, silent = await dial(us)
            partial_reader, partial = await dial(us)
            partial.write(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc")
            await eventually(lambda: any(guest.received for each in us.transport._acceptors for guest in each.guests))
            assert us.transport.gate.half_open_total == 2
            assert us.transport.connections == 0
            clock.now += 5
            us.transport.tick()
            assert await read_to_end(silent_reader) == b""
            assert await read_to_end(partial_reader) == b""
            assert us.transport.gate.half_open_total == 0
            assert [event.name for event in us.recorder.events] == ["gate.timeout"] * 2
            silent.close()
            partial.close()

    run(work())


def test_a_handshake_that_stops_half_way_ends_by_its_timer(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        clock = Clock()
        async with side(Transport.TLS, tls_server(), clock=clock, limits=Limits(handshake=10)) as us:
            incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
            hello = phone_context(tmp_path).wrap_bio(incoming, outgoing)
            with pytest.raises(ssl.SSLWantReadError):
                hello.do_handshake()
            reader, writer = await dial(us)
            writer.write(outgoing.read())
            assert await reader.read(65_536)  # the server's flight
            clock.now += 10
            us.transport.tick()
            await read_to_end(reader)
            (event,) = us.recorder.events
            assert (event.name, event.cause) == ("tls.refused", "handshake-timeout")
            assert us.transport.gate.half_open_total == us.transport.connections == 0
            writer.close()

    run(work())


def test_who_waits_for_a_place_is_served_when_one_is_free(run: Run, tmp_path: Path) -> None:
    async def work() -> None:
        limits = Limits(handshakes_total=1, handshakes_per_address=1)
        async with side(Transport.TLS, tls_server(), limits=limits, answers=True) as us:
            context = phone_context(tmp_path)

            async def phone(number: int) -> bytes:
                reader, writer = await asyncio.open_connection(*us.address, ssl=context)
                writer.write(options(number))
                answer = await reader.read(65_536)
                writer.close()
                return answer

            answers = await asyncio.gather(*(phone(number) for number in range(12)))
            assert all(answer.startswith(b"SIP/2.0 200") for answer in answers)
            assert us.transport.counters.handshakes == 12

    run(work())


def test_connections_beyond_the_slots_are_closed_at_once(run: Run) -> None:
    async def work() -> None:
        async with side(Transport.TLS, tls_server(), limits=Limits(half_open_per_address=2)) as us:
            first, second, third = [await dial(us) for _ in range(3)]
            assert await read_to_end(third[0]) == b""
            event = await us.recorder.event()
            assert (event.name, event.cause) == ("gate.refused", "address-half-open")
            first[1].close()
            await eventually(lambda: us.transport.gate.half_open_total == 1)
            _, fourth = await dial(us)
            await eventually(lambda: us.transport.gate.half_open_total == 2)
            for writer in (second[1], third[1], fourth):
                writer.close()

    run(work())


def test_accepting_pauses_when_descriptors_run_out(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with side(answers=True) as us:
            acceptor = us.transport._acceptors[0]
            real = acceptor._sock

            class NoDescriptors:
                calls = 0

                def accept(self) -> None:
                    self.calls += 1
                    raise OSError(24, "Too many open files")

                def fileno(self) -> int:
                    return real.fileno()

            empty = NoDescriptors()
            acceptor._sock = empty  # type: ignore[assignment]
            reader, writer = await dial(us)
            event = await us.recorder.event()
            assert (event.name, event.cause) == ("accept.paused", "EMFILE")
            for _ in range(50):
                await asyncio.sleep(0)
            assert empty.calls == 1  # the loop does not spin
            acceptor._sock = real
            writer.write(options(1))  # served when the pause is over
            async with asyncio.timeout(5):
                assert (await reader.read(65_536)).startswith(b"SIP/2.0 200")
            writer.close()

    run(work())
