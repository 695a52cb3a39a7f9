"""Messages out of a stream (RFC 3261 18.3, keep-alives of RFC 5626 3.5.1).

Two rules of this file: the results are the same however the octets are split, and the work is linear in the octets,
also one by one. What is wrong with the framing ends the stream: the error comes last and is fatal.
"""

from __future__ import annotations

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.model import MalformedMessage, Request, Response
from cubeproxy.protocols.sip.reader import MAX_BODY, MAX_HEAD, Fault, content_length, read_head


class Keepalive:
    """CRLF CRLF between messages: the peer wants CRLF back (RFC 5626 4.4.1)."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "KEEPALIVE"


KEEPALIVE = Keepalive()

Framed = Request | Response | Keepalive | RemoteProtocolError


class Framer:
    """`max_head` and `max_body` in octets; more ends the stream with 513."""

    def __init__(self, max_head: int = MAX_HEAD, max_body: int = MAX_BODY) -> None:
        self.max_head = max_head
        self.max_body = max_body
        self._buffer = bytearray()
        self._searched = 0  # octets of the buffer that hold no end of a head
        self._waiting: tuple[Request | Response, Fault, int] | None = None  # head read, this much body to come
        self._dead = False

    @property
    def pending(self) -> bool:
        """Whether part of a message is held: the transport gives its rest a deadline. Line breaks do not count."""
        return self._waiting is not None or not b"\r\n\r\n".startswith(self._buffer)

    def receive(self, data: bytes) -> list[Framed]:
        """What became whole with these octets, in order. After a fatal error everything is ignored."""
        found: list[Framed] = []
        if self._dead:
            return found
        buffer = self._buffer
        buffer += data
        try:
            while (item := self._next(buffer)) is not None:
                found.append(item)
        except RemoteProtocolError as error:
            error.fatal = True
            found.append(error)
            self._dead = True
            self._waiting = None
            self._buffer = bytearray()
        return found

    def _next(self, buffer: bytearray) -> Framed | None:
        if self._waiting is None:
            if buffer[:1] == b"\r" and (keepalive := self._skip_line_breaks(buffer)) is not None:
                return keepalive
            if not self._read_head(buffer):
                return None
        return self._take_body(buffer)

    def _skip_line_breaks(self, buffer: bytearray) -> Keepalive | None:
        """Pairs of CRLF are keep-alives; a single one before a message is nothing (RFC 3261 7.5)."""
        if buffer.startswith(b"\r\n\r\n"):
            del buffer[:4]
            return KEEPALIVE
        if buffer.startswith(b"\r\n") and not b"\r\n\r\n".startswith(buffer):
            del buffer[:2]
        return None

    def _read_head(self, buffer: bytearray) -> bool:
        if b"\r\n\r\n".startswith(buffer):
            return False  # nothing yet, or half a keep-alive
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3), self.max_head)
        if end < 0:
            self._searched = len(buffer)
            if len(buffer) >= self.max_head:
                raise MalformedMessage(f"more than {self.max_head} octets of headers", 513)
            return False
        message, fault = read_head(bytes(buffer[:end]))
        length = content_length(message)
        if length is None:
            raise MalformedMessage("no Content-Length on a stream", message=message)
        if length > self.max_body:
            raise MalformedMessage(f"a body of {length} octets", 513, message=message)
        del buffer[: end + 4]
        self._searched = 0
        self._waiting = message, fault, length
        return True

    def _take_body(self, buffer: bytearray) -> Framed | None:
        assert self._waiting is not None
        message, fault, length = self._waiting
        if len(buffer) < length:
            return None
        if length:
            message.body = bytes(buffer[:length])
            del buffer[:length]
        self._waiting = None
        return message if fault is None else fault
