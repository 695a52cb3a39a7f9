"""Who declares what, and why somebody does not: a capability is lost or gained by a change here, never by accident."""

from __future__ import annotations

import ast
from pathlib import Path

from cubeproxy.media.transcoders.words import Capability
from tests.behaviour.transcoders.members import MEMBERS

C = Capability
ALL = frozenset(Capability)

# What a member does not declare, each with its reason.
GAPS: dict[str, dict[Capability, str]] = {
    "LTI": {
        C.JOINS: "it has every stream from its beginning, for its calls do not move",
        C.REHOMING: "the worker is of this box: when it dies, the ports of the call die with it",
        C.DRAIN: "it is the proxy's own worker: it drains with the proxy, never alone",
    },
    "SCCP": {
        C.GCM_256: "SCCP's MediaEncryption has 16 octets for a key",
    },
    "rtpengine": {
        C.TWO_SUITES: "an rtpengine passes keys through within one suite, so ours can be dictated for one alone",
        C.DTMF: "rtpengine 10.5 passes events on under the payload type that they come with, transcoded or not",
        C.TONES: "an rtpengine is not told to listen for tones, nor to make them",
        C.JOINS: "an engine begins every stream at rollover counter 0, and cannot be told another",
    },
}


def test_every_member_declares_what_it_does_and_nothing_else() -> None:
    assert {member.name: member.capabilities for member in MEMBERS} == {
        name: ALL - gaps.keys() for name, gaps in GAPS.items()
    }


def test_every_gap_has_a_reason() -> None:
    assert all(len(reason) > 20 for gaps in GAPS.values() for reason in gaps.values())


def test_every_capability_has_a_row() -> None:
    """A word that nothing tests would be a promise."""
    tested: set[str] = set()
    for path in Path(__file__).parent.glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "needs":
                tested |= {each.attr for each in node.args if isinstance(each, ast.Attribute)}
    declared = {each.name for member in MEMBERS for each in member.capabilities}
    assert declared <= tested


def test_what_is_never_optional_has_no_condition() -> None:
    """The rows of `test_every_member` run with every member: no `needs`, no skip, no exception."""
    source = (Path(__file__).parent / "test_every_member.py").read_text()
    assert not {"needs", "skip", "xfail", "capabilities", "isinstance(member"} & set(source.replace("(", " ").split())
    for word in ("hears", "refused", "too_many", "new_key", "held", "released"):
        assert word in source
