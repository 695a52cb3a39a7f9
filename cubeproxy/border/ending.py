"""How a call does not come about, or ends: the actions of `call.TRANSITIONS` that lead out.

Each takes the call, what the input carries and the time. The next state stands in the table, nowhere here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cubeproxy.border.failures import SILENCE
from cubeproxy.border.leg import Leg
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.values import MediaLost, MediaMoved, MediaRefused, Side

if TYPE_CHECKING:
    from cubeproxy.border.call import Call

Bye = tuple[Leg, ServerKey, Request]


def refuse(call: Call, refused: MediaRefused, now: float) -> None:
    call.refuse_caller(refused.cause, now, refused.text)


def reject(call: Call, response: Response | str, now: float) -> None:
    """The called side's failure is the caller's; where there is none, say which side was silent."""
    if isinstance(response, str):
        call.refuse_caller(SILENCE[call.called.side, response], now)
    elif response.status in (401, 407) and call.called.side is Side.ACCESS:
        call.refuse_caller("challenged", now)
    else:
        call.cause = str(response.status)
        call.to_caller(response, response.body, now)


def cancel(call: Call, cancel: Request | None, now: float) -> None:
    """The caller gave up."""
    call.cause = "cancelled"
    call.answer_caller(487, now)
    _drop_called(call, now)


def limit(call: Call, cause: str, now: float, text: str = "") -> None:
    call.refuse_caller(cause, now, text)
    _drop_called(call, now)


def give_up(call: Call, why: tuple[str, str], now: float) -> None:
    """`why` is a cause and a text for the operator."""
    limit(call, why[0], now, why[1])


def lost_early(call: Call, lost: MediaLost | MediaMoved, now: float) -> None:
    limit(call, lost.failure if isinstance(lost, MediaLost) else "media-lost", now, lost.cause)


def gone_early(call: Call, cause: str, now: float) -> None:
    """One side no longer knows the early dialog (RFC 3261 12.2.1.2)."""
    limit(call, "gone", now, cause)


def _drop_called(call: Call, now: float) -> None:
    call.let_go(now)
    call.hunt.cancel(call, now)


def unwanted(call: Call, response: Response, now: float) -> None:
    """The 2xx overtook our CANCEL."""
    assert call.hunt.attempt is not None
    call.hunt.attempt.decline(response, now)


def hang_up(call: Call, source: Bye, now: float) -> None:
    """A BYE came on one leg: 200 there, BYE on the other."""
    leg, _, request = source
    late_bye(call, source, now)
    call.cause = "bye"
    call.let_go(now)
    call.acknowledge_delayed(now)
    call.bye(call.legs[1 - leg.index], request, now)


def hang_up_early(call: Call, source: Bye, now: float) -> None:
    """A BYE of the caller in an early dialog (RFC 3261 15): as if it had cancelled."""
    late_bye(call, source, now)
    cancel(call, None, now)


def called_left(call: Call, source: Bye, now: float) -> None:
    """A BYE of the called side in an early dialog, which RFC 3261 15 forbids: it wants no call."""
    late_bye(call, source, now)
    limit(call, "gone", now)


def hang_up_unacknowledged(call: Call, source: Bye, now: float) -> None:
    """The called side answered and left before the caller's ACK."""
    late_bye(call, source, now)
    end_called(call, "bye", now)


def late_bye(call: Call, source: Bye, now: float) -> None:
    _, key, request = source
    call.calls.user.respond(key, response_to(request, 200), now)


def end_called(call: Call, argument: MediaLost | str | None, now: float) -> None:
    """We end the call; the caller's BYE waits for its ACK."""
    _blame(call, argument)
    call.let_go(now)
    call.acknowledge_delayed(now)
    call.bye(call.called, None, now)


def end_caller(call: Call, argument: object, now: float) -> None:
    call.bye(call.caller, None, now)


def end_both(call: Call, argument: MediaLost | str | None, now: float) -> None:
    """We end the call: BYE on both legs."""
    _blame(call, argument)
    call.let_go(now)
    call.acknowledge_delayed(now)
    for leg in call.legs:
        call.bye(leg, None, now)


def nothing(call: Call, argument: object, now: float) -> None:
    pass


def _blame(call: Call, argument: MediaLost | str | None) -> None:
    if isinstance(argument, MediaLost):
        call.cause = argument.failure
    elif argument:
        call.cause = argument
