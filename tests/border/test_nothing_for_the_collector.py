"""An ended call is gone by reference counts: a ring would keep all of it until a full collection, an hour later."""

from __future__ import annotations

import gc
from collections.abc import Callable

import pytest

from cubeproxy.border.call import Call
from cubeproxy.border.hunt import Attempt, Hunt
from cubeproxy.border.leg import Leg
from cubeproxy.border.negotiation import Negotiation
from cubeproxy.border.new_keys import NewKeys
from cubeproxy.border.passing import Passing
from cubeproxy.border.renewal import Renewal
from cubeproxy.protocols.sip.dialog import Dialog
from cubeproxy.protocols.values import MediaMoved
from tests.border.scene import Scene, answered, calling, established, fitting, srtp

OF_A_CALL = (Call, Hunt, Attempt, Leg, Negotiation, Passing, Renewal, NewKeys, Dialog)


def hung_up(scene: Scene) -> None:
    phone, node = established(scene)
    phone.within("BYE")
    node.answers(node.hears("BYE"), 200)


def hung_up_by_the_core(scene: Scene) -> None:
    phone, node = established(scene)
    node.within("BYE")
    phone.answers(phone.hears("BYE"), 200)


def rejected(scene: Scene) -> None:
    phone, node, invite = calling(scene)
    node.answers(invite, 486)
    phone.gets(486)
    phone.acks_failure()


def cancelled(scene: Scene) -> None:
    phone, node, invite = calling(scene)
    node.answers(invite, 180)
    phone.cancels()
    node.answers(node.hears("CANCEL"), 200)
    node.answers(invite, 487)


def called_and_hung_up(scene: Scene) -> None:
    phone, node = answered(scene)
    node.within("BYE")
    phone.answers(phone.hears("BYE"), 200)


def held(scene: Scene) -> None:
    phone, node = established(scene)
    phone.within("INVITE", body=srtp(direction="sendonly"))
    phone.gets(100)
    reinvite = node.hears("INVITE")
    node.answers(reinvite, 200, body=fitting(reinvite, "recvonly"))
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    phone.within("BYE")
    node.answers(node.hears("BYE"), 200)


def told_of_new_keys(scene: Scene) -> None:
    phone, node = established(scene)
    scene.feed(MediaMoved(1, "farm gone"))
    reinvite = phone.hears("INVITE")
    phone.answers(reinvite, 200, body=fitting(reinvite))
    phone.hears("ACK")
    scene.feed(MediaMoved(1, "farm gone"))
    phone.answers(phone.hears("INVITE"), 491)
    phone.hears("ACK")
    phone.within("BYE")
    node.answers(node.hears("BYE"), 200)


CALLS = (hung_up, hung_up_by_the_core, rejected, cancelled, called_and_hung_up, held, told_of_new_keys)


@pytest.mark.parametrize("call", CALLS)
def test_nothing_of_an_ended_call_waits_for_the_collector(call: Callable[[Scene], None]) -> None:
    scene = Scene()
    call(scene)
    scene.wait(70)  # past every timer of its transactions
    assert not any(scene.leftovers().values())
    gc.collect()
    gc.disable()
    try:
        scene = Scene()
        call(scene)
        scene.wait(70)
        assert not any(scene.leftovers().values())
        left = [type(each).__name__ for each in gc.get_objects() if type(each) in OF_A_CALL]
    finally:
        gc.enable()
    assert left == []


def test_a_ring_would_be_found() -> None:
    """The check above can fail: a call that something points back to stays."""
    gc.collect()
    gc.disable()
    try:
        hunt = Hunt([])
        hunt.routes.append(hunt)  # type: ignore[arg-type]
        del hunt
        assert any(type(each) is Hunt for each in gc.get_objects())
    finally:
        gc.enable()
        gc.collect()
