"""Prints how long each folder of tests took, in front of pytest's closing line."""

from __future__ import annotations

from collections import defaultdict
from pathlib import PurePosixPath

import pytest

DEPTH = 2  # tests/protocols, not tests/protocols/sip


class FolderTimes:
    """Adds up set-up, call and tear-down of the tests by folder."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)
        self.tests: dict[str, int] = defaultdict(int)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        folder = folder_of(report.nodeid)
        self.seconds[folder] += report.duration
        self.tests[folder] += report.when == "call"

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        terminalreporter.section("time by folder")
        for folder, seconds in sorted(self.seconds.items(), key=lambda row: -row[1]):
            terminalreporter.write_line(f"{seconds:8.1f} s {self.tests[folder]:6d} tests  {folder}")
        terminalreporter.write_line(f"{sum(self.seconds.values()):8.1f} s {sum(self.tests.values()):6d} tests  in all")


def folder_of(nodeid: str) -> str:
    """`tests/protocols/sip/test_uri.py::test_x` is `tests/protocols`."""
    parts = PurePosixPath(nodeid.partition("::")[0]).parent.parts
    return "/".join(parts[:DEPTH]) or "."


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(FolderTimes(), "cubeproxy-folder-times")
