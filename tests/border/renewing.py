"""Calls whose engine is lost, for the tests of new keys: the loss, our INVITE, what the phone makes of it."""

from __future__ import annotations

from collections.abc import Callable

from cubeproxy.protocols.sdes import read_lines
from cubeproxy.protocols.sip.message import Request
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import MediaMoved
from tests.border.scene import Peer, Scene, established, fitting, media_of

Start = Callable[[Scene], tuple[Peer, Peer]]  # the phone and the node of a call that is up


def moved(scene: Scene, session: int = 1) -> None:
    scene.feed(MediaMoved(session, "DSP farm lost: reset by peer"))


def key_in(message: Request) -> MasterKey:
    (line,) = read_lines(media_of(message).crypto)[0]
    return line.key


def told(phone: Peer, body: bytes = b"") -> Request:
    """The phone hears of a new key and answers."""
    invite = phone.hears("INVITE")
    phone.answers(invite, 200, body=body or fitting(invite))
    phone.hears("ACK")
    return invite


def asking(start: Start = established) -> tuple[Scene, Peer, Peer, Request]:
    """A call that has lost its engine: the phone has our INVITE with a new key."""
    scene = Scene()
    phone, node = start(scene)
    moved(scene)
    return scene, phone, node, phone.hears("INVITE")


def accepted(phone: Peer, invite: Request) -> None:
    phone.answers(invite, 200, body=fitting(invite))
    phone.hears("ACK")


def refused(phone: Peer, invite: Request, status: int) -> None:
    phone.answers(invite, status)
    phone.hears("ACK")


def picks_up(last: Peer, first: Peer, body: bytes) -> None:
    """What `first` has asked is answered, and all is acknowledged."""
    last.answers(last.hears("INVITE"), 200, body=body)
    last.hears("ACK")
    first.gets(200)
    first.acks()


def ended(scene: Scene, phone: Peer, node: Peer, cause: str, q850: int) -> None:
    for peer in (phone, node):
        bye = peer.hears("BYE")
        assert bye.headers.get("Reason") == f"Q.850;cause={q850}"
        peer.answers(bye, 200)
    assert scene.event("call.ended").cause == cause
    assert scene.released()
    nothing_left(scene)


def nothing_left(scene: Scene) -> None:
    """Not even an alarm that would find nothing to do."""
    assert scene.border.user.counts()["user alarms"] == len(scene.border.registrations.bindings)
    assert scene.leftovers() == {}
