"""`show crypto pki ...` and `show voice class phone-proxy ...`, in the words that people look for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from cubelab.pki.lab import Lab, init_lab
from cubeproxy.pki.store import Store
from cubeproxy.views.phonefiles import FileSession, FileState
from cubeproxy.views.show import COMMANDS, Show
from cubeproxy.views.sources import Sources
from tests.border.scene import Scene

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return init_lab(tmp_path_factory.mktemp("lab"), devices=("SEP001122334455",), now=NOW)


def show(command: str, nvram: Path | None = None, files: Mapping[str, FileState] | None = None) -> str:
    scene = Scene()
    scene.config.file_buffer = None
    sources = Sources(
        scene.config,
        scene.border,
        lambda: scene.now,
        lambda session: None,  # type: ignore[arg-type, return-value]
        900.0,
        wall=lambda: NOW,
        store=Store(nvram, scene.config.trustpoints),
        phone_files=lambda: files or {},
    )
    return Show(sources).answer(command)


def test_certificates_have_the_layout_that_is_parsed(lab: Lab) -> None:
    """The blocks and labels of public TextFSM templates for this command."""
    text = show("show crypto pki certificates", lab.nvram)
    blocks = text.split("\n\n")
    assert [block.strip("\n").split("\n")[0] for block in blocks] == [
        "Router Self-Signed Certificate", *["CA Certificate"] * 5
    ]  # fmt: skip
    for block in blocks:
        labels = re.findall(r"^  (\S[^:]*):", block, re.MULTILINE)
        assert labels == [
            "Status", "Certificate Serial Number (hex)", "Certificate Usage", "Issuer", "Subject", "Validity Date",
            "Associated Trustpoints", "Storage"
        ]  # fmt: skip
        assert re.search(r"^    start date: \d\d:\d\d:\d\d UTC [A-Z][a-z]{2} \d{1,2} \d{4}$", block, re.MULTILINE)
        assert re.search(r"^    end   date: \d\d:\d\d:\d\d UTC", block, re.MULTILINE)
    (capf,) = [block for block in blocks if "Associated Trustpoints: CAPF_PUB" in block]
    assert "  Status: Available\n" in capf
    assert "  Certificate Usage: Signature\n" in capf
    assert re.search(r"  Subject:\n    cn=CAPF-1a2b3c4d\n    ou=voice\n    o=cubeproxy lab\n    l=lab\n", capf)


def test_an_expired_certificate_says_so(lab: Lab, tmp_path: Path) -> None:
    text = show("show crypto pki certificates", lab.nvram)
    assert "Expired" not in text
    (tmp_path / "CAPF_PUB").mkdir()
    (tmp_path / "CAPF_PUB" / "ca.pem").write_bytes((lab.folder / "bad" / "expired-mic" / "cert.pem").read_bytes())
    assert "  Status: Expired\n" in show("show crypto pki certificates", tmp_path)


def test_trustpoints_say_what_is_missing(lab: Lab) -> None:
    text = show("show crypto pki trustpoints status", lab.nvram)
    (own,) = re.findall(r"Trustpoint CUBE_SS:\n(.*?)\n\n", text, re.DOTALL)
    assert "Router General Purpose certificate configured" in own
    assert "Keys generated ............. Yes" in own
    assert "PRIVATE" not in text
    (capf,) = re.findall(r"Trustpoint CAPF_PUB:\n(.*?)\n\n", text, re.DOTALL)
    assert "Issuing CA authenticated ....... Yes" in capf
    assert "Keys generated ............. No" in capf
    assert re.search(
        r"Trustpoint CAPF_PUB:\n +Subject Name: \n +cn=CAPF-1a2b3c4d", show("show crypto pki trustpoints", lab.nvram)
    )


def test_a_phone_proxy_as_the_router_shows_it() -> None:
    session = FileSession("CTLFile.tlv", ("203.0.113.7", 2000), ("192.0.2.1", 69))
    text = show("show voice class phone-proxy", files={"LSPP": FileState(True, [session])})
    assert text == (
        "Phone-Proxy 'LSPP':\n"
        " Description: phones on the Internet\n"
        "   Access Secure: secure\n"
        "   Tftp-client address: 198.51.100.1\n"
        "   Tftp-server address: 198.51.100.11\n"
        "   Capf server address: 198.51.100.11\n"
        "   CUCM service settings: preserve(default)\n"
        "   Ctl file name: LSCTL\n"
        "   Session-timeout: 180 seconds\n"
        "   Max-concurrent-sessions: 200\n"
        "   Current sessions: 1\n"
        "   Configuration status: complete\n"
        "   Dialpeers associated:\n"
        "      Name                      State\n"
        "      ---------------------------------\n"
        "      dialpeer100                   active\n"
        "      dialpeer101                   active\n"
    )


def test_sessions_are_pairs_of_access_and_core() -> None:
    phone, access = ("10.0.100.11", 2000), ("192.0.2.1", 69)
    sessions = [
        FileSession("CTLFile.tlv", phone, access),
        FileSession("Chirp.raw", ("10.0.100.12", 2001), access, ("198.51.100.1", 10002), ("198.51.100.11", 69)),
    ]
    text = show("show voice class phone-proxy sessions", files={"LSPP": FileState(True, sessions)})
    assert re.search(r"\|Access: +10\.0\.100\.11:2000 +192\.0\.2\.1:69 +global +\|\n \|Core  : +global", text)
    assert re.search(r"\|Core  : +198\.51\.100\.1:10002 +198\.51\.100\.11:69 +global +\|", text)
    assert "Sessions of Dialpeer dialpeer100" in text


def test_the_file_buffer() -> None:
    assert "not configured" in show("show voice class phone-proxy file-buffer", files={"LSPP": FileState(True)})


def test_every_command_answers_without_a_service() -> None:
    for command in COMMANDS:
        if command.startswith(("crypto", "voice class")):
            assert not show(f"show {command}").startswith("% Inv")
