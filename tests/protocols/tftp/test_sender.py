"""The server's end, row by row: RFC 1350 with RFC 2347, 2348, 2349 and 7440."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.tftp import Ack, Data, Error, Limits, OptionAck, Pace, Request, Sender, refusal
from cubeproxy.protocols.tftp.transfer import PACE, Input, State
from tests.protocols.tftp.stage import PEER, STRANGER, Stage

S = State
BIG = {"blksize": "1024"}
CONTENT = bytes(range(256)) * 6  # 1536 octets: four blocks of 512, the last one empty


def sender(options: dict[str, str] | None = None, content: bytes = CONTENT, pace: Pace = PACE) -> Sender:
    return Sender(content, Request("CTLSEP001122334455.tlv", options=options or {}), PEER, pace)


def first() -> Stage[Sender]:
    """A phone of the old kind: no options, 512 octets, and the first block is out."""
    stage = Stage(sender())
    stage.check(stage.machine.start(0.0), ("DATA 1 512",), S.FIRST)
    return stage


def sending() -> Stage[Sender]:
    stage = first()
    stage.now = 1.0
    stage.on(Ack(1), "DATA 2 512", state=S.SENDING)
    return stage


def offered(content: bytes = CONTENT, **options: str) -> Stage[Sender]:
    machine = sender(options or BIG, content)
    stage = Stage(machine)
    said = {**(options or BIG)}
    if "tsize" in said:
        said["tsize"] = str(len(content))
    expected = "OACK" + "".join(f" {name}={value}" for name, value in said.items())
    stage.check(machine.start(0.0), (expected,), S.OFFERED)
    return stage


def windowed() -> Stage[Sender]:
    """Eight-octet blocks, three at a time, ten in all."""
    stage = offered(bytes(73), blksize="8", windowsize="3")
    stage.now = 1.0
    stage.on(Ack(0), "DATA 1 8", "DATA 2 8", "DATA 3 8", state=S.SENDING)
    return stage


def test_a_file_that_fills_its_blocks_ends_with_an_empty_one() -> None:
    stage = sending()
    stage.on(Ack(2), "DATA 3 512", state=S.SENDING)
    stage.on(Ack(3), "DATA 4 0", state=S.SENDING)
    stage.on(Ack(4), "completed 1536", state=S.DONE)
    assert b"".join(send.data[4:] for send in stage.sent) == CONTENT
    assert stage.machine.deadline is None
    stage.on(Ack(4))
    assert stage.machine.timeout(99.0) == []
    assert stage.machine.repeat(99.0) == []


def test_the_octets_are_those_of_the_file() -> None:
    stage = offered(CONTENT, blksize="100")
    sent, block = b"", 0
    while stage.machine.state is not S.DONE:
        out = stage.machine.receive(Ack(block).serialise(), PEER, 0.0)
        sent += b"".join(effect.data[4:] for effect in out if hasattr(effect, "data"))
        block += 1
    assert sent == CONTENT


def test_a_file_of_one_block_ends_with_the_first_ack() -> None:
    for content, size in ((b"", 0), (b"x" * 511, 511)):
        stage = Stage(sender(content=content))
        stage.check(stage.machine.start(0.0), (f"DATA 1 {size}",), S.FIRST)
        stage.on(Ack(1), f"completed {size}", state=S.DONE)


def test_a_second_ack_moves_nothing() -> None:
    """RFC 1123 4.2.3.1, the sorcerer's apprentice."""
    stage = sending()
    stage.on(Ack(1), state=S.SENDING)
    stage.on(Ack(0), state=S.SENDING)
    stage.on(Ack(3), state=S.SENDING)  # never sent
    stage.on(Ack(2), "DATA 3 512")


def test_silence_is_answered_by_doubling_and_then_by_nothing() -> None:
    stage = sending()
    for time in (2.0, 4.0, 8.0, 16.0, 24.0):
        stage.at(time, "DATA 2 512", state=S.SENDING)
    stage.at(32.0, "failed no-answer", state=S.FAILED)
    assert stage.machine.deadline is None
    stage.on(Ack(2))


def test_progress_begins_the_back_off_again() -> None:
    stage = sending()
    stage.at(2.0, "DATA 2 512")
    stage.now = 3.0
    stage.on(Ack(2), "DATA 3 512")
    stage.at(4.0, "DATA 3 512")


def test_an_agreed_timeout_stands_in_the_place_of_the_back_off() -> None:
    stage = offered(timeout="3")
    stage.now = 1.0
    stage.on(Ack(0), "DATA 1 512")
    for time in (4.0, 7.0, 10.0):
        stage.at(time, "DATA 1 512")


def test_a_session_has_an_end_however_slow_the_peer() -> None:
    stage = Stage(sender(pace=Pace(session=60.0, first=200.0, last=400.0)))
    stage.machine.start(0.0)
    stage.on(Ack(1), "DATA 2 512")
    stage.now = 59.0
    stage.on(Ack(2), "DATA 3 512")
    stage.at(60.0, "ERROR 0", "failed session-timeout", state=S.FAILED)


def test_nothing_is_repeated_before_the_first_ack() -> None:
    for stage in (first(), offered()):
        stage.at(10.0, "failed no-answer", state=S.FAILED)


def test_each_request_gets_one_datagram_and_only_five_do() -> None:
    plain, with_options = first(), offered()
    for stage, answer, state in ((plain, "DATA 1 512", S.FIRST), (with_options, "OACK blksize=1024", S.OFFERED)):
        for time in range(1, 6):
            stage.check(stage.machine.repeat(float(time)), (answer,), state)
        stage.check(stage.machine.repeat(6.0), (), state)
        stage.at(10.0, "failed no-answer")


def test_a_session_shorter_than_our_patience_ends_first() -> None:
    stage = Stage(sender(pace=Pace(session=4.0)))
    stage.machine.start(0.0)
    stage.at(4.0, "failed no-answer", state=S.FAILED)


def test_a_late_request_in_the_middle_is_ignored() -> None:
    stage = sending()
    stage.check(stage.machine.repeat(1.5), (), S.SENDING)
    stage.at(2.0, "DATA 2 512")


def test_the_window_waits_for_the_first_ack() -> None:
    stage = offered(bytes(100), blksize="8", windowsize="8")
    eight = [f"DATA {block} 8" for block in range(1, 9)]
    stage.on(Ack(5), state=S.OFFERED)
    stage.on(Ack(0), *eight, state=S.SENDING)
    stage.at(1.0, *eight)


def test_an_ack_of_what_was_not_sent_proves_nothing() -> None:
    stage = first()
    for block in (0, 2, 65535):
        stage.on(Ack(block), state=S.FIRST)
    stage.at(10.0, "failed no-answer")


def test_options_are_acknowledged_before_the_first_block() -> None:
    stage = offered(blksize="1024", tsize="0", timeout="5")
    stage.on(Ack(0), "DATA 1 1024", state=S.SENDING)
    stage.on(Ack(0), state=S.SENDING)
    stage.on(Ack(1), "DATA 2 512")
    stage.on(Ack(2), "completed 1536")


@pytest.mark.parametrize(
    ("options", "answer"),
    [
        ({"blksize": "65464"}, "OACK blksize=1428"),
        ({"windowsize": "64"}, "OACK windowsize=8"),
        ({"tsize": "0"}, "OACK tsize=1536"),
        ({"timeout": "255", "multicast": ""}, "OACK timeout=255"),
        ({"multicast": ""}, "DATA 1 512"),
        ({"blksize": "7"}, "DATA 1 512"),
        ({"blksize": "65465"}, "DATA 1 512"),
        ({"blksize": "1_0"}, "DATA 1 512"),
        ({"blksize": "\u0661\u0662\u0668"}, "DATA 1 512"),
        ({"blksize": "99999999999999"}, "DATA 1 512"),
        ({"timeout": "0"}, "DATA 1 512"),
        ({"timeout": "256"}, "DATA 1 512"),
        ({"windowsize": "0"}, "DATA 1 512"),
        ({"tsize": "-1"}, "DATA 1 512"),
    ],
)
def test_what_an_option_gets(options: dict[str, str], answer: str) -> None:
    stage = Stage(sender(options))
    stage.check(stage.machine.start(0.0), (answer,), None)


def test_limits_are_the_owners() -> None:
    machine = Sender(CONTENT, Request("x", options={"blksize": "9000"}), PEER, limits=Limits(block_size=8192))
    assert machine.terms.block_size == 8192


def test_a_window_goes_out_at_once_and_moves_with_its_last_ack() -> None:
    stage = windowed()
    stage.on(Ack(3), "DATA 4 8", "DATA 5 8", "DATA 6 8")
    stage.on(Ack(6), "DATA 7 8", "DATA 8 8", "DATA 9 8")
    stage.on(Ack(9), "DATA 10 1")
    stage.on(Ack(10), "completed 73", state=S.DONE)


def test_a_block_lost_in_a_window_is_sent_again_with_what_follows() -> None:
    stage = windowed()
    stage.on(Ack(1), "DATA 2 8", "DATA 3 8", "DATA 4 8")
    stage.on(Ack(1), state=S.SENDING)
    stage.at(2.0, "DATA 2 8", "DATA 3 8", "DATA 4 8")


def test_an_error_of_the_peer_ends_it_unanswered() -> None:
    for stage in (first(), sending(), offered()):
        stage.on(Error(8, "terms"), "failed peer-error", state=S.FAILED)


def test_what_is_no_tftp_here_ends_it_with_error_4() -> None:
    for packet in (Data(1, b""), OptionAck({}), b"\x00\x09\x00\x00", b"", b"\x00\x04\x00"):
        for stage in (first(), sending(), offered()):
            stage.on(packet, "ERROR 4", "failed illegal", state=S.FAILED)


def test_a_stranger_gets_error_5_and_changes_nothing() -> None:
    stage = sending()
    for source in (STRANGER, (PEER[0], PEER[1] + 1)):
        stage.source = source
        stage.on(Ack(2), "ERROR 5", state=S.SENDING)
        assert stage.sent[-1].to == source
        stage.on(Error(0, "stop"), state=S.SENDING)  # no error for an error
    stage.source = PEER
    stage.on(Ack(2), "DATA 3 512")


def test_what_no_file_could_answer_is_refused() -> None:
    assert refusal(Request("x", write=True)) == Error(2, "Access violation")
    assert refusal(Request("x", "netascii")) == Error(0, "Only octet mode")
    assert refusal(Request("x")) is None
    with pytest.raises(LocalProtocolError, match="no transfer"):
        Sender(b"", Request("x", "mail"), PEER)


def test_the_table_is_the_law() -> None:
    with pytest.raises(LocalProtocolError, match="TFTP server in READY takes no ACK_SOME"):
        sender().feed(Input.ACK_SOME, None, 0.0)
