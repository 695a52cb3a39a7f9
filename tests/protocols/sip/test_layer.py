"""The transaction layer: matching, ways back, CANCEL, ACK, lost paths, and that nothing of it stays."""

from __future__ import annotations

import gc

import pytest

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sip.layer import (
    AckArrived,
    CancelArrived,
    ClientFailed,
    ClientKey,
    Output,
    RequestArrived,
    ResponseArrived,
    ServerExpired,
    TransactionLayer,
    Transmit,
)
from cubeproxy.protocols.sip.message import Message, Request, Response, response_to
from cubeproxy.protocols.sip.tokens import SeededTokens
from cubeproxy.protocols.values import Flow, Path, Target, Transport
from tests.protocols.sip.samples import HERE, TCP, TLS, UDP, answer, flow, request, target


@pytest.fixture
def layer() -> TransactionLayer:
    return TransactionLayer(tokens=SeededTokens(1))


def only(outputs: list[Output]) -> Output:
    (output,) = outputs
    return output


def arrive(layer: TransactionLayer, message: Request, over: Flow, now: float = 0.0) -> RequestArrived:
    arrived = only(layer.receive(message, over, now))
    assert isinstance(arrived, RequestArrived)
    return arrived


def sent(output: Output) -> Message:
    assert isinstance(output, Transmit)
    return output.message


def sent_request(output: Output) -> Request:
    message = sent(output)
    assert isinstance(message, Request)
    return message


def call_out(
    layer: TransactionLayer, method: str = "INVITE", path: Path | None = None, now: float = 0.0
) -> tuple[ClientKey, Request]:
    """Our request as it went out."""
    key, outputs = layer.request(request(method), path or target(), now)
    return key, sent_request(only(outputs))


def run_down(layer: TransactionLayer) -> list[Output]:
    """Let the clock run until nobody waits any more."""
    outputs: list[Output] = []
    while (now := layer.deadline) is not None:
        outputs += layer.timeout(now)
    return outputs


def is_empty(layer: TransactionLayer) -> bool:
    return not any(layer.counts().values())


def test_a_request_goes_out_with_our_via_on_top(layer: TransactionLayer) -> None:
    """RFC 3261 8.1.1.7, 18.1.1, RFC 3581 3: branch, sent-by of the path, rport. Another Via gives way."""
    key, ours = call_out(layer)
    assert ours.headers.rows("Via") == [f"SIP/2.0/UDP 127.0.0.1:5060;branch={key[0]};rport"]
    assert ours.serialise().startswith(b"INVITE sip:2002@127.0.0.1 SIP/2.0\r\nVia: ")
    assert key[0].startswith("z9hG4bK")


def test_our_via_on_ipv6_and_tls(layer: TransactionLayer) -> None:
    path = Target(TLS, "::1", 5061, ("::1", 5061))
    ours = Request("OPTIONS", "sip:[::1]")
    for row in (("From", "<sip:a@x>;tag=1"), ("To", "<sip:b@x>"), ("Call-ID", "c"), ("CSeq", "1 OPTIONS")):
        ours.headers.add(*row)
    key, _ = layer.request(ours, path, 0)
    assert ours.headers.rows("Via") == [f"SIP/2.0/TLS [::1]:5061;branch={key[0]};rport"]


def test_every_request_has_a_branch_of_its_own() -> None:
    layer = TransactionLayer()
    assert len({call_out(layer, "OPTIONS")[0] for _ in range(100)}) == 100


def test_a_response_finds_its_request_by_branch_and_method(layer: TransactionLayer) -> None:
    """RFC 3261 17.1.3."""
    key, ours = call_out(layer)
    _, other = call_out(layer)
    for response in (answer(ours, 180), answer(ours, 200), answer(ours, 200)):
        assert layer.receive(response, flow(), 1) == [ResponseArrived(key, response)]
    stranger = answer(other, 200)
    stranger.headers.set("CSeq", "1 OPTIONS")
    assert layer.receive(stranger, flow(), 1) == []


def test_a_response_to_nothing_is_dropped(layer: TransactionLayer) -> None:
    assert layer.receive(answer(request(), 200), flow(), 0) == []
    assert is_empty(layer)


def test_a_response_that_cannot_be_read_is_the_peers_error(layer: TransactionLayer) -> None:
    _, ours = call_out(layer)
    for broken in (answer(ours, 200), answer(ours, 200)):
        broken.headers.set("CSeq", "what?")
        with pytest.raises(RemoteProtocolError):
            layer.receive(broken, flow(), 0)
    odd = answer(ours, 200)
    odd.status = 700
    with pytest.raises(RemoteProtocolError, match="700 is no status"):
        layer.receive(odd, flow(), 0)


def test_a_request_without_an_answer_fails_after_64_t1(layer: TransactionLayer) -> None:
    invite, _ = call_out(layer)
    options, _ = call_out(layer, "OPTIONS")
    failures = [output for output in run_down(layer) if not isinstance(output, Transmit)]
    assert failures == [ClientFailed(invite, "timeout"), ClientFailed(options, "timeout")]
    assert is_empty(layer)


def test_ack_and_cancel_have_ways_of_their_own(layer: TransactionLayer) -> None:
    for method in ("ACK", "CANCEL"):
        with pytest.raises(LocalProtocolError, match=f"{method} has no client transaction"):
            layer.request(request(method), target(), 0)


def test_the_ack_for_a_2xx_has_a_branch_of_its_own_and_no_transaction(layer: TransactionLayer) -> None:
    """RFC 3261 13.2.2.4, 17.1.1.3."""
    path = target()
    ack = sent_request(only(layer.send_ack(request("ACK"), path)))
    assert ack.via.branch not in (None, "z9hG4bKone")
    assert is_empty(layer)


def test_a_cancel_waits_for_a_provisional_response(layer: TransactionLayer) -> None:
    """RFC 3261 9.1: the INVITE's branch, Request-URI, To, and nobody hears of its own fate."""
    key, ours = call_out(layer)
    assert layer.cancel(key, 1, reason="Q.850;cause=16") == []
    ringing = answer(ours, 180)
    told, transmitted = layer.receive(ringing, flow(), 2)
    assert told == ResponseArrived(key, ringing)
    cancel = sent_request(transmitted)
    assert (cancel.method, cancel.uri, str(cancel.cseq)) == ("CANCEL", ours.uri, "1 CANCEL")
    assert cancel.headers.rows("Via") == ours.headers.rows("Via")
    assert cancel.headers.get("To") == ours.headers.get("To")
    assert cancel.headers.get("Reason") == "Q.850;cause=16"
    assert layer.receive(answer(cancel, 200), flow(), 3) == []
    refusal = answer(ours, 487)
    ack, told = layer.receive(refusal, flow(), 3)
    assert sent_request(ack).method == "ACK"
    assert told == ResponseArrived(key, refusal)
    run_down(layer)
    assert is_empty(layer)


def test_a_cancel_of_a_ringing_call_goes_at_once_and_once(layer: TransactionLayer) -> None:
    key, ours = call_out(layer)
    layer.receive(answer(ours, 180), flow(), 1)
    cancel = sent_request(only(layer.cancel(key, 2)))
    assert "Reason" not in cancel.headers
    assert layer.cancel(key, 3) == []
    assert [type(output) for output in layer.receive(answer(ours, 180), flow(), 3)] == [ResponseArrived]


def test_a_cancelled_invite_without_a_final_response_fails_after_64_t1(layer: TransactionLayer) -> None:
    key, ours = call_out(layer)
    layer.receive(answer(ours, 180), flow(), 1)
    layer.cancel(key, 100)
    outputs = run_down(layer)
    assert [output for output in outputs if not isinstance(output, Transmit)] == [ClientFailed(key, "timeout")]
    assert {sent_request(output).method for output in outputs if isinstance(output, Transmit)} == {"CANCEL"}
    assert is_empty(layer)


def test_a_cancel_after_the_final_response_does_nothing(layer: TransactionLayer) -> None:
    """It is a race, not a bug; with a transaction that has ended too."""
    for status in (200, 486):
        key, ours = call_out(layer)
        layer.receive(answer(ours, status), flow(), 1)
        assert layer.cancel(key, 2) == []
        run_down(layer)
        assert layer.cancel(key, 200) == []


def test_only_an_invite_is_cancelled(layer: TransactionLayer) -> None:
    key, _ = call_out(layer, "OPTIONS")
    with pytest.raises(LocalProtocolError, match="only an INVITE is cancelled, not OPTIONS"):
        layer.cancel(key, 0)


def test_a_request_is_told_once_and_its_repetition_answered_from_memory(layer: TransactionLayer) -> None:
    over = flow()
    arrived = arrive(layer, request("OPTIONS"), over)
    assert layer.receive(request("OPTIONS"), over, 1) == []
    ok = response_to(arrived.request, 200, to_tag="x")
    assert layer.respond(arrived.key, ok, 2) == [Transmit(over, ok)]
    assert layer.receive(request("OPTIONS"), over, 3) == [Transmit(over, ok)]
    assert run_down(layer) == []
    assert is_empty(layer)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"branch": "z9hG4bKa"}, {"branch": "z9hG4bKb"}),
        ({"via": "SIP/2.0/UDP a.example.com;branch=z9hG4bKx"}, {"via": "SIP/2.0/UDP b.example.com;branch=z9hG4bKx"}),
        (
            {"via": "SIP/2.0/UDP a.example.com:1;branch=z9hG4bKx"},
            {"via": "SIP/2.0/UDP a.example.com:2;branch=z9hG4bKx"},
        ),
        ({"method": "OPTIONS"}, {"method": "INFO"}),
        # RFC 2543: no cookie in the branch, or nothing behind it
        ({"branch": "1", "cseq": 1}, {"branch": "1", "cseq": 2}),
        ({"branch": "1", "uri": "sip:a@x"}, {"branch": "1", "uri": "sip:b@x"}),
        ({"branch": "1", "from_tag": "a"}, {"branch": "1", "from_tag": "b"}),
        ({"branch": "1", "to_tag": "a"}, {"branch": "1", "to_tag": "b"}),
        ({"branch": "1", "call_id": "a"}, {"branch": "1", "call_id": "b"}),
        ({"via": "SIP/2.0/UDP 127.0.0.2:5062"}, {"via": "SIP/2.0/UDP 127.0.0.2:5063"}),
        ({"branch": "z9hG4bK", "cseq": 1}, {"branch": "z9hG4bK", "cseq": 2}),
    ],
)
def test_requests_of_two_transactions(layer: TransactionLayer, one: dict[str, str], other: dict[str, str]) -> None:
    """RFC 3261 17.2.3: branch, sent-by and method; without the cookie, the fields of RFC 2543."""
    for fields in (one, other):
        make = {"method": "OPTIONS", **fields}
        arrive(layer, request(**make), flow())  # type: ignore[arg-type]
        assert layer.receive(request(**make), flow(), 1) == []  # type: ignore[arg-type]
    assert layer.counts()["non-INVITE server"] == 2


def test_sent_by_is_compared_without_case(layer: TransactionLayer) -> None:
    arrive(layer, request("OPTIONS", via="SIP/2.0/UDP A.example.com;branch=z9hG4bKx"), flow())
    assert layer.receive(request("OPTIONS", via="SIP/2.0/UDP a.EXAMPLE.com;branch=z9hG4bKx"), flow(), 0) == []


def test_a_request_that_cannot_be_read_is_the_peers_error_and_leaves_nothing(layer: TransactionLayer) -> None:
    for broken in (
        request(via="SIP/2.0/UDP"),
        request(branch="1", call_id="a b"),
        request("CANCEL", via="SIP/2.0/UDP :"),
        request("ACK", via="x"),
    ):
        with pytest.raises(RemoteProtocolError):
            layer.receive(broken, flow(), 0)
    assert is_empty(layer)


def test_an_answer_to_nothing_is_our_bug(layer: TransactionLayer) -> None:
    arrived = arrive(layer, request("OPTIONS"), flow(TLS))
    odd = response_to(arrived.request, 200, to_tag="x")
    odd.status = 99
    with pytest.raises(LocalProtocolError, match="99 is no status"):
        layer.respond(arrived.key, odd, 0)
    layer.respond(arrived.key, response_to(arrived.request, 200, to_tag="x"), 0)
    with pytest.raises(LocalProtocolError, match="no server transaction"):
        layer.respond(arrived.key, response_to(arrived.request, 500), 0)


SOURCE = ("127.0.0.66", 40000)


@pytest.mark.parametrize(
    ("via", "noted", "back"),
    [
        # RFC 3581 4: rport is filled in, received always added, and the response goes where the request came from
        ("127.0.0.2:5062;rport;B", "127.0.0.2:5062;rport=40000;B;received=127.0.0.66", None),
        ("127.0.0.66:40000;B;rport", "127.0.0.66:40000;B;rport=40000;received=127.0.0.66", None),
        # RFC 3261 18.2.1, 18.2.2: source address, sent-by port
        ("127.0.0.2:5062;B", "127.0.0.2:5062;B;received=127.0.0.66", 5062),
        ("phone.example.com;B", "phone.example.com;B;received=127.0.0.66", 5060),
        ("127.0.0.66:5062;B", "127.0.0.66:5062;B", 5062),
        ("127.0.0.66:40000;B", "127.0.0.66:40000;B", None),
        # a stranger may not aim our responses
        ("127.0.0.66:40000;received=10.0.0.1;B", "127.0.0.66:40000;received=127.0.0.66;B", None),
        ("127.0.0.66:40000;maddr=10.0.0.1;B", "127.0.0.66:40000;maddr=10.0.0.1;B", None),
    ],
)
def test_the_way_back_over_udp(layer: TransactionLayer, via: str, noted: str, back: int | None) -> None:
    """`back` is the port of the source address, None the very flow."""
    over = flow(UDP, SOURCE)
    via, noted = (f"SIP/2.0/UDP {text.replace(';B', ';branch=z9hG4bK1')}" for text in (via, noted))
    arrived = arrive(layer, request("OPTIONS", via=via), over)
    assert arrived.request.headers.rows("Via") == [noted]
    response = response_to(arrived.request, 200, to_tag="x")
    path = over if back is None else Target(UDP, SOURCE[0], back, HERE)
    assert layer.respond(arrived.key, response, 0) == [Transmit(path, response)]
    assert response.headers.rows("Via") == [noted]


def test_only_the_topmost_via_gets_the_source(layer: TransactionLayer) -> None:
    vias = "SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK1;rport, SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK2;rport"
    arrived = arrive(layer, request("OPTIONS", via=vias), flow(UDP, SOURCE))
    assert [via.rport for via in arrived.request.vias] == [40000, None]


def test_the_way_back_on_ipv6(layer: TransactionLayer) -> None:
    over = flow(UDP, ("2001:db8::9", 40000))
    arrived = arrive(layer, request("OPTIONS", via="SIP/2.0/UDP [2001:db8::9]:40000;branch=z9hG4bK1"), over)
    assert "received" not in arrived.request.via.params


@pytest.mark.parametrize(("transport", "port"), [(TCP, 5060), (TLS, 5061)])
def test_the_way_back_over_a_connection(layer: TransactionLayer, transport: Transport, port: int) -> None:
    """RFC 3261 18.2.2: the connection, and when that is closed another to the source address and sent-by port."""
    over = flow(transport, SOURCE)
    arrived = arrive(layer, request("INVITE", via="SIP/2.0/TLS 127.0.0.66;branch=z9hG4bK1"), over)
    trying = response_to(arrived.request, 100)
    assert layer.respond(arrived.key, trying, 0) == [Transmit(over, trying)]
    over.open = False
    ringing = response_to(arrived.request, 180, to_tag="x")
    elsewhere = Target(transport, SOURCE[0], port, HERE)
    assert layer.respond(arrived.key, ringing, 0) == [Transmit(elsewhere, ringing)]


@pytest.mark.parametrize("branch", ["z9hG4bKone", "1"])
def test_the_ack_for_a_failure_stays_inside(layer: TransactionLayer, branch: str) -> None:
    """RFC 3261 17.2.3: it has the INVITE's branch; by RFC 2543 the fields of the INVITE and our To tag."""
    over = flow()
    arrived = arrive(layer, request(branch=branch), over)
    layer.respond(arrived.key, response_to(arrived.request, 486, to_tag="x"), 0)
    assert layer.receive(request("ACK", branch=branch, to_tag="x"), over, 0.1) == []
    assert run_down(layer) == []
    assert is_empty(layer)


def test_an_old_ack_with_another_tag_is_for_something_else(layer: TransactionLayer) -> None:
    over = flow()
    arrived = arrive(layer, request(branch="1"), over)
    layer.respond(arrived.key, response_to(arrived.request, 486, to_tag="x"), 0)
    stranger = request("ACK", branch="1", to_tag="y")
    assert layer.receive(stranger, over, 0.1) == [AckArrived(stranger, over)]


def accept(layer: TransactionLayer, over: Flow, branch: str = "z9hG4bKone") -> RequestArrived:
    arrived = arrive(layer, request(branch=branch), over)
    layer.respond(arrived.key, response_to(arrived.request, 200, to_tag="x"), 0)
    return arrived


@pytest.mark.parametrize(("invite", "ack"), [("z9hG4bKone", "z9hG4bKtwo"), ("z9hG4bKone", "z9hG4bKone"), ("1", "1")])
def test_the_ack_for_a_2xx_is_found_by_its_dialog(layer: TransactionLayer, invite: str, ack: str) -> None:
    """RFC 3261 13.3.1.4: Call-ID, tags and CSeq; it ends the repetitions, and each goes to the user."""
    over = flow(TLS)
    accept(layer, over, invite)
    assert [type(output) for output in layer.timeout(0.5)] == [Transmit]
    for now in (0.6, 0.7):
        message = request("ACK", branch=ack, to_tag="x")
        assert layer.receive(message, over, now) == [AckArrived(message, over)]
    assert run_down(layer) == []
    assert is_empty(layer)


@pytest.mark.parametrize("wrong", [{"to_tag": "y"}, {"from_tag": "y"}, {"call_id": "y"}, {"cseq": 2}])
def test_an_ack_for_something_else_is_handed_on_and_ends_nothing(
    layer: TransactionLayer, wrong: dict[str, str]
) -> None:
    over = flow()
    arrived = accept(layer, over)
    message = request("ACK", branch="z9hG4bKtwo", **{"to_tag": "x", **wrong})  # type: ignore[arg-type]
    assert layer.receive(message, over, 0.1) == [AckArrived(message, over)]
    assert run_down(layer)[-1] == ServerExpired(arrived.key)


def test_without_an_ack_the_user_hears_of_it(layer: TransactionLayer) -> None:
    """After a 2xx and after a failure."""
    over = flow()
    accepted = accept(layer, over)
    rejected = arrive(layer, request(branch="z9hG4bKtwo"), over)
    layer.respond(rejected.key, response_to(rejected.request, 486, to_tag="x"), 0)
    expired = [output for output in run_down(layer) if isinstance(output, ServerExpired)]
    assert sorted(output.key for output in expired) == sorted([accepted.key, rejected.key])
    assert is_empty(layer)


def test_two_copies_of_one_invite_share_their_ack(layer: TransactionLayer) -> None:
    """A merged request (RFC 3261 8.2.2.2) that the user accepts twice with one tag: the later one takes the ACK."""
    over = flow()
    first, second = accept(layer, over), accept(layer, over, "z9hG4bKtwo")
    layer.receive(request("ACK", branch="z9hG4bKthree", to_tag="x"), over, 0.1)
    expired = [output for output in run_down(layer) if not isinstance(output, Transmit)]
    assert expired == [ServerExpired(first.key)]
    assert first.key != second.key
    assert is_empty(layer)


@pytest.mark.parametrize("branch", ["z9hG4bKone", "1"])
def test_a_cancel_is_answered_here_and_told(layer: TransactionLayer, branch: str) -> None:
    """RFC 3261 9.2: 200, with the To tag of the INVITE's responses; the user then answers 487."""
    over = flow()
    arrived = arrive(layer, request(branch=branch), over)
    layer.respond(arrived.key, response_to(arrived.request, 180, to_tag="x"), 0)
    cancel = request("CANCEL", branch=branch)
    ok, told = layer.receive(cancel, over, 1)
    assert told == CancelArrived(arrived.key, cancel, over)
    response = sent(ok)
    assert isinstance(response, Response)
    assert (response.status, str(response.cseq), response.to_tag) == (200, "1 CANCEL", "x")
    assert layer.receive(request("CANCEL", branch=branch), over, 1.1) == [ok]
    layer.respond(arrived.key, response_to(arrived.request, 487, to_tag="x"), 2)
    assert layer.receive(request("ACK", branch=branch, to_tag="x"), over, 3) == []
    run_down(layer)
    assert is_empty(layer)


def test_a_cancel_before_any_response_gets_a_tag_too(layer: TransactionLayer) -> None:
    arrived = arrive(layer, request(), flow())
    ok, told = layer.receive(request("CANCEL"), flow(), 1)
    assert isinstance(told, CancelArrived)
    assert told.invite_key == arrived.key
    assert sent(ok).to_tag


def test_a_cancel_after_the_answer_has_no_effect(layer: TransactionLayer) -> None:
    """RFC 3261 9.2: it still gets its 200."""
    accept(layer, flow())
    response = sent(only(layer.receive(request("CANCEL"), flow(), 1)))
    assert isinstance(response, Response)
    assert response.status == 200


def test_a_cancel_of_nothing_gets_481(layer: TransactionLayer) -> None:
    response = sent(only(layer.receive(request("CANCEL"), flow(), 1)))
    assert isinstance(response, Response)
    assert (response.status, bool(response.to_tag)) == (481, True)
    run_down(layer)
    assert is_empty(layer)


def test_a_lost_path_fails_its_own_requests_only(layer: TransactionLayer) -> None:
    over, other = flow(TLS), flow(TLS)
    key, _ = call_out(layer, path=over)
    call_out(layer, path=other)
    assert layer.path_failed(over, 1) == [ClientFailed(key, "transport")]
    assert layer.path_failed(over, 1) == []
    assert layer.counts()["INVITE client"] == 1


def test_a_closed_connection_fails_what_was_sent_to_its_target(layer: TransactionLayer) -> None:
    key, _ = call_out(layer, "OPTIONS", path=target(TCP))
    assert layer.path_failed(flow(TCP), 1) == [ClientFailed(key, "transport")]
    assert is_empty(layer)


def test_a_failed_target_fails_its_requests(layer: TransactionLayer) -> None:
    key, _ = call_out(layer, path=target(TCP))
    assert layer.path_failed(target(TCP), 1) == [ClientFailed(key, "transport")]


def test_server_transactions_survive_their_path_and_fall_silent(layer: TransactionLayer) -> None:
    over = flow(TLS)
    waiting = arrive(layer, request("INFO", branch="z9hG4bKtwo"), over)
    accepted = accept(layer, over)
    over.open = False
    assert layer.path_failed(over, 1) == []
    assert run_down(layer) == [ServerExpired(accepted.key)]
    response = response_to(waiting.request, 200, to_tag="x")
    assert [type(output) for output in layer.respond(waiting.key, response, 99)] == [Transmit]
    assert is_empty(layer)


def test_there_is_no_deadline_when_nobody_waits(layer: TransactionLayer) -> None:
    assert layer.deadline is None
    assert layer.timeout(100) == []
    key, ours = call_out(layer, "OPTIONS", path=target(TCP), now=100)
    assert layer.deadline == 132
    layer.receive(answer(ours, 200), flow(TCP), 101)
    assert layer.deadline is None
    assert layer.cancel(key, 102) == []


def test_the_deadline_is_never_late(layer: TransactionLayer) -> None:
    """It may be early, when the alarm that set it was stopped; the next `timeout` puts that right."""
    _, ours = call_out(layer)
    call_out(layer, "OPTIONS", path=target(TCP), now=0.1)
    layer.receive(answer(ours, 180), flow(), 0.2)
    assert layer.deadline == 0.5
    assert layer.timeout(0.5) == []
    assert layer.deadline == 32.1


def test_nothing_of_thirty_thousand_finished_requests_stays(layer: TransactionLayer) -> None:
    """At 1,000 a second over UDP: what timer K (5 s) and J (32 s) keep is all there is, and no request among it."""
    over, way, others = flow(), target(), requests_alive()
    for number in range(15_000):
        now = number / 500
        _, outputs = layer.request(_options(), way, now)
        layer.receive(response_to(sent_request(outputs[0]), 200, to_tag="x"), over, now)
        arrived = arrive(layer, request("OPTIONS", branch=f"z9hG4bK{number}"), over, now)
        layer.respond(arrived.key, response_to(arrived.request, 200, to_tag="x"), now)
        del outputs, arrived
        if (layer.deadline or now) <= now:
            layer.timeout(now)
    counts = layer.counts()
    assert counts["non-INVITE client"] <= 2_505
    assert counts["non-INVITE server"] == 15_000
    assert counts["alarms"] == counts["non-INVITE client"] + counts["non-INVITE server"]
    assert requests_alive() == others
    assert run_down(layer) == []
    assert is_empty(layer)


def test_nothing_of_finished_calls_stays(layer: TransactionLayer) -> None:
    """Answered, rejected, cancelled and acknowledged, in both directions: only small machines wait for their end."""
    over, way, others = flow(), target(), requests_alive()
    for number in range(300):
        now, status = number / 100, (200, 486)[number % 2]
        _, outputs = layer.request(request(body="v=0" * 200), way, now)
        layer.receive(answer(sent_request(outputs[0]), status), over, now)
        arrived = arrive(layer, request(branch=f"z9hG4bK{number}", call_id=f"{number}"), over, now)
        layer.respond(arrived.key, response_to(arrived.request, status, to_tag="x"), now)
        branch = f"z9hG4bK{number}" if status == 486 else f"z9hG4bKack{number}"
        layer.receive(request("ACK", branch=branch, call_id=f"{number}", to_tag="x"), over, now)
        del outputs, arrived
    assert requests_alive() == others + 150  # the ACKs that timer D may want again
    assert layer.counts()["alarms"] == 600
    run_down(layer)
    assert requests_alive() == others
    assert is_empty(layer)


def _options() -> Request:
    return request("OPTIONS", rows=())


def requests_alive() -> int:
    gc.collect()
    return sum(isinstance(thing, Request) for thing in gc.get_objects())
