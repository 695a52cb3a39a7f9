"""`interface`: the addresses that `bind` and the phone proxy refer to."""

from __future__ import annotations

from cubeproxy.config.grammar import Commands, Unmodelled, flag, nothing, text
from cubeproxy.config.lines import Line
from cubeproxy.config.model import Interface


def _address(interface: Interface, line: Line) -> None:
    if line.negated:
        interface.address = interface.mask = ""
        return
    word = line.peek() or ""
    if not word[:1].isdigit():  # dhcp, negotiated, pool NAME
        raise Unmodelled
    address, mask = line.address("interface address"), line.address("mask")
    line.network_mask(mask)
    if line.accept("secondary"):
        raise Unmodelled
    interface.address, interface.mask = address, mask
    line.end()


INTERFACE: Commands[Interface] = Commands(
    {
        "description": text("description", "description", 240),
        "ip address": _address,
        "ip access-group": nothing,
        "ip nat": nothing,
        "ip virtual-reassembly": nothing,
        "shutdown": flag("shutdown"),
        "duplex": nothing,
        "speed": nothing,
        "negotiation": nothing,
        "standby": nothing,
        "service-policy": nothing,
    }
)
