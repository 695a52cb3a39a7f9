"""The whole demo as a user runs it, and that each fault in the lab makes it fail for the right reason."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cubelab import data
from cubelab.audio.tones import listen
from cubelab.audio.wav import read_wav
from cubelab.demo.claims import PARTS, TITLES
from cubelab.eavesdropper.sccp import read_sccp


def run_demo(out: Path, *arguments: str, path: str | None = None) -> tuple[int, dict, str]:
    """Exit code, report.json with the claims by id, and what it printed."""
    environment = {**os.environ, "COLUMNS": "200"} | ({"PATH": path} if path is not None else {})
    result = subprocess.run(
        [sys.executable, "-m", "cubeproxy.cli.main", "demo", "--out", str(out), "--talk", "1.5", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
        env=environment,
    )
    assert (out / "report.json").exists(), result.stdout + result.stderr
    report = json.loads((out / "report.json").read_text())
    report["by_id"] = {claim["id"]: claim for claim in report["claims"]}
    return result.returncode, report, result.stdout


def failed(report: dict) -> set[str]:
    return {claim["id"] for claim in report["claims"] if claim["status"] == "failed"}


def evidence(report: dict, claim_id: str) -> str:
    return report["by_id"][claim_id]["evidence"]


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict, str, Path]:
    out = tmp_path_factory.mktemp("demo")
    return (*run_demo(out), out)


def test_the_demo_verifies_every_claim(honest):
    code, report, _, _ = honest
    assert failed(report) == set()
    assert [claim["id"] for claim in report["claims"]] == list(TITLES)
    assert (code, report["exit"]) == (0, 0)
    assert report["by_id"]["capture.dissected"]["status"] == ("verified" if shutil.which("tshark") else "unavailable")


def test_it_shows_srtp_per_leg_in_the_routers_layout(honest):
    _, _, printed, _ = honest
    assert len(re.findall(r"^ IP 127\.\d+\.40\.1:\d+ SRTP: on ", printed, re.MULTILINE)) == 2
    assert len(re.findall(r"^ IP 127\.\d+\.50\.1:\d+ SRTP: off ", printed, re.MULTILINE)) == 2


def test_its_artefacts_hold_what_it_claims(honest):
    _, report, _, out = honest
    both = {"access.pcap", "core.pcap", "phone-1001-heard.wav", "phone-1002-heard.wav", "proxy.log"}
    assert both | {f"xe-{name}" for name in both} | {"boot.log", "farm.log", "sccp.pcap"} == {
        name for name in report["artefacts"] if not re.match("(core|access)-heard", name)
    }
    one, two = report["lab"]["tones_hz"]
    assert listen(read_wav(out / "phone-1002-heard.wav"), one, 0.2).heard
    assert listen(read_wav(out / "phone-1001-heard.wav"), two, 0.2).heard
    assert any(listen(read_wav(path), one).heard for path in out.glob("core-heard-*.wav"))
    assert not any(listen(read_wav(path), tone).heard for path in out.glob("access-heard-*.wav") for tone in (one, two))
    assert "inline:" not in "".join(path.read_text("latin-1") for path in out.glob("*.log"))


def test_every_step_of_the_boot_says_what_was_trusted_and_why(honest):
    _, _, printed, out = honest
    log = (out / "boot.log").read_text()
    for step, why in (
        ("ctl", "taken on faith, since no list was held; it is signed by CN=cube.lab.example"),
        ("itl", "a SAST of the CTL that was held"),
        ("config", "signature by CN=cube.lab.example, listed for files in the CTL"),
        ("capf", "CN=CAPF-1a2b3c4d is listed for CAPF in the CTL"),
        ("lsc", "LSC CN=CP-8841-SEP001122334455 stored; asked by CN=CAPF-1a2b3c4d, proof: authentication string"),
        ("identity", "LSC CN=CP-8841-SEP001122334455, issued by CN=CAPF-1a2b3c4d"),
        ("register", "TLS with CN=cube.lab.example, listed as CCM+TFTP in the CTL"),
    ):
        assert re.search(rf"^{step} +ok .*{re.escape(why)}", log, re.MULTILINE), (step, log)
    assert "REFUSED" not in log
    assert log.splitlines()[0] in printed
    assert "271828" not in log + (out / "proxy.log").read_text()


def test_the_keys_stand_in_the_capture_and_nowhere_else(honest):
    _, report, printed, out = honest
    seen = read_sccp(out / "sccp.pcap")
    keys = [channel.key for channel in seen.channels if channel.key is not None]
    assert len(keys) == len({key.master for key in keys}) == 4
    assert (out / "sccp.pcap").stat().st_mode & 0o077 == 0
    written = printed + "".join(path.read_text("latin-1") for path in (*out.glob("*.log"), out / "report.json"))
    for key in keys:
        octets = key.master[: key.suite.sizes.key]
        for form in (octets.hex(), octets.hex().upper(), base64.b64encode(octets).decode()[:20], repr(octets)):
            assert form not in written
    assert evidence(report, "farm.keys").startswith("4 of 4 keys equal")


def test_the_farm_that_is_stopped_leaves_a_call_that_is_refused_as_the_router_does(honest):
    _, report, _, _ = honest
    assert re.search(
        r"the next call: 500 .*Warning: 399 127\S+ \"Transcoder Not Configured\"; Reason: Q\.850;cause=16$",
        evidence(report, "farm.stopped"),
    )


def test_the_report_stands_by_part(honest):
    _, _, printed, _ = honest
    places = [printed.index(part) for part in PARTS]
    assert places == sorted(places)


def test_without_the_dissector_its_claim_is_unavailable_and_the_rest_holds(tmp_path):
    code, report, _ = run_demo(tmp_path, path=str(Path(sys.executable).parent))
    assert code == 0
    assert report["by_id"]["capture.dissected"]["missing"] == "tshark"


def test_a_configuration_without_a_farm_is_shown_without_one(tmp_path):
    code, report, _ = run_demo(tmp_path, "--config", str(data.config("sample-a-xe.ios")))
    assert (code, failed(report)) == (0, set())
    unavailable = {claim["id"] for claim in report["claims"] if claim["status"] == "unavailable"}
    assert unavailable - {"capture.dissected"} == {claim for claim in TITLES if claim.startswith("farm.")}
    assert not (tmp_path / "sccp.pcap").exists()


def same_command(report: dict) -> str:
    """The proxy's command line without what differs in every run: its network and its scratch folder."""
    return re.sub(r"127\.\d+\.", "127.N.", re.sub(r"/\S*/cubeproxy-\w+/", "SCRATCH/", report["proxy"]))


IOS = {claim for claim in TITLES if not claim.startswith("xe.")}  # faults are made in the first run
WITHOUT_A_CALL = {
    *("call.up", "audio.forward", "audio.back", "legs.srtp", "core.audible", "access.unintelligible"),
    *("capture.dissected", "farm.keys", "farm.stopped", "end.clean"),
}

FAULTS = [
    (
        ("--access", "clear"),
        {"audio.forward", "audio.back", "core.audible", "access.unintelligible", "xe.audio"},
        "access.unintelligible",
        r"the eavesdropper succeeded on the access side; .*440 Hz",
    ),
    (
        ("--fault", "wrong-key"),
        {"audio.forward", "core.audible"},
        "audio.forward",
        r"phone 1001 sent \d+ packets, the proxy gave \d+ to its DSP farm and got none back: .*key that it was handed",
    ),
    (
        ("--fault", "wrong-certificate"),
        IOS - {"proxy.serves", "boot.ctl", "boot.config", "boot.lsc", "farm.registered"},
        "phones.registered",
        r"proxy: TLS .* refused: certificate .*CAPF-0badcafe.*no trustpoint vouches.*fix:",
    ),
    (
        ("--fault", "dead-core"),
        IOS - {"proxy.serves", "boot.ctl", "farm.registered"},
        "phones.registered",
        r"503 Service Unavailable, Warning: 399 .*No core node answers",
    ),
    (
        ("--fault", "foreign-ctl"),
        {"boot.ctl", "boot.config", "boot.lsc", "boot.registered"},
        "boot.ctl",
        r"signer-unknown: nothing vouches for CN=cube.*the CTL stays in force",
    ),
    (
        ("--fault", "damaged-config"),
        {"boot.config", "boot.lsc", "boot.registered"},
        "boot.config",
        r"digest: the signature does not fit the bytes of SEP",
    ),
    (
        ("--fault", "foreign-capf"),
        {"boot.lsc", "boot.registered"},
        "boot.lsc",
        r"is not in the list that is held as CAPF: nothing was said",
    ),
    (
        ("--fault", "no-farm"),
        WITHOUT_A_CALL | {"farm.registered"},
        "call.up",
        r'500 .*Warning: 399 127\S+ "Transcoder Not Configured"',
    ),
    (
        ("--fault", "unknown-farm"),
        WITHOUT_A_CALL | {"farm.registered"},
        "farm.registered",
        r'NOBODY refused: "no sdspfarm tag with this name"',
    ),
    (
        ("--fault", "damaged-key"),
        {"audio.forward", "audio.back", "farm.keys"},
        "farm.keys",
        r"2 of 4 keys equal; 1001 .*StartMediaTransmission has NOT the proxy's",
    ),
]


@pytest.mark.parametrize(
    ("arguments", "expected", "claim_id", "pattern"), FAULTS, ids=[fault[0][1] for fault in FAULTS]
)
def test_a_fault_in_the_lab_fails_the_claims_that_it_breaks(tmp_path, honest, arguments, expected, claim_id, pattern):
    code, report, printed = run_demo(tmp_path, *arguments)
    assert code != 0
    assert failed(report) == expected
    assert re.search(pattern, evidence(report, claim_id), re.DOTALL)
    assert evidence(report, claim_id)[:40] in printed
    assert same_command(report) == same_command(honest[1]), "the proxy must not know of the fault"
