"""The whole demo as a user runs it, and that each fault in the lab makes it fail for the right reason."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cubelab.audio.tones import listen
from cubelab.audio.wav import read_wav
from cubelab.demo.claims import TITLES


def run_demo(out: Path, *arguments: str, path: str | None = None) -> tuple[int, dict, str]:
    """Exit code, report.json with the claims by id, and what it printed."""
    environment = {**os.environ, "COLUMNS": "200"} | ({"PATH": path} if path is not None else {})
    result = subprocess.run(
        [sys.executable, "-m", "cubeproxy.cli.main", "demo", "--out", str(out), "--talk", "1.5", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
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
    assert {"access.pcap", "core.pcap", "phone-1001-heard.wav", "phone-1002-heard.wav", "proxy.log", "boot.log"} <= set(
        report["artefacts"]
    )
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


def test_without_the_dissector_its_claim_is_unavailable_and_the_rest_holds(tmp_path):
    code, report, _ = run_demo(tmp_path, path=str(Path(sys.executable).parent))
    assert code == 0
    assert report["by_id"]["capture.dissected"]["missing"] == "tshark"


def same_command(report: dict) -> str:
    """The proxy's command line without what differs in every run: its network and its scratch folder."""
    return re.sub(r"127\.\d+\.", "127.N.", re.sub(r"/\S*/cubeproxy-\w+/", "SCRATCH/", report["proxy"]))


FAULTS = [
    (
        ("--access", "clear"),
        {"audio.forward", "audio.back", "core.audible", "access.unintelligible"},
        "access.unintelligible",
        r"the eavesdropper succeeded on the access side; .*440 Hz",
    ),
    (
        ("--fault", "wrong-key"),
        {"audio.forward", "core.audible"},
        "audio.forward",
        r"phone 1001 sent \d+ packets and the proxy accepted none: .*key that it announced",
    ),
    (
        ("--fault", "wrong-certificate"),
        set(TITLES) - {"proxy.serves", "boot.ctl", "boot.config", "boot.lsc"},
        "phones.registered",
        r"proxy: TLS .* refused: certificate .*CAPF-0badcafe.*no trustpoint vouches.*fix:",
    ),
    (
        ("--fault", "dead-core"),
        set(TITLES) - {"proxy.serves", "boot.ctl"},
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
