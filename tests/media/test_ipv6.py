"""IPv6 on a leg, or on both: the relays speak of addresses only, so no IPv6 of this machine is needed."""

from __future__ import annotations

import pytest

from cubeproxy.media.counters import STRANGERS

from .phones import Line, Phone, key
from .reported import Reported

SIX, FOUR = ("2001:db8::1:2", 4000), ("127.0.0.2", 5000)


@pytest.mark.parametrize(("access", "core"), [(SIX, FOUR), (FOUR, SIX), (SIX, ("2001:db8::2:1", 5000))])
def test_calls_pass_between_the_families_and_within(access: tuple[str, int], core: tuple[str, int]) -> None:
    line = Line(Phone(access, key(1), key(2)), Phone(core))
    assert line.talk(0, 3)
    assert line.talk(1, 3)


def test_a_secure_leg_follows_over_to_the_other_family() -> None:
    """A phone that changes networks comes back under whatever address it has there."""
    line = Line(Phone(FOUR, key(1), key(2)), Phone(("127.0.0.3", 5000)))
    line.talk(0)
    assert line.pass_on(0, line.phones[0].say(), SIX)
    out = line.pass_on(1, line.phones[1].say())
    assert out is not None
    assert out[1] == SIX


def test_a_clear_leg_takes_the_signalled_address_only() -> None:
    line = Line(Phone(SIX), Phone(FOUR))
    for stranger in (("2001:db8::1:3", 4000), (SIX[0], 4001), ("::ffff:127.0.0.2", 4000)):
        assert line.pass_on(0, line.phones[0].say(), stranger) is None
    assert line.words(0, STRANGERS) == 3
    assert line.talk(0)


def test_reports_go_to_the_next_port_there_too() -> None:
    line = Reported(Phone(SIX, key(1), key(2)), Phone(FOUR))
    line.talk(0, 2)
    line.talk(1, 2)
    assert line.due()[0].peer == (SIX[0], 4001)
