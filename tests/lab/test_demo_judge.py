"""The demo's judgement: every claim can fail, and says why. No network here."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from cubelab.audio.tones import Hearing
from cubelab.demo.boot import BootSeen
from cubelab.demo.claims import ESSENTIAL, PARTS, TITLES, Claim, Status, verdict
from cubelab.demo.judge import judge
from cubelab.demo.legs import passed_on, read_legs, total_legs
from cubelab.demo.observations import Complaint, Heard, Observations, Refusal, Registered
from cubelab.eavesdropper.sccp import Channel, SccpSeen
from cubelab.phone.diary import Line
from cubeproxy.protocols.suites import MasterKey
from tests.lab.good_run import OWN, PROXY, SHOW, SUITE, TONES, good, overheard

OTHER = MasterKey(SUITE, bytes(30))


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
    ("legs.srtp", lambda s: s.legs.clear(), "no legs"),
    ("core.audible", lambda s: s.core.overheard.pop(), "1000 Hz was not there"),
    (
        "access.unintelligible",
        lambda s: s.access.overheard.append(overheard(440, 19, PROXY)),
        "the eavesdropper succeeded",
    ),
    ("access.unintelligible", lambda s: s.access.overheard.clear(), "0 of 2 phones' voices were on the wire"),
    ("access.unintelligible", lambda s: s.access.overheard.pop(0), "1 of 2 phones' voices"),
    ("capture.dissected", lambda s: setattr(s.dissected[0], "found", 399), "399 of 400"),
    ("capture.dissected", lambda s: setattr(s.dissected[0], "malformed", 1), "1 malformed"),
    ("capture.dissected", lambda s: s.dissected.clear(), "not reached"),
    ("legs.srtp", lambda s: s.legs.pop(), "3 legs to the DSP farm"),
    ("farm.registered", lambda s: setattr(s.farm.sccp, "farm", ""), "no farm has asked to register"),
    ("farm.registered", lambda s: setattr(s.farm.sccp, "version", None), "CUBEXCODE not answered"),
    ("farm.registered", lambda s: setattr(s.farm.sccp, "sessions", 0), "0 sessions"),
    ("farm.registered", lambda s: setattr(s.farm.sccp, "codecs", 0), "0 codecs"),
    ("farm.registered", lambda s: s.farm.sccp.unreadable.append("a message is cut off"), "1 unreadable; a message is"),
    ("farm.registered", lambda s: setattr(s.farm, "started", False), "the farm knows nothing of it"),
    ("farm.keys", lambda s: setattr(s.lines[0], "own", OTHER), "3 of 4 keys equal; 1001 .* has NOT the phone's"),
    ("farm.keys", lambda s: setattr(s.lines[1], "far", OTHER), "3 of 4 keys equal; .*1002 .* has NOT the proxy's"),
    ("farm.keys", lambda s: s.farm.sccp.channels.clear(), "0 of 4 keys equal"),
    ("farm.keys", lambda s: s.farm.sccp.channels.append(Channel(True, 0, 0, OWN[0])), "5 messages with a key"),
    ("farm.keys", lambda s: setattr(s.farm.sccp.channels[1], "key", OTHER), "5 messages with a key"),
    ("farm.keys", lambda s: setattr(s.farm.sccp.channels[2], "party", 1), "1001 .* has NOT the proxy's"),
    ("farm.keys", lambda s: s.farm.sccp.channels.pop(), "3 of 7 messages without a key"),
    ("farm.keys", lambda s: s.lines.clear(), "not reached"),
    ("farm.stopped", lambda s: setattr(s.farm, "refusal", Refusal(200, "200 OK")), "the next call: 200 OK"),
    ("farm.stopped", lambda s: setattr(s.farm.refusal, "status", 503), "Transcoder Not Configured"),
    ("farm.stopped", lambda s: setattr(s.farm.refusal, "warning", '399 h "Transcoder"'), '399 h "Transcoder"'),
    ("farm.stopped", lambda s: setattr(s.farm.refusal, "warning", ""), "500 Server"),
    ("farm.stopped", lambda s: setattr(s.farm.refusal, "reason", "Q.850;cause=47"), "Reason: Q.850;cause=47"),
    ("farm.stopped", lambda s: setattr(s.farm, "stopped", -9), "exit -9"),
    ("farm.stopped", lambda s: setattr(s.farm.sccp, "unregistered", False), "not unregistered"),
    (
        "xe.call",
        lambda s: (setattr(s.software, "farm", s.farm), setattr(s.software, "legs", s.legs))[0],
        "it had a farm",
    ),
    ("xe.call", lambda s: setattr(s.software, "call_ok", False), "200 OK"),
    ("xe.call", lambda s: setattr(s.software, "call_ok", None), "not reached"),
    ("xe.call", lambda s: setattr(s.software, "ready_after", None), "did not answer on its control socket"),
    ("xe.audio", lambda s: quiet(1)(s.software), "phone 1002 sent 101 packets"),
    ("xe.audio", lambda s: s.software.heard.pop(), "not reached"),
    ("xe.legs", lambda s: setattr(s.software.legs[0], "srtp", False), "SRTP: off"),
    ("xe.legs", lambda s: setattr(s.software, "legs", s.legs), "4 legs to the DSP farm"),
    ("xe.clean", lambda s: setattr(s.software, "exit_code", 1), "SIGTERM: exit 1"),
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
    assert re.search(text, outcome(seen, claim_id).evidence)
    assert verdict(claims) == 1


def test_a_farm_that_was_refused_says_by_whose_words():
    seen = good()
    seen.farm.sccp = SccpSeen("sccp.pcap", farm="NOBODY", refusal="no sdspfarm tag with this name")
    seen.farm.complaints = [Complaint("sccp.rejected", "DSP farm NOBODY was refused")]
    evidence = outcome(seen, "farm.registered").evidence
    assert 'NOBODY refused: "no sdspfarm tag with this name"' in evidence
    assert "farm: DSP farm NOBODY was refused" in evidence


def test_a_farm_that_ended_by_itself_says_its_last_words():
    seen = good()
    seen.farm.sccp, seen.farm.trouble = SccpSeen("sccp.pcap"), "line 3: no such profile"
    assert "line 3: no such profile" in outcome(seen, "farm.registered").evidence


def test_a_configuration_without_a_farm_has_no_claims_of_one_to_fail():
    seen = good()
    seen.farm, seen.legs = None, read_legs(SHOW)
    claims = judge(seen)
    assert [claim.id for claim in claims if claim.status is not Status.VERIFIED] == [
        "farm.registered", "farm.keys", "farm.stopped"
    ]  # fmt: skip
    assert {claim.status for claim in claims} == {Status.VERIFIED, Status.UNAVAILABLE}
    assert verdict(claims) == 0


def test_no_evidence_has_a_key_in_it():
    seen = good()
    for claim in judge(seen):
        assert not any(key.master.hex() in claim.evidence for key in OWN)
    assert OWN[0].master.hex() not in repr(seen)
    assert repr(OWN[0].master) not in repr(seen)


def test_every_claim_stands_in_one_part():
    assert [claim for part in PARTS.values() for claim in part] == list(TITLES)


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


def test_packets_that_a_farm_cannot_verify_are_named():
    seen = good()
    seen.heard[0] = Heard("1002", "1001", Hearing(440, 0, 0, 0.0), 0, 0, 101, 100, 0)
    assert "gave 100 to its DSP farm and got none back" in outcome(seen, "audio.forward").evidence
    seen.software.heard[0] = seen.heard[0]
    assert "the proxy accepted 100, none reached phone 1002" in outcome(seen, "xe.audio").evidence


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
    assert [passed_on(legs, leg) for leg in legs] == [125, 126, 125, 126]
    assert passed_on(legs[:1], legs[0]) is None
    assert total_legs(SHOW) == 4
    assert (read_legs(""), total_legs("")) == ([], None)
