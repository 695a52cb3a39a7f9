"""Text, model, text: nothing is lost on the way."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config
from cubeproxy.config.writer import certificate_block, write_config
from tests.config.models import configs

SAMPLES = ("sample-a", "sample-b", "sample-a-xe")


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(configs())
def test_what_is_written_is_read_back(config: Config) -> None:
    again = parse_config(write_config(config))
    assert again.ignored == []
    assert again == config


@pytest.mark.parametrize("name", SAMPLES)
def test_a_sample_is_the_same_after_it_was_written(root: Path, name: str) -> None:
    config = parse_config((root / "lab" / "configs" / f"{name}.ios").read_text())
    assert parse_config(write_config(config)) == dataclasses.replace(config, ignored=[])


def test_written_text_looks_like_a_running_configuration(root: Path) -> None:
    text = write_config(parse_config((root / "lab" / "configs" / "sample-a.ios").read_text()))
    assert text.startswith("version 15.5\nhostname cube\n")
    assert text.endswith("!\nend\n")
    assert "\ndial-peer voice 100 voip\n description phones, registered with the publisher\n" in text


def test_a_certificate_block_is_pasted_into_an_empty_configuration(root: Path) -> None:
    config = parse_config((root / "lab" / "configs" / "sample-a.ios").read_text())
    (authority,) = config.trustpoints["CAPF_PUB"].ca_certificates
    pasted = parse_config(certificate_block("COPY", [], [authority]))
    assert pasted.trustpoints["COPY"].ca_certificates == [authority]
