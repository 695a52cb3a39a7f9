"""Connection data: `IN IP4 192.0.2.1`, `IN IP6 2001:db8::1` (RFC 8866 5.7)."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv6Address

from cubeproxy.protocols.errors import RemoteProtocolError

_CONNECTION = re.compile(r"IN +IP([46]) +([!-.0-~]+)(?:/[0-9]{1,3}){0,2} *", re.ASCII | re.IGNORECASE)
_REMEMBERED = 1024  # connection values: a description names one several times, a peer in all its descriptions
_LONGEST = 128  # octets of a connection value; what names a literal is far shorter
_NULL = frozenset(("0.0.0.0", "::"))  # "send me nothing", the hold of RFC 2543 kept by RFC 3264 8.4


def read_connection(value: str) -> str:
    """The host literal of a connection value, without multicast TTL or count.

    RemoteProtocolError 488 for another network than IN, for a name (nothing here resolves names) and for a
    literal of the wrong family.
    """
    if len(value) > _LONGEST:
        raise RemoteProtocolError("SDP: connection data too long", 488)
    return _read(value)


@lru_cache(_REMEMBERED)
def _read(value: str) -> str:
    match = _CONNECTION.fullmatch(value)
    if match is None:
        raise RemoteProtocolError("SDP: bad connection data", 488)
    family, host = match.groups()
    try:
        return str(IPv4Address(host)) if family == "4" else _ipv6(host)
    except AddressValueError:
        raise RemoteProtocolError(f"SDP: connection data names no IPv{family} address", 488) from None


def _ipv6(host: str) -> str:
    if "%" in host:  # a zone means something to its writer only
        raise AddressValueError(host)
    return str(IPv6Address(host))


def write_connection(host: str) -> str:
    """Connection value for a host literal."""
    return f"IN IP{6 if ':' in host else 4} {host}"


def is_null(host: str) -> bool:
    return host in _NULL
