"""More blocks than there are numbers. Apart from the playbooks of the tables, which run these often."""

from __future__ import annotations

from cubeproxy.protocols.tftp import Ack, Data, OptionAck, Receiver, Terms
from cubeproxy.protocols.tftp.transfer import State as S
from tests.protocols.tftp.stage import PEER, SERVER, SERVER_TID, Stage
from tests.protocols.tftp.test_receiver import NAME
from tests.protocols.tftp.test_sender import offered


def test_block_numbers_of_the_server_wrap() -> None:
    stage = offered(bytes(8 * 65537), blksize="8")
    for block in range(65539):
        out = stage.machine.receive(Ack(block & 0xFFFF).serialise(), PEER, 0.0)
    stage.check(out, ("completed 524296",), S.DONE)


def test_block_numbers_of_the_client_wrap() -> None:
    stage = Stage(Receiver(NAME, SERVER, Terms(block_size=8)), SERVER_TID)
    stage.machine.start(0.0)
    stage.on(OptionAck({"blksize": "8", "tsize": "524296"}), "ACK 0")
    for block in range(1, 65538):
        out = stage.machine.receive(Data(block & 0xFFFF, bytes(8)).serialise(), SERVER_TID, 0.0)
    stage.check(out, ("ACK 1",), S.RECEIVING)
    stage.on(Data(2, b""), "ACK 2", "received 524296")
