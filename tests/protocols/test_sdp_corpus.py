"""RFC 4317's offers and answers, and the SDP bodies of RFC 5118, with the outcomes of the corpora's manifest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cubeproxy.protocols.sdp import SessionDescription, check_answer

SECTIONS = (
    "2.1 2.2 2.2b 2.3 2.4 2.5 2.5b 2.6 2.7 2.7b 2.8 3.1 3.1b 3.2 3.2b "
    "4.1 4.1b 4.2 4.2b 4.3 4.3b 5.1 5.1b 5.2 5.2b 5.3 5.3b"
)
CASES = [f"rfc4317/{section}-{role}" for section in SECTIONS.split() for role in ("offer", "answer")]


ANSWERS = [f"rfc4317-oa/{section}" for section in SECTIONS.split()]


@pytest.fixture(scope="module")
def cases(corpora: Path) -> dict[str, dict[str, Any]]:
    manifest = json.loads((corpora / "manifest.json").read_text())
    return {case["id"]: case for case in manifest["cases"] if case["kind"] in ("sdp", "sdp-offer-answer")}


def test_every_case_of_the_manifest_stands_here(cases: dict[str, dict[str, Any]]) -> None:
    assert sorted(cases) == sorted(CASES + ANSWERS)


@pytest.mark.parametrize("name", CASES)
def test_rfc_4317(name: str, corpora: Path, cases: dict[str, dict[str, Any]]) -> None:
    case = cases[name]
    text = (corpora / case["file"]).read_bytes()
    assert case["expect"]["parse"] == "accept"
    description = SessionDescription.parse(text)
    asserts = case["expect"]["asserts"]
    assert len(description.media) == asserts["media_count"]
    assert [media.port for media in description.media] == asserts["ports"]
    assert [media.kind for media in description.media] == asserts["types"]
    assert description.serialise() == text


@pytest.mark.parametrize("name", ANSWERS)
def test_rfc_4317_answer(name: str, corpora: Path, cases: dict[str, dict[str, Any]]) -> None:
    case = cases[name]
    assert case["expect"]["oa"] == "valid"
    offer, answer = (SessionDescription.parse((corpora / case[role]).read_bytes()) for role in ("file", "answer"))
    check_answer(offer, answer)


@pytest.mark.parametrize("name", ["ipv6-in-sdp", "mult-ip-in-sdp", "ipv4-mapped-ipv6"])
def test_rfc_5118(name: str, corpora: Path) -> None:
    body = (corpora / "rfc5118" / f"{name}.dat").read_bytes().partition(b"\r\n\r\n")[2]
    description = SessionDescription.parse(body)
    assert description.serialise() == body.replace(b"s=\r\n", b"s=-\r\n")  # an empty s= is not legal
    addresses = [media.address(description) for media in description.media]
    assert addresses
    assert all(address is not None for address in addresses)
