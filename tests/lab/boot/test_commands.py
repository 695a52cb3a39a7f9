"""`cubelab cucm` with files and `cubelab boot`, as a user types them: two programs and a folder."""

from __future__ import annotations

import secrets
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cubelab.cli.main import app
from cubelab.phone import download
from cubelab.pki.lab import DEVICES, Lab
from cubelab.provisioning.tftp import TftpClient
from cubeproxy.protocols.tftp import Pace
from cubeproxy.protocols.trustlist import read_list
from tests.lab.boot.stage import PHONE
from tests.lab.test_cubelab_command import running

TFTP = ("--tftp-port", "16967")


def boot(pki: Lab, node: str, folder: Path, *more: str) -> subprocess.CompletedProcess[str]:
    words = ["boot", PHONE, "--server", node, "--flash", str(folder), "--pki", str(pki.folder), *TFTP, *more]
    host = node.rpartition(".")[0] + ".77"
    return subprocess.run(
        [sys.executable, "-m", "cubelab.cli.main", *words, "--host", host],
        capture_output=True,
        text=True,
        check=False,
        timeout=40,
    )


@pytest.fixture
def node() -> str:
    return f"127.{64 + secrets.randbelow(180)}.{secrets.randbelow(250)}.11"


def cluster(pki: Lab, node: str, *more: str) -> tuple[str, ...]:
    base = ("cucm", "--legacy-tls", "--node", node, "--user", "1001=pw", "--direct", "--files", str(pki.folder), *TFTP)
    return (*base, "--device", f"{PHONE}=1001", *more)


def test_a_phone_boots_enrols_and_registers_with_a_mixed_mode_cluster(pki: Lab, node: str, tmp_path: Path) -> None:
    mixed = ("--pki", str(pki.folder), "--enrol", f"{PHONE}=string:4711")
    with running(*cluster(pki, node, *mixed)) as cucm:
        wrong = boot(pki, node, tmp_path, "--no-register", "--string", "4712")
        assert "REFUSED" in wrong.stdout
        assert wrong.returncode == 0  # it has its MIC
        done = boot(pki, node, tmp_path, "--string", "4711")
        assert done.returncode == 0, done.stdout + done.stderr
        assert "1001 registered with LSC" in done.stdout
        assert "listed as CCM+TFTP in the CTL" in done.stdout
        again = boot(pki, node, tmp_path, "--no-register", "--delete-itl", "--model", "7961")
        assert "taken on faith" in again.stdout
        assert "by TFTP" in again.stdout
        assert "LSC" in again.stdout
        reset = boot(pki, node, tmp_path, "--no-register", "--factory-reset")
        assert "identity ok      MIC" in reset.stdout
    assert f"certificate of {PHONE} installed" in cucm.rest
    assert "4711" not in cucm.rest + done.stdout
    assert read_list((tmp_path / "CTLFile.tlv").read_bytes()).header.file_name == "CTLFile.tlv"


def test_a_phone_without_a_server_says_so(tmp_path: Path, node: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "TftpClient", partial(TftpClient, pace=Pace(first=0.02, tries=1)))
    words = ["boot", PHONE, "--server", node, "--flash", str(tmp_path), "--host", node]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "could not be fetched" in result.output
    assert "not registered: there is no configuration" in result.output


def test_the_refresh_of_a_defect_release_resets_phones(pki: Lab, node: str, tmp_path: Path) -> None:
    defect = ("--node", node.removesuffix("11") + "12", "--itl-defect", "--itl-refresh", "1")
    with running(*cluster(pki, node, *defect)) as cucm:
        words = ["boot", PHONE, "--server", node, "--flash", str(tmp_path), "--pki", str(pki.folder), *TFTP, "--stay"]
        host = node.rpartition(".")[0] + ".77"
        with running(*words, "--host", host) as phone:
            seen = ""
            while "the cluster says reset" not in seen:
                line = phone.stdout.readline()
                assert line, seen
                seen += line
    assert "CSCup28852" in cucm.rest
    assert "1001 told to reset: 200" in cucm.rest
    assert "1001 registered with no certificate" in seen


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["boot", "SEP", "--server", "127.0.0.1", "--model", "9999"], "9999 is none of"),
        (["cucm", "--user", "1=p", "--device", "SEP=2"], "NUMBER is one of --user"),
        (["cucm", "--user", "1=p", "--device", "SEP=1:9999"], "MODEL one of"),
        (["cucm", "--user", "1=p", "--enrol", "SEP=perhaps"], "none of null"),
        (["cucm", "--user", "1=p", "--enrol", "SEP=string:"], "none of null"),
    ],
)
def test_words_that_are_wrong(tmp_path: Path, words: list[str], says: str) -> None:
    more = ["--flash", str(tmp_path)] if words[0] == "boot" else []
    result = CliRunner().invoke(app, [*words, *more], env={"COLUMNS": "300"})
    assert result.exit_code == 2
    assert says in result.output


def test_all_models_and_devices_are_offered() -> None:
    result = CliRunner().invoke(app, ["boot", "--help"], env={"COLUMNS": "300"})
    assert "7960, 7961, 7975, 8841, 8861" in result.output
    assert len(DEVICES) > 1
