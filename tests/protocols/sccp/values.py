"""Messages drawn at random, for every kind and header version."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from cubeproxy.protocols.sccp import layout
from cubeproxy.protocols.sccp.encryption import EncryptionField, MediaEncryption
from cubeproxy.protocols.sccp.messages import MOST_CAPABILITIES, Capability, CapabilityList
from cubeproxy.protocols.sccp.registry import HEADER_VERSIONS, MESSAGES, Message

U32 = st.integers(0, 0xFFFFFFFF)
ENCRYPTION = st.builds(
    MediaEncryption, st.integers(0, 6), st.binary(max_size=16), st.binary(max_size=16), st.integers(0, 1), U32
)
CAPABILITIES = st.lists(st.builds(Capability, U32, U32, st.binary(min_size=4, max_size=4)), max_size=MOST_CAPABILITIES)
IPV4 = st.ip_addresses(v=4).map(str)
HOSTS = st.ip_addresses().map(str)


def value(kind: Any, version: int) -> st.SearchStrategy[Any]:
    match kind:
        case layout.Unsigned():
            return st.integers(0, (1 << 8 * kind.octets) - 1)
        case layout.Signed():
            return st.integers(-(1 << 31), (1 << 31) - 1)
        case layout.Text():
            return st.text("abcSEP0189 -_.", max_size=kind.size(version))
        case layout.Octets():
            return st.binary(min_size=kind.octets, max_size=kind.octets)
        case layout.Counted():
            return st.binary(max_size=kind.most)
        case layout.PlainIPv4():
            return IPV4
        case layout.Host():
            return HOSTS if version >= layout.WIDE else IPV4
        case EncryptionField():
            return ENCRYPTION
        case CapabilityList():
            return CAPABILITIES
    raise AssertionError(kind)


@st.composite
def messages(draw: st.DrawFn) -> tuple[Message, int]:
    """A message and the header version that it fits."""
    kind = draw(st.sampled_from(sorted(MESSAGES.values(), key=lambda each: each.ID)))
    version = draw(st.sampled_from(HEADER_VERSIONS))
    values = {
        row.name: draw(value(row.kind, version))
        for row in layout.rows(kind)
        if row.versions.first <= version <= row.versions.last
    }
    return kind(**values), version
