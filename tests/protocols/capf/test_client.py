"""The phone's end of a CAPF session, row by row."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.capf import AuthMode, CertificateType, Client, Command, Proof, Reason, Send, Tag, parse_message
from cubeproxy.protocols.capf.messages import certificate_value, message
from cubeproxy.protocols.capf.session import Ended, Input, State
from cubeproxy.protocols.errors import LocalProtocolError
from tests.protocols.capf.stage import DER, DEVICE, KEY, Stage

S, C = State, Command
RSA_2048 = ((Tag.KEY_SIZE, b"\x08\x00"), (Tag.KEY_TYPE, b"\x00"))
CERTIFICATE = (Tag.CERTIFICATE, certificate_value(DER, CertificateType.LSC))
DONE = (Tag.REASON, b"\x01")


def listening() -> Stage[Client]:
    stage = Stage(Client(DEVICE))
    stage.check(stage.machine.start(0.0), "", S.AUTHENTICATING)
    return stage


def proving() -> Stage[Client]:
    stage = listening()
    stage.on(C.AUTH_REQUEST, (Tag.VERSION, b"\x03"), (Tag.AUTH_TYPE, b"\x01"), out="prove 2 STRING", state=S.PROVING)
    assert stage.machine.deadline is None
    return stage


def idle() -> Stage[Client]:
    stage = proving()
    stage.check(stage.machine.prove(Proof("12345"), 1.0), "AUTH_RESPONSE 1=01 7=03", S.IDLE)
    stage.now = 2.0
    return stage


def generating() -> Stage[Client]:
    stage = idle()
    stage.on(C.KEY_GENERATE_REQUEST, *RSA_2048, out="REQUEST_IN_PROGRESS; generate 2048", state=S.GENERATING)
    return stage


def submitted() -> Stage[Client]:
    stage = generating()
    stage.check(stage.machine.key_made(KEY, 10.0), "KEY_GENERATE_RESPONSE", S.SUBMITTED)
    stage.now = 11.0
    return stage


def storing() -> Stage[Client]:
    stage = submitted()
    stage.on(C.STORE_CERTIFICATE_REQUEST, CERTIFICATE, out=f"store {len(DER)}", state=S.STORING)
    assert stage.machine.deadline is None
    return stage


def installed() -> Stage[Client]:
    stage = storing()
    stage.check(stage.machine.done(12.0), "STORE_CERTIFICATE_RESPONSE 1=01", S.FINISHING)
    return stage


def fetching() -> Stage[Client]:
    stage = idle()
    stage.on(C.FETCH_CERTIFICATE_REQUEST, out="give", state=S.FETCHING)
    assert stage.machine.deadline is None
    return stage


def deleting() -> Stage[Client]:
    stage = idle()
    stage.on(C.DELETE_CERTIFICATE_REQUEST, out="delete", state=S.DELETING)
    assert stage.machine.deadline is None
    return stage


def test_a_certificate_is_installed() -> None:
    stage = installed()
    stage.on(C.END_SESSION, DONE, out="ended installed 1", state=S.ENDED)
    assert stage.machine.deadline is None


def test_a_certificate_is_shown() -> None:
    stage = fetching()
    out = stage.machine.certificate_found(DER, CertificateType.LSC, 3.0)
    stage.check(out, "FETCH_CERTIFICATE_RESPONSE 1=01", S.FINISHING)
    assert isinstance(out[0], Send)
    assert parse_message(out[0].data).get(Tag.CERTIFICATE) == CERTIFICATE[1]
    stage.on(C.END_SESSION, (Tag.REASON, b"\x00"), out="ended fetched 0", state=S.ENDED)


def test_a_certificate_is_deleted() -> None:
    stage = deleting()
    stage.check(stage.machine.done(3.0), "DELETE_CERTIFICATE_RESPONSE 1=01", S.FINISHING)
    stage.on(C.END_SESSION, DONE, out="ended deleted 1", state=S.ENDED)


def test_what_cannot_be_done_is_said_and_the_end_is_awaited() -> None:
    for stage, answer in (
        (generating(), "KEY_GENERATE_RESPONSE"),
        (storing(), "STORE_CERTIFICATE_RESPONSE"),
        (fetching(), "FETCH_CERTIFICATE_RESPONSE"),
        (deleting(), "DELETE_CERTIFICATE_RESPONSE"),
    ):
        stage.now = 20.0
        stage.check(stage.machine.not_done(20.0), f"{answer} 1=07", S.FINISHING)
        assert stage.machine.deadline == 80.0
        stage.on(C.END_SESSION, (Tag.REASON, b"\x07"), out="ended refused 7", state=S.ENDED)


def test_keys_of_each_kind() -> None:
    curve = ((Tag.KEY_TYPE, b"\x01"), (Tag.CURVE, b"\x02"))
    idle().on(C.KEY_GENERATE_REQUEST, *curve, out="REQUEST_IN_PROGRESS; generate P521")
    size_alone = (Tag.KEY_SIZE, b"\x04\x00")
    idle().on(C.KEY_GENERATE_REQUEST, size_alone, out="REQUEST_IN_PROGRESS; generate 1024")
    for broken in ((), ((Tag.KEY_SIZE, b"\x07\xd0"),), ((Tag.KEY_TYPE, b"\x01"),), (curve[0], (Tag.CURVE, b"\x03"))):
        idle().on(C.KEY_GENERATE_REQUEST, *broken, out="ended unexpected None", state=S.ENDED)


def test_a_hint_that_is_not_there_or_not_known() -> None:
    listening().on(C.AUTH_REQUEST, (Tag.VERSION, b"\x03"), out="prove 2 -")
    listening().on(C.AUTH_REQUEST, (Tag.AUTH_TYPE, b"\x09"), out="prove 2 -")
    for mode in AuthMode:
        listening().on(C.AUTH_REQUEST, (Tag.AUTH_TYPE, bytes((mode,))), out=f"prove 2 {mode.name}")


def test_the_null_string_is_a_lone_nul() -> None:
    (sent,) = proving().machine.prove(Proof(), 1.0)
    assert isinstance(sent, Send)
    assert parse_message(sent.data).get(Tag.PASSWORD) == b"\0"


@pytest.mark.parametrize("reason", Reason)
def test_an_end_before_anything_was_done_is_a_refusal(reason: Reason) -> None:
    for stage in (listening(), proving(), idle(), generating(), submitted(), storing(), fetching(), deleting()):
        stage.on(C.END_SESSION, (Tag.REASON, bytes((reason,))), out=f"ended refused {reason}", state=S.ENDED)


def test_an_end_with_a_failure_after_all_was_done_is_a_refusal() -> None:
    installed().on(C.END_SESSION, (Tag.REASON, b"\x07"), out="ended refused 7")
    installed().on(C.END_SESSION, out="ended refused None")


def test_a_server_that_is_busy() -> None:
    for stage in (listening(), idle()):
        stage.on(C.RETRY_LATER, (Tag.RETRY_DELAY, b"\x1e"), out="ended retry-later None", state=S.ENDED)


def test_a_server_that_is_silent_is_given_up() -> None:
    for stage, time in ((listening(), 60.0), (idle(), 61.0), (submitted(), 70.0), (installed(), 72.0)):
        stage.at(time, "ended timeout None", S.ENDED)
        assert stage.machine.deadline is None


def test_the_server_hears_of_a_key_that_takes_long() -> None:
    stage = generating()
    for time in (32.0, 62.0, 92.0):
        stage.at(time, "REQUEST_IN_PROGRESS", S.GENERATING)
    stage.check(stage.machine.key_made(KEY, 100.0), "KEY_GENERATE_RESPONSE", S.SUBMITTED)
    assert stage.machine.deadline == 160.0


ALL = (listening, proving, idle, generating, submitted, storing, installed, fetching, deleting)


def test_a_connection_that_goes() -> None:
    for make in ALL:
        stage = make()
        stage.check(stage.machine.closed(9.0), "ended closed None", S.ENDED)
        stage.check(stage.machine.done(9.0), "")
        assert stage.machine.deadline is None


def test_what_is_out_of_place_ends_it() -> None:
    for make in ALL:
        stage = make()
        stage.on(C.STATUS_REQUEST, out="ended unexpected None", state=S.ENDED)
        assert isinstance(stage.last[-1], Ended)
        assert "18" in stage.last[-1].text
    for make in (proving, generating, submitted, storing, installed, fetching, deleting):
        make().on(C.FETCH_CERTIFICATE_REQUEST, out="ended unexpected None", state=S.ENDED)
    submitted().on(C.STORE_CERTIFICATE_REQUEST, out="ended unexpected None", state=S.ENDED)
    submitted().on(C.RETRY_LATER, out="ended unexpected None", state=S.ENDED)


def test_another_sessions_message_ends_it() -> None:
    stage = idle()
    stage.check(stage.machine.receive(message(C.END_SESSION, 3).serialise(), 2.0), "ended unexpected None", S.ENDED)


def test_the_table_is_the_law() -> None:
    with pytest.raises(LocalProtocolError, match="CAPF client in READY takes no DONE"):
        Client(DEVICE).feed(Input.DONE, None, 0.0)
    with pytest.raises(LocalProtocolError, match="CAPF client in IDLE takes no KEY_MADE"):
        idle().machine.key_made(KEY, 3.0)
