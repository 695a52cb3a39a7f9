"""Dialogs as RFC 3261 12 has them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sip.dialog import Dialog, DialogState
from cubeproxy.protocols.sip.message import Request, Response, response_to
from tests.protocols.sip.samples import answer, request

EARLY, CONFIRMED, TERMINATED = DialogState.EARLY, DialogState.CONFIRMED, DialogState.TERMINATED
FIRST = "sip:callee@127.0.0.9:5070"
ROUTES = ("Record-Route: <sip:p2.example.com;lr>", "Record-Route: <sip:p1.example.com;lr;x=1>, <sip:p0.example.com;lr>")


def invite(*rows: str) -> Request:
    return request("INVITE", cseq=7, rows=("Contact: <sip:us@127.0.0.1:5060>", *rows))


def caller(status: int = 200, *rows: str, contact: str | None = f"<{FIRST}>", tag: str | None = "callee") -> Dialog:
    """Our side after our INVITE was answered."""
    ours = invite()
    return Dialog.uac(ours, answer(ours, status, to_tag=tag, contact=contact, rows=rows))


def callee(*rows: str) -> Dialog:
    """Our side after their INVITE arrived."""
    theirs = request("INVITE", cseq=7, rows=("Contact: <sip:1001@127.0.0.2:5062>", *rows))
    return Dialog.uas(theirs, "ours", "<sip:us@127.0.0.1:5060>")


def connected(dialog: Dialog | None = None) -> Dialog:
    dialog = dialog or callee()
    dialog.responded("INVITE", 200)
    assert dialog.state == CONFIRMED
    return dialog


def ended(dialog: Dialog | None = None) -> Dialog:
    dialog = dialog or connected()
    dialog.receive_request(request("BYE", cseq=1000))
    assert dialog.state == TERMINATED
    return dialog


def response(method: str, status: int, contact: str | None = None, *rows: str) -> Response:
    return answer(request(method, cseq=8), status, to_tag="callee", contact=contact, rows=rows)


def test_the_caller_takes_the_dialog_from_the_response() -> None:
    """12.1.2: routes in reverse order, target from Contact, tags from From and To."""
    dialog = caller(180, *ROUTES)
    assert dialog.key == ("call-1", "their-tag", "callee")
    assert dialog.state == EARLY
    assert dialog.route_set == ["<sip:p0.example.com;lr>", "<sip:p1.example.com;lr;x=1>", "<sip:p2.example.com;lr>"]
    assert dialog.remote_target == FIRST
    assert (dialog.local_cseq, dialog.remote_cseq) == (7, None)
    assert "call-1" in repr(dialog)


def test_the_callee_takes_the_dialog_from_the_request() -> None:
    """12.1.1: routes in order, target from Contact."""
    dialog = callee(*ROUTES)
    assert dialog.key == ("call-1", "ours", "their-tag")
    assert dialog.state == EARLY
    assert dialog.route_set == ["<sip:p2.example.com;lr>", "<sip:p1.example.com;lr;x=1>", "<sip:p0.example.com;lr>"]
    assert dialog.remote_target == "sip:1001@127.0.0.2:5062"
    assert (dialog.local_cseq, dialog.remote_cseq) == (None, 7)


def test_each_fork_is_a_dialog_of_its_own() -> None:
    """12.1: one for each To tag; they share nothing but the Call-ID and our tag."""
    one, other = caller(180, tag="a"), caller(183, tag="b")
    assert one.key != other.key
    one.receive_response("INVITE", response("INVITE", 200))
    assert (one.state, other.state) == (CONFIRMED, EARLY)


def test_a_2xx_confirms_at_once() -> None:
    assert caller(200).state == CONFIRMED


def test_a_response_without_a_tag_or_a_failure_makes_no_dialog() -> None:
    for status, tag in ((100, "x"), (180, None), (300, "x"), (486, "x")):
        with pytest.raises(LocalProtocolError, match="makes no dialog"):
            caller(status, tag=tag)


def test_a_2xx_of_an_rfc_2543_peer_has_no_tag() -> None:
    """12.1.2: it counts as the null tag."""
    assert caller(200, tag=None).key == ("call-1", "their-tag", "")


def test_a_response_without_contact_leaves_the_request_uri_as_target() -> None:
    dialog = caller(180, contact=None)
    assert dialog.remote_target == "sip:2002@127.0.0.1"


def test_a_request_without_contact_is_refused() -> None:
    with pytest.raises(RemoteProtocolError, match="without Contact") as caught:
        Dialog.uas(request("INVITE", rows=()), "ours", "<sip:us@127.0.0.1>")
    assert caught.value.status == 400


def test_a_request_inside_the_dialog() -> None:
    """12.2.1.1, and Max-Forwards and the CSeq of 8.1.1."""
    dialog = caller(200)
    bye = dialog.request("BYE", headers=[("Reason", "Q.850;cause=16")])
    assert bye.serialise().decode().split("\r\n") == [
        f"BYE {FIRST} SIP/2.0",
        "Max-Forwards: 70",
        "From: <sip:1001@127.0.0.2>;tag=their-tag",
        "To: <sip:2002@127.0.0.1>;tag=callee",
        "Call-ID: call-1",
        "CSeq: 8 BYE",
        "Reason: Q.850;cause=16",
        "Content-Length: 0",
        "",
        "",
    ]


def test_the_callees_requests_have_the_parties_exchanged() -> None:
    dialog = connected()
    info = dialog.request("INFO", body=b"Signal=1", content_type="application/dtmf-relay")
    assert info.headers.get("From") == "<sip:2002@127.0.0.1>;tag=ours"
    assert info.headers.get("To") == "<sip:1001@127.0.0.2>;tag=their-tag"
    assert info.uri == "sip:1001@127.0.0.2:5062"
    assert info.content_type == "application/dtmf-relay"
    assert info.serialise().endswith(b"Content-Length: 8\r\n\r\nSignal=1")


def test_the_sequence_number_rises_with_every_request() -> None:
    """12.2.1.1; PRACK too (RFC 3262). A side that has sent nothing yet chooses its first."""
    dialog = connected()
    assert [dialog.request(method).cseq.number for method in ("PRACK", "UPDATE", "INVITE")] == [101, 102, 103]
    assert dialog.request("BYE", cseq=110).cseq.number == 110
    assert dialog.request("BYE").cseq.number == 111
    assert dialog.request("BYE", cseq=105).cseq.number == 105
    assert dialog.local_cseq == 111


def test_the_ack_has_the_number_of_its_invite_and_uses_up_none() -> None:
    """13.2.2.4, in every state."""
    dialog = caller(200)
    dialog.request("INFO")
    for state in (CONFIRMED, TERMINATED):
        assert dialog.state == state
        ack = dialog.ack(7)
        assert (ack.method, str(ack.cseq), ack.uri) == ("ACK", "7 ACK", FIRST)
        dialog.lost()
    assert dialog.local_cseq == 8


def test_ack_and_cancel_are_no_requests_of_a_dialog() -> None:
    for method in ("ACK", "CANCEL"):
        with pytest.raises(LocalProtocolError, match=method):
            connected().request(method)


def test_nothing_is_sent_in_a_dialog_that_has_ended() -> None:
    with pytest.raises(LocalProtocolError, match="BYE in a dialog that has ended"):
        ended().request("BYE")


def test_a_target_refresh_carries_our_contact_and_a_new_one_stays() -> None:
    """12.2.1.1. It may be given as a bare URI."""
    dialog = connected()
    assert dialog.request("INVITE").headers.all("Contact") == ["<sip:us@127.0.0.1:5060>"]
    assert dialog.request("INFO").headers.all("Contact") == []
    assert dialog.request("INFO", contact="sip:us@127.0.0.7").headers.all("Contact") == ["<sip:us@127.0.0.7>"]
    assert dialog.request("UPDATE").headers.all("Contact") == ["<sip:us@127.0.0.7>"]


def test_a_caller_uses_the_contact_of_its_invite() -> None:
    assert caller(200).request("UPDATE").headers.all("Contact") == ["<sip:us@127.0.0.1:5060>"]


def test_no_contact_is_made_up() -> None:
    ours = request("INVITE", rows=())
    dialog = Dialog.uac(ours, answer(ours, 200, contact=f"<{FIRST}>"))
    assert dialog.request("INVITE").headers.all("Contact") == []


def test_loose_routers_go_into_route_and_the_target_stays_in_front() -> None:
    dialog = caller(200, "Record-Route: <sip:b.example.com;lr>, <sip:a.example.com;lr>")
    bye = dialog.request("BYE")
    assert bye.uri == FIRST
    assert bye.headers.all("Route") == ["<sip:a.example.com;lr>", "<sip:b.example.com;lr>"]
    assert dialog.ack(7).headers.all("Route") == ["<sip:a.example.com;lr>", "<sip:b.example.com;lr>"]
    assert str(dialog.next_hop) == "sip:a.example.com;lr"


def test_a_strict_router_becomes_the_request_uri_and_the_target_the_last_route() -> None:
    """12.2.1.1: with what a Request-URI may not have taken off (19.1.1)."""
    dialog = caller(200, "Record-Route: <sip:b.example.com;lr>, <sip:a.example.com;method=BYE;x=1?Subject=no>")
    bye = dialog.request("BYE")
    assert bye.uri == "sip:a.example.com;x=1"
    assert bye.headers.all("Route") == ["<sip:b.example.com;lr>", f"<{FIRST}>"]
    assert dialog.next_hop.host == "a.example.com"


def test_without_routes_the_target_is_the_next_hop() -> None:
    dialog = caller(200, contact="<sip:callee@127.0.0.9:5070;method=INVITE;transport=tcp?Subject=no>")
    assert dialog.request("BYE").uri == "sip:callee@127.0.0.9:5070;transport=tcp"
    assert dialog.next_hop.port == 5070


def test_the_2xx_says_route_set_and_target_once_more() -> None:
    """13.2.2.4."""
    dialog = caller(180, "Record-Route: <sip:old.example.com;lr>")
    dialog.receive_response(
        "INVITE", response("INVITE", 200, "<sip:new@127.0.0.9>", "Record-Route: <sip:new.example.com;lr>")
    )
    assert dialog.state == CONFIRMED
    assert dialog.route_set == ["<sip:new.example.com;lr>"]
    assert dialog.remote_target == "sip:new@127.0.0.9"


Step = Callable[[Dialog], None]


def receives(method: str, status: int, contact: str | None = "<sip:other@127.0.0.9>") -> Step:
    return lambda dialog: dialog.receive_response(
        method, response(method, status, contact, "Record-Route: <sip:late.example.com;lr>")
    )


def sends(method: str, status: int) -> Step:
    return lambda dialog: dialog.responded(method, status)


def gets(method: str, contact: str = "Contact: <sip:other@127.0.0.9>") -> Step:
    routed = (contact, "Record-Route: <sip:late.example.com;lr>")
    return lambda dialog: dialog.receive_request(request(method, cseq=50, rows=routed))


def lost(dialog: Dialog) -> None:
    dialog.lost()


NEW = "sip:other@127.0.0.9"
OLD = "sip:1001@127.0.0.2:5062"
LATE = ["<sip:late.example.com;lr>"]


@pytest.mark.parametrize(
    ("step", "state", "target", "routes"),
    [
        (receives("INVITE", 183), EARLY, OLD, []),
        (receives("INVITE", 200), CONFIRMED, NEW, LATE),
        (receives("INVITE", 486), TERMINATED, OLD, []),
        (receives("INVITE", 408), TERMINATED, OLD, []),
        (sends("INVITE", 180), EARLY, OLD, []),
        (sends("INVITE", 200), CONFIRMED, OLD, []),
        (sends("INVITE", 486), TERMINATED, OLD, []),
        (sends("INVITE", 100), EARLY, OLD, []),
        (sends("UPDATE", 200), EARLY, OLD, []),
        (gets("PRACK"), EARLY, OLD, []),
        (gets("UPDATE"), EARLY, NEW, []),
        (gets("ACK"), EARLY, OLD, []),
        (gets("CANCEL"), EARLY, OLD, []),
        (receives("UPDATE", 200), EARLY, NEW, []),
        (receives("PRACK", 200), EARLY, OLD, []),
        (receives("PRACK", 481), EARLY, OLD, []),
        (gets("BYE"), TERMINATED, OLD, []),
        (receives("BYE", 200), TERMINATED, OLD, []),
        (lost, TERMINATED, OLD, []),
    ],
)
def test_an_early_dialog(step: Step, state: DialogState, target: str, routes: list[str]) -> None:
    """12.1, 12.3, 13.2.2: it lives by its INVITE."""
    dialog = callee()
    step(dialog)
    assert (dialog.state, dialog.remote_target, dialog.route_set) == (state, target, routes)


@pytest.mark.parametrize(
    ("step", "state", "target"),
    [
        (receives("INVITE", 180), CONFIRMED, OLD),
        (receives("INVITE", 200), CONFIRMED, NEW),
        (receives("INVITE", 200, None), CONFIRMED, OLD),
        (receives("INVITE", 488), CONFIRMED, OLD),
        (receives("INVITE", 481), TERMINATED, OLD),
        (receives("INVITE", 408), TERMINATED, OLD),
        (sends("INVITE", 180), CONFIRMED, OLD),
        (sends("INVITE", 200), CONFIRMED, OLD),
        (sends("INVITE", 491), CONFIRMED, OLD),
        (gets("INFO"), CONFIRMED, OLD),
        (gets("INVITE"), CONFIRMED, NEW),
        (gets("UPDATE"), CONFIRMED, NEW),
        (gets("REFER"), CONFIRMED, NEW),
        (gets("UPDATE", "Supported: timer"), CONFIRMED, OLD),
        (receives("UPDATE", 200), CONFIRMED, NEW),
        (receives("UPDATE", 500), CONFIRMED, OLD),
        (receives("UPDATE", 481), TERMINATED, OLD),
        (receives("INFO", 200), CONFIRMED, OLD),
        (receives("INFO", 408), TERMINATED, OLD),
        (receives("NOTIFY", 481), CONFIRMED, OLD),
        (receives("REFER", 202), CONFIRMED, NEW),
        (receives("REFER", 408), CONFIRMED, OLD),
        (gets("BYE"), TERMINATED, OLD),
        (receives("BYE", 100), CONFIRMED, OLD),
        (receives("BYE", 401), CONFIRMED, OLD),
        (receives("BYE", 407), CONFIRMED, OLD),
        (receives("BYE", 200), TERMINATED, OLD),
        (receives("BYE", 481), TERMINATED, OLD),
        (receives("BYE", 500), TERMINATED, OLD),
        (lost, TERMINATED, OLD),
    ],
)
def test_a_confirmed_dialog(step: Step, state: DialogState, target: str) -> None:
    """12.2, 12.3, 14, 15: it ends by BYE, 481, 408 or silence. Its route set stays."""
    dialog = connected()
    step(dialog)
    assert (dialog.state, dialog.remote_target, dialog.route_set) == (state, target, [])


@pytest.mark.parametrize(
    "step",
    [
        receives("INVITE", 180),
        receives("INVITE", 200),
        receives("INVITE", 487),
        sends("INVITE", 487),
        receives("UPDATE", 200),
        receives("BYE", 200),
        lost,
    ],
)
def test_a_dialog_that_has_ended_stays_so(step: Step) -> None:
    """What was on its way is let pass."""
    dialog = ended()
    step(dialog)
    assert (dialog.state, dialog.remote_target, dialog.route_set) == (TERMINATED, OLD, [])


@pytest.mark.parametrize("method", ["INFO", "UPDATE", "BYE"])
def test_a_request_to_a_dialog_that_has_ended_gets_481(method: str) -> None:
    """12.2.2, 15.1.2; whatever its CSeq."""
    dialog = ended()
    for number in (1, 2000):
        with pytest.raises(RemoteProtocolError) as caught:
            dialog.receive_request(request(method, cseq=number))
        assert caught.value.status == 481
        assert dialog.state == TERMINATED


def test_no_answer_is_given_in_a_dialog_that_has_ended() -> None:
    for status in (180, 200):
        with pytest.raises(LocalProtocolError, match="in TERMINATED takes no SENT"):
            ended().responded("INVITE", status)


def test_a_subscription_is_a_dialog_too() -> None:
    """RFC 6665: its own method's 481 ends it."""
    subscribe = request("SUBSCRIBE", cseq=3)
    dialog = Dialog.uac(subscribe, answer(subscribe, 200, contact=f"<{FIRST}>"))
    assert dialog.state == CONFIRMED
    dialog.receive_response("SUBSCRIBE", answer(subscribe, 481))
    assert dialog.state == TERMINATED


def test_requests_must_come_in_order() -> None:
    """12.2.2: 500 for one that is not above the last; a gap is legal."""
    dialog = connected()
    dialog.receive_request(request("INFO", cseq=9))
    for number in (8, 9):
        with pytest.raises(RemoteProtocolError, match=f"CSeq {number} after 9") as caught:
            dialog.receive_request(request("INVITE", cseq=number, rows=("Contact: <sip:late@127.0.0.2>",)))
        assert caught.value.status == 500
    assert (dialog.remote_cseq, dialog.remote_target) == (9, OLD)
    dialog.receive_request(request("INFO", cseq=100))
    assert dialog.remote_cseq == 100


def test_the_callers_first_request_from_the_callee_may_have_any_number() -> None:
    dialog = caller(200)
    dialog.receive_request(request("INFO", cseq=3))
    assert dialog.remote_cseq == 3


def test_ack_and_cancel_have_the_number_of_their_invite() -> None:
    """12.2.2: they are not checked, and they move nothing."""
    dialog = connected()
    for method in ("ACK", "CANCEL"):
        dialog.receive_request(request(method, cseq=7))
    assert (dialog.remote_cseq, dialog.state) == (7, CONFIRMED)


def test_an_in_dialog_response_can_be_built_from_the_dialogs_request() -> None:
    """The values survive the wire."""
    bye = connected().request("BYE")
    bye.headers.prepend("Via", "SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKx")
    assert response_to(bye, 200).to_tag == "their-tag"
