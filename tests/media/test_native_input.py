"""What the native worker reads may be anything: it refuses or obeys, and never reads or writes beside the mark.

Best run with the sanitizers (`make sanitize`); the answers are checked either way.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cubeproxy.media.commands import Update, encode
from cubeproxy.media.native.library import Engine
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Codec, StreamSpec

from . import builds
from .native_hook import Hook, NativeSession
from .phones import PCMU, Phone, key

OPUS = Codec("opus", 48_000, 2)
KEYS = st.none() | st.builds(
    lambda suite, master, mki: MasterKey(suite, master[: suite.sizes.master], mki),
    st.sampled_from(Suite),
    st.binary(min_size=46, max_size=46),
    st.binary(max_size=128),
)
SPECS = st.none() | st.builds(
    StreamSpec,
    st.sampled_from((None, ("127.0.0.1", 4000), ("::1", 5000), ("0.0.0.0", 0))),
    st.sampled_from((PCMU, OPUS)),
    st.integers(0, 127),
    KEYS,
    KEYS,
    st.none() | st.integers(0, 127),
    st.integers(0, 200),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
SLOW = settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
EXPECTED: tuple[str, ...] = (
    "",
    "broken stream on the media seam",
    "broken message on the media seam",
    "another version of the media seam",
)
EXPECTED += ("unknown kind on the media seam",)


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    if builds.missing():
        pytest.skip(builds.missing())


def through_hook() -> Any:
    return NativeSession(builds.worker())


def in_process() -> Any:
    return Engine(builds.worker("library")).session()


@pytest.mark.parametrize("make", [through_hook, in_process])
@SLOW
@given(legs=st.tuples(SPECS, SPECS), datagrams=st.lists(st.binary(max_size=2048), max_size=8), reports=st.booleans())
def test_every_negotiation_is_obeyed_and_every_datagram_survived(
    make: Callable[[], Any], legs: tuple[StreamSpec | None, StreamSpec | None], datagrams: list[bytes], reports: bool
) -> None:
    session = make()
    if reports:
        session.report_every(0.01, 1.0, 1e9)
    session.update(legs, 1.0)
    for number, datagram in enumerate(datagrams):
        for leg in (0, 1):
            session.receive(leg, datagram, ("127.0.0.1", 4000), 1.0 + number)
            session.receive(leg, b"\x80\x00" + datagram, ("::1", 5000), 1.0 + number)
            session.receive_rtcp(leg, datagram, ("127.0.0.1", 4001), 1.0 + number)
            session.receive_rtcp(leg, b"\x81\xc8" + datagram, ("127.0.0.1", 4001), 1.0 + number)
        if reports:
            session.reports(2.0 + number)
    if isinstance(session, NativeSession):
        assert session.hook.end() == ""


@SLOW
@given(data=st.data())
def test_broken_commands_are_refused(data: st.DataObject) -> None:
    whole = encode(Update(1, (Phone(("127.0.0.1", 4000), key(1), key(2)).spec(), Phone(("::1", 5000)).spec())))
    broken = bytearray(whole[: data.draw(st.integers(0, len(whole)))])
    for place in data.draw(st.lists(st.integers(0, len(whole) - 1), max_size=4)):
        if place < len(broken):
            broken[place] = data.draw(st.integers(0, 255))
    broken += data.draw(st.binary(max_size=20))
    hook = Hook(builds.worker())
    hook.tell(b"S")
    hook.tell(b"U" + bytes(8) + bytes(broken))
    assert hook.end().strip() in EXPECTED
