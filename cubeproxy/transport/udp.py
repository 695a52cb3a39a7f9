"""SIP over UDP: one raw socket a listener, a Flow for every remote address that was met.

asyncio's own datagram transport costs more per packet than the packet's SIP does, so the socket is read here, in
bounded batches. The kernel is asked to report ICMP errors (IP_RECVERR) with the address that they are about.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.message import Request, Response, parse_message
from cubeproxy.protocols.values import Address, Event, Flow, Target, Transport
from cubeproxy.transport.counters import Counters
from cubeproxy.transport.limits import Limits
from cubeproxy.transport.refusals import stranger

LARGEST = 65_535
IP_RECVERR, IPV6_RECVERR = 11, 25  # linux/in.h, linux/in6.h; the socket module does not name them
IP_MTU_DISCOVER, IP_PMTUDISC_DONT = 10, 0
MSG_ERRQUEUE = 0x2000
SOCKET_BUFFER = 4_194_304  # octets asked for; the kernel's own limit may be lower


class UdpOwner(Protocol):
    loop: asyncio.AbstractEventLoop
    counters: Counters

    def new_flow(self, transport: Transport, local: Address, remote: Address) -> Flow: ...
    def datagram_message(self, flow: Flow, message: Request | Response) -> None: ...
    def datagram_malformed(self, flow: Flow, error: RemoteProtocolError) -> None: ...
    def datagram_failed(self, flow: Flow, cause: str) -> None: ...
    def report(self, event: Event) -> None: ...


class UdpSocket:
    def __init__(
        self, owner: UdpOwner, sock: socket.socket, limits: Limits, trusted: Callable[[str], bool] | None
    ) -> None:
        self.local: Address = sock.getsockname()[:2]
        self._owner = owner
        self._sock = sock
        self._limits = limits
        self._trusted = trusted
        self._flows: OrderedDict[Address, Flow] = OrderedDict()  # the least recently used first
        owner.loop.add_reader(sock.fileno(), self._readable)

    def close(self) -> None:
        if self._sock.fileno() >= 0:
            self._owner.loop.remove_reader(self._sock.fileno())
            self._sock.close()
        for flow in self._flows.values():
            flow.open = False

    def flow(self, remote: Address) -> Flow:
        """The flow to this address; it is remembered until too many others were used since."""
        flows = self._flows
        flow = flows.get(remote)
        if flow is not None:
            flows.move_to_end(remote)
            return flow
        flow = flows[remote] = self._owner.new_flow(Transport.UDP, self.local, remote)
        if len(flows) > self._limits.udp_flows:
            flows.popitem(last=False)  # who still holds it can still send to it
        return flow

    def send(self, flow: Flow, data: bytes) -> str:
        """The cause of a failure, or "". Larger than an MTU goes as fragments; the kernel's full buffer drops it."""
        owner = self._owner
        owner.counters.octets_out += len(data)
        for _ in range(2):
            try:
                self._sock.sendto(data, flow.remote)
            except (BlockingIOError, InterruptedError):
                owner.counters.udp_dropped += 1
                return ""
            except ConnectionRefusedError:
                self._read_errors()  # an earlier datagram's; this one was not sent yet
            except OSError as error:
                owner.counters.udp_failed += 1
                return errno.errorcode.get(error.errno or 0, str(error))
            else:
                return ""
        return ""

    def _readable(self) -> None:
        sock = self._sock
        for _ in range(self._limits.udp_batch):
            try:
                data, remote = sock.recvfrom(LARGEST)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                self._read_errors()
                if sock.fileno() < 0:
                    return
                continue
            self._received(data, (remote[0], remote[1]))
            if sock.fileno() < 0:
                return

    def _received(self, data: bytes, remote: Address) -> None:
        owner = self._owner
        if self._trusted is not None and not self._trusted(remote[0]):
            owner.counters.untrusted += 1
            owner.report(stranger(f"UDP {format_address(self.local)}", remote[0]))
            return
        if not data.strip(b"\r\n\0"):  # keep-alives of NAT bindings
            return
        owner.counters.octets_in += len(data)
        flow = self.flow(remote)
        try:
            message = parse_message(data)
        except RemoteProtocolError as error:
            owner.counters.malformed += 1
            owner.datagram_malformed(flow, error)
            return
        owner.datagram_message(flow, message)

    def _read_errors(self) -> None:
        """Read the kernel's error queue: each entry names the address that a datagram of ours did not reach."""
        failed: dict[Address, str] = {}
        for _ in range(self._limits.udp_batch):
            try:
                _, ancillary, _, remote = self._sock.recvmsg(0, 512, MSG_ERRQUEUE)
            except OSError:
                break
            cause = "unreachable"
            for _, kind, data in ancillary:
                if kind in (IP_RECVERR, IPV6_RECVERR) and len(data) >= 4:  # struct sock_extended_err
                    cause = errno.errorcode.get(int.from_bytes(data[:4], sys.byteorder), cause)
            if remote:
                failed[(remote[0], remote[1])] = cause
        self._rearm()
        for address, cause in failed.items():
            self._owner.counters.udp_failed += 1
            flow = self._flows.get(address)
            if flow is not None:
                self._owner.datagram_failed(flow, cause)

    def _rearm(self) -> None:
        """libuv gives up a descriptor whose poll reports an error; asking again costs asyncio nothing."""
        descriptor = self._sock.fileno()
        if descriptor >= 0:
            self._owner.loop.remove_reader(descriptor)
            self._owner.loop.add_reader(descriptor, self._readable)


def datagram_socket(address: Address) -> socket.socket:
    """Bound, not blocking, with ICMP errors reported and fragmentation left to the kernel."""
    v6 = ":" in address[0]
    sock = socket.socket(socket.AF_INET6 if v6 else socket.AF_INET, socket.SOCK_DGRAM)
    try:
        for option in (socket.SO_RCVBUF, socket.SO_SNDBUF):
            sock.setsockopt(socket.SOL_SOCKET, option, SOCKET_BUFFER)
        if v6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        else:
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
            sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_DONT)
        sock.bind(address)
        sock.setblocking(False)
    except OSError:
        sock.close()
        raise
    return sock


def target_of(flow: Flow) -> Target:
    """The target that a datagram flow serves."""
    return Target(flow.transport, flow.remote[0], flow.remote[1], flow.local)
