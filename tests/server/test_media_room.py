"""Descriptors are counted before they are gone: the service says what fits, takes that, and refuses the next call."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

from cubeproxy.protocols.values import MediaRefused, MediaReserved

from .media_lab import Call, running

DESCRIPTORS = 60  # of which a worker keeps 32 for itself: seven calls


async def fill() -> dict[str, object]:
    """Run by the test in a process of its own with few descriptors: calls until one is refused, and all talk."""
    async with running() as lab:
        room = lab.service.room(["127.0.40.1"], ["127.0.40.2"])
        calls: list[Call] = []
        while not isinstance(answer := await lab.ask(), MediaRefused):
            assert isinstance(answer, MediaReserved)
            access, core = lab.station("127.0.40.3"), lab.station("127.0.40.4")
            call = Call(lab.service, answer, access, core)
            call.negotiate(access.spec(), core.spec())
            call.talk(3)
            for station in lab.stations:
                station.close()
            lab.stations.clear()
            calls.append(call)
        last = lab.station("127.0.40.3"), lab.station("127.0.40.4")
        for call in calls:
            call.stations = last
            call.negotiate(last[0].spec(), last[1].spec())
            call.talk(3)
        return {"room": room.by_workers, "calls": len(calls), "cause": answer.cause, "text": answer.text}


def test_the_last_call_that_fits_works_and_the_next_is_refused(root: Path) -> None:
    limit = ["prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}"]
    command = [*limit, sys.executable, "-m", "tests.server.test_media_room"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["room"] == answer["calls"] == (DESCRIPTORS - 32) // 4
    assert answer["cause"] == "engine-full"


if __name__ == "__main__":
    print(json.dumps(asyncio.run(fill())))
