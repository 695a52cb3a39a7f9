"""Interface names: `gi0/0`, `GigabitEthernet 0/0` and `GigabitEthernet0/0` are the same."""

from __future__ import annotations

import re

from cubeproxy.config.lines import Line, shown

TYPES = (
    "Async", "BDI", "Cellular", "Dialer", "Embedded-Service-Engine", "Ethernet", "FastEthernet", "GigabitEthernet",
    "ISM", "Loopback", "Multilink", "Null", "NVI", "Port-channel", "Serial", "Service-Engine", "TenGigabitEthernet",
    "Tunnel", "TwoGigabitEthernet", "Virtual-Template", "VirtualPortGroup", "Vlan",
)  # fmt: skip
_SPELLING = re.compile(r"([A-Za-z][A-Za-z-]*) *([0-9][0-9/.:]*)")


def long_name(text: str) -> str | None:
    """The router's long form of an interface name, None when it is none. A type unknown here stays as it is."""
    match = _SPELLING.fullmatch(text)
    if match is None:
        return None
    kind, unit = match.groups()
    found = [name for name in TYPES if name.lower() == kind.lower()]
    found = found or [name for name in TYPES if name.lower().startswith(kind.lower())]
    return (found[0] if len(found) == 1 else kind) + unit


def read_interface(line: Line) -> str:
    """An interface name of one or two words."""
    text = line.take("interface")
    if text.replace("-", "").isalpha() and (line.peek() or "")[:1].isdecimal():
        text += line.take("interface number")
    name = long_name(text)
    if name is None:
        raise line.error(f"'{shown(text)}' is not an interface name", "write it as GigabitEthernet0/0")
    return name
