"""The server's end of a CAPF session, row by row."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.capf import Command, KeyRequest, Operation, Proof, Reason, Server, Tag
from cubeproxy.protocols.capf.authentication import auth_response
from cubeproxy.protocols.capf.messages import CertificateType, Curve, certificate_value
from cubeproxy.protocols.capf.session import Ended, Input, State
from cubeproxy.protocols.errors import LocalProtocolError
from tests.protocols.capf.stage import DER, DEVICE, KEY, SESSION, Stage

S, C = State, Command
OK, DECLINED = (Tag.REASON, b"\x01"), (Tag.REASON, b"\x07")
CERTIFICATE = (Tag.CERTIFICATE, certificate_value(DER, CertificateType.LSC))
REFUSED = "END_SESSION 1=07; ended unexpected 7"


def asked() -> Stage[Server]:
    stage = Stage(Server(SESSION))
    stage.check(stage.machine.start(0.0), "AUTH_REQUEST 7=03 8=00", S.AUTHENTICATING)
    return stage


def deciding(version: int = 3) -> Stage[Server]:
    stage = asked()
    stage.now = 1.0
    data = auth_response(SESSION, DEVICE, Proof("12345"), version).serialise()
    stage.check(stage.machine.receive(data, 1.0), f"authenticate {DEVICE} v{version}", S.DECIDING)
    assert stage.machine.deadline is None
    return stage


def generating() -> Stage[Server]:
    stage = deciding()
    out = stage.machine.decide(Operation.INSTALL, 2.0, KeyRequest(1024))
    stage.check(out, "KEY_GENERATE_REQUEST 10=0400 17=00", S.GENERATING)
    return stage


def issuing() -> Stage[Server]:
    stage = generating()
    stage.on(C.KEY_GENERATE_RESPONSE, (Tag.PUBLIC_KEY, KEY), out=f"issue {DEVICE} 1024", state=S.ISSUING)
    assert stage.machine.deadline is None
    return stage


def storing() -> Stage[Server]:
    stage = issuing()
    stage.check(stage.machine.issued(DER, 5.0), "STORE_CERTIFICATE_REQUEST 3=01", S.STORING)
    return stage


def fetching() -> Stage[Server]:
    stage = deciding()
    out = stage.machine.decide(Operation.FETCH, 2.0)
    stage.check(out, "FETCH_CERTIFICATE_REQUEST", S.FETCHING)
    return stage


def deleting() -> Stage[Server]:
    stage = deciding()
    out = stage.machine.decide(Operation.DELETE, 2.0)
    stage.check(out, "DELETE_CERTIFICATE_REQUEST", S.DELETING)
    return stage


def test_a_certificate_is_installed() -> None:
    stage = storing()
    stage.on(C.STORE_CERTIFICATE_RESPONSE, OK, out="END_SESSION 1=01; ended installed 1", state=S.ENDED)
    assert isinstance(stage.last[-1], Ended)
    assert stage.last[-1].certificate == DER
    assert stage.machine.deadline is None


def test_an_elliptic_curve_is_asked_for_by_name() -> None:
    stage = deciding()
    out = stage.machine.decide(Operation.INSTALL, 2.0, KeyRequest(curve=Curve.P384))
    stage.check(out, "KEY_GENERATE_REQUEST 17=01 18=01", S.GENERATING)
    stage.on(C.KEY_GENERATE_RESPONSE, (Tag.PUBLIC_KEY, KEY), out=f"issue {DEVICE} P384")


def test_an_old_phone_gets_the_size_alone_and_no_curve() -> None:
    out = deciding(version=2).machine.decide(Operation.INSTALL, 2.0)
    Stage(Server(SESSION)).check(out, "KEY_GENERATE_REQUEST 10=0800")
    stage = deciding(version=2)
    out = stage.machine.decide(Operation.INSTALL, 2.0, KeyRequest(curve=Curve.P256))
    stage.check(out, "END_SESSION 1=07; ended refused 7", S.ENDED)


def test_a_certificate_is_fetched() -> None:
    stage = fetching()
    stage.on(C.FETCH_CERTIFICATE_RESPONSE, OK, CERTIFICATE, out="END_SESSION 1=00; ended fetched 0", state=S.ENDED)
    assert stage.machine.certificate == DER


def test_a_certificate_is_deleted() -> None:
    deleting().on(C.DELETE_CERTIFICATE_RESPONSE, OK, out="END_SESSION 1=01; ended deleted 1", state=S.ENDED)


@pytest.mark.parametrize("reason", [Reason.NO_ACTION, Reason.DECLINED, Reason.UNKNOWN_DEVICE])
def test_a_refusal_has_its_reason(reason: Reason) -> None:
    stage = deciding()
    out = stage.machine.refuse(2.0, reason, "why")
    stage.check(out, f"END_SESSION 1={reason:02x}; ended refused {reason}", S.ENDED)
    assert isinstance(out[-1], Ended)
    assert out[-1].text == "why"


def test_a_certificate_that_is_not_issued() -> None:
    stage = issuing()
    stage.check(stage.machine.not_issued(3.0, "weak key"), "END_SESSION 1=07; ended refused 7", S.ENDED)


def test_no_operation_for_nobody() -> None:
    with pytest.raises(LocalProtocolError, match="for nobody"):
        asked().machine.decide(Operation.FETCH, 1.0)


def test_what_a_phone_declines_is_over() -> None:
    asked().on(C.AUTH_RESPONSE, DECLINED, out="END_SESSION 1=07; ended declined 7", state=S.ENDED)
    for stage, command in (
        (generating(), C.KEY_GENERATE_RESPONSE),
        (storing(), C.STORE_CERTIFICATE_RESPONSE),
        (fetching(), C.FETCH_CERTIFICATE_RESPONSE),
        (deleting(), C.DELETE_CERTIFICATE_RESPONSE),
    ):
        stage.on(command, DECLINED, out="END_SESSION 1=07; ended declined 7", state=S.ENDED)
        assert isinstance(stage.last[-1], Ended)
        assert stage.last[-1].certificate is None
        assert stage.machine.deadline is None


def test_versions_from_1_to_3() -> None:
    for version in (1, 2):
        deciding(version)
    for version in (0, 4):
        stage = asked()
        data = auth_response(SESSION, DEVICE, Proof(), version).serialise()
        stage.check(stage.machine.receive(data, 1.0), "END_SESSION 1=07; ended version 7", S.ENDED)


def test_a_silent_phone_is_given_up() -> None:
    for stage, time in ((asked(), 60.0), (storing(), 65.0), (fetching(), 62.0), (deleting(), 62.0)):
        stage.at(time, "ended timeout None", S.ENDED)
        assert stage.machine.deadline is None


def test_a_key_may_take_an_hour_and_longer_when_the_phone_says_so() -> None:
    generating().at(3602.0, "ended timeout None", S.ENDED)
    stage = generating()
    stage.now = 3000.0
    stage.on(C.REQUEST_IN_PROGRESS, state=S.GENERATING)
    stage.at(6600.0, "ended timeout None", S.ENDED)


def test_a_connection_that_goes() -> None:
    for stage in (asked(), deciding(), generating(), issuing(), storing(), fetching(), deleting()):
        stage.check(stage.machine.closed(9.0), "ended closed None", S.ENDED)
        stage.check(stage.machine.closed(9.0), "")
        stage.check(stage.machine.refuse(9.0), "")  # the owner's answer is too late
        stage.on(C.REQUEST_IN_PROGRESS, out="")


def test_a_message_out_of_place_ends_it() -> None:
    for stage in (asked(), deciding(), issuing(), storing(), fetching(), deleting()):
        stage.on(C.REQUEST_IN_PROGRESS, out=REFUSED, state=S.ENDED)
        assert isinstance(stage.last[-1], Ended)
        assert stage.last[-1].certificate is None
    for stage in (generating(), issuing(), storing()):
        stage.on(C.DELETE_CERTIFICATE_RESPONSE, OK, out=REFUSED, state=S.ENDED)
    for stage in (asked(), deciding()):
        stage.on(C.KEY_GENERATE_RESPONSE, (Tag.PUBLIC_KEY, KEY), out=REFUSED, state=S.ENDED)


def test_what_is_broken_ends_it() -> None:
    asked().on(C.AUTH_RESPONSE, OK, out=REFUSED, state=S.ENDED)  # no name
    asked().on(C.AUTH_RESPONSE, (Tag.REASON, b"\0\0"), out=REFUSED, state=S.ENDED)
    fetching().on(C.FETCH_CERTIFICATE_RESPONSE, OK, (Tag.CERTIFICATE, b"\x30"), out=REFUSED, state=S.ENDED)
    stage = generating()
    stage.check(stage.machine.receive(b"GET / HTTP/1.1\r\n", 3.0), REFUSED, S.ENDED)
    stage = asked()
    other = auth_response(SESSION + 1, DEVICE, Proof(), 3).serialise()
    stage.check(stage.machine.receive(other * 2, 1.0), REFUSED, S.ENDED)


def test_the_table_is_the_law() -> None:
    with pytest.raises(LocalProtocolError, match="CAPF server in READY takes no DONE"):
        Server(SESSION).feed(Input.DONE, None, 0.0)
