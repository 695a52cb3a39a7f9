"""The DSP farm as the demo sees it: `cubeproxy dsp farm`, a process beside the proxy, with a wire between the two.

The farm has the proxy's own configuration but for one address: its call manager (`sccp ccm`) is the wire, which
leads to the proxy from the box's own address. What it hands on is in a capture of port 2000, keys included.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

from cubelab.demo.child import Child, mapped
from cubelab.demo.options import Fault
from cubelab.wire.stream_wire import Change, unchanged
from cubeproxy.protocols.sccp.media_messages import StartMediaTransmission
from cubeproxy.protocols.sccp.registry import HEAD

SCCP = 2000
STRANGER = "NOBODY"  # a name that no `sdspfarm tag` has
_MANAGER = re.compile(r"^(sccp ccm )\d+\.\S+", re.MULTILINE)
_NAME = re.compile(r"^( associate profile \d+ register )\S+", re.MULTILINE)


def has_farm(text: str) -> bool:
    """Whether a configuration has a farm that registers somewhere."""
    return bool(_NAME.search(text))


def farm_config(text: str, manager: str, fault: Fault) -> str:
    """The box's configuration for its farm: the same lines, another address of the call manager."""
    text = _MANAGER.sub(rf"\g<1>{manager}", text)
    return _NAME.sub(rf"\g<1>{STRANGER}", text) if fault is Fault.UNKNOWN_FARM else text


def on_the_way(fault: Fault) -> Change:
    """What the wire does to SCCP."""
    return damage if fault is Fault.DAMAGED_KEY else unchanged


_KEY_AT = 80  # of StartMediaTransmission with a header version of 17 or more: the first octet of the master key
_WIDE = 17


def damage(data: bytes, by_client: bool) -> bytes:
    """One bit of each key that the farm is to send with. `data` holds whole messages, as the call manager writes."""
    changed = bytearray(data)
    at = 0
    while not by_client and at + HEAD.size <= len(changed):
        length, version, number = HEAD.unpack_from(changed, at)
        if number == StartMediaTransmission.ID and version >= _WIDE and any(changed[at + _KEY_AT : at + _KEY_AT + 16]):
            changed[at + _KEY_AT] ^= 1
        at += 8 + length
    return bytes(changed)


class FarmProcess(Child):
    """`start`, and `stop` once."""

    def __init__(self, config: Path, mapping: Mapping[str, str], log: Path) -> None:
        super().__init__(["dsp", "farm", str(config), *mapped(mapping)], log)

    async def start(self, patience: float = 40.0) -> bool:
        """Start it and wait for its registration: whether it was accepted, within `patience` seconds."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + patience
        await self.spawn()
        while self.exit_code is None and loop.time() < deadline:
            if self.said("sccp.registered"):
                return True
            if self.said("sccp.rejected"):
                return False
            await asyncio.sleep(0.05)
        return False
