"""A request, its repetitions and its reply."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.ng.bencode import encode
from cubeproxy.protocols.ng.client import WAITS, Answered, NgClient, Output, Send, Silent
from cubeproxy.protocols.ng.messages import Ping, Query, read_request


def pong(datagram: bytes) -> bytes:
    return read_request(datagram)[0] + b" " + encode({b"result": b"pong"})


def ring(machine: NgClient[str]) -> list[Output[str]]:
    assert machine.deadline is not None
    assert machine.timeout(machine.deadline - 0.001) == []
    return machine.timeout(machine.deadline)


def test_a_reply_comes_back_with_its_token() -> None:
    machine: NgClient[str] = NgClient()
    first, second = machine.ask("ping", Ping(), 0.0), machine.ask("query", Query("c"), 0.0)
    (answered,) = machine.receive(pong(second.datagram), 0.1)
    assert isinstance(answered, Answered)
    assert (answered.token, answered.reply.result) == ("query", "pong")
    assert machine.waiting == 1
    assert [one.token for one in machine.receive(pong(first.datagram), 0.1) if isinstance(one, Answered)] == ["ping"]
    assert machine.deadline is None


def test_a_lost_datagram_is_repeated_octet_by_octet() -> None:
    """The same cookie: whoever has answered it answers it again, and does it once."""
    machine: NgClient[str] = NgClient()
    first = machine.ask("ping", Ping(), 0.0)
    assert [ring(machine) for _ in WAITS[1:]] == [[first]] * (len(WAITS) - 1)
    assert machine.receive(pong(first.datagram), 2.0)
    assert machine.receive(pong(first.datagram), 2.0) == []  # the answer to a repetition


def test_nobody_answers() -> None:
    machine: NgClient[str] = NgClient()
    machine.ask("ping", Ping(), 0.0)
    outputs = [output for _ in WAITS for output in ring(machine)]
    assert outputs[-1] == Silent("ping")
    assert len(outputs) == len(WAITS)
    assert machine.waiting == 0


def test_waits_are_as_written() -> None:
    machine: NgClient[str] = NgClient()
    machine.ask("ping", Ping(), 10.0)
    alarms = []
    while (at := machine.deadline) is not None:
        alarms.append(at)
        machine.timeout(at)
    assert alarms == [pytest.approx(10 + sum(WAITS[:count])) for count in range(1, len(WAITS) + 1)]


def test_strange_datagrams_change_nothing() -> None:
    machine: NgClient[str] = NgClient()
    asked = machine.ask("ping", Ping(), 0.0)
    for datagram in (b"", b"rubbish", b"other d6:result4:ponge", asked.datagram):
        assert machine.receive(datagram, 0.0) == []
    assert machine.malformed == 3
    assert machine.waiting == 1


def test_cookies_differ() -> None:
    machine: NgClient[str] = NgClient()
    cookies = {read_request(machine.ask("ping", Ping(), 0.0).datagram)[0] for _ in range(100)}
    assert len(cookies) == 100
    assert all(len(cookie) == 16 for cookie in cookies)


def test_what_is_forgotten_is_no_longer_waited_for() -> None:
    machine: NgClient[str] = NgClient()
    asked = machine.ask("ping", Ping(), 0.0)
    assert machine.forget() == ["ping"]
    assert machine.receive(pong(asked.datagram), 0.0) == []
    assert isinstance(asked, Send)
