"""A call in which one direction never verifies is told to the operator, once."""

from __future__ import annotations

from dataclasses import dataclass, field

from cubeproxy.protocols.values import Event, Severity, Side
from cubeproxy.server.media_watch import FAILURES, NOISE, MediaWatch


@dataclass
class FakeLeg:
    side: Side
    device: str = ""


@dataclass
class FakeCall:
    session: int = 7
    name: str = "2A"
    legs: tuple[FakeLeg, FakeLeg] = (FakeLeg(Side.ACCESS, "SEP001122334455"), FakeLeg(Side.CORE))


@dataclass
class Scene:
    """`counts` are (accepted, failed, noise) of both legs."""

    counts: list[tuple[int, int, int]] = field(default_factory=lambda: [(0, 0, 0), (0, 0, 0)])
    events: list[Event] = field(default_factory=list)
    call: FakeCall = field(default_factory=FakeCall)

    def __post_init__(self) -> None:
        self.watch = MediaWatch(lambda _session: (self.counts[0], self.counts[1]), self.events.append)

    def look(self, accepted: int, failed: int, leg: int = 0, noise: int = 0) -> None:
        self.counts[leg] = (accepted, failed, noise)
        self.watch.look([self.call])


def test_a_leg_that_never_verifies_is_told_once() -> None:
    scene = Scene()
    scene.look(0, FAILURES)
    assert not scene.events
    for failed in (FAILURES + 1, 200, 2000):
        scene.look(0, failed)
    (event,) = scene.events
    assert (event.name, event.severity, event.call) == ("media.auth-failures", Severity.WARNING, "2A")
    assert event.device == "SEP001122334455"
    assert event.fields["side"] == "access"
    assert event.fix == "the peer protects with another key than it announced"


def test_the_other_leg_is_looked_at_too() -> None:
    scene = Scene()
    scene.look(0, 99, leg=1)
    assert scene.events[0].fields["side"] == "core"


def test_failures_beside_accepted_packets_are_an_attack_and_no_wrong_key() -> None:
    scene = Scene()
    for second in range(1, 20):
        scene.look(50 * second, 5000 * second)
    assert not scene.events


def test_a_key_that_goes_wrong_in_the_middle_of_a_call_is_told() -> None:
    scene = Scene()
    scene.look(500, 0)
    scene.look(500, FAILURES + 1)
    assert scene.events[0].fields["accepted_before"] == 500


def test_the_last_second_of_a_call_counts() -> None:
    scene = Scene()
    scene.look(0, 40)
    scene.counts[0] = (0, 80, 0)
    scene.watch.released(7)
    assert len(scene.events) == 1


def test_calls_that_are_over_are_forgotten() -> None:
    scene = Scene()
    scene.look(0, 1)
    scene.watch.look([])
    scene.counts[0] = (0, 500, 0)
    scene.watch.released(7)
    assert not scene.events


def test_noise_on_a_port_is_told_once_beside_a_call_that_goes_on() -> None:
    scene = Scene()
    for second in range(1, 6):
        scene.look(50 * second, 0, noise=NOISE * second)
    assert not scene.events
    for second in range(6, 9):
        scene.look(50 * second, 0, noise=5000 * second)
    (event,) = scene.events
    assert (event.name, event.call, event.fields["side"]) == ("media.noise", "2A", "access")


def test_a_wrong_key_alone_is_no_noise() -> None:
    scene = Scene()
    for second in range(1, 6):
        scene.look(0, 50 * second, noise=50 * second)
    assert [event.name for event in scene.events] == ["media.auth-failures"]
