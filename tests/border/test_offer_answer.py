"""Offer/answer across two legs, row by row (RFC 3261 13.2.1, 14.1; RFC 3264; RFC 3311 5.2; RFC 6337)."""

from __future__ import annotations

import pytest

from cubeproxy.border.offer_answer import Input, Meaning, OfferAnswer, State

CALLER, CALLED = 0, 1


def offered(by: int = CALLER) -> OfferAnswer:
    machine = OfferAnswer()
    assert machine.body(by, Input.REQUEST) is Meaning.OFFER
    return machine


def previewed() -> OfferAnswer:
    machine = offered()
    assert machine.body(CALLED, Input.PREVIEW) is Meaning.ANSWER
    assert machine.state is State.PREVIEWED
    return machine


@pytest.mark.parametrize("role", [Input.REQUEST, Input.REPLY])
def test_the_first_description_is_an_offer(role: Input) -> None:
    machine = OfferAnswer()
    assert machine.offerer is None
    assert machine.body(CALLED, role) is Meaning.OFFER
    assert machine.state is State.OFFERED
    assert machine.offerer == CALLED
    assert machine.owed_by(CALLED)
    assert not machine.owed_by(CALLER)


def test_an_unreliable_provisional_cannot_offer() -> None:
    machine = OfferAnswer()
    assert machine.body(CALLED, Input.PREVIEW) is Meaning.IGNORE
    assert (machine.state, machine.offerer) == (State.STABLE, None)
    assert machine.body(CALLED, Input.REPLY) is Meaning.OFFER


@pytest.mark.parametrize("ok", [True, False])
def test_the_end_of_a_transaction_without_an_offer_is_nothing(ok: bool) -> None:
    machine = OfferAnswer()
    assert machine.concluded(ok) is Meaning.KEEP
    assert machine.state is State.STABLE


def test_the_other_side_s_description_is_the_answer() -> None:
    machine = offered()
    assert machine.body(CALLED, Input.REPLY) is Meaning.ANSWER
    assert machine.state is State.STABLE
    assert machine.body(CALLED, Input.REQUEST) is Meaning.OFFER


def test_two_offers_cross() -> None:
    machine = offered()
    assert machine.body(CALLED, Input.REQUEST) is Meaning.GLARE
    assert machine.state is State.OFFERED
    machine = previewed()
    assert machine.body(CALLED, Input.REQUEST) is Meaning.GLARE
    assert machine.state is State.PREVIEWED


@pytest.mark.parametrize("role", [Input.REQUEST, Input.REPLY, Input.PREVIEW])
def test_one_side_offers_twice(role: Input) -> None:
    machine = offered()
    assert machine.body(CALLER, role) is Meaning.TOO_SOON
    assert machine.state is State.OFFERED
    machine = previewed()
    assert machine.body(CALLER, role) is Meaning.TOO_SOON
    assert machine.state is State.PREVIEWED


def test_an_offer_in_a_2xx_outlives_its_transaction() -> None:
    machine = OfferAnswer()
    machine.body(CALLED, Input.REPLY)
    assert machine.concluded(ok=True) is Meaning.KEEP
    assert machine.owed_by(CALLED)
    assert machine.body(CALLER, Input.REPLY) is Meaning.ANSWER
    assert machine.state is State.STABLE


def test_an_offer_that_failed_is_taken_back() -> None:
    machine = offered()
    assert machine.concluded(ok=False) is Meaning.REVERT
    assert machine.state is State.STABLE


def test_a_preview_is_repeated_and_confirmed() -> None:
    machine = previewed()
    assert machine.body(CALLED, Input.PREVIEW) is Meaning.ANSWER
    assert machine.state.name == "PREVIEWED"
    assert not machine.owed_by(CALLER)
    assert machine.body(CALLED, Input.REPLY) is Meaning.ANSWER
    assert machine.state is State.STABLE


def test_a_preview_is_confirmed_by_silence_and_lost_by_failure() -> None:
    for ok, meaning in ((True, Meaning.KEEP), (False, Meaning.REVERT)):
        machine = previewed()
        assert machine.concluded(ok) is meaning
        assert machine.state is State.STABLE
