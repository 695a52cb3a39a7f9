"""The server transactions, step by step as RFC 3261 17.2 (figures 7 and 8) and RFC 6026 7.1 draw them."""

from __future__ import annotations

from cubeproxy.protocols.sip.transactions import Input as I
from cubeproxy.protocols.sip.transactions import State as S
from tests.protocols.sip.samples import TCP, TLS, UDP, answer
from tests.protocols.sip.stage import Stage, fallback, invite_server, non_invite_server

G, H, J, L, AGAIN = I.TIMER_G, I.TIMER_H, I.TIMER_J, I.TIMER_L, I.TIMER_2XX
TIMER_I = I.TIMER_I


def arrived() -> Stage:
    stage = invite_server(UDP)
    stage.on(I.REQUEST, tells="INVITE", state=S.PROCEEDING)
    stage.now = 1
    return stage


def accepted() -> Stage:
    stage = arrived()
    stage.on(I.SEND_SUCCESS, sends="200", state=S.ACCEPTED, alarms={AGAIN: 1.5, L: 33}, holds="200")
    stage.now = 1.2
    return stage


def acknowledged() -> Stage:
    stage = accepted()
    stage.on(I.ACK, tells="ACK", state=S.ACKNOWLEDGED, alarms={L: 33})
    return stage


def rejected() -> Stage:
    stage = arrived()
    stage.on(I.SEND_FAILURE, sends="486", state=S.COMPLETED, alarms={G: 1.5, H: 33}, holds="486")
    stage.now = 1.2
    return stage


def confirmed() -> Stage:
    stage = rejected()
    stage.on(I.ACK, state=S.CONFIRMED, alarms={TIMER_I: 6.2})
    stage.now = 1.3
    return stage


def test_an_invite_is_told_once_and_its_repetition_gets_the_last_provisional_response() -> None:
    """17.2.1. There may be none yet; an ACK that comes now belongs to nothing."""
    stage = arrived()
    stage.on(I.REQUEST, state=S.PROCEEDING)
    stage.on(I.ACK, state=S.PROCEEDING)
    stage.on(I.SEND_PROVISIONAL, answer(stage.request, 100), sends="100", state=S.PROCEEDING, holds="100")
    stage.on(I.SEND_PROVISIONAL, sends="180", state=S.PROCEEDING, holds="180")
    stage.on(I.REQUEST, sends="180", state=S.PROCEEDING, holds="180")
    stage.on(I.ACK, state=S.PROCEEDING, holds="180")
    stage.on(I.TRANSPORT_ERROR, state=S.PROCEEDING, holds="180")
    stage.on(I.SEND_SUCCESS, sends="200", state=S.ACCEPTED, alarms={AGAIN: 1.5, L: 33}, holds="200")


def test_a_2xx_is_repeated_at_intervals_up_to_t2_until_timer_l() -> None:
    """13.3.1.4, done here instead of by the user; without an ACK the user hears of it."""
    stage = accepted()
    for following in (2.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5, 32.5, 36.5):
        stage.fires(AGAIN, sends="200", state=S.ACCEPTED, alarms={AGAIN: following, L: 33}, holds="200")
    stage.fires(L, tells="expired", state=S.TERMINATED)


def test_a_2xx_is_repeated_on_reliable_transports_too() -> None:
    """13.3.1.4: a proxy on the way may use UDP."""
    stage = invite_server(TLS)
    stage.on(I.REQUEST, tells="INVITE", state=S.PROCEEDING)
    stage.on(I.SEND_SUCCESS, sends="200", state=S.ACCEPTED, alarms={AGAIN: 0.5, L: 32}, holds="200")


def test_an_accepted_invite_absorbs_its_repetitions() -> None:
    """RFC 6026 7.1: they cause no response; a lost path stops ours."""
    stage = accepted()
    stage.on(I.REQUEST, state=S.ACCEPTED, alarms={AGAIN: 1.5, L: 33}, holds="200")
    stage.on(I.TRANSPORT_ERROR, state=S.ACCEPTED, alarms={L: 33}, holds="200")
    stage.fires(L, tells="expired", state=S.TERMINATED)


def test_the_ack_for_a_2xx_ends_the_repetitions_and_goes_to_the_user_each_time() -> None:
    stage = acknowledged()
    stage.on(I.ACK, tells="ACK", state=S.ACKNOWLEDGED, alarms={L: 33})
    stage.on(I.REQUEST, state=S.ACKNOWLEDGED, alarms={L: 33})
    stage.on(I.TRANSPORT_ERROR, state=S.ACKNOWLEDGED, alarms={L: 33})
    stage.fires(L, state=S.TERMINATED)


def test_a_failure_is_repeated_at_intervals_up_to_t2_until_timer_h() -> None:
    """17.2.1."""
    stage = rejected()
    for following in (2.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5, 32.5, 36.5):
        stage.fires(G, sends="486", state=S.COMPLETED, alarms={G: following, H: 33}, holds="486")
    stage.fires(H, tells="expired", state=S.TERMINATED)


def test_the_repetition_of_a_rejected_invite_gets_the_failure_again() -> None:
    stage = rejected()
    stage.on(I.REQUEST, sends="486", state=S.COMPLETED, alarms={G: 1.5, H: 33}, holds="486")
    stage.on(I.TRANSPORT_ERROR, state=S.COMPLETED, alarms={H: 33}, holds="486")


def test_the_ack_for_a_failure_is_kept_from_the_user() -> None:
    stage = confirmed()
    stage.on(I.ACK, state=S.CONFIRMED, alarms={TIMER_I: 6.2})
    stage.on(I.REQUEST, state=S.CONFIRMED, alarms={TIMER_I: 6.2})
    stage.on(I.TRANSPORT_ERROR, state=S.CONFIRMED, alarms={TIMER_I: 6.2})
    stage.fires(TIMER_I, state=S.TERMINATED)


def test_on_a_reliable_transport_a_failure_goes_out_once_and_its_ack_ends_all() -> None:
    """Timer G does not run, timer I is 0."""
    stage = invite_server(TCP)
    stage.on(I.REQUEST, tells="INVITE", state=S.PROCEEDING)
    stage.on(I.SEND_FAILURE, sends="486", state=S.COMPLETED, alarms={H: 32}, holds="486")
    stage.on(I.ACK, state=S.TERMINATED)


def test_a_closed_connection_is_replaced_by_one_to_the_sent_by_port() -> None:
    """18.2.2."""
    stage = invite_server(TLS)
    assert stage.path is stage.machine.path
    stage.on(I.REQUEST, tells="INVITE", state=S.PROCEEDING)
    flow, stage.path = stage.path, stage.machine.fallback  # type: ignore[union-attr]
    flow.open = False  # type: ignore[union-attr]
    stage.on(I.SEND_PROVISIONAL, sends="180", state=S.PROCEEDING, holds="180")
    assert stage.path == fallback(flow)  # type: ignore[arg-type]


def test_an_invite_server_refuses_a_second_answer() -> None:
    """And whatever only others know."""
    for make in (accepted, acknowledged, rejected, confirmed):
        make().refuses(I.SEND_PROVISIONAL, I.SEND_SUCCESS, I.SEND_FAILURE, I.SEND_FINAL, I.START, I.CANCEL)
    invite_server().refuses(I.ACK, I.SEND_PROVISIONAL, I.SEND_SUCCESS, I.SEND_FAILURE, G, H, L, I.TRANSPORT_ERROR)
    arrived().refuses(I.SEND_FINAL, I.FINAL, G, H, L, J)


def trying() -> Stage:
    stage = non_invite_server(UDP)
    stage.on(I.REQUEST, tells="OPTIONS", state=S.TRYING)
    stage.now = 1
    return stage


def going_on() -> Stage:
    stage = trying()
    stage.on(I.SEND_PROVISIONAL, sends="180", state=S.PROCEEDING, holds="180")
    stage.now = 2
    return stage


def answered() -> Stage:
    stage = trying()
    stage.on(I.SEND_FINAL, sends="200", state=S.COMPLETED, alarms={J: 33}, holds="200")
    stage.now = 3
    return stage


def test_a_request_is_told_once_and_its_repetition_dropped_until_there_is_an_answer() -> None:
    """17.2.2. A lost path changes nothing: the user holds the key."""
    stage = trying()
    stage.on(I.REQUEST, state=S.TRYING)
    stage.on(I.TRANSPORT_ERROR, state=S.TRYING)
    stage.on(I.SEND_FINAL, sends="200", state=S.COMPLETED, alarms={J: 33}, holds="200")


def test_a_repeated_request_gets_the_last_provisional_response() -> None:
    stage = going_on()
    stage.on(I.REQUEST, sends="180", state=S.PROCEEDING, holds="180")
    stage.on(I.SEND_PROVISIONAL, answer(stage.request, 183), sends="183", state=S.PROCEEDING, holds="183")
    stage.on(I.REQUEST, sends="183", state=S.PROCEEDING, holds="183")
    stage.on(I.TRANSPORT_ERROR, state=S.PROCEEDING, holds="183")
    stage.on(I.SEND_FINAL, sends="200", state=S.COMPLETED, alarms={J: 34}, holds="200")


def test_a_repeated_request_gets_the_final_response_until_timer_j() -> None:
    """Any other final response of the user is discarded."""
    stage = answered()
    stage.on(I.REQUEST, sends="200", state=S.COMPLETED, alarms={J: 33}, holds="200")
    stage.on(I.SEND_FINAL, answer(stage.request, 500), state=S.COMPLETED, alarms={J: 33}, holds="200")
    stage.on(I.REQUEST, sends="200", state=S.COMPLETED, alarms={J: 33}, holds="200")
    stage.fires(J, state=S.TERMINATED, holds="200")


def test_a_completed_request_ends_with_its_path() -> None:
    answered().on(I.TRANSPORT_ERROR, state=S.TERMINATED, holds="200")


def test_on_a_reliable_transport_the_final_response_ends_all() -> None:
    """Timer J is 0."""
    stage = non_invite_server(TLS)
    stage.on(I.REQUEST, tells="OPTIONS", state=S.TRYING)
    stage.on(I.SEND_FINAL, sends="200", state=S.TERMINATED, holds="200")


def test_a_non_invite_server_refuses_what_only_others_know() -> None:
    for make in (trying, going_on, answered):
        make().refuses(I.ACK, I.SEND_SUCCESS, I.SEND_FAILURE, I.START, I.CANCEL, G, H, L)
    answered().refuses(I.SEND_PROVISIONAL)
    non_invite_server().refuses(I.SEND_PROVISIONAL, I.SEND_FINAL, J, I.TRANSPORT_ERROR)
