"""The harness itself: it finds the row that nobody holds, and it leaves the table as it was."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from tests.mutation import mutants, toy, toy_playbooks_whole
from tests.mutation.mutants import applied, judge, notices
from tests.mutation.mutants import mutants as all_mutants
from tests.mutation.playbooks import collect
from tests.mutation.tables import Held

WEAK = "tests.mutation.toy_playbooks"
WHOLE = "tests.mutation.toy_playbooks_whole"


def held(*playbooks: str, equivalent: Mapping[str, str] | None = None) -> Held:
    return Held("tests.mutation.toy.TURNSTILE", *playbooks, equivalent=equivalent or {})


def test_each_row_is_deleted_redirected_and_given_another_action() -> None:
    assert [mutant.name for mutant in all_mutants(toy.TURNSTILE)] == [
        "LOCKED COIN deleted",
        "LOCKED COIN to LOCKED",
        "LOCKED COIN does nothing",
        "LOCKED PUSH deleted",
        "LOCKED PUSH to OPEN",
        "LOCKED PUSH does count",
        "OPEN PUSH deleted",
        "OPEN PUSH to OPEN",
        "OPEN PUSH does count",
    ]


def test_what_no_playbook_notices_is_named() -> None:
    before = dict(toy.TURNSTILE)
    verdict = judge(held(WEAK))
    assert verdict.tried == 9
    assert verdict.survivors == ["LOCKED PUSH does count", "OPEN PUSH does count"]
    assert not verdict.good
    assert before == toy.TURNSTILE


def test_a_table_that_is_held_has_no_survivors() -> None:
    assert judge(held(WEAK, WHOLE)).good


def test_fixtures_are_made_and_closed_for_each_run() -> None:
    """Methods, parameters of a class, and a generator among the fixtures."""
    playbooks = collect(toy_playbooks_whole)
    assert len(playbooks) == 4
    toy_playbooks_whole.CLOSED.clear()
    assert not any(notices(playbook) for playbook in playbooks)
    assert toy_playbooks_whole.CLOSED == ["inputs"] * 2


def test_an_explained_survivor_is_let_pass() -> None:
    assert judge(held(WEAK, equivalent={"* PUSH does count": "the toy counts nothing"})).good


def test_an_explanation_must_not_cover_what_a_playbook_notices() -> None:
    verdict = judge(held(WEAK, equivalent={"* PUSH *": "too wide"}))
    assert "LOCKED PUSH deleted" in verdict.caught
    assert not verdict.good


def test_an_explanation_that_fits_nothing_is_stale() -> None:
    verdict = judge(held(WEAK, WHOLE, equivalent={"OPEN COIN deleted": "there is no such row"}))
    assert verdict.stale == ["OPEN COIN deleted"]
    assert not verdict.good


def test_a_playbook_that_fails_by_itself_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(toy.TURNSTILE, (toy.Turn.LOCKED, toy.Do.COIN), (toy.nothing, toy.Turn.OPEN))
    with pytest.raises(AssertionError, match="1 of 4 playbooks fail without any mutant"):
        judge(held(WEAK))


def test_a_hang_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mutants, "LONGEST", 0.02)
    key = (toy.Turn.LOCKED, toy.Do.PUSH)
    with applied(toy.TURNSTILE, mutants.Mutant("jammed", key, (toy.jam, toy.Turn.LOCKED))):
        assert notices(lambda: toy.run(toy.Do.PUSH))
    assert toy.run(toy.Do.PUSH) == (toy.Turn.LOCKED, [])
