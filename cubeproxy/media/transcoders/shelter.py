"""How the local worker carries a session that a farm carried: in the two hops that it has, whose outer ports are known.

Each hop has the keys of its own leg, and in the clear they hand each other what the farm took and gave; that never
leaves this box. Payload types between them are those of leg 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from cubeproxy.media.transcoders.words import HopUpdate, Legs
from cubeproxy.protocols.values import Address, StreamSpec


def fits(legs: Legs) -> bool:
    """Whether both hops can be asked: they change no codec."""
    first, second = legs
    return first is None or second is None or first.codec == second.codec


def hops(session: int, legs: Legs, inside: Sequence[Address]) -> list[HopUpdate]:
    """What both do. `inside` are their addresses that face each other."""
    first, second = (_joined(leg) for leg in legs)
    if first is None or second is None:
        return [HopUpdate(session, 0, (first, None)), HopUpdate(session, 1, (None, second))]
    return [
        HopUpdate(session, 0, (first, _between(second, inside[1]))),
        HopUpdate(session, 1, (_between(second, inside[0]), second)),
    ]


def _joined(leg: StreamSpec | None) -> StreamSpec | None:
    """A farm has heard this stream before: where its rollover counter is nobody tells."""
    return replace(leg, joins=True) if leg is not None and leg.receive_key is not None else leg


def _between(leg: StreamSpec, remote: Address) -> StreamSpec:
    return StreamSpec(remote, leg.codec, leg.payload_type, dtmf_payload_type=leg.dtmf_payload_type, ptime=leg.ptime)
