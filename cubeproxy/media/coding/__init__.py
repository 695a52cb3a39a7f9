"""From one leg's codec to the other's: what stands in a direction whose legs do not speak alike.

Packets in the sender's order (`order`), samples (`codecs`), packets of our own (`speaker`); telephone events and tones
beside them (`events`, `tones`). Nothing here knows of sockets, keys or sequence numbers going out.
"""

from __future__ import annotations

from cubeproxy.protocols.values import PASS_THROUGH, StreamSpec


def differs(first: StreamSpec, second: StreamSpec) -> bool:
    """Whether packets of one leg are no packets of the other: codec, packet period, or how digits are told."""
    if PASS_THROUGH in (first.codec, second.codec):
        return False
    told = (first.dtmf_payload_type is None) is (second.dtmf_payload_type is None)
    return first.codec != second.codec or first.ptime != second.ptime or not told
