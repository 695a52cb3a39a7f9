"""The corners of a lab call: challenges to INVITE, ACKs that never come, requests for no dialog."""

from __future__ import annotations

import asyncio

from cubelab.agent.agent import Agent
from cubelab.agent.credentials import Credentials
from cubelab.agent.leg import Leg, State
from cubelab.agent.requests import contact, new_request
from cubelab.agent.switchboard import Switchboard
from cubeproxy.protocols.sip import digest
from cubeproxy.protocols.sip.message import response_to
from cubeproxy.protocols.sip.timers import Timers
from cubeproxy.protocols.values import Target, Transport
from tests.waiting import until

FAST = Timers(t1=0.01, t2=0.04, t4=0.05, d=0.1)


class Silent:
    """A LegUser that notes what it is told."""

    def __init__(self):
        self.told = []

    def progressed(self, leg, response):
        self.told.append(response.status)

    def established(self, leg, response):
        self.told.append("up")

    def acked(self, leg, request):
        self.told.append("ack")

    def asked(self, leg, key, request):
        leg.respond(key, request, 200)

    def ended(self, leg, cause):
        self.told.append(cause)


class Desk(Switchboard):
    """Answers every INVITE through `answer`, the test's own."""

    def __init__(self, answer):
        super().__init__()
        self.answer = answer

    def invited(self, key, request, flow):
        self.answer(self, key, request, flow)


async def desk(answer, host):
    made = Desk(answer)
    made.agent = Agent(made, timers=FAST)
    made.address = await made.agent.listen(Transport.UDP, (host, 0))
    return made


async def calling(caller, called, credentials=None):
    user = Silent()
    path = Target(Transport.UDP, *called.address, caller.address)
    leg = Leg(caller.agent, user, contact("a", caller.address, Transport.UDP), path, credentials)
    uri = f"sip:b@{called.address[0]}:{called.address[1]}"
    invite = new_request("INVITE", uri, "<sip:a@lab>", f"<{uri}>", caller.agent.tokens, from_tag=leg.local_tag)
    invite.headers.add("Contact", leg.contact)
    caller.adopt(leg, invite.call_id)
    leg.call(invite)
    return leg, user


def play(scene):
    asyncio.run(asyncio.wait_for(scene, 10))


def refuse(desk, key, request, flow):
    desk.agent.refuse(key, request, 480)


def test_an_invite_answers_its_challenge_with_a_higher_cseq():
    seen = []

    def answer(desk, key, request, flow):
        seen.append(request)
        text = request.headers.get("Proxy-Authorization")
        if text and digest.verify(digest.parse_authorization(text), "INVITE", "pw"):
            desk.agent.refuse(key, request, 486)
            return
        response = response_to(request, 407, to_tag="t")
        response.headers.add("Proxy-Authenticate", 'Digest realm="r", nonce="n", qop="auth"')
        desk.agent.respond(key, response)

    async def scene():
        caller, called = await desk(refuse, "127.51.4.1"), await desk(answer, "127.51.4.2")
        leg, _ = await calling(caller, called, Credentials("a", "pw", caller.agent.tokens))
        assert await leg.over == "486 Busy Here"
        assert [one.cseq.number for one in seen] == [101, 102]
        assert seen[0].call_id == seen[1].call_id
        seen.clear()
        wrong, _ = await calling(caller, called, Credentials("a", "no", caller.agent.tokens))
        assert await wrong.over == "407 Proxy Authentication Required"
        assert len(seen) == 2
        await caller.agent.close(), await called.agent.close()

    play(scene())


def test_a_2xx_that_is_never_acknowledged_ends_in_a_bye():
    user = Silent()

    def answer(desk, key, request, flow):
        leg = Leg(desk.agent, user, contact("b", desk.address, Transport.UDP), flow)
        desk.take_invite(leg, key, request)
        leg.answer(200)

    async def scene():
        caller, called = await desk(refuse, "127.51.4.3"), await desk(answer, "127.51.4.4")
        caller.agent.ack = lambda request, path: None  # the fault
        leg, seen = await calling(caller, called)
        assert await leg.over == "BYE from the far end"
        assert seen.told[0] == "up"
        assert user.told == ["no ACK"]
        await caller.agent.close(), await called.agent.close()

    play(scene())


def test_a_request_for_no_dialog_is_481_and_an_unknown_method_501():
    async def scene():
        one, two = await desk(refuse, "127.51.4.5"), await desk(refuse, "127.51.4.6")
        path = Target(Transport.UDP, *two.address, one.address)
        bye = new_request("BYE", "sip:b@lab", "<sip:a@lab>", "<sip:b@lab>;tag=none", one.agent.tokens)
        assert (await one.agent.ask(bye, path)).status == 481
        strange = new_request("PUBLISH", "sip:b@lab", "<sip:a@lab>", "<sip:b@lab>", one.agent.tokens)
        assert (await one.agent.ask(strange, path)).status == 501
        alive = new_request("OPTIONS", "sip:b@lab", "<sip:a@lab>", "<sip:b@lab>", one.agent.tokens)
        assert (await one.agent.ask(alive, path)).status == 200
        await one.agent.close(), await two.agent.close()

    play(scene())


def test_nobody_at_the_other_end_is_a_timeout_and_leaves_nothing():
    async def scene():
        caller = await desk(refuse, "127.51.4.7")
        ghost = await desk(lambda *_: None, "127.51.4.8")
        leg, _ = await calling(caller, ghost)
        assert "no answer" in await leg.over or "refused" in leg.over.result()
        assert leg.state is State.ENDED
        await until(lambda: not any(caller.agent.layer.counts().values()))
        await caller.agent.close(), await ghost.agent.close()

    play(scene())
