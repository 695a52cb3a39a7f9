"""Offer/answer of a call that passes from one leg to the other (RFC 3264, RFC 6337) as a table.

The two legs of a B2BUA mirror each other: what one leg's peer offers is offered on the other leg,
what comes back is the answer. So one machine serves the pair. It tells what a body is; what becomes
of it is `negotiation`'s work.
"""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    STABLE = 0
    OFFERED = 1  # an offer went across, no answer yet
    PREVIEWED = 2  # an answer was seen in an unreliable provisional; the final response repeats it (RFC 3261 13.2.1)


class Input(IntEnum):
    BODY = 0  # a description from the side that owes an answer, or from any side when stable
    PREVIEW = 1  # the same, in an unreliable provisional response
    AGAIN = 2  # a description from the side that has offered already
    DONE = 3  # the transaction that carried the offer succeeded
    FAILED = 4  # it failed: the session before the offer stays (RFC 3261 14.1)


class Meaning(IntEnum):
    """What the caller has to do with the body or the outcome."""

    OFFER = 0
    ANSWER = 1
    GLARE = 2  # 491: two offers at once
    KEEP = 3
    REVERT = 4


TRANSITIONS: dict[tuple[State, Input], tuple[Meaning, State]] = {
    (State.STABLE, Input.BODY): (Meaning.OFFER, State.OFFERED),
    (State.STABLE, Input.DONE): (Meaning.KEEP, State.STABLE),
    (State.STABLE, Input.FAILED): (Meaning.KEEP, State.STABLE),
    (State.OFFERED, Input.BODY): (Meaning.ANSWER, State.STABLE),
    (State.OFFERED, Input.PREVIEW): (Meaning.ANSWER, State.PREVIEWED),
    (State.OFFERED, Input.AGAIN): (Meaning.GLARE, State.OFFERED),
    (State.OFFERED, Input.DONE): (Meaning.KEEP, State.OFFERED),  # the offer stood in the 2xx, the answer is in the ACK
    (State.OFFERED, Input.FAILED): (Meaning.REVERT, State.STABLE),
    (State.PREVIEWED, Input.BODY): (Meaning.ANSWER, State.STABLE),
    (State.PREVIEWED, Input.PREVIEW): (Meaning.ANSWER, State.PREVIEWED),
    (State.PREVIEWED, Input.AGAIN): (Meaning.GLARE, State.PREVIEWED),
    (State.PREVIEWED, Input.DONE): (Meaning.KEEP, State.STABLE),
    (State.PREVIEWED, Input.FAILED): (Meaning.REVERT, State.STABLE),
}


class OfferAnswer:
    """`offerer` is the leg (0 or 1) whose peer made the offer that is open, None when stable."""

    __slots__ = ("offerer", "state")

    def __init__(self) -> None:
        self.state = State.STABLE
        self.offerer: int | None = None

    def body(self, source: int, *, preview: bool = False) -> Meaning:
        """A description came from leg `source`: is it an offer, an answer, or one offer too many?"""
        if self.state is State.STABLE:
            event = Input.BODY  # an offer; even in an unreliable provisional it is answered before anything else
        elif source == self.offerer:
            event = Input.AGAIN
        else:
            event = Input.PREVIEW if preview else Input.BODY
        meaning = self._receive(event)
        if meaning is Meaning.OFFER:
            self.offerer = source
        return meaning

    def concluded(self, ok: bool) -> Meaning:
        """The transaction with the offer has its final response."""
        return self._receive(Input.DONE if ok else Input.FAILED)

    def _receive(self, event: Input) -> Meaning:
        meaning, self.state = TRANSITIONS[self.state, event]
        return meaning
