"""`cubeproxy dsp plan` as it is typed."""

from __future__ import annotations

import json

from typer.testing import CliRunner

from cubeproxy.cli.main import app


def run(*words: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["dsp", "plan", *words], env={"COLUMNS": "160"})
    return done.exit_code, done.output


def test_what_a_module_carries() -> None:
    code, text = run("--module", "PVDM3-256", "--codec", "g729r8")
    assert code == 0
    assert "60 sessions together" in text
    assert "complexity high" in text


def test_what_calls_take() -> None:
    code, text = run("--calls", "100", "--codec", "g711ulaw")
    assert code == 0
    assert "fewest modules: 1 x PVDM3-192" in text


def test_the_same_as_json() -> None:
    code, text = run("--calls", "100", "--json")
    assert code == 0
    answer = json.loads(text)
    (chosen,) = [row for row in answer["choices"] if row["best"]]
    assert chosen == {
        "module": "PVDM3-192", "count": 1, "sessions": 144, "spare": 44,
        "maximum_sessions": 100, "streams": 200, "best": True,
    }  # fmt: skip
    code, text = run("--json")
    sessions = {row["module"]: row["sessions"] for row in json.loads(text)["modules"]}
    assert sessions["PVDM3-16"] == 16
    assert sessions["PVDM3-256"] == 192


def test_modules_that_are_too_few_are_an_error() -> None:
    code, text = run("--module", "PVDM3-64", "--module", "PVDM3-32", "--calls", "100")
    assert code == 1
    assert "72 sessions together: 28 calls too few" in text
    assert run("--module", "PVDM3-256", "--calls", "192")[0] == 0


def test_a_clear_call_is_cheaper() -> None:
    answer = json.loads(run("--module", "PVDM3-256", "--clear", "--json")[1])
    assert answer["sessions"] == 256


def test_an_unknown_module_or_codec_is_named() -> None:
    code, text = run("--module", "PVDM9-1")
    assert code == 2
    assert "PVDM9-1" in text
    code, text = run("--codec", "mp3")
    assert code == 2
    assert "mp3" in text
