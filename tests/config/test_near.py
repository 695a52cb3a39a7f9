"""Typing errors in a configuration are told from commands that are none of ours."""

from __future__ import annotations

import pytest

from cubelab import data
from cubeproxy.config.near import nearest
from cubeproxy.config.parser import parse_config


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("dtmf-realy rtp-nte", "dtmf-relay"),
        (" no dtmf-realy rtp-nte", "dtmf-relay"),
        ("prefrence 1", "preference"),
        ("session transprt udp", "session transport"),
        ("dail-peer voice 3 voip", "dial-peer voice"),
        ("interfce GigabitEthernet1", "interface"),
        ("dtmf-relay rtp-nte", ""),
        ("login local", ""),
        ("no", ""),
        ("", ""),
    ],
)
def test_the_command_that_was_meant(typed: str, meant: str) -> None:
    assert nearest(typed) == meant


@pytest.mark.parametrize("sample", ["sample-a.ios", "sample-a-xe.ios", "sample-b.ios"])
def test_a_routers_other_commands_are_no_typing_errors(sample: str) -> None:
    ignored = parse_config(data.config(sample).read_text()).ignored
    assert ignored
    assert [line for _, line in ignored if nearest(line)] == []
