"""Messages for tests, made of octets so that nothing but the reader is trusted."""

from __future__ import annotations

from cubeproxy.protocols.sip.message import Request, Response, parse_message

INVITE = (
    b"INVITE sip:2001@10.0.0.1 SIP/2.0\r\n"
    b"Via: SIP/2.0/TLS 127.0.10.9:51044;branch=z9hG4bK77\r\n"
    b"Max-Forwards: 70\r\n"
    b'From: "Alice" <sip:1001@10.0.0.1>;tag=a73\r\n'
    b"To: <sip:2001@10.0.0.1>\r\n"
    b"Call-ID: 00112233@127.0.10.9\r\n"
    b"CSeq: 101 INVITE\r\n"
    b"Contact: <sip:1001@127.0.10.9:51044;transport=tls>\r\n"
)


def octets(*extra: bytes, without: bytes = b"", body: bytes = b"", first: bytes = INVITE) -> bytes:
    """The INVITE without the rows that start with `without`, with rows added, and its length."""
    rows = [row for row in first.split(b"\r\n")[:-1] if not without or not row.startswith(without)]
    return b"\r\n".join([*rows, *extra, b"Content-Length: %d" % len(body), b"", body])


def request(*extra: bytes, without: bytes = b"", body: bytes = b"") -> Request:
    message = parse_message(octets(*extra, without=without, body=body))
    assert isinstance(message, Request)
    return message


def response(status: bytes = b"200 OK", *extra: bytes) -> Response:
    head = INVITE.replace(b"INVITE sip:2001@10.0.0.1 SIP/2.0", b"SIP/2.0 " + status)
    message = parse_message(octets(*extra, first=head))
    assert isinstance(message, Response)
    return message
