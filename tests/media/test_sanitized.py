"""The behaviour suite again, with the native worker built under sanitizers: what they find is a failure here.

AddressSanitizer with UBSan for both back ends, ThreadSanitizer for epoll (io_uring's other half is in the kernel,
where it cannot look). A pytest of their own runs the suites; the closing report says how many tests that were.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from tests.plugins.session import SESSION

from . import builds

NATIVE = "(native or epoll or io_uring) and not fuzz and not sanitized"
SUITES = {
    "asan": ("AddressSanitizer and UBSan", "address,undefined", ["tests/media", "tests/server"], NATIVE),
    "tsan": ("ThreadSanitizer", "thread", ["tests/server"], "epoll and not fuzz"),
}
LIMIT = 900  # s; a minute and a half on an idle machine


@pytest.mark.parametrize("kind", SUITES)
def test_the_behaviour_suite_is_clean(kind: str, root: Path, request: pytest.FixtureRequest) -> None:
    name, sanitizers, folders, wanted = SUITES[kind]
    if builds.missing() or not supports(sanitizers):
        pytest.skip(f"NOT CHECKED BY {name}: {builds.missing() or 'this compiler does not have it'}")
    command = [*steady(kind), sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", *folders]
    environment = os.environ | {"CUBEPROXY_NATIVE_BUILD": kind}
    done = subprocess.run(
        [*command, "-k", wanted], cwd=root, env=environment, capture_output=True, text=True, timeout=LIMIT, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:] + done.stderr[-4000:]
    last = done.stdout.strip().splitlines()[-1]
    count = re.search(r"(\d+) passed", last)
    assert count, last
    assert int(count[1]) > 30, last
    request.config.stash[SESSION].lines.append(f"native worker under {name}: {last.strip('= ')}")


def test_a_finding_is_a_failure(tmp_path: Path) -> None:
    """The same reports that the suites look for, from a worker with a fault that is built here."""
    if builds.missing() or not supports("address,undefined"):
        pytest.skip("NOT CHECKED: no AddressSanitizer")
    sources = tmp_path / "native"
    sources.mkdir()
    for path in (*builds.SOURCES.glob("*.[ch]"), builds.SOURCES / "Makefile"):
        shutil.copy(path, sources)
    text = (sources / "main.c").read_text()
    fault = "    char *gone = malloc(8);\n    free(gone);\n    *(volatile char *)gone = 1;\n"
    mark = "    if (options.hook)\n"
    assert mark in text
    broken = text.replace(mark, fault + mark)
    (sources / "main.c").write_text(broken)
    make = ["make", "-s", "-C", str(sources), f"OUT={tmp_path}", "asan", "WARNINGS="]
    made = subprocess.run(make, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr
    environment = os.environ | {"ASAN_OPTIONS": f"log_path={tmp_path / 'report'}:exitcode=99"}
    program = tmp_path / builds.KINDS["asan"]
    done = subprocess.run([program, "--check"], env=environment, capture_output=True, check=False)
    assert done.returncode == 99
    assert "heap-use-after-free" in next(tmp_path.glob("report*")).read_text()


def supports(sanitizers: str) -> bool:
    """Whether the compiler can build with them, libraries included."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.c"
        source.write_text("int main(void) { return 0; }\n")
        command = ["cc", f"-fsanitize={sanitizers}", str(source), "-o", str(source.with_suffix(""))]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def steady(kind: str) -> list[str]:
    """What to put before a command where the kernel spreads addresses wider than this ThreadSanitizer can bear."""
    if kind != "tsan":
        return []
    probe = subprocess.run([builds.worker(kind), "--check"], capture_output=True, text=True, check=False)
    if "unexpected memory mapping" not in probe.stderr:
        return []
    return ["setarch", platform.machine(), "-R"]
