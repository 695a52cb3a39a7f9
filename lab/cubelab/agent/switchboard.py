"""Sends what arrives at an agent to the leg that it belongs to; the rest goes to whoever extends this.

Legs are found by Call-ID and our tag, which is ours alone; the far end's tag is the dialog's to check.
"""

from __future__ import annotations

from cubelab.agent.agent import Agent
from cubelab.agent.leg import ALLOW, Leg
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, response_to, validate_request
from cubeproxy.protocols.values import Flow


class Switchboard:
    """The base of a phone and of a CUCM node. `agent` is set before anything arrives."""

    agent: Agent

    def __init__(self) -> None:
        self._legs: dict[tuple[str, str], Leg] = {}
        self._invites: dict[ServerKey, Leg] = {}

    # For those who extend it.

    def invited(self, key: ServerKey, request: Request, flow: Flow) -> None:
        """An INVITE outside of any dialog."""
        self.agent.refuse(key, request, 480)

    def other(self, key: ServerKey, request: Request, flow: Flow) -> None:
        """Any other request outside of a dialog, but OPTIONS."""
        self.agent.refuse(key, request, 501)

    def closed(self, flow: Flow, cause: str) -> None:
        """A connection is gone; its transactions have failed already."""

    # Legs.

    @property
    def legs(self) -> list[Leg]:
        return list(self._legs.values())

    def adopt(self, leg: Leg, call_id: str) -> None:
        """From now on the leg gets what belongs to its dialog, until it is over."""
        slot = (call_id, leg.local_tag)
        self._legs[slot] = leg
        leg.over.add_done_callback(lambda _: self._legs.pop(slot, None))

    def take_invite(self, leg: Leg, key: ServerKey, request: Request) -> None:
        """Let the leg answer this INVITE."""
        self._invites[key] = leg
        leg.over.add_done_callback(lambda _: self._invites.pop(key, None))
        self.adopt(leg, request.call_id)
        leg.incoming(key, request)

    def _leg_of(self, request: Request) -> Leg | None:
        return self._legs.get((request.call_id, request.to_tag or ""))

    # AgentUser.

    def request(self, key: ServerKey, request: Request, flow: Flow) -> None:
        try:
            validate_request(request)
            self._dispatch(key, request, flow)
        except RemoteProtocolError as error:
            self.agent.refuse(key, request, error.status, error.reason)

    def _dispatch(self, key: ServerKey, request: Request, flow: Flow) -> None:
        if request.to_tag:
            leg = self._leg_of(request)
            if leg is None:
                self.agent.refuse(key, request, 481)
            else:
                leg.request_arrived(key, request)
        elif request.method == "INVITE":
            self.invited(key, request, flow)
        elif request.method == "OPTIONS":
            self.options(key, request)
        else:
            self.other(key, request, flow)

    def options(self, key: ServerKey, request: Request) -> None:
        """A keepalive: we are here."""
        response = response_to(request, 200, to_tag=self.agent.tokens.tag())
        response.headers.add("Allow", ALLOW)
        response.headers.add("Accept", "application/sdp")
        self.agent.respond(key, response)

    def acked(self, request: Request, flow: Flow) -> None:
        leg = self._leg_of(request)
        if leg is not None:
            leg.ack_arrived(request)

    def cancelled(self, invite_key: ServerKey) -> None:
        leg = self._invites.get(invite_key)
        if leg is not None:
            leg.cancelled()

    def unacked(self, key: ServerKey) -> None:
        leg = self._invites.get(key)
        if leg is not None:
            leg.unacked()
