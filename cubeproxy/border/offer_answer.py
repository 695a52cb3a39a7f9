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
    REQUEST = 0  # a description in an INVITE or UPDATE, which can only be an offer
    REPLY = 1  # one in a reliable response, a PRACK or an ACK: the answer that is owed, else an offer
    PREVIEW = 2  # one in an unreliable provisional response, which can be no offer (RFC 3261 13.2.1)
    AGAIN = 3  # one from the side whose own offer is open
    DONE = 4  # the transaction that carried the offer succeeded
    FAILED = 5  # it failed: the session before the offer stays (RFC 3261 14.1)


class Meaning(IntEnum):
    """What the caller has to do with the body or the outcome."""

    OFFER = 0
    ANSWER = 1
    IGNORE = 2
    GLARE = 3  # 491: both sides offer at once (RFC 3311 5.2)
    TOO_SOON = 4  # 500: the same side offers before it has its answer (RFC 3311 5.2)
    KEEP = 5
    REVERT = 6


TRANSITIONS: dict[tuple[State, Input], tuple[Meaning, State]] = {
    (State.STABLE, Input.REQUEST): (Meaning.OFFER, State.OFFERED),
    (State.STABLE, Input.REPLY): (Meaning.OFFER, State.OFFERED),
    (State.STABLE, Input.PREVIEW): (Meaning.IGNORE, State.STABLE),
    (State.STABLE, Input.DONE): (Meaning.KEEP, State.STABLE),
    (State.STABLE, Input.FAILED): (Meaning.KEEP, State.STABLE),
    (State.OFFERED, Input.REQUEST): (Meaning.GLARE, State.OFFERED),
    (State.OFFERED, Input.REPLY): (Meaning.ANSWER, State.STABLE),
    (State.OFFERED, Input.PREVIEW): (Meaning.ANSWER, State.PREVIEWED),
    (State.OFFERED, Input.AGAIN): (Meaning.TOO_SOON, State.OFFERED),
    (State.OFFERED, Input.DONE): (Meaning.KEEP, State.OFFERED),  # the offer stood in the 2xx, the answer is in the ACK
    (State.OFFERED, Input.FAILED): (Meaning.REVERT, State.STABLE),
    (State.PREVIEWED, Input.REQUEST): (Meaning.GLARE, State.PREVIEWED),
    (State.PREVIEWED, Input.REPLY): (Meaning.ANSWER, State.STABLE),
    (State.PREVIEWED, Input.PREVIEW): (Meaning.ANSWER, State.PREVIEWED),
    (State.PREVIEWED, Input.AGAIN): (Meaning.TOO_SOON, State.PREVIEWED),
    (State.PREVIEWED, Input.DONE): (Meaning.KEEP, State.STABLE),
    (State.PREVIEWED, Input.FAILED): (Meaning.REVERT, State.STABLE),
}


class OfferAnswer:
    """`offerer` is the leg (0 or 1) whose peer made the last offer, None before the first."""

    __slots__ = ("offerer", "state")

    def __init__(self) -> None:
        self.state = State.STABLE
        self.offerer: int | None = None

    def body(self, source: int, role: Input) -> Meaning:
        """A description came from leg `source` in the role REQUEST, REPLY or PREVIEW."""
        again = self.state is not State.STABLE and source == self.offerer
        meaning = self._receive(Input.AGAIN if again else role)
        if meaning is Meaning.OFFER:
            self.offerer = source
        return meaning

    def concluded(self, ok: bool) -> Meaning:
        """The transaction with the offer has its final response."""
        return self._receive(Input.DONE if ok else Input.FAILED)

    def owed_by(self, source: int) -> bool:
        """Whether leg `source` has offered and still waits for the answer."""
        return self.state is State.OFFERED and self.offerer == source

    def _receive(self, event: Input) -> Meaning:
        meaning, self.state = TRANSITIONS[self.state, event]
        return meaning
