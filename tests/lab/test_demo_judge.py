"""The demo's judgement: every claim can fail, and says why. No network here."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from cubelab.audio.tones import Hearing
from cubelab.demo.boot import BootSeen
from cubelab.demo.claims import ESSENTIAL, TITLES, Claim, Status, verdict
from cubelab.demo.judge import judge
from cubelab.demo.legs import read_legs, total_legs
from cubelab.demo.observations import Complaint, Dissected, Heard, Observations, Registered
from cubelab.eavesdropper.eavesdropper import Findings, Overheard
from cubelab.eavesdropper.streams import Stream
from cubelab.phone.diary import Line

WIRE, CORE, PROXY = "127.1.40.1", "127.1.50.1", "127.1.10.1"
TONES = (440, 1000)


def overheard(frequency: int, hits: int, destination: str) -> Overheard:
    stream = Stream((WIRE, 30000), (destination, 8000), 1, 0, dict.fromkeys(range(100), b""))
    return Overheard(stream, Hearing(frequency, 20, hits, hits / 20), None)


def findings(name: str, *streams: Overheard) -> Findings:
    return Findings(Path(name), 100 * len(streams), list(streams))


SHOW = """\
Total call-legs: 4

2    : 3 88ms.1 (*12:32:56.406 UTC Tue Nov 24 2026) +5 pid:100 Answer 1001 active
 dur 00:00:02 tx:126/20160 rx:125/20000 dscp:0 media:0 audio tos:0xB8 video tos:0x0
 IP 127.1.40.1:30002 SRTP: on rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off Transcoded: No ICE: Off
 VRF: NA

2    : 4 88ms.2 (*12:32:56.406 UTC Tue Nov 24 2026) +5 pid:200 Originate 1002 active
 dur 00:00:02 tx:125/20000 rx:126/20160 dscp:0 media:0 audio tos:0xB8 video tos:0x0
 IP 127.1.50.1:30000 SRTP: off rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off Transcoded: No ICE: Off

3    : 5 89ms.1 (*12:32:56.407 UTC Tue Nov 24 2026) +3 pid:200 Answer 1001 active
 dur 00:00:02 tx:126/20160 rx:125/20000 dscp:0 media:0
 IP 127.1.50.1:30000 SRTP: off rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off

3    : 6 89ms.2 (*12:32:56.407 UTC Tue Nov 24 2026) +3 pid:100 Originate 1002 active
 dur 00:00:02 tx:125/20000 rx:126/20160 dscp:0 media:0
 IP 127.1.40.1:30004 SRTP: on rtt:0ms pl:0/0ms lost:0/0/0 delay:0/0/0ms g711ulaw TextRelay: off
"""


BOOT = ("ctl", "itl", "config")


def booted() -> BootSeen:
    """What a phone says that boots, enrols, resets and registers."""
    lines = [
        Line(step, True, f"the {step} step")
        for step in (
            "ctl",
            "itl",
            "config",
            "capf",
            "lsc",
            "identity",
            "reset",
            "ctl",
            "config",
            "identity",
            "register",
        )
    ]
    return BootSeen(
        lines=lines,
        roles=(0, 2, 4),
        held="ab" * 20,
        before={"node": "127.1.20.11", "security mode": "1", "transport": "4", "CAPF": "127.1.20.11"},
        after={"node": PROXY, "security mode": "3", "transport": "3", "CAPF": PROXY},
        capf_peers=("127.1.20.1",),
        lsc="CN=SEP of CN=CAPF",
        issued=True,
        fingerprint="cd" * 32,
    )


def good() -> Observations:
    noise = [overheard(440, 0, host) for host in (PROXY, PROXY, "127.1.30.1", "127.1.30.2")]
    return Observations(
        tones=TONES,
        proxy_host=PROXY,
        access_host=WIRE,
        core_host=CORE,
        command="cubeproxy run x.ios",
        ready_after=0.5,
        core_own="127.1.20.1",
        served="ab" * 20,
        boot=booted(),
        registrations=[
            Registered(n, "SEP001122334455", True, "digest answered", True, "cd" * 32) for n in ("1001", "1002")
        ],
        plain_offer=(488, "488 Not Acceptable Here"),
        call_ok=True,
        call_detail="200 OK",
        heard=[
            Heard("1002", "1001", Hearing(440, 20, 20, 1.0), 100, 0, 101, 100),
            Heard("1001", "1002", Hearing(1000, 20, 20, 1.0), 100, 0, 101, 100),
        ],
        show=SHOW,
        legs=read_legs(SHOW),
        core=findings("core.pcap", overheard(440, 20, PROXY), overheard(1000, 20, PROXY)),
        access=findings("access.pcap", *noise),
        dissected=[Dissected("access.pcap", 400, 400, 0)],
        byes=2,
        legs_after=0,
        unregistered=True,
        exit_code=0,
    )


def outcome(seen: Observations, claim_id: str) -> Claim:
    return next(claim for claim in judge(seen) if claim.id == claim_id)


def test_a_good_run_verifies_every_claim():
    claims = judge(good())
    assert [claim.id for claim in claims] == list(TITLES)
    assert {claim.status for claim in claims} == {Status.VERIFIED}
    assert verdict(claims) == 0


def quiet(index: int) -> Callable[[Observations], None]:
    def change(seen: Observations) -> None:
        speaker = seen.heard[index]
        seen.heard[index] = Heard(
            speaker.listener, speaker.speaker, Hearing(speaker.hearing.frequency, 0, 0, 0.0), 0, 0, 101, 0
        )

    return change


def refused(step: str) -> Callable[[Observations], None]:
    def change(seen: Observations) -> None:
        assert seen.boot is not None
        seen.boot.lines = [
            Line(step, False, f"the {step} step is refused") if line.step == step else line for line in seen.boot.lines
        ]

    return change


FAILURES: list[tuple[str, Callable[[Observations], None], str]] = [
    (
        "proxy.serves",
        lambda s: (setattr(s, "ready_after", None), setattr(s, "proxy_trouble", "exit 1: line 3"))[0],
        "line 3",
    ),
    ("boot.ctl", refused("ctl"), "the ctl step is refused"),
    ("boot.ctl", lambda s: setattr(s.boot, "roles", (0, 2)), "it has no CAPF"),
    ("boot.ctl", lambda s: setattr(s, "served", "ef" * 20), "not the list that the proxy serves"),
    ("boot.ctl", lambda s: setattr(s.boot, "held", ""), "not the list that the proxy serves"),
    ("boot.config", refused("config"), "the config step is refused"),
    ("boot.config", lambda s: s.boot.after.update({"security mode": "1"}), "security mode is 1"),
    ("boot.config", lambda s: s.boot.after.update({"node": "127.1.20.11"}), "node is 127.1.20.11"),
    ("boot.config", lambda s: s.boot.before.update({"transport": "3"}), "security mode 1 -> 3"),  # nothing to turn
    ("boot.config", lambda s: s.boot.after.clear(), "the config step"),
    ("boot.lsc", refused("capf"), "the capf step is refused"),
    ("boot.lsc", refused("lsc"), "the lsc step is refused"),
    ("boot.lsc", lambda s: setattr(s.boot, "issued", False), "has issued no such certificate"),
    ("boot.lsc", lambda s: setattr(s.boot, "capf_peers", ("127.1.30.1",)), "CAPF saw 127.1.30.1"),
    ("boot.lsc", lambda s: setattr(s.boot, "capf_peers", ()), "CAPF saw nobody"),
    ("boot.registered", refused("register"), "the register step is refused"),
    ("boot.registered", lambda s: setattr(s.registrations[0], "shown", "00" * 32), "showed another certificate"),
    ("phones.registered", lambda s: s.registrations.pop(), "1001"),
    ("phones.registered", lambda s: setattr(s.registrations[1], "ok", False), "digest"),
    ("phones.registered", lambda s: setattr(s.registrations[0], "challenged", False), "digest"),
    ("access.strict", lambda s: setattr(s, "plain_offer", (200, "200 OK")), "200 OK"),
    ("access.strict", lambda s: setattr(s, "plain_offer", (500, "500 Oops")), "500"),
    ("call.up", lambda s: setattr(s, "call_ok", False), "200 OK"),
    ("audio.forward", quiet(0), "the proxy accepted none: they do not verify with the key"),
    ("audio.back", quiet(1), "phone 1002 sent 101 packets"),
    ("legs.srtp", lambda s: setattr(s.legs[0], "srtp", False), "SRTP: off"),
    ("legs.srtp", lambda s: setattr(s.legs[1], "srtp", True), "SRTP: on"),
    ("legs.srtp", lambda s: s.legs.pop(), "pid:200"),
    ("legs.srtp", lambda s: s.legs.clear(), "no legs"),
    ("core.audible", lambda s: s.core.overheard.pop(), "1000 Hz was not there"),
    (
        "access.unintelligible",
        lambda s: s.access.overheard.append(overheard(440, 19, PROXY)),
        "the eavesdropper succeeded",
    ),
    ("access.unintelligible", lambda s: s.access.overheard.clear(), "0 of 2 phones' voices were on the wire"),
    ("access.unintelligible", lambda s: s.access.overheard.pop(0), "1 of 2 phones' voices"),
    ("capture.dissected", lambda s: setattr(s.dissected[0], "rtp", 399), "399 of 400"),
    ("capture.dissected", lambda s: setattr(s.dissected[0], "malformed", 1), "1 malformed"),
    ("end.clean", lambda s: setattr(s, "byes", 1), "1 of 2 phones"),
    ("end.clean", lambda s: setattr(s, "legs_after", 2), "2 call legs left"),
    ("end.clean", lambda s: setattr(s, "unregistered", False), "not unregistered"),
    ("end.clean", lambda s: setattr(s, "exit_code", -9), "exit -9"),
]


@pytest.mark.parametrize(("claim_id", "change", "text"), FAILURES)
def test_what_was_not_seen_fails_its_claim_alone_and_says_why(claim_id, change, text):
    seen = good()
    change(seen)
    claims = judge(seen)
    assert [claim.id for claim in claims if claim.status is not Status.VERIFIED] == [claim_id]
    assert text in outcome(seen, claim_id).evidence
    assert verdict(claims) == 1


def test_a_boot_that_stopped_fails_what_it_did_not_reach():
    seen = good()
    seen.boot = BootSeen([Line("ctl", True, "taken on faith")], "no configuration", (0, 2, 4), "ab" * 20)
    seen.complaints = [Complaint("file.unreachable", "the cluster does not answer", "is it there?")]
    failed = {claim.id: claim.evidence for claim in judge(seen) if claim.status is not Status.VERIFIED}
    assert failed == {
        "boot.config": "no configuration; proxy: the cluster does not answer; fix: is it there?",
        "boot.lsc": "not reached: no configuration",
        "boot.registered": "not reached: no configuration",
    }


def test_a_phone_that_booted_and_cannot_register_fails_both_claims():
    seen = good()
    seen.registrations[0].ok, seen.registrations[0].detail = False, "503"
    failed = {claim.id: claim.evidence for claim in judge(seen) if claim.status is not Status.VERIFIED}
    assert failed.keys() == {"boot.registered", "phones.registered"}
    assert failed["boot.registered"] == "503"


def test_packets_that_fail_authentication_are_named():
    seen = good()
    seen.heard[0] = Heard("1002", "1001", Hearing(440, 0, 0, 0.0), 0, 90, 101, 100)
    assert "90 that fail authentication" in outcome(seen, "audio.forward").evidence


def test_a_run_that_stopped_fails_what_it_did_not_reach():
    seen = Observations(TONES, stopped="phone 1001 could not register", ready_after=0.5, exit_code=0, unregistered=True)
    seen.registrations = [Registered("1001", "SEP001122334455", False, "the connection was closed")]
    seen.complaints = [
        Complaint("tls.refused", "certificate CN=x refused", "authenticate CAPF"),
        Complaint("other", "no"),
    ]
    claims = judge(seen)
    assert verdict(claims) == 1
    registered = outcome(seen, "phones.registered").evidence
    assert "certificate CN=x refused; fix: authenticate CAPF" in registered
    assert "other" not in registered
    assert outcome(seen, "call.up").evidence == "not reached: phone 1001 could not register"
    assert outcome(seen, "end.clean").evidence.startswith("there was no call to end")


def test_a_missing_dissector_is_unavailable_and_no_failure():
    seen = good()
    seen.dissected, seen.no_dissector = None, "tshark"
    claim = outcome(seen, "capture.dissected")
    assert (claim.status, claim.as_json()["missing"]) == (Status.UNAVAILABLE, "tshark")
    assert verdict(judge(seen)) == 0


@pytest.mark.parametrize("claim_id", sorted(ESSENTIAL))
def test_an_essential_claim_may_not_be_unavailable_nor_absent(claim_id):
    claims = {claim.id: claim for claim in judge(good())}
    claims[claim_id] = Claim(claim_id, Status.UNAVAILABLE, "", "some tool")
    assert verdict(claims.values()) == 1
    del claims[claim_id]
    assert verdict(claims.values()) == 1


def test_the_brief_show_is_read_leg_by_leg():
    legs = read_legs(SHOW)
    assert [(leg.peer, leg.direction, leg.number, leg.srtp, leg.remote[1]) for leg in legs] == [
        (100, "Answer", "1001", True, 30002),
        (200, "Originate", "1002", False, 30000),
        (200, "Answer", "1001", False, 30000),
        (100, "Originate", "1002", True, 30004),
    ]
    assert [(leg.sent, leg.received, leg.codec) for leg in legs[:2]] == [(126, 125, "g711ulaw"), (125, 126, "g711ulaw")]
    assert total_legs(SHOW) == 4
    assert (read_legs(""), total_legs("")) == ([], None)
