"""The CAPF server's end: greet, let the owner decide, carry one operation through, end.

    AUTH_REQUEST -> AUTH_RESPONSE -> install: KEY_GENERATE, certificate, STORE; fetch: FETCH; delete: DELETE -> END

Accounts, pending operations, limits on guessing and the authority's key are the owner's.
"""

from __future__ import annotations

from typing import Any

from cubeproxy.protocols.capf.authentication import Attempt, AuthMode, read_attempt
from cubeproxy.protocols.capf.messages import (
    VERSION,
    CertificateType,
    Command,
    KeyRequest,
    Message,
    Reason,
    Tag,
    certificate_value,
    read_certificate,
    u8,
)
from cubeproxy.protocols.capf.session import (
    PACE,
    Authenticate,
    Effect,
    Ended,
    Input,
    IssueCertificate,
    Operation,
    Pace,
    Session,
    State,
    Table,
    accepted,
    lose_connection,
    lose_patience,
)
from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError

# Which state waits for which response.
RESPONSES = {
    State.STORING: Command.STORE_CERTIFICATE_RESPONSE,
    State.FETCHING: Command.FETCH_CERTIFICATE_RESPONSE,
    State.DELETING: Command.DELETE_CERTIFICATE_RESPONSE,
}


class Server(Session):
    """`session` counts connections; `mode` is the hint in AUTH_REQUEST, None leaves it out."""

    kind = "server"

    def __init__(self, session: int, mode: AuthMode | None = AuthMode.NONE, pace: Pace = PACE) -> None:
        super().__init__(pace)
        self.session = session
        self.mode = mode
        self.attempt: Attempt | None = None
        self.asked = KeyRequest()
        self.certificate: bytes | None = None

    def decide(self, operation: Operation, now: float, key: KeyRequest | None = None) -> list[Effect]:
        """What is pending for the device that was authenticated. `key` says what to install for."""
        if self.attempt is None:
            raise LocalProtocolError("a CAPF operation for nobody")
        self.asked = key or self.asked
        if operation is Operation.INSTALL and self.asked.curve is not None and self.attempt.version < VERSION:
            return self.refuse(now, Reason.DECLINED, "the phone is too old for elliptic curves")
        return self.feed(Input[operation.name], None, now)

    def refuse(self, now: float, reason: int = Reason.DECLINED, text: str = "") -> list[Effect]:
        """UNKNOWN_DEVICE, DECLINED for a failed authentication, NO_ACTION when nothing is pending."""
        return self.feed(Input.REFUSE, (reason, text), now)

    def issued(self, certificate: bytes, now: float) -> list[Effect]:
        return self.feed(Input.DONE, certificate, now)

    def not_issued(self, now: float, text: str = "") -> list[Effect]:
        return self.feed(Input.NOT_DONE, (Reason.DECLINED, text), now)

    def judge(self, found: Message) -> tuple[Input, Any]:
        if found.session != self.session:
            raise RemoteProtocolError(f"a message of session {found.session} in session {self.session}")
        match found.command:
            case Command.REQUEST_IN_PROGRESS:
                return Input.PROGRESS, None
            case Command.AUTH_RESPONSE:
                return self._judge_attempt(found)
            case Command.KEY_GENERATE_RESPONSE:
                key = found.get(Tag.PUBLIC_KEY)
                return (Input.KEY, key) if key else (Input.DECLINED, found.number(Tag.REASON))
            case command if command == RESPONSES.get(self.state):
                certificate = found.get(Tag.CERTIFICATE)
                if self.state is State.FETCHING and certificate is not None:
                    self.certificate = read_certificate(certificate)[1]
                reason = found.number(Tag.REASON)
                return accepted(reason), reason
        raise RemoteProtocolError(f"CAPF command {found.command} in {self.state.name}")

    def _judge_attempt(self, found: Message) -> tuple[Input, Any]:
        reason = found.number(Tag.REASON)
        if reason not in (None, Reason.OK):
            return Input.DECLINED, reason
        attempt = read_attempt(found)
        return (Input.AUTH_RESPONSE if 1 <= attempt.version <= VERSION else Input.BAD_VERSION), attempt

    def finish(self, cause: str, reason: int, out: list[Effect], text: str = "") -> None:
        self.send(Command.END_SESSION, out, (Tag.REASON, u8(reason)))
        self.end(Ended(cause, reason, self.certificate, text), out)


def greet(machine: Server, _payload: None, now: float, out: list[Effect]) -> None:
    hint = [] if machine.mode is None else [(Tag.AUTH_TYPE, u8(machine.mode))]
    machine.send(Command.AUTH_REQUEST, out, (Tag.VERSION, u8(VERSION)), *hint)
    machine.wait(now, machine.pace.answer)


def ask_owner(machine: Server, attempt: Attempt, _now: float, out: list[Effect]) -> None:
    machine.attempt = attempt
    machine.deadline = None
    out.append(Authenticate(attempt))


def request_key(machine: Server, _payload: None, now: float, out: list[Effect]) -> None:
    assert machine.attempt is not None
    machine.send(Command.KEY_GENERATE_REQUEST, out, *machine.asked.elements(machine.attempt.version))
    machine.wait(now, machine.pace.key)


def wait_longer(machine: Server, _payload: None, now: float, _out: list[Effect]) -> None:
    machine.wait(now, machine.pace.key)


def hand_over(machine: Server, public_key: bytes, _now: float, out: list[Effect]) -> None:
    assert machine.attempt is not None
    machine.deadline = None
    out.append(IssueCertificate(machine.attempt.device, public_key, machine.asked))


def store(machine: Server, certificate: bytes, now: float, out: list[Effect]) -> None:
    machine.certificate = certificate
    value = certificate_value(certificate, CertificateType.LSC)
    kind = (Tag.CERTIFICATE_TYPE, u8(CertificateType.LSC))
    machine.send(Command.STORE_CERTIFICATE_REQUEST, out, kind, (Tag.CERTIFICATE, value))
    machine.wait(now, machine.pace.answer)


def fetch(machine: Server, _payload: None, now: float, out: list[Effect]) -> None:
    machine.send(Command.FETCH_CERTIFICATE_REQUEST, out)
    machine.wait(now, machine.pace.answer)


def delete(machine: Server, _payload: None, now: float, out: list[Effect]) -> None:
    machine.send(Command.DELETE_CERTIFICATE_REQUEST, out)
    machine.wait(now, machine.pace.answer)


def end_installed(machine: Server, _reason: int, _now: float, out: list[Effect]) -> None:
    machine.finish(Operation.INSTALL.value, Reason.OK, out)


def end_fetched(machine: Server, _reason: int, _now: float, out: list[Effect]) -> None:
    machine.finish(Operation.FETCH.value, Reason.NO_ACTION, out)


def end_deleted(machine: Server, _reason: int, _now: float, out: list[Effect]) -> None:
    machine.finish(Operation.DELETE.value, Reason.OK, out)


def end_refused(machine: Server, payload: tuple[int, str], _now: float, out: list[Effect]) -> None:
    machine.finish("refused", payload[0], out, payload[1])


def end_declined(machine: Server, reason: int | None, _now: float, out: list[Effect]) -> None:
    """The phone did not do it. A certificate that it did not store is nobody's."""
    machine.certificate = None
    machine.finish("declined", Reason.DECLINED, out, f"the phone answers with reason {reason}")


def end_version(machine: Server, attempt: Attempt, _now: float, out: list[Effect]) -> None:
    machine.finish("version", Reason.DECLINED, out, f"{attempt.device} speaks version {attempt.version}")


def end_unexpected(machine: Server, text: str, _now: float, out: list[Effect]) -> None:
    machine.certificate = None
    machine.finish("unexpected", Reason.DECLINED, out, text)


S, I = State, Input  # noqa: E741 - the table reads by rows

WAITING = (S.AUTHENTICATING, S.GENERATING, S.STORING, S.FETCHING, S.DELETING)  # for the phone
LIVE = (*WAITING, S.DECIDING, S.ISSUING)

SERVER: Table = {
    (S.READY, I.START): (greet, S.AUTHENTICATING),
    (S.AUTHENTICATING, I.AUTH_RESPONSE): (ask_owner, S.DECIDING),
    (S.AUTHENTICATING, I.BAD_VERSION): (end_version, S.ENDED),
    (S.AUTHENTICATING, I.DECLINED): (end_declined, S.ENDED),
    (S.DECIDING, I.INSTALL): (request_key, S.GENERATING),
    (S.DECIDING, I.FETCH): (fetch, S.FETCHING),
    (S.DECIDING, I.DELETE): (delete, S.DELETING),
    (S.DECIDING, I.REFUSE): (end_refused, S.ENDED),
    (S.GENERATING, I.PROGRESS): (wait_longer, S.GENERATING),
    (S.GENERATING, I.KEY): (hand_over, S.ISSUING),
    (S.GENERATING, I.DECLINED): (end_declined, S.ENDED),
    (S.ISSUING, I.DONE): (store, S.STORING),
    (S.ISSUING, I.NOT_DONE): (end_refused, S.ENDED),
    (S.STORING, I.ACCEPTED): (end_installed, S.ENDED),
    (S.STORING, I.DECLINED): (end_declined, S.ENDED),
    (S.FETCHING, I.ACCEPTED): (end_fetched, S.ENDED),
    (S.FETCHING, I.DECLINED): (end_declined, S.ENDED),
    (S.DELETING, I.ACCEPTED): (end_deleted, S.ENDED),
    (S.DELETING, I.DECLINED): (end_declined, S.ENDED),
    **{(state, I.ALARM): (lose_patience, S.ENDED) for state in WAITING},
    **{(state, I.UNEXPECTED): (end_unexpected, S.ENDED) for state in LIVE},
    **{(state, I.CLOSED): (lose_connection, S.ENDED) for state in LIVE},
}
Server.table = SERVER
