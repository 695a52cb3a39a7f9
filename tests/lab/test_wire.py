"""The wire forwards both ways from the one address that an endpoint advertises, and tells its taps."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import struct
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.inet import IP, UDP
from scapy.utils import rdpcap

from cubelab.capture.pcap import PcapWriter, checksum, ip_packet
from cubelab.wire.impairment import REORDER_BY, Impairment, Weather
from cubelab.wire.tap import Datagram
from cubelab.wire.wire import Wire

HOST = "127.41.7.1"


class Mailbox(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.queue: asyncio.Queue[tuple[bytes, tuple[str, int]]] = asyncio.Queue()

    def datagram_received(self, data, addr):
        self.queue.put_nowait((data, addr))


async def endpoint(host: str):
    transport, box = await asyncio.get_running_loop().create_datagram_endpoint(Mailbox, local_addr=(host, 0))
    return transport, box, transport.get_extra_info("sockname")


def test_a_link_is_the_source_and_the_destination_that_was_advertised():
    async def scene():
        wire, seen = Wire(HOST), []
        wire.taps.append(seen.append)
        phone, phone_box, phone_address = await endpoint("127.41.7.2")
        proxy, proxy_box, proxy_address = await endpoint("127.41.7.3")
        link = await wire.link(inner=phone_address)
        phone.sendto(b"too early", link.address)
        proxy.sendto(b"in", link.address)
        assert await asyncio.wait_for(phone_box.queue.get(), 2) == (b"in", link.address)
        link.outer = proxy_address
        phone.sendto(b"out", link.address)
        assert await asyncio.wait_for(proxy_box.queue.get(), 2) == (b"out", link.address)
        assert [(d.source, d.destination, d.data) for d in seen] == [
            (link.address, phone_address, b"in"),
            (link.address, proxy_address, b"out"),
        ]
        assert (wire.counters.forwarded, wire.counters.homeless) == (2, 1)
        wire.close(), phone.close(), proxy.close()

    asyncio.run(scene())


def test_two_links_have_two_even_ports_and_a_taken_port_is_passed_over():
    async def scene():
        first, second = Wire("127.41.7.4"), Wire("127.41.7.4")
        addresses = [(await wire.link()).address for wire in (first, first, second)]
        assert len(set(addresses)) == 3
        assert all(port % 2 == 0 for _, port in addresses)
        with pytest.raises(OSError, match="use"):
            await second.link(port=addresses[0][1])
        first.close(), second.close()

    asyncio.run(scene())


def decisions(impairment: Impairment, count: int = 400) -> list[list[tuple[float, bytes]]]:
    weather = Weather(impairment, "x")
    return [weather.decide(n.to_bytes(4, "big"), n * 0.02) for n in range(count)]


def test_the_same_seed_makes_the_same_weather_and_another_seed_another():
    rough = Impairment(loss=0.2, duplicate=0.1, reorder=0.1, corrupt=0.1, delay=0.01, jitter=0.03, seed=7)
    assert decisions(rough) == decisions(rough)
    assert decisions(rough) != decisions(Impairment(0.2, 0.1, 0.1, 0.1, 0.01, 0.03, seed=8))


def test_one_probability_does_not_shift_the_others():
    lossy = decisions(Impairment(loss=0.2, seed=3))
    both = decisions(Impairment(loss=0.2, duplicate=0.5, seed=3))
    assert [not out for out in lossy] == [not out for out in both]


@pytest.mark.parametrize(
    ("impairment", "measure", "share"),
    [
        (Impairment(loss=0.25), lambda n, out: not out, 0.25),
        (Impairment(duplicate=0.25), lambda n, out: len(out) == 2, 0.25),
        (Impairment(corrupt=0.25), lambda n, out: out[0][1] != n.to_bytes(4, "big"), 0.25),
        (Impairment(reorder=0.25), lambda n, out: out[0][0] >= n * 0.02 + REORDER_BY, 0.25),
    ],
    ids=["loss", "duplicate", "corrupt", "reorder"],
)
def test_each_kind_happens_about_as_often_as_asked(impairment, measure, share):
    results = decisions(impairment, 2000)
    assert sum(measure(n, out) for n, out in enumerate(results)) / 2000 == pytest.approx(share, abs=0.04)


def test_a_corrupted_datagram_differs_in_one_bit():
    for n, [(_, data)] in enumerate(decisions(Impairment(corrupt=1.0))):
        assert (int.from_bytes(data, "big") ^ n).bit_count() == 1


def test_jitter_alone_never_reorders():
    due = [out[0][0] for out in decisions(Impairment(delay=0.05, jitter=0.2))]
    assert due == sorted(due)
    assert all(0.05 <= when - n * 0.02 <= 0.25 + 1e-9 for n, when in enumerate(due))


def test_a_clean_wire_changes_nothing():
    assert Impairment().clean
    assert decisions(Impairment()) == [[(n * 0.02, n.to_bytes(4, "big"))] for n in range(400)]


@given(
    data=st.binary(max_size=1472),
    ports=st.tuples(st.integers(1, 65535), st.integers(1, 65535)),
    hosts=st.tuples(st.ip_addresses(v=4), st.ip_addresses(v=4)),
)
def test_synthesised_headers_are_what_scapy_would_write(data, ports, hosts):
    made = ip_packet(Datagram(0, (str(hosts[0]), ports[0]), (str(hosts[1]), ports[1]), data), 77)
    head = {"src": str(hosts[0]), "dst": str(hosts[1]), "id": 77, "flags": "DF", "ttl": 64}
    assert made == bytes(IP(**head) / UDP(sport=ports[0], dport=ports[1]) / data)


def test_a_checksum_over_itself_is_zero():
    data = b"\x45\x00\x00\x1c\x00\x01"
    assert checksum(data + struct.pack("!H", checksum(data))) == 0


def test_a_capture_holds_what_was_forwarded_in_order(tmp_path: Path):
    datagrams = [
        Datagram(1700000000.25 + n, ("127.1.1.1", 4000), ("127.1.1.2", 4002 + n), bytes([n]) * n) for n in range(5)
    ]
    with PcapWriter(tmp_path / "a.pcap") as writer:
        for one in datagrams:
            writer.write(one)
    read = rdpcap(str(tmp_path / "a.pcap"))
    assert [
        (float(p.time), (p[IP].src, p[UDP].sport), (p[IP].dst, p[UDP].dport), bytes(p[UDP].payload)) for p in read
    ] == [(d.time, d.source, d.destination, d.data) for d in datagrams]


IN_A_NAMESPACE = Path(__file__).with_name("wire_in_a_namespace.py")


def can_unshare() -> bool:
    return (
        shutil.which("unshare") is not None
        and subprocess.run(["unshare", "-Urn", "true"], capture_output=True, check=False).returncode == 0
    )


@pytest.mark.skipif(not can_unshare(), reason="unshare -Urn is not allowed here")
@pytest.mark.parametrize("loss", [0.0, 0.3])
def test_the_pcap_holds_the_same_datagrams_as_a_capture_in_the_kernel(tmp_path: Path, loss: float):
    """An AF_PACKET socket in a user namespace is the witness: same source, destination and octets, same number."""
    result = subprocess.run(
        ["unshare", "-Urn", sys.executable, str(IN_A_NAMESPACE), str(tmp_path / "w.pcap"), str(loss)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert result.returncode == 0, result.stderr
    witness = Counter(tuple(row) for row in json.loads(result.stdout))
    written = Counter(
        (p[IP].src, p[UDP].sport, p[IP].dst, p[UDP].dport, bytes(p[UDP].payload).hex())
        for p in rdpcap(str(tmp_path / "w.pcap"))
    )
    assert written == witness
    assert 150 < sum(written.values()) <= 400
    assert (sum(written.values()) == 400) is (loss == 0.0)
