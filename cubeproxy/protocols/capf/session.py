"""What both ends of a CAPF session have in common: a place in a table, a stream, and one alarm.

Time is an argument. The owner has a TLS connection: it gives what arrives to `receive`, carries out the effects, calls
`timeout` at `deadline` and `closed` when the connection is gone. One operation is one connection; after `Ended` the
owner closes it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, ClassVar

from cubeproxy.protocols.capf.authentication import Attempt, AuthMode
from cubeproxy.protocols.capf.messages import Command, Framer, KeyRequest, Message, Reason, message
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError


class State(Enum):
    READY = auto()
    AUTHENTICATING = auto()  # server: AUTH_REQUEST is out; client: waiting for it
    DECIDING = auto()  # server: its owner looks for the pending operation
    PROVING = auto()  # client: its owner makes the proof
    IDLE = auto()  # client: authenticated as far as it knows, waiting for an operation
    GENERATING = auto()  # the phone makes its key
    SUBMITTED = auto()  # client: the public key is out
    ISSUING = auto()  # server: its owner makes the certificate
    STORING = auto()
    FETCHING = auto()
    DELETING = auto()
    FINISHING = auto()  # client: waiting for the end
    ENDED = auto()


class Input(Enum):
    START = auto()
    # from the peer
    AUTH_REQUEST = auto()
    AUTH_RESPONSE = auto()
    BAD_VERSION = auto()
    KEY_REQUEST = auto()
    PROGRESS = auto()
    KEY = auto()
    STORE_REQUEST = auto()
    FETCH_REQUEST = auto()
    DELETE_REQUEST = auto()
    ACCEPTED = auto()  # a response with reason 1
    DECLINED = auto()  # a response with another
    END = auto()
    RETRY_LATER = auto()
    UNEXPECTED = auto()  # broken, out of place, or of another session
    # from the owner
    PROVED = auto()
    KEY_MADE = auto()
    INSTALL = auto()
    FETCH = auto()
    DELETE = auto()
    REFUSE = auto()
    DONE = auto()  # what was asked of the owner is done
    NOT_DONE = auto()
    # otherwise
    ALARM = auto()
    CLOSED = auto()


class Operation(Enum):
    INSTALL = "installed"
    FETCH = "fetched"
    DELETE = "deleted"


@dataclass(slots=True)
class Send:
    """One message, to be written at once."""

    data: bytes = field(repr=False)


@dataclass(slots=True)
class Authenticate:
    """To the server's owner: who is this, and what is pending? The answer is `decide` or `refuse`."""

    attempt: Attempt


@dataclass(slots=True)
class IssueCertificate:
    """To the server's owner: the answer is `issued` with DER, or `not_issued`."""

    device: str
    public_key: bytes  # DER SubjectPublicKeyInfo
    asked: KeyRequest


@dataclass(slots=True)
class Prove:
    """To the client's owner: the answer is `prove`. `mode` is None when the server does not say."""

    session: int
    mode: AuthMode | None


@dataclass(slots=True)
class GenerateKey:
    """To the client's owner: the answer is `key_made` with the public key, or `not_done`."""

    asked: KeyRequest


@dataclass(slots=True)
class StoreCertificate:
    """To the client's owner: the answer is `done` or `not_done`."""

    certificate: bytes  # DER


@dataclass(slots=True)
class GiveCertificate:
    """To the client's owner: the answer is `certificate_found`, or `not_done`."""


@dataclass(slots=True)
class DeleteCertificate:
    """To the client's owner: the answer is `done` or `not_done`."""


@dataclass(slots=True)
class Ended:
    """The session is over, and its connection to be closed.

    `cause` is "installed", "fetched" or "deleted" when all went well, and else "refused", "declined", "version",
    "unexpected", "retry-later", "timeout" or "closed". `reason` is element 1 as sent or received.
    """

    cause: str
    reason: int | None = None
    certificate: bytes | None = None
    text: str = ""


Effect = (
    Send
    | Authenticate
    | IssueCertificate
    | Prove
    | GenerateKey
    | StoreCertificate
    | GiveCertificate
    | DeleteCertificate
    | Ended
)
Action = Callable[..., None]  # (machine, payload, now, out)
Table = dict[tuple[State, Input], tuple[Action, State]]


@dataclass(slots=True, frozen=True)
class Pace:
    """Seconds."""

    answer: float = 60.0
    key: float = 3600.0  # old phones need more than half an hour for a key
    progress: float = 30.0  # between two REQUEST_IN_PROGRESS of ours


PACE = Pace()


class Session:
    """One end."""

    table: ClassVar[Table]
    kind: ClassVar[str]

    def __init__(self, pace: Pace) -> None:
        self.state = State.READY
        self.pace = pace
        self.session = 0
        self.deadline: float | None = None
        self.framer = Framer()

    @property
    def over(self) -> bool:
        return self.state is State.ENDED

    def start(self, now: float) -> list[Effect]:
        return self.feed(Input.START, None, now)

    def receive(self, data: bytes, now: float) -> list[Effect]:
        out: list[Effect] = []
        for found in self.framer.receive(data):
            if self.over:
                break
            event, payload = self._judge(found)
            out += self.feed(event, payload, now)
        return out

    def closed(self, now: float) -> list[Effect]:
        return self.feed(Input.CLOSED, None, now)

    def timeout(self, now: float) -> list[Effect]:
        if self.deadline is None or now < self.deadline:
            return []
        self.deadline = None
        return self.feed(Input.ALARM, None, now)

    def feed(self, event: Input, payload: Any, now: float) -> list[Effect]:
        """One step. What a peer does out of place is UNEXPECTED; LocalProtocolError for our own mistakes.

        After the end everything is too late, an owner's answer too, and does nothing.
        """
        if self.over:
            return []
        row = self.table.get((self.state, event))
        if row is None and event in FROM_PEER:
            payload = f"{event.name} in {self.state.name}"
            row = self.table.get((self.state, Input.UNEXPECTED))
        if row is None:
            raise LocalProtocolError(f"CAPF {self.kind} in {self.state.name} takes no {event.name}")
        self.state = row[1]
        out: list[Effect] = []
        row[0](self, payload, now, out)
        return out

    def _judge(self, found: Message | RemoteProtocolError) -> tuple[Input, Any]:
        if isinstance(found, RemoteProtocolError):
            return Input.UNEXPECTED, str(found)
        try:
            return self.judge(found)
        except RemoteProtocolError as error:
            return Input.UNEXPECTED, str(error)

    def judge(self, found: Message) -> tuple[Input, Any]:
        """Which input a message is, and what its action is given. RemoteProtocolError: UNEXPECTED."""
        raise NotImplementedError

    def send(self, command: Command, out: list[Effect], *elements: tuple[int, bytes]) -> None:
        out.append(Send(message(command, self.session, elements).serialise()))

    def wait(self, now: float, seconds: float) -> None:
        self.deadline = now + seconds

    def end(self, ended: Ended, out: list[Effect]) -> None:
        self.deadline = None
        out.append(ended)


FROM_PEER = frozenset(
    {
        Input.AUTH_REQUEST,
        Input.AUTH_RESPONSE,
        Input.BAD_VERSION,
        Input.KEY_REQUEST,
        Input.PROGRESS,
        Input.KEY,
        Input.STORE_REQUEST,
        Input.FETCH_REQUEST,
        Input.DELETE_REQUEST,
        Input.ACCEPTED,
        Input.DECLINED,
        Input.END,
        Input.RETRY_LATER,
    }
)


def lose_connection(machine: Session, _payload: None, _now: float, out: list[Effect]) -> None:
    machine.end(Ended("closed", text="the connection is gone"), out)


def lose_patience(machine: Session, _payload: None, _now: float, out: list[Effect]) -> None:
    machine.end(Ended("timeout", text="the peer does not answer"), out)


def accepted(reason: int | None) -> Input:
    return Input.ACCEPTED if reason == Reason.OK else Input.DECLINED
