"""The command line: what it teaches, and one line of what went wrong with the fix beside it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cubelab import data
from cubelab.pki.lab import init_lab
from cubeproxy.cli.main import app

RUN = CliRunner()
MAP = ["--map", f"@{data.config('sample-a-xe.ios').parent / 'lab.map'}"]


def invoke(*words: str) -> tuple[int, str]:
    result = RUN.invoke(app, list(words))
    return result.exit_code, result.output


def test_help_names_every_command() -> None:
    code, text = invoke("--help")
    assert code == 0
    for command in ("run", "show", "check"):
        assert command in text


def test_check_says_what_would_listen_and_what_was_passed_over() -> None:
    code, text = invoke("check", str(data.config("sample-a-xe.ios")))
    assert code == 0
    assert "listens  access  TLS 192.0.2.1:5061" in text
    assert "srtp strict" in text
    assert "media    SRTP to RTP: IOS XE encrypts in software" in text
    assert "passed   line" in text
    assert "personality iosxe" in text


def changed(folder: Path, name: str, *changes: tuple[str, str]) -> str:
    """A sample with every occurrence of some text replaced."""
    text = data.config(name).read_text()
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    (folder / "changed.ios").write_text(text)
    return str(folder / "changed.ios")


def test_check_says_what_pass_thru_on_one_side_does(tmp_path: Path) -> None:
    _, text = invoke("check", changed(tmp_path, "sample-a-xe.ios", ("\n srtp\n", "\n srtp pass-thru\n")))
    assert "media    SRTP pass-thru to RTP: refused, pass-thru takes both dial peers" in text
    assert "srtp pass-thru is not configured on dial-peer 200, dial-peer 201" in text


def test_check_says_which_suites_a_farm_cannot_be_told(tmp_path: Path) -> None:
    suites = "voice class srtp-crypto 1\n crypto 1 AEAD_AES_256_GCM\n crypto 2 AES_CM_128_HMAC_SHA1_80\n!\n"
    changes = (
        ("\n srtp\n", "\n srtp\n voice-class sip srtp-crypto 1\n"),
        ("voice class uri ACC sip\n", suites + "voice class uri ACC sip\n"),
    )
    _, text = invoke("check", changed(tmp_path, "sample-a.ios", *changes))
    assert "keys     AEAD_AES_256_GCM left out: SCCP carries no AES-256 key and no MKI to a DSP farm" in text
    _, text = invoke("check", changed(tmp_path, "sample-a-xe.ios", changes[0], changes[1]))
    assert "left out" not in text


def test_check_says_which_codec_of_a_profile_nothing_codes(tmp_path: Path) -> None:
    _, text = invoke("check", changed(tmp_path, "sample-a.ios", (" codec g729ar8\n", " codec ilbc\n")))
    assert "codec ilbc of a dspfarm profile is not transcoded: of iLBC there is" in text


def test_check_fails_on_a_name_that_nothing_defines(tmp_path: Path) -> None:
    config = data.config("sample-a-xe.ios").read_text().replace("incoming uri request ACC", "incoming uri request AXX")
    (tmp_path / "broken.ios").write_text(config)
    code, text = invoke("check", str(tmp_path / "broken.ios"))
    assert code == 1
    assert "AXX" in text
    assert "fix:" in text


def test_an_error_names_the_line(tmp_path: Path) -> None:
    (tmp_path / "bad.ios").write_text("version 17.9\nvoice service voip\n rtp-port range 9 1\n")
    code, text = invoke("run", str(tmp_path / "bad.ios"))
    assert code == 2
    assert "line 3" in text


def test_a_missing_file_is_said_plainly(tmp_path: Path) -> None:
    code, text = invoke("run", str(tmp_path / "none.ios"))
    assert code == 2
    assert "No such file" in text
    assert "Traceback" not in text


def test_a_missing_key_names_trustpoint_and_fix(tmp_path: Path) -> None:
    code, text = invoke("run", str(data.config("sample-a-xe.ios")), "--nvram", str(tmp_path), *MAP)
    assert code == 1
    assert "CUBE_SS" in text
    assert "fix:" in text


def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    init_lab(tmp_path / "nvram")
    with socket.create_server(("127.99.1.1", 5061)):
        mapping = ["--map", "192.0.2.1=127.99.1.1", "--map", "198.51.100.1=127.99.2.1"]
        code, text = invoke("run", str(data.config("sample-a-xe.ios")), "--nvram", str(tmp_path / "nvram"), *mapping)
    assert code == 1
    assert "in use" in text
    assert "127.99.1.1" in text


def test_show_without_words_lists_the_commands() -> None:
    code, text = invoke("show")
    assert code == 0
    assert "show call active voice brief" in text


@pytest.mark.parametrize("words", [["show", "version"], ["show", "version", "--control", "/nowhere/at.all"]])
def test_show_needs_a_proxy(words: list[str]) -> None:
    code, text = invoke(*words)
    assert code != 0
    assert "cubeproxy:" in text


@pytest.mark.parametrize("verb", ["drain", "resume"])
def test_an_rtpengine_is_ordered(verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[Path, str]] = []
    answers = iter(["rtpengine is told\n", "% no rtpengine here\n"])
    words = ("rtpengine", verb, "127.0.0.1:2223", "--control", str(tmp_path / "cube.sock"))

    def ask(control: Path, line: str) -> str:
        asked.append((control, line))
        return next(answers)

    monkeypatch.setattr("cubeproxy.cli.common.ask", ask)
    assert invoke(*words) == (0, "rtpengine is told\n")
    assert invoke(*words) == (1, "% no rtpengine here\n")
    assert asked == [(tmp_path / "cube.sock", f"do rtpengine {verb} 127.0.0.1:2223")] * 2


def test_a_proxy_that_is_not_there_is_said_plainly(tmp_path: Path) -> None:
    for words in (("show", "version"), ("rtpengine", "drain", "127.0.0.1:2223")):
        code, text = invoke(*words, "--control", str(tmp_path / "cube.sock"))
        assert code == 1
        assert "no proxy answers on" in text
