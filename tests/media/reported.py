"""Lines whose sessions terminate RTCP, and what came out of them."""

from __future__ import annotations

from cubeproxy.protocols.rtcp import ReceiverReport, Report, ReportBlock, SenderReport, SourceDescription
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Address, StreamSpec

from .phones import Line, Phone, key

INTERVAL = 5.0
WALL = 1_790_000_000.0  # time of day at the beginning of a line
START = 100.0


class Told:
    """A report as it came out: where to, and what it says."""

    def __init__(self, line: Line, leg: int, datagram: bytes, peer: Address) -> None:
        self.datagram, self.peer = datagram, peer
        self.report, self.name = line.phones[leg].told(datagram)
        assert isinstance(self.report, SenderReport | ReceiverReport)
        assert isinstance(self.name, SourceDescription)
        assert self.name.ssrc == self.report.ssrc

    @property
    def block(self) -> ReportBlock:
        (block,) = self.report.blocks  # type: ignore[union-attr]
        return block


class Reported(Line):
    """A line whose session terminates RTCP."""

    def __init__(self, access: Phone, core: Phone, **access_changes: object) -> None:
        self.waiting = True
        super().__init__(access, core, **access_changes)

    def negotiate(self, access: StreamSpec | None, core: StreamSpec | None) -> None:
        if self.waiting:
            self.session.report_every(INTERVAL, START, WALL)
            self.waiting = False
        super().negotiate(access, core)

    def due(self) -> dict[int, Told]:
        """The reports of both legs, when it is certainly time for them."""
        self.now += 1.5 * INTERVAL
        return {leg: Told(self, leg, datagram, peer) for leg, datagram, peer, _muxed in self.session.reports(self.now)}

    def tell(self, leg: int, *reports: Report, source: Address | None = None) -> None:
        host, port = self.phones[leg].address
        self.session.receive_rtcp(leg, self.phones[leg].tell(*reports), source or (host, port + 1), self.now)


def secure(suite: Suite = Suite.AES_CM_128_HMAC_SHA1_80, **access_changes: object) -> Reported:
    access = Phone(("127.0.0.1", 4000), key(1, suite), key(2, suite))
    return Reported(access, Phone(("127.0.0.2", 5000)), **access_changes)


def clear(**access_changes: object) -> Reported:
    return Reported(Phone(("127.0.0.1", 4000)), Phone(("127.0.0.2", 5000)), **access_changes)
