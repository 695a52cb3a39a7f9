"""The pool's decisions: which worker, which ports, and why not."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from cubeproxy.media.commands import Close, Open, OpenCoding, Update
from cubeproxy.media.pool import Bind, Coders, MediaPool, Send
from cubeproxy.media.ports import PortPool
from cubeproxy.protocols.values import (
    Codec,
    MediaLost,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    UpdateMedia,
)

from .phones import Phone

LOCAL = ("127.0.0.1", "127.0.0.2")
PHONE = Phone(("127.0.0.3", 4000))


def make(workers: int = 1, slots: int = 10, last: int = 199) -> MediaPool:
    pool = MediaPool(PortPool(100, last, rest=10))
    for number in range(1, workers + 1):
        pool.joined(number, slots)
    return pool


def ask(ticket: int = 1, need: Need = Need.CRYPTO, local: tuple[str, str] = LOCAL) -> ReserveMedia:
    return ReserveMedia(ticket, "call", local, need)


def reserve(pool: MediaPool, ticket: int = 1, now: float = 0.0) -> tuple[int, int]:
    """A bound session: its number and its worker."""
    (bind,) = pool.receive(ask(ticket), now)
    assert isinstance(bind, Bind)
    reserved, opened = pool.bound(bind.session)
    assert isinstance(opened, Send)
    assert isinstance(reserved, MediaReserved)
    return bind.session, opened.worker


def refusal(effects: Sequence[object]) -> str:
    (refused,) = effects
    assert isinstance(refused, MediaRefused)
    assert refused.text
    return refused.cause


def test_a_reservation_binds_then_opens_and_answers_with_its_ticket() -> None:
    pool = make()
    (bind,) = pool.receive(ask(7), 0)
    assert bind == Bind(1, (("127.0.0.1", 100), ("127.0.0.2", 100)))
    assert pool.bound(1) == [MediaReserved(7, 1, (("127.0.0.1", 100), ("127.0.0.2", 100))), Send(1, Open(1, 0, 2, 2))]


def test_an_ipv6_leg_is_opened_as_one() -> None:
    pool = make()
    pool.receive(ask(local=("127.0.0.1", "::1")), 0)
    assert pool.bound(1)[1] == Send(1, Open(1, 0, 2, 10))


def test_both_legs_on_one_address_get_two_pairs() -> None:
    (bind,) = make().receive(ask(local=("127.0.0.1", "127.0.0.1")), 0)
    assert bind == Bind(1, (("127.0.0.1", 100), ("127.0.0.1", 102)))


def test_calls_go_to_the_worker_with_the_fewest() -> None:
    pool = make(workers=2)
    workers = [reserve(pool, ticket)[1] for ticket in range(6)]
    assert sorted(workers) == [1, 1, 1, 2, 2, 2]


def test_a_transcoder_is_refused_while_the_pool_has_none() -> None:
    assert refusal(make().receive(ask(need=Need.TRANSCODER), 0)) == "no-transcoder"


def test_two_codecs_are_refused_with_the_ticket_of_the_reservation() -> None:
    pool = make()
    session, _worker = reserve(pool, ticket=9)
    legs = (PHONE.spec(), PHONE.spec(codec=Codec("g729", 8000), payload_type=18))
    (refused,) = pool.receive(UpdateMedia(session, legs), 0)
    assert refused == MediaRefused(9, "no-transcoder", "pcmu and g729 need a transcoder")


@pytest.mark.parametrize("legs", [(PHONE.spec(), None), (None, PHONE.spec()), (PHONE.spec(), PHONE.spec())])
def test_an_update_goes_to_the_sessions_worker(legs: tuple[object, object]) -> None:
    pool = make(workers=2)
    reserve(pool)
    session, worker = reserve(pool, 2)
    update = UpdateMedia(session, legs)  # type: ignore[arg-type]
    assert pool.receive(update, 0) == [Send(worker, Update(session, update.legs))]


def test_a_release_closes_and_the_ports_rest() -> None:
    pool = make(last=101)
    session, worker = reserve(pool)
    assert pool.receive(ReleaseMedia(session), 5) == [Send(worker, Close(session))]
    assert refusal(pool.receive(ask(2), 14)) == "no-ports"
    assert reserve(pool, 3, now=15)


def test_a_refused_second_leg_leaves_the_first_legs_ports() -> None:
    pool = make(last=101)
    assert refusal(pool.receive(ask(local=("127.0.0.1", "127.0.0.1")), 0)) == "no-ports"
    assert pool.sessions == {}
    assert isinstance(pool.receive(ask(2), 10)[0], Bind)


def test_a_pair_of_somebody_else_is_skipped() -> None:
    pool = make()
    pool.receive(ask(), 0)
    assert pool.occupied(1, 1, 0) == [Bind(1, (("127.0.0.1", 100), ("127.0.0.2", 102)))]


def test_pairs_that_are_all_somebody_elses_are_a_refusal_that_leaves_nothing_behind() -> None:
    pool = make(last=103, slots=1)
    pool.receive(ask(), 0)
    pool.occupied(1, 0, 0)
    assert refusal(pool.occupied(1, 0, 0)) == "no-ports"
    assert pool.sessions == {}
    assert isinstance(pool.receive(ask(2), 20)[0], Bind), "slot and ports are free again"


def test_no_worker_and_a_full_one_are_told_apart() -> None:
    assert refusal(make(workers=0).receive(ask(), 0)) == "no-worker"
    pool = make(slots=1)
    reserve(pool)
    assert refusal(pool.receive(ask(2), 0)) == "engine-full"


def test_a_slot_is_used_again_after_a_release() -> None:
    pool = make(slots=1)
    for ticket in range(5):
        session, _worker = reserve(pool, ticket)
        pool.receive(ReleaseMedia(session), 0)


def test_a_lost_worker_loses_its_sessions_and_no_others() -> None:
    pool = make(workers=2)
    carried = {reserve(pool, ticket): ticket for ticket in range(4)}
    lost = pool.lost(1, "died", 0)
    assert lost == [MediaLost(session, "died") for session, worker in carried if worker == 1]
    assert {placement.worker for placement in pool.sessions.values()} == {2}
    assert reserve(pool, 9)[1] == 2


def test_a_released_session_is_not_lost_later() -> None:
    pool = make()
    released, _worker = reserve(pool, 1)
    kept, _worker = reserve(pool, 2)
    pool.receive(ReleaseMedia(released), 0)
    assert pool.lost(1, "died", 0) == [MediaLost(kept, "died")]


def test_commands_for_a_session_that_is_gone_are_nothing() -> None:
    pool = make()
    session, _worker = reserve(pool)
    pool.lost(1, "died", 0)
    assert pool.receive(UpdateMedia(session, (None, None)), 0) == []
    assert pool.receive(ReleaseMedia(session), 0) == []
    assert pool.lost(1, "died", 0) == []


def test_a_lost_workers_ports_rest_too() -> None:
    pool = make(last=101)
    reserve(pool)
    pool.lost(1, "died", 0)
    pool.joined(2, 10)
    assert refusal(pool.receive(ask(2), 9)) == "no-ports"
    assert reserve(pool, 3, now=10)


def test_a_draining_pool_takes_nothing_new() -> None:
    pool = make()
    session, worker = reserve(pool)
    pool.draining = True
    assert refusal(pool.receive(ask(2), 0)) == "pool-full"
    assert pool.receive(ReleaseMedia(session), 0) == [Send(worker, Close(session))]


G729 = Codec("g729", 8000)


def waiting(pool: MediaPool) -> int:
    """A session whose legs may speak differently, its ports bound."""
    command = ask()
    command.transcodes = True
    (bind,) = pool.receive(command, 0)
    assert isinstance(bind, Bind)
    assert [type(effect) for effect in pool.bound(bind.session)] == [MediaReserved]
    return bind.session


def test_a_session_that_may_code_is_given_to_a_worker_when_both_legs_are_known() -> None:
    pool = make()
    pool.joined(9, 10, relays=False, codes=True)
    session = waiting(pool)
    assert pool.receive(UpdateMedia(session, (PHONE.spec(), None)), 0) == []
    opened, update = pool.receive(UpdateMedia(session, (PHONE.spec(), PHONE.spec(codec=G729))), 0)
    assert isinstance(opened, Send)
    assert isinstance(opened.command, OpenCoding)
    assert isinstance(update, Send)
    assert opened.worker == update.worker == 9
    assert pool.receive(ReleaseMedia(session), 0) == [Send(9, Close(session))]


@pytest.mark.parametrize("changes", [{"ptime": 30}, {"dtmf_payload_type": 101}, {"codec": G729}])
def test_what_differs_takes_a_worker_with_codecs(changes: dict[str, object]) -> None:
    pool = make()
    pool.joined(9, 10, relays=False, codes=True)
    opened, _ = pool.receive(UpdateMedia(waiting(pool), (PHONE.spec(), PHONE.spec(**changes))), 0)
    assert isinstance(opened, Send)
    assert opened.worker == 9


def test_the_same_on_both_legs_takes_any_worker() -> None:
    pool = make()
    pool.joined(9, 10, relays=False, codes=True)
    opened, _ = pool.receive(UpdateMedia(waiting(pool), (PHONE.spec(), PHONE.spec())), 0)
    assert isinstance(opened, Send)
    assert opened.worker == 1
    assert isinstance(opened.command, Open)


def test_without_a_worker_with_codecs_one_is_asked_for() -> None:
    pool = make()
    session = waiting(pool)
    command = UpdateMedia(session, (PHONE.spec(), PHONE.spec(codec=G729)))
    assert pool.receive(command, 0) == [Coders(command)]
    pool.joined(9, 1, relays=False, codes=True)
    assert len(pool.receive(command, 0)) == 2


def test_a_session_that_no_worker_can_carry_is_lost_and_its_ports_are_free_again() -> None:
    pool = make()
    pool.joined(9, 0, relays=False, codes=True)
    session = waiting(pool)
    (lost,) = pool.receive(UpdateMedia(session, (PHONE.spec(), PHONE.spec(codec=G729))), 0)
    assert isinstance(lost, MediaLost)
    assert (lost.session, lost.failure) == (session, "engine-full")
    assert not pool.sessions
    assert pool.receive(ReleaseMedia(session), 0) == []


def test_a_worker_with_codecs_takes_no_other_sessions() -> None:
    pool = make(workers=0)
    pool.joined(9, 10, relays=False, codes=True)
    assert refusal(pool.receive(ask(), 0)) == "no-worker"


def test_a_session_that_was_given_to_nobody_is_released_without_a_word() -> None:
    pool = make()
    session = waiting(pool)
    assert pool.receive(ReleaseMedia(session), 0) == []
    assert not pool.sessions
