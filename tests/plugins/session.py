"""The session judged as a whole: soaks stay out, the gates run last, skips and folder times are noted.

The two gates are ordinary tests, so that pytest's own last line tells the truth. They are marked
`last` and moved behind all others, since they judge what those did.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest


@dataclass(slots=True)
class Skip:
    test: str
    reason: str
    fixtures: tuple[str, ...]


@dataclass(slots=True)
class Session:
    """What the tests of this run did so far."""

    skips: list[Skip] = field(default_factory=list)
    fixtures: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by test
    lines: list[str] = field(default_factory=list)  # what the gates measured, for the closing report


SESSION = pytest.StashKey[Session]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("cubeproxy")
    group.addoption("--soak", action="store_true", help="run the long tests, and only those")
    group.addoption(
        "--coverage-gate",
        type=float,
        default=None,
        metavar="PERCENT",
        help="fail below this branch coverage of protocols and of border; needs `coverage run -m pytest`",
    )


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SESSION] = Session()
    config.addinivalue_line("markers", "last: judges the whole session, so it runs behind all other tests")
    config.addinivalue_line("markers", "coverage_gate: collected with --coverage-gate only")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    soak = config.getoption("--soak")
    gate = config.getoption("--coverage-gate") is not None
    kept: list[pytest.Item] = []
    dropped: list[pytest.Item] = []
    for item in items:
        wanted = bool(item.get_closest_marker("soak")) == soak
        if item.get_closest_marker("coverage_gate"):
            wanted = gate and not soak
        (kept if wanted else dropped).append(item)
    if dropped:
        config.hook.pytest_deselected(items=dropped)
    items[:] = sorted(kept, key=lambda item: item.get_closest_marker("last") is not None)
    notes = config.stash[SESSION].fixtures
    for item in items:
        notes[item.nodeid] = tuple(getattr(item, "fixturenames", ()))


class SkipNotes:
    """Notes every skip, those of whole modules included."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self.note(report, self.session.fixtures.get(report.nodeid, ()))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        self.note(report, ())

    def note(self, report: pytest.TestReport | pytest.CollectReport, fixtures: tuple[str, ...]) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
            self.session.skips.append(Skip(report.nodeid, reason, fixtures))


@pytest.hookimpl(trylast=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    session.config.pluginmanager.register(SkipNotes(session.config.stash[SESSION]), "cubeproxy-skips")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    lines = config.stash[SESSION].lines
    if lines:
        terminalreporter.section("gates")
    for line in lines:
        terminalreporter.write_line(line)
