"""The tables against the figures that they have to give."""

from __future__ import annotations

import pytest

from cubeproxy.config.model import DspfarmProfile
from cubeproxy.media.dsp.capacity import (
    Load,
    best,
    choices,
    complexity,
    complexity_name,
    find_module,
    profile_load,
    profile_sessions,
)
from cubeproxy.media.dsp.tables import CODECS, MODULES, SESSION_CREDITS, Complexity
from cubeproxy.protocols.errors import ConfigError


@pytest.mark.parametrize(
    ("module", "sessions"),
    [
        ("PVDM3-16", 16), ("PVDM3-32", 24), ("PVDM3-64", 48),
        ("PVDM3-128", 96), ("PVDM3-192", 144), ("PVDM3-256", 192),
    ],
)  # fmt: skip
def test_secure_g711_sessions_are_those_of_the_article(module: str, sessions: int) -> None:
    assert Load("g711ulaw").sessions(find_module(module)) == sessions


def test_the_largest_module_has_sixty_sessions_of_high_complexity() -> None:
    largest = find_module("pvdm3-256")
    assert Load("g729r8").sessions(largest) == 60
    assert Load("g711ulaw", "g729r8").sessions(largest) == 60
    assert Load("g729r8", "g729r8").sessions(largest) == 60


@pytest.mark.parametrize(("module", "medium", "high"), [("PVDM2-16", 8, 6), ("PVDM2-64", 32, 24)])
def test_the_older_family_transcodes_what_the_vendor_says(module: str, medium: int, high: int) -> None:
    assert Load("g729ar8", secure=False).sessions(find_module(module)) == medium
    assert Load("g729r8", secure=False).sessions(find_module(module)) == high


def test_every_pair_of_codecs_has_a_price_on_every_module() -> None:
    for module in MODULES.values():
        for first in CODECS:
            for second in CODECS:
                for secure in (False, True):
                    assert Load(first, second, secure).sessions(module) > 0
    assert len(SESSION_CREDITS) == 2 * 2 * 6


def test_a_dearer_side_is_never_cheaper() -> None:
    for family in ("PVDM2", "PVDM3"):
        prices = [Load(codec).credits(family) for codec in ("g711ulaw", "g729ar8", "g729r8")]
        assert prices == sorted(prices)
        assert Load("g711ulaw").credits(family) >= Load("g711ulaw", secure=False).credits(family)


def test_what_is_not_there_is_named_with_what_is() -> None:
    with pytest.raises(ConfigError, match="PVDM9") as refusal:
        find_module("PVDM9")
    assert "PVDM3-256" in refusal.value.fix
    with pytest.raises(ConfigError, match="mp3"):
        complexity("mp3")
    assert complexity("G729R8") is Complexity.HIGH


def test_a_hundred_secure_calls_take_one_module() -> None:
    found = choices(100, Load("g711ulaw"))
    chosen = best(found)
    assert chosen is not None
    assert (chosen.module.name, chosen.count, chosen.sessions) == ("PVDM3-192", 1, 144)
    assert {one.module.name: one.count for one in found}["PVDM3-32"] == 5


def test_more_than_the_largest_module_takes_several() -> None:
    chosen = best(choices(61, Load("g729r8")))
    assert chosen is not None
    assert (chosen.count, chosen.module.name) == (2, "PVDM3-192")
    assert best([]) is None


def test_of_equal_modules_the_newer_family_is_taken() -> None:
    chosen = best(choices(12, Load("g711ulaw", secure=False)))
    assert chosen is not None
    assert chosen.module.name == "PVDM3-16"


def profile(*codecs: str, universal: bool = False) -> DspfarmProfile:
    return DspfarmProfile(1, codecs=list(codecs), universal=universal, security=True, maximum_sessions=500)


def test_one_dear_codec_makes_every_session_of_a_profile_dear() -> None:
    module = find_module("PVDM3-256")
    assert profile_sessions(profile("g711ulaw", "g711alaw"), module) == 192
    assert profile_sessions(profile("g711ulaw", "g729r8"), module) == 60
    assert profile_sessions(profile("g729ar8", "g729abr8", universal=True), module) == 96
    assert profile_sessions(profile("g729ar8", "g729abr8"), module) == 192, "one side is G.711"
    assert profile_sessions(profile("g729ar8", universal=True), module) == 96
    assert profile_sessions(profile("opus"), module) == 192
    assert profile_sessions(profile("g729r8"), None) == 500


def test_a_profile_has_no_more_than_it_was_told() -> None:
    few = DspfarmProfile(1, codecs=["g711ulaw"], maximum_sessions=24)
    assert profile_sessions(few, find_module("PVDM3-256")) == 24


def test_the_name_of_a_group_is_the_vendors() -> None:
    assert complexity_name(profile_load(profile("g711ulaw"))) == "SECURE MEDIUM"
    assert complexity_name(profile_load(profile("g729r8"))) == "SECURE HIGH"
    assert complexity_name(Load("g729ar8", secure=False)) == "MEDIUM"
