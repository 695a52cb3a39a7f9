"""The few SIP messages of a load call, as text with holes, and a reader that looks only at what a call needs.

The generator must cost less than what it measures, and must not share its faults: neither the grammar nor the machines
of the product are used here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

CALL_ID = re.compile(rb"^(?:call-id|i)[ \t]*:[ \t]*([^\r\n]+?)[ \t]*\r?$", re.IGNORECASE | re.MULTILINE)
CSEQ = re.compile(rb"^cseq[ \t]*:[ \t]*(\d+)[ \t]+([A-Z]+)", re.IGNORECASE | re.MULTILINE)
CONTACT = re.compile(rb"^(?:contact|m)[ \t]*:[^<\r\n]*<([^>]+)>", re.IGNORECASE | re.MULTILINE)
TO = re.compile(rb"^(?:to|t)[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
RECORD_ROUTE = re.compile(rb"^record-route[ \t]*:[ \t]*([^\r\n]+)", re.IGNORECASE | re.MULTILINE)
LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d+)", re.IGNORECASE | re.MULTILINE)
COPIED = re.compile(
    rb"^(?:via|v|record-route|from|f|to|t|call-id|i|cseq)[ \t]*:[^\r\n]*\r\n", re.IGNORECASE | re.MULTILINE
)

SDP = """\
v=0\r\no=load 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n\
m=audio {port} {profile} 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n{crypto}a=sendrecv\r\n"""
CRYPTO = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\n"
REQUEST = "\r\n".join(
    [
        "{method} {uri} SIP/2.0",
        "Via: SIP/2.0/{transport} {here};branch=z9hG4bK{branch};rport",
        "{routes}Max-Forwards: 70",
        "From: <sip:{caller}@{host}>;tag={tag}",
        "To: {to}",
        "Call-ID: {call_id}",
        "CSeq: {cseq} {method}",
        "Contact: <sip:{caller}@{here};transport={lower}>",
        "User-Agent: cubeload",
        "{rows}Content-Length: {length}",
        "",
        "{body}",
    ]
)


def request(
    link: Speaker,
    method: str,
    uri: str,
    *,
    user: str,
    to: str,
    call_id: str,
    cseq: int,
    routes: str = "",
    rows: str = "",
    body: str = "",
) -> bytes:
    """One request of a phone on its link. Tag and branch follow from the Call-ID: nothing needs keeping."""
    name = call_id.partition("@")[0]
    return REQUEST.format(
        method=method,
        uri=uri,
        transport=link.transport_name,
        lower=link.transport_name.lower(),
        here=link.here,
        host=link.host,
        branch=f"{method}{cseq}{name}",
        routes=routes,
        caller=user,
        tag=name,
        to=to,
        call_id=call_id,
        cseq=cseq,
        rows=rows,
        length=len(body),
        body=body,
    ).encode()


class Speaker(Protocol):
    """Who sends: what its messages say of itself."""

    transport_name: str
    host: str
    here: str


@dataclass(slots=True)
class Read:
    """What a call looks at in a message. `status` is 0 in a request, `method` comes from CSeq in both."""

    status: int
    method: str
    cseq: int
    call_id: str
    raw: bytes


def read(data: bytes) -> Read | None:
    """None for what is no SIP message (keepalives)."""
    call_id, cseq = CALL_ID.search(data), CSEQ.search(data)
    if call_id is None or cseq is None:
        return None
    status = int(data[8:11]) if data.startswith(b"SIP/2.0 ") else 0
    return Read(status, cseq[2].decode(), int(cseq[1]), call_id[1].decode(), data)


def sdp(host: str, port: int, key: str = "") -> str:
    """Offers PCMU, PCMA and telephone-event; with a key (base64, 40 characters) as SRTP."""
    crypto = CRYPTO.format(key=key) if key else ""
    return SDP.format(host=host, port=port, profile="RTP/SAVP" if key else "RTP/AVP", crypto=crypto)


def answer(request: bytes, status: str, tag: str, rows: str = "", body: str = "") -> bytes:
    """A response with the headers that RFC 3261 8.2.6 copies; `tag` goes to a To that has none."""
    head = b"".join(COPIED.findall(request)).decode()
    if tag:
        head = re.sub(r"(?im)^((?:to|t)[ \t]*:(?!.*;tag=)[^\r\n]*)", rf"\1;tag={tag}", head, count=1)
    kind = "Content-Type: application/sdp\r\n" if body else ""
    return f"SIP/2.0 {status}\r\n{head}{rows}{kind}Content-Length: {len(body)}\r\n\r\n{body}".encode()


def split_stream(buffer: bytearray) -> list[bytes]:
    """Takes the whole messages out of a stream's buffer (RFC 3261 18.3)."""
    out: list[bytes] = []
    while True:
        while buffer[:2] == b"\r\n":
            del buffer[:2]
        end = buffer.find(b"\r\n\r\n")
        if end < 0:
            return out
        length = LENGTH.search(buffer, 0, end + 2)
        size = end + 4 + (int(length[1]) if length else 0)
        if len(buffer) < size:
            return out
        out.append(bytes(buffer[:size]))
        del buffer[:size]
