"""A hostile peer's tools: plain sockets and the standard library's TLS, and messages spelt by hand.

Nothing of the product's parsers is used here: what the attacker sends is octets, and what it gets back is judged
by its start line. Everything stays inside 127.0.0.0/8 and has a timeout.
"""

from __future__ import annotations

import hashlib
import re
import secrets
import select
import socket
import ssl
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

Address = tuple[str, int]

SDES_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"  # 30 octets, as AES_CM_128_HMAC_SHA1_80 has them
SRTP_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} {profile} 0\r\na=rtpmap:0 PCMU/8000\r\n{crypto}"
)
CRYPTO = f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{SDES_KEY}\r\n"

_START = re.compile(rb"SIP/2\.0 ([1-6][0-9]{2}) ")
_LENGTH = re.compile(rb"^(?:Content-Length|l)[ \t]*:[ \t]*([0-9]+)", re.ASCII | re.IGNORECASE | re.MULTILINE)


def sdp(
    host: str = "127.0.0.1", port: int = 30000, *, profile: str = "RTP/SAVP", crypto: str = CRYPTO, more: str = ""
) -> bytes:
    return (SRTP_SDP.format(host=host, port=port, profile=profile, crypto=crypto) + more).encode()


def request(
    method: str,
    uri: str,
    *,
    number: str = "1001",
    to: str = "",
    to_tag: str = "",
    from_tag: str = "",
    call_id: str = "",
    cseq: int = 1,
    contact: str = "",
    transport: str = "TLS",
    via_host: str = "127.0.0.1:5061",
    more: Iterable[str] = (),
    body: bytes = b"",
    kind: str = "application/sdp",
) -> bytes:
    """A well-formed request unless `more` spoils it."""
    target = to or uri
    lines = [
        f"{method} {uri} SIP/2.0",
        f"Via: SIP/2.0/{transport} {via_host};branch=z9hG4bK{secrets.token_hex(8)};rport",
        "Max-Forwards: 70",
        f"From: <sip:{number}@lab.example>;tag={from_tag or secrets.token_hex(4)}",
        f"To: <{target}>" + (f";tag={to_tag}" if to_tag else ""),
        f"Call-ID: {call_id or secrets.token_hex(8)}",
        f"CSeq: {cseq} {method}",
        f"Contact: {contact or f'<sip:{number}@{via_host};transport={transport.lower()}>'}",
        *more,
    ]
    if body:
        lines.append(f"Content-Type: {kind}")
    lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def header(message: bytes, name: str) -> str:
    """The first value of a header in an answer, "" when it is not there."""
    found = re.search(rb"^" + name.encode() + rb"[ \t]*:[ \t]*(.*?)\r$", message, re.IGNORECASE | re.MULTILINE)
    return found[1].decode("utf-8", "replace") if found else ""


def tag_of(value: str) -> str:
    found = re.search(r";tag=([^;,\s]+)", value)
    return found[1] if found else ""


def status(message: bytes | None) -> int:
    """The status of an answer; 0 when nothing came, or a request."""
    found = _START.match(message or b"")
    return int(found[1]) if found else 0


def client_context(certificate: Path | None = None, key: Path | None = None) -> ssl.SSLContext:
    """A client that verifies nothing and shows what it is told to."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    if certificate:
        context.load_cert_chain(certificate, key)
    return context


class Stream:
    """A TCP or TLS connection to the proxy; `say` octets, `hear` one SIP message, `ended` when it is closed."""

    def __init__(
        self, address: Address, context: ssl.SSLContext | None = None, *, source: str = "", patience: float = 5.0
    ) -> None:
        self.received = b""
        plain = socket.create_connection(address, patience, (source, 0) if source else None)
        try:
            self.sock = context.wrap_socket(plain) if context else plain
        except BaseException:
            plain.close()
            raise
        self.local: Address = self.sock.getsockname()[:2]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.sock.close()

    def say(self, data: bytes) -> None:
        self.sock.sendall(data)

    def hear(self, patience: float = 3.0, *, skip_provisional: bool = True) -> bytes | None:
        """The next whole message; None when the connection ends or nothing comes in time."""
        end = time.monotonic() + patience
        while True:
            message = self._take()
            if message is None:
                if not self._read(end):
                    return None
            elif not (skip_provisional and 100 <= status(message) < 200):
                return message

    def ended(self, patience: float = 5.0) -> bool:
        """Whether the proxy closes the connection in that time; what it says before is kept in `received`."""
        end = time.monotonic() + patience
        while time.monotonic() < end:
            if not self._read(end):
                return time.monotonic() < end
        return False

    def _take(self) -> bytes | None:
        self.received = self.received.lstrip(b"\r\n")
        head, gap, rest = self.received.partition(b"\r\n\r\n")
        if not gap:
            return None
        found = _LENGTH.search(head)
        length = int(found[1]) if found else 0
        if len(rest) < length:
            return None
        self.received = rest[length:]
        return head + gap + rest[:length]

    def _read(self, end: float) -> bool:
        """Whether octets came before `end`."""
        self.sock.settimeout(max(0.001, end - time.monotonic()))
        try:
            data = self.sock.recv(65_536)
        except OSError:
            return False
        self.received += data
        return bool(data)


class Rogue(Stream):
    """A phone with a valid certificate and password that behaves as it likes."""

    def __init__(self, address: Address, context: ssl.SSLContext, number: str, password: str, source: str) -> None:
        super().__init__(address, context, source=source)
        self.number = number
        self.password = password
        self.host = address[0]

    @property
    def via(self) -> str:
        return f"{self.local[0]}:{self.local[1]}"

    def request(self, method: str, uri: str = "", **more: object) -> bytes:
        more.setdefault("number", self.number)
        more.setdefault("via_host", self.via)
        return request(method, uri or f"sip:{self.number}@{self.host}", **more)  # type: ignore[arg-type]

    def ask(self, message: bytes, patience: float = 3.0) -> bytes | None:
        self.say(message)
        return self.hear(patience)

    def register(self, **more: object) -> bytes | None:
        """REGISTER, answering the challenge (RFC 7616, MD5 or SHA-256 with qop=auth)."""
        uri = f"sip:{self.host}"
        to = f"sip:{more.get('number', self.number)}@{self.host}"
        extra = list(more.pop("more", ()))  # type: ignore[call-overload]
        answer = self.ask(self.request("REGISTER", uri, to=to, more=["Expires: 3600", *extra], **more))
        if status(answer) != 401 or answer is None:
            return answer
        credentials = self._digest(header(answer, "WWW-Authenticate"), "REGISTER", uri)
        extra.append(f"Authorization: {credentials}")
        return self.ask(self.request("REGISTER", uri, to=to, cseq=2, more=["Expires: 3600", *extra], **more))

    def _digest(self, challenge: str, method: str, uri: str) -> str:
        given = dict(re.findall(r'(\w+)="?([^",]+)"?', challenge))
        make = hashlib.sha256 if given.get("algorithm", "MD5").upper().startswith("SHA-256") else hashlib.md5

        def h(text: str) -> str:
            return make(text.encode()).hexdigest()

        cnonce = secrets.token_hex(4)
        first = h(f"{self.number}:{given['realm']}:{self.password}")
        middle = f"{given['nonce']}:00000001:{cnonce}:auth" if "qop" in given else given["nonce"]
        answer = h(f"{first}:{middle}:{h(f'{method}:{uri}')}")
        text = (
            f'Digest username="{self.number}", realm="{given["realm"]}", nonce="{given["nonce"]}", uri="{uri}", '
            f'response="{answer}", algorithm={given.get("algorithm", "MD5")}'
        )
        return text + (f', qop=auth, nc=00000001, cnonce="{cnonce}"' if "qop" in given else "")


def udp(source: Address) -> socket.socket:
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    sock.bind(source)
    sock.setblocking(False)
    return sock


def answers(*socks: socket.socket, patience: float = 0.3, most: int = 1000) -> list[bytes]:
    """Every datagram that has come to these sockets, until `patience` seconds of silence or `most` of them."""
    got: list[bytes] = []
    while True:
        if len(got) >= most:
            return got
        ready, _, _ = select.select(socks, [], [], patience)
        if not ready:
            return got
        for sock in ready:
            try:
                got.append(sock.recv(65_535))
            except ConnectionRefusedError:  # an ICMP error: the port is closed
                continue
