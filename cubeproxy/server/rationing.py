"""How much one phone may begin: a token bucket for each device, whatever number of connections it opens. Sans-IO.

Only what begins something is rationed: a request outside a dialog costs a transaction, a look at the dial peers and
a request to the cluster. What belongs to a call goes through, so that a call can always be ended.
"""

from __future__ import annotations

from collections import OrderedDict

from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.values import Event, Flow, Severity
from cubeproxy.transport.limits import Bucket

BURST = 2.0  # s of the rate that may come at once
REMEMBERED = 4096  # devices; the one that was quiet longest is forgotten first
RETRY_AFTER = "10"  # s
FREE = frozenset({"ACK", "CANCEL", "BYE"})


class Rationing:
    """`rate` is requests a second for each device, 0 is no limit."""

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def allows(self, device: str, request: Request, now: float) -> bool:
        """Whether this request may go on. A refused one costs nothing: who keeps to the rate is always served."""
        if not self._rate or request.method in FREE or _inside(request):
            return True
        bucket = self._buckets.get(device)
        if bucket is None:
            bucket = self._buckets[device] = Bucket(self._rate, max(1.0, self._rate * BURST), now)
            if len(self._buckets) > REMEMBERED:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(device)
        if bucket.empty(now):
            return False
        bucket.take(1, now)
        return True


def _inside(request: Request) -> bool:
    """Whether it belongs to a dialog. One that cannot be read begins nothing either: it will be answered with 400."""
    try:
        return bool(request.to_tag)
    except RemoteProtocolError:
        return True


def throttled(flow: Flow, device: str, rate: float) -> Event:
    return Event(
        "device.throttled",
        Severity.WARNING,
        f"{device or flow.remote[0]} begins more than {rate:g} requests a second: refused with 503",
        peer=format_address(flow.remote),
        device=device,
        cause="rate",
        fix="look at what runs on this phone; `--device-rate` sets the limit",
    )
