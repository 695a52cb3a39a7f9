"""The phone's end of a CAPF session: wait to be asked who it is, answer, do what it is told, hear the end.

Keys, certificates and the proof are the owner's; it may take its time for a key, since the machine tells the server
meanwhile that the request is in progress. Which server may be talked to at all is decided before, by the pinned CAPF
certificate of the phone's trust list.
"""

from __future__ import annotations

from typing import Any

from cubeproxy.protocols.capf.authentication import AuthMode, Proof, auth_response
from cubeproxy.protocols.capf.messages import (
    RSA_SIZES,
    VERSION,
    CertificateType,
    Command,
    Curve,
    KeyRequest,
    KeyType,
    Message,
    Reason,
    Tag,
    certificate_value,
    read_certificate,
    u8,
)
from cubeproxy.protocols.capf.session import (
    PACE,
    DeleteCertificate,
    Effect,
    Ended,
    GenerateKey,
    GiveCertificate,
    Input,
    Operation,
    Pace,
    Prove,
    Send,
    Session,
    State,
    StoreCertificate,
    Table,
    lose_connection,
    lose_patience,
)
from cubeproxy.protocols.errors import RemoteProtocolError


class Client(Session):
    """`device` is the phone's name, SEP and its address."""

    kind = "client"

    def __init__(self, device: str, version: int = VERSION, pace: Pace = PACE) -> None:
        super().__init__(pace)
        self.device = device
        self.version = version
        self.operation: Operation | None = None  # the one that was done

    def prove(self, proof: Proof, now: float) -> list[Effect]:
        return self.feed(Input.PROVED, proof, now)

    def key_made(self, public_key: bytes, now: float) -> list[Effect]:
        """DER SubjectPublicKeyInfo."""
        return self.feed(Input.KEY_MADE, public_key, now)

    def certificate_found(self, certificate: bytes, kind: CertificateType, now: float) -> list[Effect]:
        return self.feed(Input.DONE, (certificate, kind), now)

    def done(self, now: float) -> list[Effect]:
        return self.feed(Input.DONE, None, now)

    def not_done(self, now: float) -> list[Effect]:
        return self.feed(Input.NOT_DONE, None, now)

    def judge(self, found: Message) -> tuple[Input, Any]:
        if self.state is State.AUTHENTICATING:
            self.session = found.session
        elif found.session != self.session:
            raise RemoteProtocolError(f"a message of session {found.session} in session {self.session}")
        match found.command:
            case Command.AUTH_REQUEST:
                return Input.AUTH_REQUEST, _mode(found)
            case Command.KEY_GENERATE_REQUEST:
                return Input.KEY_REQUEST, _key_request(found)
            case Command.STORE_CERTIFICATE_REQUEST:
                return Input.STORE_REQUEST, _certificate(found)
            case Command.FETCH_CERTIFICATE_REQUEST:
                return Input.FETCH_REQUEST, None
            case Command.DELETE_CERTIFICATE_REQUEST:
                return Input.DELETE_REQUEST, None
            case Command.END_SESSION:
                return Input.END, found.number(Tag.REASON)
            case Command.RETRY_LATER:
                return Input.RETRY_LATER, None
        raise RemoteProtocolError(f"CAPF command {found.command} in {self.state.name}")

    def respond(
        self, command: Command, operation: Operation, now: float, out: list[Effect], *more: tuple[int, bytes]
    ) -> None:
        self.operation = operation
        self.send(command, out, (Tag.REASON, u8(Reason.OK)), *more)
        self.wait(now, self.pace.answer)

    def decline(self, command: Command, now: float, out: list[Effect]) -> None:
        self.send(command, out, (Tag.REASON, u8(Reason.DECLINED)))
        self.wait(now, self.pace.answer)


def _mode(found: Message) -> AuthMode | None:
    number = found.number(Tag.AUTH_TYPE)
    return next((mode for mode in AuthMode if mode == number), None)


def _key_request(found: Message) -> KeyRequest:
    if found.number(Tag.KEY_TYPE) == KeyType.EC:
        number = found.number(Tag.CURVE)
        if number is None or number not in Curve.__members__.values():
            raise RemoteProtocolError(f"a CAPF curve {number}")
        return KeyRequest(curve=Curve(number))
    bits = found.number(Tag.KEY_SIZE, 2)
    if bits not in RSA_SIZES:
        raise RemoteProtocolError(f"a CAPF key of {bits} bits")
    return KeyRequest(bits)


def _certificate(found: Message) -> bytes:
    value = found.get(Tag.CERTIFICATE)
    if value is None:
        raise RemoteProtocolError("a CAPF store request without a certificate")
    return read_certificate(value)[1]


def listen(machine: Client, _payload: None, now: float, _out: list[Effect]) -> None:
    machine.wait(now, machine.pace.answer)


def ask_proof(machine: Client, mode: AuthMode | None, _now: float, out: list[Effect]) -> None:
    machine.deadline = None
    out.append(Prove(machine.session, mode))


def authenticate(machine: Client, proof: Proof, now: float, out: list[Effect]) -> None:
    out.append(Send(auth_response(machine.session, machine.device, proof, machine.version).serialise()))
    machine.wait(now, machine.pace.answer)


def ask_key(machine: Client, asked: KeyRequest, now: float, out: list[Effect]) -> None:
    """The server hears at once that the request is in progress."""
    report_progress(machine, None, now, out)
    out.append(GenerateKey(asked))


def report_progress(machine: Client, _payload: None, now: float, out: list[Effect]) -> None:
    machine.send(Command.REQUEST_IN_PROGRESS, out)
    machine.wait(now, machine.pace.progress)


def submit_key(machine: Client, public_key: bytes, now: float, out: list[Effect]) -> None:
    machine.send(Command.KEY_GENERATE_RESPONSE, out, (Tag.PUBLIC_KEY, public_key))
    machine.wait(now, machine.pace.answer)


def decline_key(machine: Client, _payload: None, now: float, out: list[Effect]) -> None:
    machine.decline(Command.KEY_GENERATE_RESPONSE, now, out)


def ask_store(machine: Client, certificate: bytes, _now: float, out: list[Effect]) -> None:
    machine.deadline = None
    out.append(StoreCertificate(certificate))


def confirm_store(machine: Client, _payload: None, now: float, out: list[Effect]) -> None:
    machine.respond(Command.STORE_CERTIFICATE_RESPONSE, Operation.INSTALL, now, out)


def decline_store(machine: Client, _payload: None, now: float, out: list[Effect]) -> None:
    machine.decline(Command.STORE_CERTIFICATE_RESPONSE, now, out)


def ask_certificate(machine: Client, _payload: None, _now: float, out: list[Effect]) -> None:
    machine.deadline = None
    out.append(GiveCertificate())


def give_certificate(machine: Client, found: tuple[bytes, CertificateType], now: float, out: list[Effect]) -> None:
    element = (Tag.CERTIFICATE, certificate_value(*found))
    machine.respond(Command.FETCH_CERTIFICATE_RESPONSE, Operation.FETCH, now, out, element)


def decline_fetch(machine: Client, _payload: None, now: float, out: list[Effect]) -> None:
    machine.decline(Command.FETCH_CERTIFICATE_RESPONSE, now, out)


def ask_delete(machine: Client, _payload: None, _now: float, out: list[Effect]) -> None:
    machine.deadline = None
    out.append(DeleteCertificate())


def confirm_delete(machine: Client, _payload: None, now: float, out: list[Effect]) -> None:
    machine.respond(Command.DELETE_CERTIFICATE_RESPONSE, Operation.DELETE, now, out)


def decline_delete(machine: Client, _payload: None, now: float, out: list[Effect]) -> None:
    machine.decline(Command.DELETE_CERTIFICATE_RESPONSE, now, out)


def hear_end(machine: Client, reason: int | None, _now: float, out: list[Effect]) -> None:
    """Good when an operation was done; NO_ACTION is how a fetch ends."""
    good = machine.operation is not None and reason in (Reason.OK, Reason.NO_ACTION)
    cause = machine.operation.value if good and machine.operation is not None else "refused"
    machine.end(Ended(cause, reason), out)


def come_later(machine: Client, _payload: None, _now: float, out: list[Effect]) -> None:
    machine.end(Ended("retry-later"), out)


def give_up(machine: Client, text: str, _now: float, out: list[Effect]) -> None:
    machine.end(Ended("unexpected", text=text), out)


S, I = State, Input  # noqa: E741 - the table reads by rows

WAITING = (S.AUTHENTICATING, S.IDLE, S.SUBMITTED, S.FINISHING)  # for the server
WORKING = (S.PROVING, S.GENERATING, S.STORING, S.FETCHING, S.DELETING)  # the owner is

CLIENT: Table = {
    (S.READY, I.START): (listen, S.AUTHENTICATING),
    (S.AUTHENTICATING, I.AUTH_REQUEST): (ask_proof, S.PROVING),
    (S.PROVING, I.PROVED): (authenticate, S.IDLE),
    (S.IDLE, I.KEY_REQUEST): (ask_key, S.GENERATING),
    (S.IDLE, I.FETCH_REQUEST): (ask_certificate, S.FETCHING),
    (S.IDLE, I.DELETE_REQUEST): (ask_delete, S.DELETING),
    (S.GENERATING, I.ALARM): (report_progress, S.GENERATING),
    (S.GENERATING, I.KEY_MADE): (submit_key, S.SUBMITTED),
    (S.GENERATING, I.NOT_DONE): (decline_key, S.FINISHING),
    (S.SUBMITTED, I.STORE_REQUEST): (ask_store, S.STORING),
    (S.STORING, I.DONE): (confirm_store, S.FINISHING),
    (S.STORING, I.NOT_DONE): (decline_store, S.FINISHING),
    (S.FETCHING, I.DONE): (give_certificate, S.FINISHING),
    (S.FETCHING, I.NOT_DONE): (decline_fetch, S.FINISHING),
    (S.DELETING, I.DONE): (confirm_delete, S.FINISHING),
    (S.DELETING, I.NOT_DONE): (decline_delete, S.FINISHING),
    **{(state, I.END): (hear_end, S.ENDED) for state in (*WAITING, *WORKING)},
    **{(state, I.RETRY_LATER): (come_later, S.ENDED) for state in (S.AUTHENTICATING, S.IDLE)},
    **{(state, I.ALARM): (lose_patience, S.ENDED) for state in WAITING},
    **{(state, I.UNEXPECTED): (give_up, S.ENDED) for state in (*WAITING, *WORKING)},
    **{(state, I.CLOSED): (lose_connection, S.ENDED) for state in (*WAITING, *WORKING)},
}
Client.table = CLIENT
