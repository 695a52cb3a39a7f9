"""The client transactions, step by step as RFC 3261 17.1 (figures 5 and 6) and RFC 6026 7.2 draw them."""

from __future__ import annotations

from cubeproxy.protocols.sip.transactions import Input as I
from cubeproxy.protocols.sip.transactions import InviteClient
from cubeproxy.protocols.sip.transactions import State as S
from tests.protocols.sip.samples import TLS, UDP, answer
from tests.protocols.sip.stage import Stage, invite_client, non_invite_client

A, B, D, E, F, K, M = I.TIMER_A, I.TIMER_B, I.TIMER_D, I.TIMER_E, I.TIMER_F, I.TIMER_K, I.TIMER_M


def calling() -> Stage:
    stage = invite_client(UDP)
    stage.on(I.START, sends="INVITE", state=S.CALLING, alarms={A: 0.5, B: 32}, holds="INVITE")
    stage.now = 0.1
    return stage


def held() -> Stage:
    stage = calling()
    stage.on(I.CANCEL, state=S.HELD, alarms={A: 0.5, B: 32}, holds="INVITE CANCEL")
    stage.now = 0.2
    return stage


def proceeding() -> Stage:
    stage = calling()
    stage.on(I.PROVISIONAL, tells="180", state=S.PROCEEDING, holds="INVITE")
    stage.now = 10
    return stage


def cancelled() -> Stage:
    stage = proceeding()
    stage.on(I.CANCEL, state=S.CANCELLED, alarms={B: 42}, holds="INVITE CANCEL")
    stage.now = 11
    return stage


def accepted() -> Stage:
    stage = proceeding()
    stage.on(I.SUCCESS, tells="200", state=S.ACCEPTED, alarms={M: 42})
    stage.now = 11
    return stage


def completed() -> Stage:
    stage = proceeding()
    stage.on(I.FAILURE, sends="ACK", tells="486", state=S.COMPLETED, alarms={D: 42}, holds="ACK")
    stage.now = 11
    return stage


def test_an_invite_is_repeated_at_doubling_intervals_until_timer_b() -> None:
    """17.1.1.2: at 0, T1, 3 T1, 7 T1 ... 63 T1; timer B at 64 T1."""
    stage = calling()
    for at, following in ((0.5, 1.5), (1.5, 3.5), (3.5, 7.5), (7.5, 15.5), (15.5, 31.5)):
        stage.fires(A, sends="INVITE", state=S.CALLING, alarms={A: following, B: 32}, holds="INVITE")
        assert stage.now == at
    stage.fires(A, sends="INVITE", state=S.CALLING, alarms={A: 63.5, B: 32}, holds="INVITE")
    stage.fires(B, tells="timeout", state=S.TERMINATED)


def test_on_a_reliable_transport_the_invite_goes_out_once() -> None:
    stage = invite_client(TLS)
    stage.on(I.START, sends="INVITE", state=S.CALLING, alarms={B: 32}, holds="INVITE")
    stage.fires(B, tells="timeout", state=S.TERMINATED)


def test_a_provisional_response_ends_the_repetitions_and_the_wait() -> None:
    """Only the user decides how long it lets ring."""
    stage = proceeding()
    stage.on(I.PROVISIONAL, answer(stage.request, 183), tells="183", state=S.PROCEEDING, holds="INVITE")


def test_a_provisional_response_stops_both_timers_at_once() -> None:
    stage = calling()
    stage.on(I.PROVISIONAL, tells="180", state=S.PROCEEDING, holds="INVITE")


def test_a_2xx_straight_away() -> None:
    """RFC 6026 7.2: the user gets every 2xx until timer M, and acknowledges each."""
    stage = calling()
    stage.on(I.SUCCESS, tells="200", state=S.ACCEPTED, alarms={M: 32.1})


def test_an_accepted_call_passes_each_2xx_and_nothing_else() -> None:
    stage = accepted()
    stage.on(I.SUCCESS, tells="200", state=S.ACCEPTED, alarms={M: 42})
    stage.on(I.PROVISIONAL, state=S.ACCEPTED, alarms={M: 42})
    stage.on(I.FAILURE, state=S.ACCEPTED, alarms={M: 42})
    stage.on(I.CANCEL, state=S.ACCEPTED, alarms={M: 42})
    stage.on(I.TRANSPORT_ERROR, state=S.ACCEPTED, alarms={M: 42})
    stage.fires(M, state=S.TERMINATED)


def test_timer_m_runs_on_reliable_transports_too() -> None:
    stage = invite_client(TLS)
    stage.on(I.START, sends="INVITE", state=S.CALLING, alarms={B: 32}, holds="INVITE")
    stage.on(I.SUCCESS, tells="200", state=S.ACCEPTED, alarms={M: 32})


def test_a_failure_straight_away_is_acknowledged_by_the_machine() -> None:
    """17.1.1.3."""
    stage = calling()
    stage.on(I.FAILURE, sends="ACK", tells="486", state=S.COMPLETED, alarms={D: 32.1}, holds="ACK")


def test_the_ack_for_a_failure_is_the_invites_with_the_to_of_the_response() -> None:
    """17.1.1.3: Request-URI, Via, Route, From, Call-ID and CSeq number of the INVITE, To of the response, no body."""
    stage = invite_client(UDP)
    invite = stage.request
    for route in ("<sip:127.0.0.8;lr>", "<sip:127.0.0.9;lr>"):
        invite.headers.add("Route", route)
    stage.on(I.START, sends="INVITE", state=S.CALLING, alarms={A: 0.5, B: 32}, holds="INVITE")
    response = answer(invite, 486, to_tag="busy")
    stage.on(I.FAILURE, response, sends="ACK", tells="486", state=S.COMPLETED, alarms={D: 32}, holds="ACK")
    assert stage.sent[0].message.serialise().decode().split("\r\n") == [
        "ACK sip:2002@127.0.0.1 SIP/2.0",
        "Via: SIP/2.0/UDP 127.0.0.2:5062;branch=z9hG4bKone",
        "Max-Forwards: 70",
        "Route: <sip:127.0.0.8;lr>",
        "Route: <sip:127.0.0.9;lr>",
        "From: <sip:1001@127.0.0.2>;tag=their-tag",
        "To: <sip:2002@127.0.0.1>;tag=busy",
        "Call-ID: call-1",
        "CSeq: 1 ACK",
        "Content-Length: 0",
        "",
        "",
    ]


def test_a_repeated_failure_is_acknowledged_again_and_told_once() -> None:
    """The request is let go, only its ACK is kept until timer D."""
    stage = completed()
    stage.on(I.FAILURE, sends="ACK", state=S.COMPLETED, alarms={D: 42}, holds="ACK")
    stage.on(I.PROVISIONAL, state=S.COMPLETED, alarms={D: 42}, holds="ACK")
    stage.on(I.SUCCESS, state=S.COMPLETED, alarms={D: 42}, holds="ACK")
    stage.on(I.CANCEL, state=S.COMPLETED, alarms={D: 42}, holds="ACK")
    stage.fires(D, state=S.TERMINATED, holds="ACK")


def test_a_completed_invite_ends_with_its_path() -> None:
    """Nobody is told: the user has its final response."""
    completed().on(I.TRANSPORT_ERROR, state=S.TERMINATED, holds="ACK")


def test_on_a_reliable_transport_a_failure_ends_the_transaction_at_once() -> None:
    """Timer D is 0."""
    stage = invite_client(TLS)
    stage.on(I.START, sends="INVITE", state=S.CALLING, alarms={B: 32}, holds="INVITE")
    stage.on(I.FAILURE, sends="ACK", tells="486", state=S.TERMINATED, holds="ACK")


def test_a_lost_path_fails_an_unanswered_invite() -> None:
    """17.1.4; in Proceeding too, where the answer was to come on that path."""
    for stage in (calling(), held(), proceeding(), cancelled()):
        stage.on(I.TRANSPORT_ERROR, tells="transport", state=S.TERMINATED, holds=_cancel(stage))


def _cancel(stage: Stage) -> str:
    assert isinstance(stage.machine, InviteClient)
    return "" if stage.machine.cancel is None else "CANCEL"


def test_a_cancel_is_held_back_until_a_provisional_response() -> None:
    """9.1: and timer B starts anew, for a callee that does not answer the CANCEL either."""
    stage = held()
    stage.on(I.CANCEL, "another", state=S.HELD, alarms={A: 0.5, B: 32}, holds="INVITE CANCEL")
    stage.fires(A, sends="INVITE", state=S.HELD, alarms={A: 1.5, B: 32}, holds="INVITE CANCEL")
    stage.on(I.PROVISIONAL, tells="180", state=S.CANCELLED, alarms={B: 32.5}, holds="INVITE CANCEL")


def test_a_held_cancel_is_dropped_when_the_final_response_comes_first() -> None:
    held().on(I.SUCCESS, tells="200", state=S.ACCEPTED, alarms={M: 32.2})
    held().on(I.FAILURE, sends="ACK", tells="486", state=S.COMPLETED, alarms={D: 32.2}, holds="ACK")


def test_a_held_cancel_does_not_lengthen_the_wait() -> None:
    stage = held()
    for at in (1.5, 3.5, 7.5, 15.5, 31.5, 63.5):
        stage.fires(A, sends="INVITE", state=S.HELD, alarms={A: at, B: 32}, holds="INVITE CANCEL")
    stage.fires(B, tells="timeout", state=S.TERMINATED, holds="CANCEL")


def test_after_a_cancel_the_final_response_is_awaited_for_64_t1() -> None:
    """9.1: then the INVITE counts as cancelled."""
    stage = cancelled()
    stage.on(I.PROVISIONAL, tells="180", state=S.CANCELLED, alarms={B: 42}, holds="INVITE CANCEL")
    stage.on(I.CANCEL, "another", state=S.CANCELLED, alarms={B: 42}, holds="INVITE CANCEL")
    stage.fires(B, tells="timeout", state=S.TERMINATED, holds="CANCEL")


def test_a_cancelled_invite_ends_by_487_or_by_a_2xx_that_overtook_it() -> None:
    stage = cancelled()
    response = answer(stage.request, 487)
    stage.on(I.FAILURE, response, sends="ACK", tells="487", state=S.COMPLETED, alarms={D: 43}, holds="ACK")
    cancelled().on(I.SUCCESS, tells="200", state=S.ACCEPTED, alarms={M: 43})


def test_an_invite_client_refuses_what_only_others_know() -> None:
    for make in (calling, held, proceeding, cancelled, accepted, completed):
        make().refuses(I.START, I.REQUEST, I.ACK, I.FINAL, I.SEND_FINAL, K)
    invite_client().refuses(I.PROVISIONAL, I.SUCCESS, I.FAILURE, I.CANCEL, A, B, I.TRANSPORT_ERROR)


def trying() -> Stage:
    stage = non_invite_client(UDP)
    stage.on(I.START, sends="OPTIONS", state=S.TRYING, alarms={E: 0.5, F: 32}, holds="OPTIONS")
    stage.now = 0.1
    return stage


def going_on() -> Stage:
    stage = trying()
    stage.on(I.PROVISIONAL, tells="180", state=S.PROCEEDING, alarms={E: 0.5, F: 32}, holds="OPTIONS")
    stage.now = 0.2
    return stage


def answered() -> Stage:
    stage = trying()
    stage.on(I.FINAL, tells="200", state=S.COMPLETED, alarms={K: 5.1})
    stage.now = 0.2
    return stage


def test_a_request_is_repeated_at_intervals_up_to_t2_until_timer_f() -> None:
    """17.1.2.2: 500 ms, 1 s, 2 s, 4 s, 4 s, ..."""
    stage = trying()
    for following in (1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5, 35.5):
        stage.fires(E, sends="OPTIONS", state=S.TRYING, alarms={E: following, F: 32}, holds="OPTIONS")
    stage.fires(F, tells="timeout", state=S.TERMINATED)


def test_a_provisional_response_slows_the_repetitions_down_to_t2() -> None:
    stage = going_on()
    stage.on(I.PROVISIONAL, tells="180", state=S.PROCEEDING, alarms={E: 0.5, F: 32}, holds="OPTIONS")
    for following in (4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5, 32.5):
        stage.fires(E, sends="OPTIONS", state=S.PROCEEDING, alarms={E: following, F: 32}, holds="OPTIONS")
    stage.fires(F, tells="timeout", state=S.TERMINATED)


def test_on_a_reliable_transport_a_request_goes_out_once() -> None:
    stage = non_invite_client(TLS)
    stage.on(I.START, sends="OPTIONS", state=S.TRYING, alarms={F: 32}, holds="OPTIONS")
    stage.on(I.PROVISIONAL, tells="180", state=S.PROCEEDING, alarms={F: 32}, holds="OPTIONS")
    stage.on(I.FINAL, tells="200", state=S.TERMINATED)


def test_the_final_response_is_told_once_and_the_request_let_go() -> None:
    stage = answered()
    stage.on(I.FINAL, state=S.COMPLETED, alarms={K: 5.1})
    stage.on(I.PROVISIONAL, state=S.COMPLETED, alarms={K: 5.1})
    stage.fires(K, state=S.TERMINATED)


def test_a_final_response_after_a_provisional_one() -> None:
    going_on().on(I.FINAL, tells="200", state=S.COMPLETED, alarms={K: 5.2})


def test_a_lost_path_fails_an_unanswered_request() -> None:
    for stage in (trying(), going_on()):
        stage.on(I.TRANSPORT_ERROR, tells="transport", state=S.TERMINATED)
    answered().on(I.TRANSPORT_ERROR, state=S.TERMINATED)


def test_a_quiet_request_tells_nobody_anything() -> None:
    """The layer's own CANCEL."""
    stage = non_invite_client(UDP, quiet=True)
    stage.on(I.START, sends="OPTIONS", state=S.TRYING, alarms={E: 0.5, F: 32}, holds="OPTIONS")
    stage.on(I.PROVISIONAL, state=S.PROCEEDING, alarms={E: 0.5, F: 32}, holds="OPTIONS")
    stage.on(I.TRANSPORT_ERROR, state=S.TERMINATED)


def test_a_non_invite_client_refuses_what_only_others_know() -> None:
    for make in (trying, going_on, answered):
        make().refuses(I.START, I.REQUEST, I.ACK, I.CANCEL, I.SUCCESS, I.FAILURE, A, B)
    non_invite_client().refuses(I.PROVISIONAL, I.FINAL, E, F, K, I.TRANSPORT_ERROR)
