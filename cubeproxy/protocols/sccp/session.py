"""What the call manager asks of a farm for one call: two channels opened, two transmissions started, in this order.

    OpenReceiveChannel, Ack; OpenReceiveChannel, Ack; StartMediaTransmission, Ack; StartMediaTransmission, Ack

A change of a stream (codec, key, packet size) stops it with its port kept, opens and starts it again under the same
numbers; a stream that stays is not touched, so its rollover counter goes on. Without an Ack of a transmission
the session goes on after a while, without that of a channel it fails.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any

from cubeproxy.protocols.sccp.encryption import MediaEncryption
from cubeproxy.protocols.sccp.machine import NEVER, Action, Machine, Output, Ready, SessionFailed, absorb
from cubeproxy.protocols.sccp.media_messages import (
    STATUS_TEXTS,
    CloseReceiveChannel,
    MediaTransmissionFailure,
    OpenReceiveChannel,
    OpenReceiveChannelAck,
    PortHandling,
    StartMediaTransmission,
    StartMediaTransmissionAck,
    Status,
    StopMediaTransmission,
)
from cubeproxy.protocols.sccp.registry import Message
from cubeproxy.protocols.values import Address

ANSWER_WITHIN = 3.0  # s
CAUSES = {Status.NOT_ENOUGH_CHANNELS: "pool-full", Status.OUT_OF_SOCKETS: "pool-full"}  # any other: "no-transcoder"


@dataclass(slots=True, frozen=True)
class Stream:
    """One leg as the farm needs it: `remote` is where it sends to, keys are seen from the farm."""

    codec: int
    remote: Address
    period: int = 20  # ms
    event_payload: int = 0
    dynamic_payload: int = 0
    receive: MediaEncryption = field(default_factory=MediaEncryption)
    send: MediaEncryption = field(default_factory=MediaEncryption)


class State(Enum):
    IDLE = auto()
    OPENING = auto()
    STARTING = auto()
    RUNNING = auto()
    CLOSED = auto()


class Input(Enum):
    UPDATE = auto()
    OPENED = auto()  # one channel, and there are more
    ALL_OPENED = auto()
    STARTED = auto()  # one transmission, and there are more
    ALL_STARTED = auto()
    REFUSED = auto()
    LATE = auto()
    RELEASE = auto()


Streams = tuple[Stream, Stream]


class TranscoderSession(Machine):
    """`conference` names it, `parties` and `calls` its streams; all unique on the connection."""

    kind = "session"

    def __init__(self, conference: int, parties: tuple[int, int], calls: tuple[int, int], version: int) -> None:
        super().__init__(State.IDLE)
        self.conference = conference
        self.parties = parties
        self.calls = calls
        self.version = version
        self.streams: Streams | None = None  # as the farm has them, or is getting them
        self.hosts: list[Address] = [("", 0), ("", 0)]
        self._wanted: Streams | None = None  # the newest update that came at a bad moment
        self._waiting: list[int] = []  # legs whose answer is outstanding, the first is asked
        self._changed: list[int] = []
        self._late_at = NEVER

    @property
    def deadline(self) -> float | None:
        return None if self._late_at == NEVER else self._late_at

    def update(self, streams: Streams, now: float) -> list[Output]:
        """Streams as they are to be from now on. Those that stay as they are cost nothing."""
        if self.state in (State.OPENING, State.STARTING):
            self._wanted = streams
            return []
        if streams == self.streams:
            return []
        return self.feed(Input.UPDATE, streams, now)

    def receive(self, message: Message, now: float) -> list[Output]:
        """An answer of the farm; whether it is for this session is judged by its party."""
        self.count(message)
        judged = self._judge(message)
        if judged is None:
            self.counters.unsupported += 1
            return []
        out = self.offer(*judged, now)
        if self.state is State.RUNNING and self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            out += self.update(wanted, now)
        return out

    def release(self, now: float) -> list[Output]:
        """Nothing for one that has failed already."""
        return [] if self.state is State.CLOSED else self.feed(Input.RELEASE, None, now)

    def timeout(self, now: float) -> list[Output]:
        if self._late_at > now:
            return []
        self._late_at = NEVER
        if self.state is State.STARTING:
            return self.receive(StartMediaTransmissionAck(party=self.parties[self._waiting[0]]), now)
        return self.feed(Input.LATE, None, now)

    def _judge(self, message: Message) -> tuple[Input, Any] | None:
        expected = self.parties[self._waiting[0]] if self._waiting else -1
        if isinstance(message, MediaTransmissionFailure):
            return Input.REFUSED, ("no-transcoder", "the farm hears nothing", True)
        if isinstance(message, OpenReceiveChannelAck | StartMediaTransmissionAck) and message.party == expected:
            if message.status != Status.OK:
                text = STATUS_TEXTS.get(message.status, f"status {message.status}")  # type: ignore[call-overload]
                return Input.REFUSED, (CAUSES.get(message.status, "no-transcoder"), f"the farm says: {text}")  # type: ignore[call-overload]
            more = len(self._waiting) > 1
            if isinstance(message, OpenReceiveChannelAck):
                if not 0 < message.port < 65536:
                    return Input.REFUSED, ("no-transcoder", f"the farm's port is {message.port}")
                return Input.OPENED if more else Input.ALL_OPENED, message
            return Input.STARTED if more else Input.ALL_STARTED, message
        return None

    # for the actions

    def take(self, streams: Streams) -> Sequence[int]:
        """Remember the new streams; the legs that differ from what the farm has."""
        before = self.streams or (None, None)
        self._changed = [leg for leg in (0, 1) if streams[leg] != before[leg]]
        self.streams = streams
        return self._changed

    def open_changed(self, now: float, out: list[Output]) -> None:
        self._waiting = list(self._changed)
        self.open_first(now, out)

    def start_changed(self, now: float, out: list[Output]) -> None:
        self._waiting = list(self._changed)
        self.start_first(now, out)

    def answered(self) -> int:
        return self._waiting.pop(0)

    def done(self) -> None:
        self._waiting.clear()
        self._late_at = NEVER

    def open_first(self, now: float, out: list[Output]) -> None:
        leg = self._waiting[0]
        stream = self._stream(leg)
        self._late_at = now + ANSWER_WITHIN
        self.send(
            OpenReceiveChannel(
                conference=self.conference,
                party=self.parties[leg],
                call=self.calls[leg],
                period=stream.period,
                codec=stream.codec,
                dynamic_payload=stream.dynamic_payload,
                encryption=stream.receive,
                event_payload=stream.event_payload,
                source=stream.remote[0],
                source_port=stream.remote[1],
            ),
            out,
        )

    def start_first(self, now: float, out: list[Output]) -> None:
        leg = self._waiting[0]
        stream = self._stream(leg)
        self._late_at = now + ANSWER_WITHIN
        self.send(
            StartMediaTransmission(
                conference=self.conference,
                party=self.parties[leg],
                call=self.calls[leg],
                host=stream.remote[0],
                port=stream.remote[1],
                period=stream.period,
                codec=stream.codec,
                dynamic_payload=stream.dynamic_payload,
                encryption=stream.send,
                event_payload=stream.event_payload,
            ),
            out,
        )

    def close_legs(self, legs: Sequence[int], handling: PortHandling, out: list[Output]) -> None:
        for leg in legs:
            names = (self.conference, self.parties[leg], self.calls[leg], handling)
            self.send(CloseReceiveChannel(*names), out)
            self.send(StopMediaTransmission(*names), out)

    def _stream(self, leg: int) -> Stream:
        assert self.streams is not None
        return self.streams[leg]


# actions


def open_both(session: TranscoderSession, streams: Streams, now: float, out: list[Output]) -> None:
    session.take(streams)
    session.open_changed(now, out)


def change(session: TranscoderSession, streams: Streams, now: float, out: list[Output]) -> None:
    session.close_legs(session.take(streams), PortHandling.KEEP, out)
    session.open_changed(now, out)


def open_next(session: TranscoderSession, ack: OpenReceiveChannelAck, now: float, out: list[Output]) -> None:
    session.hosts[session.answered()] = (ack.host, ack.port)
    session.open_first(now, out)


def start(session: TranscoderSession, ack: OpenReceiveChannelAck, now: float, out: list[Output]) -> None:
    session.hosts[session.answered()] = (ack.host, ack.port)
    session.start_changed(now, out)


def start_next(session: TranscoderSession, _ack: Message, now: float, out: list[Output]) -> None:
    session.answered()
    session.start_first(now, out)


def run(session: TranscoderSession, _ack: Message, _now: float, out: list[Output]) -> None:
    session.done()
    out.append(Ready((session.hosts[0], session.hosts[1])))


def fail(session: TranscoderSession, why: tuple[Any, ...], _now: float, out: list[Output]) -> None:
    session.done()
    session.close_legs((0, 1), PortHandling.CLOSE, out)
    out.append(SessionFailed(*why))


def fail_late(session: TranscoderSession, _nothing: None, now: float, out: list[Output]) -> None:
    fail(session, ("no-transcoder", "the farm does not answer"), now, out)


def close(session: TranscoderSession, _nothing: None, _now: float, out: list[Output]) -> None:
    session.done()
    session.close_legs((0, 1), PortHandling.CLOSE, out)


SESSION: dict[tuple[State, Input], tuple[Action, State]] = {
    (State.IDLE, Input.UPDATE): (open_both, State.OPENING),
    (State.IDLE, Input.RELEASE): (absorb, State.CLOSED),
    (State.OPENING, Input.OPENED): (open_next, State.OPENING),
    (State.OPENING, Input.ALL_OPENED): (start, State.STARTING),
    (State.OPENING, Input.REFUSED): (fail, State.CLOSED),
    (State.OPENING, Input.LATE): (fail_late, State.CLOSED),
    (State.OPENING, Input.RELEASE): (close, State.CLOSED),
    (State.STARTING, Input.STARTED): (start_next, State.STARTING),
    (State.STARTING, Input.ALL_STARTED): (run, State.RUNNING),
    (State.STARTING, Input.REFUSED): (fail, State.CLOSED),
    (State.STARTING, Input.RELEASE): (close, State.CLOSED),
    (State.RUNNING, Input.UPDATE): (change, State.OPENING),
    (State.RUNNING, Input.REFUSED): (fail, State.CLOSED),
    (State.RUNNING, Input.RELEASE): (close, State.CLOSED),
}
TranscoderSession.table = SESSION
