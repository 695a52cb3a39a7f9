"""A relay of datagrams, as octets, that may spoil them: for `test_media`, which wants to see that noticed.

spoiled_relay.py BREAKS HOST PORT HOST PORT PEER PORT PEER PORT: two ports of ours and who is behind each. Ends with
standard input.
"""

from __future__ import annotations

import selectors
import socket
import sys

PAYLOAD = 12  # octets of header before it


def main() -> None:
    breaks, *ends = sys.argv[1:]
    addresses = [(host, int(port)) for host, port in zip(ends[::2], ends[1::2], strict=True)]
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2)]
    selector = selectors.DefaultSelector()
    selector.register(sys.stdin, selectors.EVENT_READ)
    for sock, here, there in zip(sockets, addresses[:2], addresses[2:], strict=True):
        sock.bind(here)
        sock.connect(there)
        selector.register(sock, selectors.EVENT_READ)
    print("ready", flush=True)
    held: dict[socket.socket, bytes] = {}
    seen = 0
    while True:
        for key, _ in selector.select():
            if not isinstance(key.fileobj, socket.socket):
                return
            packet, other = key.fileobj.recv(2048), sockets[key.fileobj is sockets[0]]
            seen += 1
            for out in spoil(breaks, packet, seen, held, other):
                other.send(out)


def spoil(breaks: str, packet: bytes, seen: int, held: dict[socket.socket, bytes], other: socket.socket) -> list[bytes]:
    """What goes out for a packet. Every ninth is spoiled, so both ways; not the first: they say where numbers begin."""
    if other in held:
        return [packet, held.pop(other)]
    if seen % 9 or seen < 20 or breaks == "nothing":
        return [packet]
    match breaks:
        case "loss":
            return []
        case "repeats":
            return [packet, packet]
        case "order":
            held[other] = packet
            return []
        case "payload":
            return [packet[:-1] + bytes((packet[-1] ^ 1,))]
        case _:
            return [packet[:2] + bytes((packet[2] ^ 0x40,)) + packet[3:]]  # a number from elsewhere


if __name__ == "__main__":
    main()
