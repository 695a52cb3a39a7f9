"""A hang-up or a broken connection while the phone is asked to take new keys."""

from __future__ import annotations

import pytest

from cubeproxy.border.renewal import WITHIN
from cubeproxy.protocols.sip.message import Request
from tests.border.renewing import asking, moved, told
from tests.border.scene import Scene, fitting


@pytest.mark.parametrize("who", ["phone", "core"])
def test_a_hang_up_cancels_ours(who: str) -> None:
    scene, phone, node, invite = asking()
    phone.answers(invite, 100)
    first, last = (phone, node) if who == "phone" else (node, phone)
    first.within("BYE")
    first.gets(200)
    phone.answers(phone.hears("CANCEL"), 200)
    phone.answers(invite, 487)
    while not last.quiet():
        if isinstance(heard := scene.next(last.host).message, Request) and heard.method == "BYE":
            last.answers(heard, 200)
    while not phone.quiet():
        phone.hears("ACK")
    assert scene.leftovers() == {}


def test_an_answer_that_overtook_our_cancel_is_acknowledged() -> None:
    scene, phone, node, invite = asking()
    phone.answers(invite, 100)
    node.within("BYE")
    node.gets(200)
    phone.answers(invite, 200, body=fitting(invite))
    heard = [scene.next(phone.host).message for _ in range(3)]
    methods = [each.method for each in heard if isinstance(each, Request)]
    assert sorted(methods) == ["ACK", "BYE", "CANCEL"]


def test_a_phone_whose_connection_broke_is_told_on_the_next_one() -> None:
    scene, phone, _, _ = asking()
    scene.close(phone.flow)
    scene.wait(1.1)
    again = scene.phone()
    again.register()
    node = scene.node()
    asked = node.hears("REGISTER")
    node.answers(asked, 200, [("Contact", asked.headers.get("Contact") or "")])
    again.gets(200)
    scene.wait(0.2)
    told(again)
    assert scene.access.sends


def test_one_that_does_not_come_back_ends_the_call() -> None:
    scene, phone, node, _ = asking()
    scene.close(phone.flow)
    scene.wait(WITHIN + 0.1)
    assert node.hears("BYE").headers.get("Reason") == "Q.850;cause=41"


def test_what_comes_for_a_session_of_nobody_is_nothing() -> None:
    scene = Scene()
    moved(scene, 99)
    assert scene.quiet()
