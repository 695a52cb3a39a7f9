"""A listener in a process of its own, so that its memory can be read: one line "rss" in, one line of kB out.

`python -m tests.transport.weighed asyncio|uvloop [open files]`; the first line out is the port of its TLS listener.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import sys

import uvloop
from cryptography import x509

from cubeproxy.protocols.values import DeviceIdentity, Transport
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.sip import SipTransport
from cubeproxy.transport.tls import TlsServer

from .pki import CUBE
from .recorder import Recorder

PAGE = 4  # kB
STATM = os.open("/proc/self/statm", os.O_RDONLY)  # kept open: there may be no descriptor left later


def rss() -> int:
    """kB of this process."""
    gc.collect()
    return int(os.pread(STATM, 200, 0).split()[1]) * PAGE


def trust_all(chain: list[x509.Certificate]) -> DeviceIdentity:
    """The process that connects has a CA of its own."""
    return DeviceIdentity("SEP001122334455", chain[0].subject.rfc4514_string(), "", "LSC", "CAPF", "")


def allow_descriptors(count: int) -> None:
    """Raise the soft limit of open files, which is 1024 on many machines."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (count if hard == resource.RLIM_INFINITY else min(count, hard), hard)
        )


async def main() -> None:
    limits = Limits(first_octet=3600, handshake=3600, half_open_per_address=20_000)
    recorder = Recorder()
    transport = SipTransport(recorder, limits)
    tls = TlsServer(CUBE.chain, CUBE.key, trust_all)
    port = (await transport.listen(Transport.TLS, ("127.0.42.1", 0), tls))[1]
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    print(port, flush=True)
    while await reader.readline():
        recorder.log.clear()
        counters = transport.counters
        print(rss(), transport.gate.half_open_total, transport.gate.established_total, counters.accepted, flush=True)
    await transport.close()


if __name__ == "__main__":
    if len(sys.argv) > 2:
        resource.setrlimit(resource.RLIMIT_NOFILE, (int(sys.argv[2]), int(sys.argv[2])))
    else:
        allow_descriptors(4096)
    factory = uvloop.new_event_loop if sys.argv[1] == "uvloop" else asyncio.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(main())
