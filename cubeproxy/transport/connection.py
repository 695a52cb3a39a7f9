"""One SIP connection over TCP or TLS: octets to messages and back, within limits. An asyncio protocol.

On the path of a message there is no task, no queue, no timer and no formatted text: writes are gathered until the
loop has handled what is ready, and deadlines are looked after by the owner.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from enum import IntEnum
from typing import Protocol, cast

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.framer import Framer, Keepalive
from cubeproxy.protocols.sip.message import Request, Response
from cubeproxy.protocols.values import Event, Flow
from cubeproxy.transport.channel import ChannelBroken, TlsChannel
from cubeproxy.transport.counters import Counters
from cubeproxy.transport.limits import Bucket, Limits
from cubeproxy.transport.refusals import HandshakeRefused

PONG = b"\r\n"  # RFC 5626 3.5.1


class State(IntEnum):
    SHAKING = 0  # TLS handshake in progress
    OPEN = 1
    CLOSING = 2  # last octets are on their way; what still comes in is ignored
    CLOSED = 3


class Owner(Protocol):
    """What a connection tells the transport that it belongs to."""

    counters: Counters
    clock: Callable[[], float]

    def connection_open(self, connection: StreamConnection) -> None: ...
    def connection_message(self, connection: StreamConnection, message: Request | Response) -> None: ...
    def connection_malformed(self, connection: StreamConnection, error: RemoteProtocolError) -> None: ...
    def connection_refused(self, connection: StreamConnection, event: Event, *, theirs: bool) -> None: ...
    def connection_partial(self, connection: StreamConnection, partial: bool, *, progress: bool) -> None: ...
    def connection_closing(self, connection: StreamConnection) -> None: ...
    def connection_lost(self, connection: StreamConnection) -> None: ...
    def connection_throttled(self, connection: StreamConnection, wait: float) -> None: ...
    def connection_dirty(self, connection: StreamConnection) -> None: ...
    def connection_crashed(self, connection: StreamConnection, error: Exception) -> None: ...


class StreamConnection(asyncio.Protocol):
    __slots__ = (
        "_framer",
        "_limits",
        "_messages",
        "_octets",
        "_out",
        "_out_size",
        "_owner",
        "_transport",
        "cause",
        "channel",
        "context",
        "dirty",
        "first",
        "flow",
        "last_used",
        "opened",
        "partial",
        "state",
    )

    def __init__(
        self,
        owner: Owner,
        flow: Flow,
        limits: Limits,
        channel: TlsChannel | None = None,
        *,
        first: bytes = b"",
        context: object = None,
        rated: bool = False,
    ) -> None:
        self.flow = flow
        self.channel = channel
        self.context = context  # the owner's: a gate ticket, or the outgoing connection's record
        self.first = first  # read before there was a protocol
        self.state = State.SHAKING
        self.cause = ""
        self.dirty = False  # in the owner's list of connections to flush
        self.opened = False  # the owner was told of it
        self.partial = False
        self.last_used = now = owner.clock()
        self._owner = owner
        self._limits = limits
        self._framer = Framer(limits.message_head, limits.message_body)
        self._messages = Bucket(limits.messages_per_second, limits.messages_burst, now) if rated else None
        self._octets = Bucket(limits.octets_per_second, limits.octets_burst, now) if rated else None
        self._out: list[bytes] = []
        self._out_size = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is no subclass of it
        transport.set_write_buffer_limits(high=self._limits.write_buffer)
        if self.state is State.CLOSING:  # given up while it was being made
            transport.abort()
            return
        if self.channel is None:
            self._opened()
        elif not self.channel.settings.server:
            transport.write(self.channel.start())
        first, self.first = self.first, b""
        if first:
            self.data_received(first)

    def data_received(self, data: bytes) -> None:
        if self.state >= State.CLOSING:
            return
        channel = self.channel
        if channel is not None:
            try:
                data = channel.receive(data)
            except HandshakeRefused as refusal:
                self._refuse(refusal.event, theirs=refusal.theirs)
                return
            except ChannelBroken as broken:
                self._break(broken)
                return
            if channel.stirred and not self._after_handshake_messages(channel):
                return
            if self.state is State.SHAKING and channel.established:
                self._opened()
        if data and self.state is State.OPEN:
            self._read(data)
        if channel is not None and channel.peer_closed:
            self.close("closed by the peer")

    def eof_received(self) -> bool:
        if not self.cause:
            self.cause = "closed by the peer"
        return False  # asyncio closes the transport after what is written

    def connection_lost(self, error: Exception | None) -> None:
        if self.state is State.CLOSED:
            return
        if not self.cause:
            self.cause = f"lost: {error}" if error else "closed by the peer"
        self.state = State.CLOSED
        self.flow.open = False
        self._out.clear()
        try:
            self._owner.connection_lost(self)
        finally:
            if self.channel is not None:
                self.channel.dispose()

    def write(self, data: bytes) -> None:
        """Send SIP octets with the next flush. The caller has looked at `flow.open`."""
        self._out.append(data)
        self._out_size += len(data)
        if not self.dirty:
            self.dirty = True
            self._owner.connection_dirty(self)

    def flush(self) -> None:
        self.dirty = False
        if not self._out or self._transport is None or self.state is State.CLOSED:
            return
        data = self._out[0] if len(self._out) == 1 else b"".join(self._out)
        self._out.clear()
        self._owner.counters.octets_out += len(data)
        self._out_size = 0
        transport = self._transport
        if self.channel is not None:
            try:
                data = self.channel.send(data)
            except ChannelBroken as broken:
                self._break(broken)
                return
        transport.write(data)
        if transport.get_write_buffer_size() > self._limits.write_buffer:
            self._owner.counters.overflows += 1
            self.abort("the peer does not read")

    def close(self, cause: str) -> None:
        """Send what waits, say goodbye, close. The transport cuts it off when the peer does not read (`linger`)."""
        if self.state >= State.CLOSING:
            return
        self.flush()
        if self.state >= State.CLOSING:  # the flush found it broken
            return
        self._begin_closing(cause)
        if self._transport is not None:
            if self.channel is not None and (farewell := self.channel.close()):
                self._transport.write(farewell)
            self._transport.close()

    def close_slowly(self, cause: str) -> None:
        """As `close`, but the peer gets the time to read a last answer: a reset would destroy it on its way.

        Only our direction is closed; what still comes in is read and dropped until the peer closes, or `linger` ends.
        """
        if self.state >= State.CLOSING:
            return
        self.flush()
        if self.state >= State.CLOSING:
            return
        self._begin_closing(cause)
        transport = self._transport
        if transport is not None:
            if self.channel is not None and (farewell := self.channel.close()):
                transport.write(farewell)
            try:
                transport.resume_reading()
                transport.write_eof()
            except (OSError, RuntimeError):  # reset by the peer a moment ago
                transport.abort()

    def abort(self, cause: str) -> None:
        """Cut the connection now."""
        if self.state is State.CLOSED:
            return
        if self.state is not State.CLOSING:
            self._begin_closing(cause)
        if self._transport is not None:
            self._transport.abort()

    def pause(self) -> None:
        if self._transport is not None and self.state is State.OPEN:
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._transport is not None and self.state is State.OPEN:
            self._transport.resume_reading()

    def _opened(self) -> None:
        self.state = State.OPEN
        self.opened = True
        if self.channel is not None:
            self.flow.identity = self.channel.identity
        self.flow.open = True
        self._guarded(self._owner.connection_open, self)

    def _read(self, data: bytes) -> None:
        owner = self._owner
        self.last_used = now = owner.clock()
        owner.counters.octets_in += len(data)
        items = self._framer.receive(data)
        for item in items:
            kind = item.__class__
            if kind is Request or kind is Response:
                self._guarded(owner.connection_message, self, item)
            elif kind is Keepalive:
                owner.counters.keepalives += 1
                self.write(PONG)
            elif isinstance(item, RemoteProtocolError):
                self._malformed(item)
            if self.state is not State.OPEN:
                return
        partial = self._framer.pending
        if partial or self.partial:
            owner.connection_partial(self, partial, progress=bool(items))
            self.partial = partial
        if self._messages is not None and self._octets is not None:
            wait = max(self._messages.take(len(items), now), self._octets.take(len(data), now))
            if wait > 0.0:
                owner.connection_throttled(self, wait)

    def _malformed(self, error: RemoteProtocolError) -> None:
        self._owner.counters.malformed += 1
        self._guarded(self._owner.connection_malformed, self, error)
        if error.fatal:
            self.close_slowly(f"malformed: {error}")

    def _guarded(self, call: Callable[..., None], *arguments: object) -> None:
        """What the owner does with one peer's input may break that peer's connection, and nothing else."""
        try:
            call(*arguments)
        except Exception as error:
            self._owner.counters.crashes += 1
            self._owner.connection_crashed(self, error)
            self.close("internal error")

    def _after_handshake_messages(self, channel: TlsChannel) -> bool:
        """Send what OpenSSL wants to say; False when the peer has made it say too much."""
        if self._transport is not None and (data := channel.outgoing()):
            self._transport.write(data)
        if channel.flooded():
            self.abort("tls: flood of handshake messages")
            return False
        return True

    def _refuse(self, event: Event, *, theirs: bool) -> None:
        self._owner.connection_refused(self, event, theirs=theirs)
        if self._transport is not None and self.channel is not None and (alert := self.channel.outgoing()):
            self._transport.write(alert)
        self.close_slowly(f"tls: {event.cause}")

    def _break(self, broken: ChannelBroken) -> None:
        if broken.event is not None:
            self._owner.connection_refused(self, broken.event, theirs=False)
        if self._transport is not None and self.channel is not None and (alert := self.channel.outgoing()):
            self._transport.write(alert)
        self._begin_closing(str(broken))
        if self._transport is not None:
            self._transport.close()

    def _begin_closing(self, cause: str) -> None:
        self.state = State.CLOSING
        self.cause = self.cause or cause
        self.flow.open = False
        self._owner.connection_closing(self)
