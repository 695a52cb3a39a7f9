"""Our TFTP with programs that we did not write: curl fetches from us, tshark dissects both of our ends."""

from __future__ import annotations

import select
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether
from scapy.utils import wrpcap

from cubeproxy.phoneproxy.desk import Answer, Desk, DeskEffect, FetchFile, OpenTransfer, Transmit
from cubeproxy.protocols.tftp import Receiver, Request, Send, Sender, Terms, parse_packet
from cubeproxy.protocols.values import Address
from tests.interop.programs.process import require

NAME = "CTLSEP001122334455.tlv"
CONTENT = bytes(range(256)) * 41 + b"end"
ERRORS = str(0x00800000)  # tshark's severity "Error"


class SmallServer:
    """The desk with blocking sockets and a clock that stands still: nothing is lost on loopback."""

    def __init__(self, host: str) -> None:
        self.desk = Desk()
        self.port = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.port.bind((host, 0))
        self.host = host
        self.transfers: dict[int, socket.socket] = {}
        self.stop_reading, self.stop_writing = socket.socketpair()

    def carry_out(self, effects: list[DeskEffect]) -> None:
        for effect in effects:
            match effect:
                case FetchFile():
                    found = effect.wanted.name == NAME
                    answer = self.desk.ready(effect.ticket, CONTENT, 0.0) if found else self.desk.missing(effect.ticket)
                    self.carry_out(answer)
                case Answer():
                    self.port.sendto(effect.data, effect.to)
                case OpenTransfer():
                    self.transfers[effect.ticket] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                    self.transfers[effect.ticket].bind((self.host, 0))
                case Transmit():
                    self.transfers[effect.ticket].sendto(effect.data, effect.to)

    def run(self) -> None:
        while True:
            ready, _, _ = select.select([self.stop_reading, self.port, *self.transfers.values()], [], [])
            if self.stop_reading in ready:
                break
            if self.port in ready:
                self.carry_out(self.desk.receive(*self.port.recvfrom(2048), 0.0))
            for ticket, one in list(self.transfers.items()):
                if one in ready:
                    self.carry_out(self.desk.datagram(ticket, *one.recvfrom(2048), 0.0))
        for one in (self.port, self.stop_reading, *self.transfers.values()):
            one.close()


@contextmanager
def serving(host: str) -> Iterator[int]:
    server = SmallServer(host)
    thread = threading.Thread(target=server.run, name="small TFTP server")
    thread.start()
    try:
        yield server.port.getsockname()[1]
    finally:
        server.stop_writing.close()
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.parametrize(
    "options", [[], ["--tftp-no-options"], ["--tftp-blksize", "1400"], ["--tftp-blksize", "60000"]]
)
def test_curl_fetches_a_file(host: str, tmp_path: Path, options: list[str]) -> None:
    curl = require("curl")
    with serving(host) as port:
        target = tmp_path / "file"
        command = [curl, "-sS", "--max-time", "20", *options, "-o", str(target), f"tftp://{host}:{port}/{NAME}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert target.read_bytes() == CONTENT


def test_curl_is_told_that_there_is_no_such_file(host: str, tmp_path: Path) -> None:
    curl = require("curl")
    with serving(host) as port:
        for name in ("CTLFile.tlv", "etc/passwd"):
            command = [curl, "-sS", "--max-time", "20", "-o", str(tmp_path / "x"), f"tftp://{host}:{port}/{name}"]
            assert subprocess.run(command, capture_output=True, check=False).returncode == 68  # TFTP: not found


def transfer(terms: Terms) -> list[tuple[Address, Address, bytes]]:
    """Every datagram of one transfer between our two ends."""
    client, server, tid = ("10.0.0.1", 50123), ("10.0.0.2", 69), ("10.0.0.2", 42001)
    receiver = Receiver(NAME, server, terms)
    wire = [(client, server, one.data) for one in receiver.start(0.0) if isinstance(one, Send)]
    request = parse_packet(wire[0][2])
    assert isinstance(request, Request)
    sender = Sender(CONTENT, request, client)
    wire += [(tid, client, one.data) for one in sender.start(0.0) if isinstance(one, Send)]
    place = 1
    while place < len(wire):
        source, to, data = wire[place]
        end = receiver if to == client else sender
        out = end.receive(data, source, 0.0)
        wire += [(to, one.to, one.data) for one in out if isinstance(one, Send)]
        place += 1
    assert sender.over
    return wire


@pytest.mark.parametrize("terms", [Terms(), Terms(1024), Terms(1000, window=4, timeout=3)])
def test_tshark_dissects_our_transfers(tmp_path: Path, terms: Terms) -> None:
    tshark = require("tshark")
    wire = transfer(terms)
    packets = [
        Ether() / IP(src=source[0], dst=to[0]) / UDP(sport=source[1], dport=to[1]) / data for source, to, data in wire
    ]
    wrpcap(str(tmp_path / "tftp.pcap"), packets)
    fields = ("frame.protocols", "tftp.opcode", "tftp.option.name", "_ws.expert.severity")
    command = [tshark, "-r", str(tmp_path / "tftp.pcap"), "-T", "fields", *(f"-e{name}" for name in fields)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    rows = [line.split("\t") for line in lines]
    assert [int(row[1]) for row in rows] == [data[1] for _, _, data in wire]
    assert all("tftp" in row[0] for row in rows)
    assert not any(ERRORS in row[3].split(",") for row in rows)
    asked = rows[0][2].split(",") if rows[0][2] else []
    assert ("blksize" in asked, "windowsize" in asked) == (terms.block_size != 512, terms.window != 1)
