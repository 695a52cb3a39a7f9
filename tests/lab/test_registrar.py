"""The virtual CUCM's registrar, without a network and with a clock of its own."""

from __future__ import annotations

import pytest

from cubelab.cucm.registrar import Registrar
from cubeproxy.protocols.sip import digest
from cubeproxy.protocols.sip.message import Request, parse_message
from cubeproxy.protocols.values import Flow, Transport

FLOW = Flow(1, Transport.TCP, ("127.0.0.1", 5060), ("127.0.0.2", 40000))
DEVICE = '+u.sip!devicename.ccm.cisco.com="SEP001122334455"'


def register(
    number: str = "1001", contact: str = "<sip:u@127.0.0.2:5060>", *, expires: str = "600", auth: str = ""
) -> Request:
    rows = [
        "REGISTER sip:127.0.0.1 SIP/2.0",
        "Via: SIP/2.0/TCP 127.0.0.2;branch=z9hG4bKa",
        f"From: <sip:{number}@127.0.0.1>;tag=a",
        f"To: <sip:{number}@127.0.0.1>",
        "Call-ID: c",
        "CSeq: 101 REGISTER",
        *([f"Contact: {contact}"] if contact else []),
        *([f"Expires: {expires}"] if expires else []),
        *([f"Authorization: {auth}"] if auth else []),
        "Content-Length: 0",
    ]
    request = parse_message(("\r\n".join(rows) + "\r\n\r\n").encode())
    assert isinstance(request, Request)
    return request


@pytest.fixture
def registrar() -> Registrar:
    return Registrar({"1001": "pw", "1002": "pw2"}, b"k" * 16)


@pytest.fixture
def open_registrar() -> Registrar:
    return Registrar({"1001": "pw"}, b"k" * 16, challenge=False)


def answered(
    registrar: Registrar, now: float, user: str = "1001", password: str = "pw", method: str = "REGISTER"
) -> str:
    challenge = digest.parse_challenge(registrar.receive(register(), FLOW, now).headers.get("WWW-Authenticate"))
    return digest.answer(challenge, method, "sip:127.0.0.1", user, password, 1, "c0")


def test_an_answered_challenge_binds_the_number(registrar):
    response = registrar.receive(
        register(contact=f"<sip:u@127.0.0.2:5060>;{DEVICE}", auth=answered(registrar, 0)), FLOW, 1
    )
    assert response.status == 200
    assert response.headers.get("Contact") == f"<sip:u@127.0.0.2:5060>;{DEVICE};expires=600"
    binding = registrar.find("1001", 600)
    assert (binding.device, binding.flow) == ("SEP001122334455", FLOW)
    assert registrar.find("1001", 601) is None
    assert registrar.bindings == {}


@pytest.mark.parametrize(
    "auth",
    [
        lambda r: answered(r, 0, password="wrong"),
        lambda r: answered(r, 0, user="1002", password="pw2"),
        lambda r: answered(r, 0, method="INVITE"),
        lambda r: answered(r, -1000),
        lambda r: answered(Registrar({"1001": "pw"}, b"x" * 16), 0),
        lambda r: "Basic abc",
    ],
    ids=["password", "another user", "another method", "stale nonce", "foreign nonce", "no digest"],
)
def test_a_wrong_answer_is_challenged_again(registrar, auth):
    assert registrar.receive(register(auth=auth(registrar)), FLOW, 1).status == 401
    assert registrar.bindings == {}


def test_unknown_numbers_are_404(registrar):
    assert registrar.receive(register("9999"), FLOW, 0).status == 404


def test_expires_is_capped_and_has_a_least_value(open_registrar):
    assert open_registrar.receive(register(expires="99999"), FLOW, 0).headers.get("Expires") == "3600"
    short = open_registrar.receive(register(expires="5"), FLOW, 0)
    assert (short.status, short.headers.get("Min-Expires")) == (423, "30")
    assert (
        open_registrar.receive(register("1001", "<sip:u@h>;expires=60", expires="900"), FLOW, 0).headers.get("Expires")
        == "60"
    )


def test_zero_removes_and_no_contact_asks(open_registrar):
    seen = []
    open_registrar.on_change = lambda number, binding: seen.append((number, binding is not None))
    open_registrar.receive(register(), FLOW, 0)
    asked = open_registrar.receive(register(contact="", expires=""), FLOW, 10)
    assert asked.headers.get("Contact") == "<sip:u@127.0.0.2:5060>;expires=590"
    gone = open_registrar.receive(register(expires="0"), FLOW, 10)
    assert (gone.status, gone.headers.get("Contact")) == (200, None)
    assert seen == [("1001", True), ("1001", False)]
