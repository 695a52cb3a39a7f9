"""Addresses as they stand in messages, files and events."""

from __future__ import annotations

from cubeproxy.protocols.values import Address


def format_address(address: Address) -> str:
    """ "192.0.2.1:5061", "[2001:db8::1]:5061" (RFC 3986 3.2.2)."""
    host, port = address[0], address[1]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
