"""One thing for the operator is one line, however often and in whatever words it comes."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass, field

import pytest

from cubeproxy.protocols.values import Event, Severity
from cubeproxy.server.eventlog import DISTINCT, REMEMBERED, REPEAT, EventLog


@dataclass
class Scene:
    now: float = 0.0
    out: io.StringIO = field(default_factory=io.StringIO)

    def __post_init__(self) -> None:
        self.log = EventLog(self.out, json_lines=True, clock=lambda: self.now)

    @property
    def lines(self) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.out.getvalue().splitlines()]


@pytest.fixture
def scene() -> Scene:
    return Scene()


def refusal(port: int = 1, host: str = "192.0.2.9", **fields: object) -> Event:
    return Event("tls.refused", Severity.WARNING, "refused", peer=f"{host}:{port}", cause="certificate", fields=fields)


def test_the_same_again_is_counted_whatever_its_port(scene: Scene) -> None:
    for port in range(100):
        scene.log.write(refusal(port))
    assert len(scene.lines) == 1
    scene.now = REPEAT
    scene.log.tick()
    assert scene.lines[1]["repeated"] == 99
    assert scene.log.counts == {"tls.refused": 100}


def test_a_count_is_told_once(scene: Scene) -> None:
    scene.log.write(refusal())
    scene.log.write(refusal())
    for scene.now in (REPEAT, REPEAT + 1, 3 * REPEAT):
        scene.log.tick()
    assert len(scene.lines) == 2


def test_what_came_once_is_not_told_again(scene: Scene) -> None:
    scene.log.write(refusal())
    scene.now = REPEAT
    scene.log.tick()
    scene.log.close()
    assert len(scene.lines) == 1


def test_phones_behind_one_address_are_refused_one_by_one(scene: Scene) -> None:
    scene.log.write(refusal(reason="it expired", subject="CN=SEP001122334455"))
    scene.log.write(refusal(reason="it expired", subject="CN=SEP001122334466"))
    scene.log.write(refusal(reason="unknown issuer", subject="CN=SEP001122334455"))
    assert len(scene.lines) == 3


def test_who_varies_his_mistakes_cannot_fill_the_disk(scene: Scene) -> None:
    for number in range(5000):
        scene.log.write(refusal(reason=f"mistake {number}"))
    assert len(scene.lines) == DISTINCT + 1
    scene.log.write(refusal(host="192.0.2.10", reason="another address has its own lines"))
    assert len(scene.lines) == DISTINCT + 2
    scene.now = REPEAT
    scene.log.tick()
    assert scene.lines[-1]["repeated"] == 5000 - DISTINCT - 1
    scene.log.write(refusal(reason="and later on again"))
    assert len(scene.lines) == DISTINCT + 4


def test_news_is_not_rationed(scene: Scene) -> None:
    """Hundreds of phones register from one NAT when its line comes back."""
    for number in range(200):
        device = f"SEP{number:012X}"
        scene.log.write(Event("registration.accepted", Severity.INFO, "registered", peer="192.0.2.9:1", device=device))
    assert len(scene.lines) == 200


def test_memory_of_repetitions_is_bounded(scene: Scene) -> None:
    for number in range(4 * REMEMBERED):
        scene.log.write(refusal(host=f"10.0.{number >> 8}.{number & 255}"))
    assert len(scene.log._seen) <= REMEMBERED
    assert len(scene.log._complaints) <= REMEMBERED


def test_one_record_one_line_whatever_is_in_it(scene: Scene) -> None:
    text = "a\r\nFORGED \x1b[31m\x9b\u2028\ud800\x00"
    scene.log.write(Event("sip.malformed", Severity.WARNING, text, peer=text, fix=text, fields={"x": text}))
    (line,) = scene.out.getvalue().splitlines()
    assert not any(ord(letter) < 0x20 or 0x7F <= ord(letter) <= 0x9F for letter in line)
