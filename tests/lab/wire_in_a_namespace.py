"""Run by test_wire inside `unshare -Urn`: traffic over a wire with an AF_PACKET socket on lo as the witness.

Prints what the witness saw leave the wire's address, as JSON rows (source, port, destination, port, payload hex).
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import socket
import struct
import sys
from pathlib import Path

from cubelab.capture.pcap import PcapWriter
from cubelab.wire.impairment import Impairment
from cubelab.wire.wire import Wire

WIRE = "127.41.9.1"
ETH_P_IP = 0x0800
PACKET_OUTGOING = 4
LAST = b"last"


def lo_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING


def seen_by(witness: socket.socket) -> list[list[object]]:
    """Everything the witness holds, up to the sentinel datagram that leaves the wire last."""
    rows: list[list[object]] = []
    while True:
        frame, address = witness.recvfrom(65535)
        if address[2] != PACKET_OUTGOING:
            continue
        packet = frame[14:]
        head = (packet[0] & 15) * 4
        if packet[9] != socket.IPPROTO_UDP:
            continue
        source, destination = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
        sport, dport, length = struct.unpack_from("!HHH", packet, head)
        payload = packet[head + 8 : head + length]
        if payload == LAST:
            return rows
        if source == WIRE:
            rows.append([source, sport, destination, dport, payload.hex()])


async def traffic(path: Path, loss: float) -> None:
    loop = asyncio.get_running_loop()
    wire = Wire(WIRE, Impairment(loss=loss, seed=1))
    with PcapWriter(path) as writer:
        wire.taps.append(writer.write)
        ends = [
            (await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(host, 0)))[0]
            for host in ("127.41.9.2", "127.41.9.3")
        ]
        link = await wire.link(*(end.get_extra_info("sockname") for end in ends))
        for n in range(200):
            for end in ends:
                end.sendto(struct.pack("!H", n) * 80, link.address)
            while wire.counters.forwarded + wire.counters.lost < 2 * (n + 1):  # noqa: ASYNC110
                await asyncio.sleep(0)
        ends[0].sendto(LAST, ("127.41.9.9", 9))
        await asyncio.sleep(0)
        wire.close()


def main() -> None:
    lo_up()
    witness = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    witness.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    witness.bind(("lo", 0))
    witness.settimeout(10)
    asyncio.run(traffic(Path(sys.argv[1]), float(sys.argv[2])))
    json.dump(seen_by(witness), sys.stdout)


main()
