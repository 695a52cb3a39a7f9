"""SDP: session descriptions as typed values (RFC 8866, RFC 4566, RFC 3264's directions, RFC 3605)."""

from cubeproxy.protocols.sdp.addresses import is_null, read_connection, write_connection
from cubeproxy.protocols.sdp.answer import check_answer
from cubeproxy.protocols.sdp.build import audio, describe, rtpmap
from cubeproxy.protocols.sdp.media import MAX_FORMATS, Direction, Media
from cubeproxy.protocols.sdp.payloads import STATIC_PAYLOAD_TYPES
from cubeproxy.protocols.sdp.section import Attribute
from cubeproxy.protocols.sdp.session import MAX_CRYPTO, MAX_MEDIA, MAX_OCTETS, Origin, SessionDescription

__all__ = [
    "MAX_CRYPTO",
    "MAX_FORMATS",
    "MAX_MEDIA",
    "MAX_OCTETS",
    "STATIC_PAYLOAD_TYPES",
    "Attribute",
    "Direction",
    "Media",
    "Origin",
    "SessionDescription",
    "audio",
    "check_answer",
    "describe",
    "is_null",
    "read_connection",
    "rtpmap",
    "write_connection",
]
