"""The re-INVITEs by which the peers of a call learn new keys of ours, after another engine took it over.

One leg after the other, each when no other INVITE is open in the call (RFC 3261 14.1). Who crosses us is heard first,
and may well make ours superfluous: an offer that passes meanwhile takes a new key with it. Every transition stands in
TRANSITIONS. A call whose peers have not heard within WITHIN has no audio, and ends.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from cubeproxy.border.building import SDP, description_of
from cubeproxy.border.descriptions import Refused
from cubeproxy.border.new_keys import NewKeys
from cubeproxy.border.offer_answer import State as Exchange
from cubeproxy.border.phases import Input as CallInput
from cubeproxy.border.phases import State as CallState
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip.dialog import Dialog, DialogState
from cubeproxy.protocols.sip.layer import ClientKey
from cubeproxy.protocols.sip.message import Response
from cubeproxy.protocols.values import Flow, MediaLost

if TYPE_CHECKING:
    from cubeproxy.border.call import Call
    from cubeproxy.border.leg import Leg

WITHIN = 10.0  # s
PAUSE = 0.1  # s between two looks whether the call is free and the peer there


class State(IntEnum):
    WAITING = 0  # for the call to be free
    ASKING = 1
    OVER = 2


class Input(IntEnum):
    FREE = 0  # a leg has to be told, and may be now
    BUSY = 1
    TOLD = 2  # no leg has to be told any more
    ANSWERED = 3
    CROSSED = 4  # 491, or the connection is gone: again later
    REFUSED = 5
    SILENT = 6  # no answer at all: the dialog is gone (RFC 3261 12.2.1.2)
    LATE = 7
    SPENT = 8  # keys of ours are spent: an engine is lost
    CLOSE = 9  # the call is over


class Renewal:
    """For one call, from the loss of its engine until the last leg has answered."""

    __slots__ = ("_call", "_client", "_dialog", "_index", "_number", "keys", "leg", "state")

    def __init__(self, call: Call) -> None:
        self._call = call
        self._client: ClientKey | None = None  # our INVITE, while it is open
        self._dialog: Dialog | None = None  # in which it was sent
        self._number = 0  # its CSeq
        self._index = 0  # the leg
        self.leg: Leg | None = None  # whose peer has an INVITE open: none, ours is
        self.keys = NewKeys(call.negotiation)
        self.state = State.WAITING

    def start(self, now: float) -> None:
        """An engine is lost; also one that came in the place of another."""
        self.receive(Input.SPENT, None, now)
        if self.state is State.WAITING:
            alarms = self._call.calls.user.alarms
            alarms.set((self, "late"), now + WITHIN, lambda then: self.receive(Input.LATE, None, then))
            self.look(now)

    def receive(self, event: Input, argument: Any, now: float) -> None:
        """Apply one input; after the end nothing matters any more. A missing pair is a bug of ours."""
        if self.state is not State.OVER:
            action, self.state = TRANSITIONS[self.state, event]
            action(self, argument, now)

    # the waiter of its re-INVITE

    def response(self, response: Response, now: float) -> None:
        if response.status < 200:
            return
        dialog = self._dialog
        if dialog is None or self._client is None or response.cseq.number != self._number:
            self._again(response, now)
            return
        self._client = None
        dialog.receive_response("INVITE", response)
        if response.status < 300:
            self.receive(Input.ANSWERED, response, now)
        elif dialog.state is DialogState.TERMINATED:
            self.receive(Input.SILENT, str(response.status), now)
        elif response.status == 491:
            self.receive(Input.CROSSED, self._glare_pause(), now)
        else:
            self.receive(Input.REFUSED, f"{response.status} to an offer of new keys", now)

    def failed(self, cause: str, now: float) -> None:
        self._client = None
        if cause != "timeout":
            self.receive(Input.CROSSED, PAUSE, now)
            return
        if self._dialog is not None:
            self._dialog.lost()
        self.receive(Input.SILENT, cause, now)

    def close(self, now: float) -> None:
        """The call is over: nobody waits for an answer (RFC 3261 15.1.2)."""
        self.receive(Input.CLOSE, None, now)

    def _again(self, response: Response, now: float) -> None:
        """A 2xx comes again, or after the end of the call: it wants its ACK (RFC 3261 13.2.2.4)."""
        for leg in self._call.legs:
            if response.status < 300 and leg.dialog is not None and leg.dialog.call_id == response.call_id:
                self._call.calls.user.ack(leg.dialog.ack(response.cseq.number), self._call.calls.path_of(leg), now)

    def _glare_pause(self) -> float:
        """RFC 3261 14.1: 2.1 to 4 s for who made the Call-ID, up to 2 s for the other, in steps of 10 ms."""
        least, steps = (2.1, 190) if self._index == 1 else (0.0, 200)
        return least + int.from_bytes(self._call.calls.octets(2), "big") % (steps + 1) / 100

    # for the actions

    def _free(self, leg: Leg) -> bool:
        """No INVITE and no offer is open on either leg, ACKs included, and this leg's peer can be reached."""
        call = self._call
        path = call.calls.path_of(leg)
        if isinstance(path, Flow) and not path.open:
            return False
        if call.state is not CallState.UP or call.reinviting is not None or call.delayed is not None:
            return False
        return call.negotiation.state.state is Exchange.STABLE and not any(leg.servers for leg in call.legs)

    def look(self, now: float) -> None:
        """Whether there is anything to do."""
        index = self.keys.due
        if index is None:
            self.receive(Input.TOLD, None, now)
        else:
            self._index = index
            self.receive(Input.FREE if self._free(self._call.legs[index]) else Input.BUSY, PAUSE, now)

    def ask(self, _argument: float, now: float) -> None:
        call = self._call
        call.calls.user.alarms.cancel((self, "look"))
        leg = call.legs[self._index]
        dialog = self._dialog = leg.dialog
        if dialog is None or dialog.state is DialogState.TERMINATED:
            self.receive(Input.SILENT, "gone", now)
            return
        call.reinviting = self
        call.negotiation.renewing = True
        body = self.keys.offer(self._index)
        timer: list[tuple[str, str]] = []
        if call.timer is not None:
            timer = [("Supported", "timer"), ("Session-Expires", call.timer.header(self._index, now))]
        leg.invite = dialog.request("INVITE", contact=leg.contact, body=body, content_type=SDP, headers=timer)
        self._number = leg.invite.cseq.number
        self._client = call.calls.user.request(leg.invite, call.calls.path_of(leg), self, now)

    def wait(self, pause: float, now: float) -> None:
        self._asked()
        self._call.calls.user.alarms.set((self, "look"), now + pause, self.look)

    def _asked(self) -> None:
        """The INVITE has its final answer."""
        if self._call.reinviting is self:
            self._call.reinviting = None
        self._call.negotiation.renewing = False

    def answered(self, response: Response, now: float) -> None:
        call = self._call
        self._asked()
        try:
            body = description_of(response)
            if not body:
                raise Refused("no-new-keys", "the answer has no description")
            self.keys.answered(self._index, body)
        except (Refused, RemoteProtocolError) as error:
            call.send_ack(call.legs[self._index], b"", now)
            self.give_up(str(error), now)
            return
        call.send_ack(call.legs[self._index], b"", now)
        call.update()
        self.look(now)

    def give_up(self, text: str, now: float) -> None:
        call = self._call
        self._asked()
        call.receive(CallInput.MEDIA_LOST, MediaLost(call.session, text, "no-new-keys"), now)

    def lose(self, cause: str, now: float) -> None:
        self._asked()
        self._call.receive(CallInput.GONE, cause, now)

    def late(self, _argument: None, now: float) -> None:
        self.give_up("the peers were not told in time", now)

    def begin(self, _argument: None, now: float) -> None:
        """The engine that carries the call now gets other keys at once."""
        self.keys.spend()
        self._call.told = None
        self._call.update()

    def end(self, _argument: None, now: float) -> None:
        call, alarms = self._call, self._call.calls.user.alarms
        alarms.cancel((self, "look"))
        alarms.cancel((self, "late"))
        if self._client is not None:
            call.calls.user.cancel(self._client, now)
            self._client = None  # a 2xx that overtakes the CANCEL is acknowledged, and its BYE is on the way
        self._asked()
        call.renewal = None


Action = Callable[[Renewal, Any, float], None]

TRANSITIONS: dict[tuple[State, Input], tuple[Action, State]] = {
    (State.WAITING, Input.SPENT): (Renewal.begin, State.WAITING),
    (State.WAITING, Input.FREE): (Renewal.ask, State.ASKING),
    (State.WAITING, Input.BUSY): (Renewal.wait, State.WAITING),
    (State.WAITING, Input.TOLD): (Renewal.end, State.OVER),
    (State.WAITING, Input.LATE): (Renewal.late, State.WAITING),
    (State.WAITING, Input.CLOSE): (Renewal.end, State.OVER),
    (State.ASKING, Input.SPENT): (Renewal.begin, State.ASKING),
    (State.ASKING, Input.ANSWERED): (Renewal.answered, State.WAITING),
    (State.ASKING, Input.CROSSED): (Renewal.wait, State.WAITING),
    (State.ASKING, Input.REFUSED): (Renewal.give_up, State.WAITING),
    (State.ASKING, Input.SILENT): (Renewal.lose, State.WAITING),
    (State.ASKING, Input.LATE): (Renewal.late, State.WAITING),
    (State.ASKING, Input.CLOSE): (Renewal.end, State.OVER),
}
