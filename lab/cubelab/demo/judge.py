"""From what was seen to what is claimed. Pure: every claim is one function of the observations.

No function knows which fault the demo was started with; an explanation comes from what was observed, as it would on a
real network.
"""

from __future__ import annotations

from collections.abc import Callable

from cubelab.demo import judge_farm
from cubelab.demo.claims import FARM, TITLES, Claim, Status
from cubelab.demo.evidence import ABOUT_FILES, ABOUT_MEDIA, ABOUT_REGISTRATION, Outcome, about, join
from cubelab.demo.observations import Heard, Observations
from cubelab.eavesdropper.eavesdropper import Findings, Overheard
from cubeproxy.protocols.trustlist import Role

FIRST = "1001"  # the phone that boots


def judge(seen: Observations) -> list[Claim]:
    """All claims in their order."""
    return [_claim(claim_id, seen) for claim_id in TITLES]


def _claim(claim_id: str, seen: Observations) -> Claim:
    if claim_id == "capture.dissected" and seen.no_dissector and seen.dissected is None:
        return Claim(claim_id, Status.UNAVAILABLE, f"{seen.no_dissector} is not installed", seen.no_dissector)
    if claim_id in FARM and seen.farm is None and seen.ready_after is not None:
        return Claim(claim_id, Status.UNAVAILABLE, "the configuration has no DSP farm", "a farm in the configuration")
    outcome = JUDGES[claim_id](seen)
    if outcome is None:
        return Claim(claim_id, Status.FAILED, f"not reached: {seen.stopped or 'the run ended early'}")
    good, evidence = outcome
    return Claim(claim_id, Status.VERIFIED if good else Status.FAILED, evidence)


def serves(seen: Observations) -> Outcome | None:
    if seen.ready_after is None:
        return False, seen.proxy_trouble or "it did not answer on its control socket"
    return True, f"{seen.command}: answers after {seen.ready_after:.1f} s"


def booted_ctl(seen: Observations) -> Outcome | None:
    boot = seen.boot
    if boot is None or (line := boot.first("ctl")) is None:
        return None
    if not line.good:
        return False, line.text
    missing = [role.name for role in (Role.SAST, Role.CCM_TFTP, Role.CAPF) if role not in boot.roles]
    same = bool(boot.held) and boot.held == seen.served
    parts = [line.text, *(f"it has no {name}" for name in missing)]
    parts.append(
        f"SHA-1 {boot.held[:16]} is what the proxy serves" if same else "it is not the list that the proxy serves"
    )
    return not missing and same, join(parts)


def booted_config(seen: Observations) -> Outcome | None:
    boot = seen.boot
    if boot is None:
        return None
    line = boot.last("config")
    if line is None or not boot.after:
        return False, join([line.text if line else boot.stopped, *about(seen.complaints, *ABOUT_FILES)])
    wanted = {"node": seen.proxy_host, "security mode": "3", "transport": "3", "CAPF": seen.proxy_host}
    wrong = [f"{name} is {boot.after.get(name)}" for name, value in wanted.items() if boot.after.get(name) != value]
    turned = [f"{name} {old} -> {boot.after[name]}" for name, old in boot.before.items() if boot.after.get(name) != old]
    return line.good and not wrong and len(turned) == len(wanted), join([line.text, *turned, *wrong])


def booted_lsc(seen: Observations) -> Outcome | None:
    boot = seen.boot
    if boot is None:
        return None
    capf, lsc = boot.first("capf"), boot.first("lsc")
    if capf is None or lsc is None or not (capf.good and lsc.good):
        refused = [line.text for line in (capf, lsc) if line is not None and not line.good]
        return False, join(refused or [f"not reached: {boot.stopped or 'no operation was pending'}"])
    through = set(boot.capf_peers) == {seen.core_own}
    parts = [capf.text, lsc.text]
    parts.append(f"CAPF saw {'the proxy alone' if through else ', '.join(boot.capf_peers) or 'nobody'}")
    if not boot.issued:
        parts.append("the cluster has issued no such certificate")
    return through and boot.issued, join(parts)


def booted_registered(seen: Observations) -> Outcome | None:
    boot = seen.boot
    if boot is None or (not boot.stopped and not seen.registrations):
        return None
    if boot.stopped or not boot.lsc:
        return False, f"not reached: {boot.stopped or 'it has no LSC'}"
    first = next((one for one in seen.registrations if one.number == FIRST), None)
    if first is None or not first.ok:
        return False, join([first.detail if first else "no answer", *about(seen.complaints, *ABOUT_REGISTRATION)])
    line = boot.last("register")
    if first.shown != boot.fingerprint:
        return False, f"phone {FIRST} showed another certificate than {boot.lsc}"
    return line is not None and line.good, join([f"LSC {boot.lsc}", line.text if line else "no server was judged"])


def registered(seen: Observations) -> Outcome | None:
    if not seen.registrations:
        return None
    parts = [f"{one.number} ({one.device}): {one.detail}" for one in seen.registrations]
    good = len(seen.registrations) == 2 and all(one.ok and one.challenged for one in seen.registrations)
    if not good:
        parts += about(seen.complaints, *ABOUT_REGISTRATION)
    return good, join(parts)


def strict(seen: Observations) -> Outcome | None:
    if seen.plain_offer is None:
        return None
    status, text = seen.plain_offer
    return status == 488, f"INVITE with RTP/AVP answered {text}"


def call_up(seen: Observations) -> Outcome | None:
    return None if seen.call_ok is None else (seen.call_ok, seen.call_detail)


def forward(seen: Observations) -> Outcome | None:
    return _audio(seen, 0)


def back(seen: Observations) -> Outcome | None:
    return _audio(seen, 1)


def _audio(seen: Observations, direction: int) -> Outcome | None:
    if len(seen.heard) <= direction:
        return None
    heard = seen.heard[direction]
    if heard.hearing.heard:
        return True, f"{heard.hearing}, {heard.received} packets verified"
    return False, join([_silence(heard, farm=seen.farm is not None), *about(seen.complaints, *ABOUT_MEDIA)])


def _silence(heard: Heard, *, farm: bool) -> str:
    """Why the listener heard nothing, by where the packets went missing."""
    sent = f"phone {heard.speaker} sent {heard.sent_by_speaker} packets"
    if heard.refused:
        return f"{sent}, phone {heard.listener} got {heard.refused} that fail authentication: not the announced key"
    if heard.accepted == 0:
        return f"{sent} and the proxy accepted none: they do not verify with the key that it announced"
    if farm and heard.accepted and heard.passed_on == 0:
        why = "they do not verify with the key that it was handed"
        return f"{sent}, the proxy gave {heard.accepted} to its DSP farm and got none back: {why}"
    if not heard.received:
        passed = "" if heard.accepted is None else f", the proxy accepted {heard.accepted}"
        return f"{sent}{passed}, none reached phone {heard.listener}"
    return f"{sent}, phone {heard.listener} heard {heard.hearing}"


def legs_srtp(seen: Observations) -> Outcome | None:
    if seen.legs is None:
        return None
    access = [leg for leg in seen.legs if leg.remote[0] == seen.access_host]
    core = [leg for leg in seen.legs if leg.remote[0] == seen.core_host]
    farm = [leg for leg in seen.legs if leg.peer == 0 and leg.remote[0] == seen.core_own]
    others = len(seen.legs) - len(access) - len(core) - len(farm)
    good = (len(access), len(core), len(farm), others) == (2, 2, 4 if seen.farm else 0, 0)
    good = good and all(leg.srtp for leg in access) and not any(leg.srtp for leg in core)
    parts = [str(leg) for leg in seen.legs if leg not in farm]
    if farm:
        parts.append(f"{len(farm)} legs to the DSP farm")
    return good, join(parts) or "show call active voice brief has no legs"


def core_audible(seen: Observations) -> Outcome | None:
    if seen.core is None:
        return None
    missing = [f"{tone} Hz was not there" for tone in seen.tones if tone not in seen.core.tones]
    return not missing, join([_findings(seen.core), *missing])


def access_unintelligible(seen: Observations) -> Outcome | None:
    if seen.access is None:
        return None
    understood = seen.access.understood
    if understood:
        return False, join(["the eavesdropper succeeded on the access side", *(_overheard(one) for one in understood)])
    voices = sum(one.stream.destination[0] == seen.proxy_host for one in seen.access.overheard)
    if voices < 2:  # silence proves nothing
        return False, join([f"{voices} of 2 phones' voices were on the wire", _findings(seen.access)])
    return True, _findings(seen.access)


def dissected(seen: Observations) -> Outcome | None:
    if not seen.dissected:
        return None
    good = all(one.units == one.found > 0 and not one.malformed for one in seen.dissected)
    texts = (
        f"{one.capture}: {one.found} of {one.units} {one.what}, {one.malformed} malformed" for one in seen.dissected
    )
    return good, join(texts)


def ended(seen: Observations) -> Outcome | None:
    if seen.exit_code is None:
        return None
    good = seen.byes == 2 and seen.legs_after == 0 and seen.unregistered is True and seen.exit_code == 0
    parts = [
        _end_of_call(seen.byes),
        f"{seen.legs_after} call legs left" if seen.legs_after is not None else "call legs unknown",
        "no registration left" if seen.unregistered else "not unregistered",
        f"SIGTERM: exit {seen.exit_code}",
    ]
    return good, join(parts)


def _end_of_call(byes: int | None) -> str:
    if byes is None:
        return "there was no call to end"
    return "BYE at both phones" if byes == 2 else f"{byes} of 2 phones saw the BYE"


def _software(seen: Observations, judged: Callable[[Observations], Outcome | None]) -> Outcome | None:
    """A claim of the second run."""
    run = seen.software
    if run is None:
        return None
    outcome = judged(run)
    return outcome if outcome is not None else (False, f"not reached: {run.stopped or 'the run ended early'}")


def software_call(run: Observations) -> Outcome | None:
    parts = [one for one in (serves(run), registered(run), call_up(run)) if one is not None]
    bad = [evidence for good, evidence in parts if not good]
    if bad or len(parts) < 3:
        return (False, join(bad)) if bad else None
    no_farm = "nobody has started a farm" if run.farm is None else "it had a farm"
    return run.farm is None, join([parts[0][1], no_farm, parts[-1][1]])


def software_audio(run: Observations) -> Outcome | None:
    both = [one for one in (forward(run), back(run)) if one is not None]
    return (all(good for good, _ in both), join(evidence for _, evidence in both)) if len(both) == 2 else None


JUDGES: dict[str, Callable[[Observations], Outcome | None]] = {
    "proxy.serves": serves,
    "boot.ctl": booted_ctl,
    "boot.config": booted_config,
    "boot.lsc": booted_lsc,
    "boot.registered": booted_registered,
    "phones.registered": registered,
    "access.strict": strict,
    "call.up": call_up,
    "audio.forward": forward,
    "audio.back": back,
    "legs.srtp": legs_srtp,
    "core.audible": core_audible,
    "access.unintelligible": access_unintelligible,
    "capture.dissected": dissected,
    "end.clean": ended,
    **judge_farm.JUDGES,
    "xe.call": lambda seen: _software(seen, software_call),
    "xe.audio": lambda seen: _software(seen, software_audio),
    "xe.legs": lambda seen: _software(seen, legs_srtp),
    "xe.clean": lambda seen: _software(seen, ended),
}


def _findings(findings: Findings) -> str:
    streams = len(findings.overheard)
    head = (
        f"{findings.capture.name}: {findings.datagrams} datagrams, {streams} streams, {len(findings.understood)} heard"
    )
    if findings.understood:
        return join([head, *sorted({f"{one.hearing.frequency} Hz" for one in findings.understood})])
    if not findings.overheard:
        return head
    best = max(one.hearing.share for one in findings.overheard)
    return f"{head}; the best guess has {best:.1%} of a stream's energy"


def _overheard(one: Overheard) -> str:
    return f"{one.hearing} in {one.stream}"
