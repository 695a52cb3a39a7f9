"""What a user gets wrong on the command line: a line that names it, never a traceback, and nothing is harmed."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from cubelab import data
from cubelab.pki.lab import init_lab
from cubeproxy.cli.main import app
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.server.control import ControlSocket, ask

SAMPLE = data.config("sample-a-xe.ios")
HERE = ["--map", "192.0.2.1=127.99.3.1", "--map", "198.51.100.1=127.99.4.1"]


def invoke(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, list(words))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.output


def test_check_misses_the_key_that_run_would_miss(tmp_path: Path) -> None:
    code, text = invoke("check", str(SAMPLE), "--nvram", str(tmp_path))
    assert code == 1
    assert "error    trustpoint CUBE_SS has a certificate and not its key" in text
    assert f"cubeproxy pki self-signed CUBE_SS --nvram {tmp_path}" in text
    assert "1 finding," in text


def test_check_without_nvram_warns_of_the_key() -> None:
    code, text = invoke("check", str(SAMPLE))
    assert code == 0
    assert "warning  trustpoint CUBE_SS" in text


def test_check_finds_nothing_with_a_whole_nvram(tmp_path: Path) -> None:
    init_lab(tmp_path)
    code, text = invoke("check", str(SAMPLE), "--nvram", str(tmp_path))
    assert code == 0
    assert "0 findings," in text


def test_check_tells_everything_when_no_plan_can_be_made(tmp_path: Path) -> None:
    config = SAMPLE.read_text().replace(
        "bind control source-interface GigabitEthernet2", "bind control source-interface X9"
    )
    (tmp_path / "x.ios").write_text(config.replace("destination uri LINES", "destination uri LINSE"))
    code, text = invoke("check", str(tmp_path / "x.ios"))
    assert code == 1
    assert "bind source-interface X9 has no address" in text
    assert "LINSE" in text
    assert "passed   line" in text


def test_check_refuses_what_is_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("dear colleague,\nsee you tonight\n")
    code, text = invoke("check", str(tmp_path / "a.txt"))
    assert code == 1
    assert "no dial peer" in text


def test_a_bad_map_is_blamed_on_the_option() -> None:
    code, text = invoke("check", str(SAMPLE), "--map", "nonsense")
    assert code == 2
    assert "cubeproxy: --map: 'nonsense'" in text


def test_a_list_of_trustpoints_needs_its_folder(tmp_path: Path) -> None:
    code, text = invoke("pki", "list", "--nvram", str(tmp_path / "nvarm"))
    assert code == 2
    assert "nvarm: no such folder" in text


def test_a_trust_list_takes_no_other_files_place(tmp_path: Path) -> None:
    init_lab(tmp_path / "nvram")
    (tmp_path / "notes").write_text("mine")
    code, text = invoke(
        "ctl", "build", str(SAMPLE), "--nvram", str(tmp_path / "nvram"), "--out", str(tmp_path / "notes")
    )
    assert code == 1
    assert "is no trust list" in text
    assert (tmp_path / "notes").read_text() == "mine"
    code, text = invoke(
        "ctl", "build", str(SAMPLE), "--nvram", str(tmp_path / "nvram"), "--out", str(tmp_path / "notes/x")
    )
    assert code == 1
    assert "notes/x" in text


@pytest.mark.parametrize("where", ["127.99.3.9:99999", "nonsense"])
def test_an_impossible_metrics_address(where: str) -> None:
    code, text = invoke("run", str(SAMPLE), "--metrics", where)
    assert code == 2
    assert where in text


def test_a_metrics_address_that_is_taken(tmp_path: Path) -> None:
    init_lab(tmp_path)
    with socket.create_server(("127.99.3.9", 0)) as taken:
        where = f"127.99.3.9:{taken.getsockname()[1]}"
        code, text = invoke("run", str(SAMPLE), "--nvram", str(tmp_path), *HERE, "--metrics", where)
    assert code == 1
    assert f"cannot serve metrics on {where}" in text


def test_a_control_socket_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    for path in (tmp_path / "none" / "cube.sock", tmp_path / "notes"):
        with pytest.raises(ConfigError, match=f"control socket {path}"):
            asyncio.run(ControlSocket(path, str).start())
    assert (tmp_path / "notes").read_text() == "mine"


def test_a_second_proxy_leaves_the_firsts_control_socket_alone(tmp_path: Path) -> None:
    path = tmp_path / "cube.sock"

    async def scene() -> str:
        first, second = ControlSocket(path, lambda _: "first"), ControlSocket(path, lambda _: "second")
        await first.start()
        with pytest.raises(ConfigError, match="in use"):
            await second.start()
        await second.close()
        answer = await asyncio.to_thread(ask, path, "show version")
        await first.close()
        return answer

    assert asyncio.run(scene()) == "first"
    assert not path.exists()


def test_a_dead_proxys_control_socket_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "cube.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))

    async def scene() -> str:
        control = ControlSocket(path, lambda _: "new")
        await control.start()
        answer = await asyncio.to_thread(ask, path, "show version")
        await control.close()
        return answer

    assert asyncio.run(scene()) == "new"


def test_check_asks_about_a_typing_error(tmp_path: Path) -> None:
    (tmp_path / "x.ios").write_text(SAMPLE.read_text().replace("dtmf-relay rtp-nte", "dtmf-realy rtp-nte", 1))
    code, text = invoke("check", str(tmp_path / "x.ios"))
    assert code == 0
    assert "dtmf-realy rtp-nte   <- is `dtmf-relay` meant?" in text
