"""`cubeproxy ctl`: build, show and verify, by exit status and by what they say."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from cubeproxy.cli.ctl import app
from cubeproxy.protocols.trustlist import encrypt_file, sign_file, sign_list
from tests.phoneproxy.test_ctl import ROUTER, Router
from tests.protocols.trustlist.makers import (
    CONFIG,
    CONFIG_NAME,
    NOW,
    certificate,
    ctl_octets,
    mixed_mode_ctl,
    sast,
    signer,
)


def ctl(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def config(tmp_path: Path) -> Path:
    Router(tmp_path / "nvram")
    path = tmp_path / "router.ios"
    path.write_text(ROUTER)
    return path


def put(folder: Path, name: str, content: bytes) -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def test_a_list_is_built_once_and_then_kept(config: Path, tmp_path: Path) -> None:
    out, nvram = tmp_path / "CTLFile.tlv", tmp_path / "nvram"
    first = ctl("build", config, "--nvram", nvram, "--out", out)
    assert (first.exit_code, "5 records, signed by CN=CUBE;" in first.output) == (0, True)
    content = out.read_bytes()
    again = ctl("build", config, "--nvram", nvram, "--out", out)
    assert (again.exit_code, "unchanged, signed by CN=CUBE;" in again.output) == (0, True)
    assert out.read_bytes() == content
    (nvram / "CAPF_SUB" / "ca.pem").unlink()
    shorter = ctl("build", config, "--nvram", nvram, "--out", out, "--sha512")
    assert "goes without its capf record: trustpoint CAPF_SUB" in shorter.output
    old = put(tmp_path, "old.tlv", content)
    judged = ctl("verify", out, "--trust", old)
    assert (judged.exit_code, "a SAST of the list that is held" in judged.output) == (0, True)


def test_a_configuration_that_gives_no_list(config: Path, tmp_path: Path) -> None:
    out = tmp_path / "x"
    other = ctl("build", config, "--nvram", tmp_path / "nvram", "--out", out, "--proxy", "OTHER")
    assert (other.exit_code, "The configuration has LSPP" in other.output) == (2, True)
    config.write_text(ROUTER.replace("CCM1\n complete", "CCM1"))
    incomplete = ctl("build", config, "--nvram", tmp_path / "nvram", "--out", out)
    assert (incomplete.exit_code, "fix: enter `complete`" in incomplete.output) == (1, True)
    assert not out.exists()


def test_show_has_header_and_records(tmp_path: Path) -> None:
    path = put(tmp_path, "a.tlv", ctl_octets("SAST1", sast("SAST2")))
    shown = ctl("show", path)
    assert shown.exit_code == 0
    for text in (
        "Signer:        CN=SAST1;OU=Voice;O=Lab;C=US",
        "CTL Record #:2",
        "System Administrator Security Token",
    ):
        assert text in shown.output
    signed = ctl("show", put(tmp_path, "a.sgn", sign_file(CONFIG, CONFIG_NAME, signer("CCM1"), NOW)))
    assert f"Payload: {len(CONFIG)} octets" in signed.output


def test_show_lets_no_name_into_the_terminal(tmp_path: Path) -> None:
    data = sign_list([sast("SAST1")], signer("SAST1"), NOW, file_name="\x1b[2J.tlv")
    shown = ctl("show", put(tmp_path, "a.tlv", data))
    assert "\x1b" not in shown.output
    assert "\\x1b[2J.tlv" in shown.output


def test_verify_names_the_broken_rule(tmp_path: Path) -> None:
    data = ctl_octets("SAST1")
    held = put(tmp_path, "held.tlv", data)
    for content, rule in (
        (ctl_octets("STRANGER"), "signer-unknown"),
        (data[:-1] + bytes((data[-1] ^ 1,)), "digest"),
        (data[:-1], "truncated"),
        (b"<?xml?><device/>", "malformed"),
        (sign_list([sast("SAST1")] * 3, signer("SAST1"), NOW), "two-sast"),
    ):
        judged = ctl("verify", put(tmp_path, "new.tlv", content), "--trust", held)
        assert (judged.exit_code, f"new.tlv: {rule}: " in judged.output) == (1, True)
    assert ctl("verify", held).exit_code == 0
    assert ctl("verify", tmp_path / "nothing").exit_code == 2


def test_verify_judges_signed_files_by_a_list(tmp_path: Path) -> None:
    held = put(tmp_path, "held.tlv", mixed_mode_ctl().data)
    good = put(tmp_path, "good.sgn", sign_file(CONFIG, CONFIG_NAME, signer("CCM1"), NOW))
    bad = put(tmp_path, "bad.sgn", sign_file(CONFIG, CONFIG_NAME, signer("SAST1"), NOW))
    device = certificate("SEP001122334455")
    hidden = encrypt_file(CONFIG, "A.enc.sgn", signer("CCM1"), NOW, device, key=bytes(16), iv=bytes(16))
    assert ctl("verify", good, "--trust", held).exit_code == 0
    assert ctl("verify", put(tmp_path, "a.enc.sgn", hidden), "--trust", held).exit_code == 0
    judged = ctl("verify", bad, "--trust", held)
    assert (judged.exit_code, "bad.sgn: role: " in judged.output) == (1, True)
    alone = ctl("verify", good)
    assert (alone.exit_code, "give it with --trust" in alone.output) == (1, True)
