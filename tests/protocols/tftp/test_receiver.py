"""The client's end, row by row."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.errors import LocalProtocolError
from cubeproxy.protocols.tftp import Ack, Data, Error, OptionAck, Pace, Receiver, Request, Terms
from cubeproxy.protocols.tftp.options import PLAIN
from cubeproxy.protocols.tftp.transfer import PACE, Input, State
from tests.protocols.tftp.stage import SERVER, SERVER_TID, STRANGER, Stage

S = State
NAME = "SEP001122334455.cnf.xml"
WANTED = Terms(block_size=1024, window=4, timeout=3)
OACK = OptionAck({"blksize": "1024", "windowsize": "4", "timeout": "3", "tsize": "5000"})


def asked(wanted: Terms = PLAIN, pace: Pace = PACE, largest: int = 4000) -> Stage[Receiver]:
    stage = Stage(Receiver(NAME, SERVER, wanted, pace, largest), SERVER_TID)
    options = " blksize=1024 windowsize=4 timeout=3 tsize=0" if wanted == WANTED else ""
    stage.check(stage.machine.start(0.0), (f"RRQ {NAME}{options}",), S.ASKED)
    assert stage.sent[-1].to == SERVER
    return stage


def receiving() -> Stage[Receiver]:
    stage = asked()
    stage.now = 1.0
    stage.on(Data(1, bytes(512)), "ACK 1", state=S.RECEIVING)
    assert stage.sent[-1].to == SERVER_TID
    return stage


def agreed() -> Stage[Receiver]:
    stage = asked(WANTED, largest=6000)
    stage.now = 1.0
    stage.on(OACK, "ACK 0", state=S.RECEIVING)
    return stage


def dallying() -> Stage[Receiver]:
    stage = receiving()
    stage.now = 2.0
    stage.on(Data(2, b"end"), "ACK 2", "received 515", state=S.DALLYING)
    return stage


def test_a_file_arrives_block_by_block() -> None:
    stage = asked()
    stage.on(Data(1, b"a" * 512), "ACK 1")
    out = stage.machine.receive(Data(2, b"b").serialise(), SERVER_TID, 0.0)
    assert out[-1].content == b"a" * 512 + b"b"  # type: ignore[union-attr]


def test_a_file_of_one_block() -> None:
    asked().on(Data(1, b"x"), "ACK 1", "received 1", state=S.DALLYING)


def test_the_last_ack_is_repeated_for_a_while() -> None:
    stage = dallying()
    stage.on(Data(2, b"end"), "ACK 2", state=S.DALLYING)
    stage.on(OptionAck({}), "ACK 2", state=S.DALLYING)
    stage.on(Error(0, "late"), state=S.DALLYING)
    stage.on(Ack(1), state=S.DALLYING)
    stage.at(10.0, state=S.DONE)
    stage.on(Data(2, b"end"))
    assert stage.machine.deadline is None


def test_the_last_ack_of_a_window_is_repeated_each_time() -> None:
    stage = agreed()
    stage.on(Data(1, b""), "ACK 1", "received 0", state=S.DALLYING)
    for _ in range(2):
        stage.on(Data(1, b""), "ACK 1", state=S.DALLYING)


def test_a_transfer_that_was_all_retransmissions_dallies_too() -> None:
    stage = receiving()
    for time in (2.0, 4.0, 8.0, 16.0, 24.0):
        stage.at(time, "ACK 1")
    stage.on(Data(2, b""), "ACK 2", "received 512", state=S.DALLYING)
    stage.at(32.0, state=S.DONE)


def test_a_block_again_is_acknowledged_again() -> None:
    stage = receiving()
    for _ in range(3):
        stage.on(Data(1, bytes(512)), "ACK 1", state=S.RECEIVING)
    stage.on(Data(3, bytes(512)), "ACK 1", state=S.RECEIVING)
    stage.on(Data(2, b""), "ACK 2", "received 512")


def test_silence_is_answered_by_asking_again_and_then_by_giving_up() -> None:
    stage = asked()
    for time in (1.0, 3.0, 7.0, 15.0, 23.0):
        stage.at(time, f"RRQ {NAME}", state=S.ASKED)
    assert stage.sent[-1].to == SERVER
    stage.at(31.0, "failed no-answer", state=S.FAILED)
    stage = receiving()
    for time in (2.0, 4.0, 8.0, 16.0, 24.0):
        stage.at(time, "ACK 1", state=S.RECEIVING)
    stage.at(32.0, "failed no-answer", state=S.FAILED)


def test_progress_begins_the_back_off_again() -> None:
    stage = receiving()
    stage.at(2.0, "ACK 1")
    stage.now = 3.0
    stage.on(Data(2, bytes(512)), "ACK 2")
    stage.at(4.0, "ACK 2")


def test_a_session_has_an_end() -> None:
    slow = Pace(session=60.0, first=100.0)
    asked(pace=slow).at(60.0, "failed session-timeout", state=S.FAILED)
    stage = asked(pace=slow)
    stage.on(Data(1, bytes(512)), "ACK 1")
    stage.at(60.0, "ERROR 0", "failed session-timeout", state=S.FAILED)


def test_an_acknowledged_window() -> None:
    stage = agreed()
    for block in (1, 2, 3):
        stage.on(Data(block, bytes(1024)), state=S.RECEIVING)
    stage.on(Data(4, bytes(1024)), "ACK 4")
    stage.on(Data(5, bytes(904)), "ACK 5", "received 5000")


def test_a_gap_in_a_window_is_told_once() -> None:
    stage = agreed()
    stage.on(Data(1, bytes(1024)))
    stage.on(Data(3, bytes(1024)), "ACK 1")
    stage.on(Data(4, bytes(1024)), state=S.RECEIVING)
    stage.at(4.0, "ACK 1")  # the agreed timeout, 3 s
    stage.on(Data(2, bytes(1024)))
    stage.on(Data(4, bytes(1024)), "ACK 2")


def test_the_oack_again_is_acknowledged_again() -> None:
    stage = agreed()
    stage.now = 2.0
    for _ in range(2):
        stage.on(OACK, "ACK 0", state=S.RECEIVING)
    assert (stage.machine.deadline, stage.machine.tries) == (4.0, 0)
    stage = agreed()
    stage.on(Data(1, bytes(1024)))
    stage.on(OACK, "ACK 1", state=S.RECEIVING)


def test_a_server_without_options_is_obeyed() -> None:
    stage = asked(WANTED)
    stage.on(Data(1, bytes(512)), "ACK 1", state=S.RECEIVING)
    assert stage.machine.terms == PLAIN


@pytest.mark.parametrize(
    "options",
    [
        {"blksize": "1025"},
        {"blksize": "7"},
        {"windowsize": "5"},
        {"windowsize": "0"},
        {"timeout": "4"},
        {"multicast": "1"},
        {"blksize": "x"},
    ],
)
def test_what_was_not_asked_for_is_refused(options: dict[str, str]) -> None:
    stage = asked(WANTED)
    stage.on(OptionAck(options), "ERROR 8", "failed options", state=S.FAILED)
    agreed().on(OptionAck(options), "ERROR 8", "failed options", state=S.FAILED)


def test_options_of_a_server_that_was_asked_for_none() -> None:
    asked().on(OptionAck({"blksize": "512"}), "ERROR 8", "failed options")


def test_a_file_that_is_too_large_is_refused() -> None:
    asked(WANTED, largest=4999).on(OACK, "ERROR 3", "failed too-large", state=S.FAILED)
    asked(largest=511).on(Data(1, bytes(512)), "ERROR 3", "failed too-large", state=S.FAILED)
    stage = asked(largest=1000)
    stage.on(Data(1, bytes(512)), "ACK 1")
    stage.on(Data(2, bytes(489)), "ERROR 3", "failed too-large", state=S.FAILED)
    stage = asked(largest=1000)
    stage.on(Data(1, bytes(512)), "ACK 1")
    stage.on(Data(2, bytes(488)), "ACK 2", "received 1000")


def test_the_servers_error_ends_it() -> None:
    stage = asked()
    out = stage.machine.receive(Error(1, "File not found").serialise(), SERVER_TID, 0.0)
    assert (out[0].cause, out[0].text, out[0].code) == ("peer-error", "File not found", 1)  # type: ignore[union-attr]
    assert stage.machine.state is S.FAILED
    receiving().on(Error(0, ""), "failed peer-error", state=S.FAILED)


def test_what_is_no_tftp_here_ends_it() -> None:
    for packet in (Ack(1), Request(NAME), b"", Data(1, bytes(513))):
        asked().on(packet, "ERROR 4", "failed illegal", state=S.FAILED)
    for packet in (Ack(1), Request(NAME), b"", Data(2, bytes(513))):
        receiving().on(packet, "ERROR 4", "failed illegal", state=S.FAILED)


def test_only_the_servers_host_can_answer_and_then_only_its_port() -> None:
    stage = asked()
    stage.source = STRANGER
    stage.on(Data(1, b"evil"), "ERROR 5", state=S.ASKED)
    stage.source = SERVER_TID
    stage.on(Data(9, b"old"), state=S.ASKED)
    stage.source = (SERVER[0], SERVER_TID[1] + 1)
    stage.on(Data(1, bytes(512)), "ACK 1", state=S.RECEIVING)
    stage.source = SERVER_TID
    stage.on(Data(2, b"evil"), "ERROR 5", state=S.RECEIVING)


def test_the_table_is_the_law() -> None:
    with pytest.raises(LocalProtocolError, match="TFTP client in READY takes no OACK"):
        Receiver(NAME, SERVER).feed(Input.OACK, None, 0.0)
