"""Peers that may do anything at any time, and the rules that hold whatever they do.

An actor remembers what it said and heard, so that each later step can be one that fits: an answer to
a request that is open, an ACK for a 2xx, a request inside a dialog.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cubeproxy.border.effects import MessageArrived
from cubeproxy.protocols.sip.message import Message, Request, Response, parse_message, response_to
from cubeproxy.protocols.values import Target
from tests.border.scene import Peer, Scene


@dataclass
class Talk:
    """A dialog as one actor knows it."""

    call_id: str
    local_tag: str
    remote: str  # the To of its requests
    target: str
    invite: int  # CSeq number of the INVITE that it sent
    cseq: int
    mine: bool  # whether it sent the first INVITE


@dataclass
class Actor:
    peer: Peer
    open: list[Request] = field(default_factory=list)  # heard, without a final answer
    asking: list[Request] = field(default_factory=list)  # INVITEs without one
    accepted: list[Response] = field(default_factory=list)  # every 2xx to them
    reliable: list[Response] = field(default_factory=list)
    talks: dict[tuple[str, str], Talk] = field(default_factory=dict)
    said: list[tuple[float, Message]] = field(default_factory=list)

    def hear(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            if message.method not in ("ACK", "CANCEL"):
                self.open.append(message)
            elif message.method == "CANCEL":
                self.say(response_to(message, 200, to_tag="cancelled"))
        elif message.cseq.method == "INVITE" and message.status > 100:
            self._of_invite(message)

    def _of_invite(self, response: Response) -> None:
        asked = [one for one in self.asking if one.call_id == response.call_id and one.cseq == response.cseq]
        if response.status >= 200:
            self.asking = [one for one in self.asking if one not in asked]
        if response.status >= 300:
            if asked:
                self._acknowledge_failure(asked[0], response)
            return
        if response.status >= 200:
            self.accepted.append(response)
        elif response.headers.get("RSeq"):
            self.reliable.append(response)
        key = (response.call_id, response.from_tag or "")
        contact = str(response.contacts[0].uri)
        if key not in self.talks:
            number = response.cseq.number
            to = response.headers.get("To") or ""
            self.talks[key] = Talk(response.call_id, response.from_tag or "", to, contact, number, number, True)

    def _acknowledge_failure(self, invite: Request, response: Response) -> None:
        text = invite.serialise().decode("utf-8", "surrogateescape").split("\r\n\r\n")[0]
        lines = [line for line in text.split("\r\n") if not line.startswith(("Content-", "Contact"))]
        lines[0] = lines[0].replace("INVITE", "ACK", 1)
        lines = [f"To: {response.headers.get('To')}" if line.startswith("To:") else line for line in lines]
        lines = [line.replace(" INVITE", " ACK") if line.startswith("CSeq") else line for line in lines]
        self.say(parse_message("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape")))

    def say(self, message: Message) -> None:
        self.said.append((self.peer.scene.now, message))
        parsed = parse_message(message.serialise())
        self.peer.scene.feed(MessageArrived(self.peer.flow, parsed))

    def invite(self, number: str, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.peer.calls(number, body, headers)
        assert self.peer.invite is not None
        self.asking.append(self.peer.invite)
        self.said.append((self.peer.scene.now, self.peer.invite))

    def answer(self, request: Request, status: int, body: bytes, tag: str, *, reliable: bool = False) -> None:
        tag = f"{tag}{self.peer.flow.id}"
        response = response_to(request, status, to_tag=tag if status > 100 else None)
        invites = request.method in ("INVITE", "UPDATE") and 100 < status < 300
        if invites:
            response.headers.add("Contact", self.peer.contact)
        if reliable and request.method == "INVITE" and 100 < status < 200:
            response.headers.add("Require", "100rel")
            response.headers.add("RSeq", "7")
        if body and status != 100:
            response.headers.add("Content-Type", "application/sdp")
            response.body = body
        if status >= 200:
            self.open.remove(request)
        if invites and request.method == "INVITE":
            local = response.to_tag or ""
            remote = request.headers.get("From") or ""
            talk = Talk(request.call_id, local, remote, str(request.contacts[0].uri), 0, 100, False)
            self.talks.setdefault((request.call_id, local), talk)
        self.say(response)

    def within(self, talk: Talk, method: str, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> None:
        talk.cseq += 1
        self._say_in(talk, method, talk.cseq, body, headers or [])
        if method == "INVITE":
            assert self.peer.request is not None
            self.asking.append(self.peer.request)

    def acknowledge(self, response: Response, body: bytes) -> None:
        talk = self.talks.get((response.call_id, response.from_tag or ""))
        if talk is not None:
            self._say_in(talk, "ACK", response.cseq.number, body, [])

    def confirm(self, response: Response, body: bytes) -> None:
        """PRACK."""
        talk = self.talks.get((response.call_id, response.from_tag or ""))
        if talk is not None:
            rack = f"{response.headers.get('RSeq')} {response.cseq}"
            self.within(talk, "PRACK", body, [("RAck", rack)])

    def _say_in(self, talk: Talk, method: str, cseq: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.peer.out(
            method,
            talk.target,
            to=talk.remote,
            call_id=talk.call_id,
            tag=talk.local_tag,
            body=body,
            headers=headers,
            cseq=cseq,
        )
        assert self.peer.request is not None
        self.said.append((self.peer.scene.now, self.peer.request))

    def cancel(self, invite: Request) -> None:
        self.peer.invite, before = invite, self.peer.invite
        self.peer.cancels()
        self.peer.invite = before


class Rules:
    """What must be true of everything that leaves the border."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.finals: dict[tuple[str, str, int, str], int] = {}
        self.ended: set[tuple[str, str, str]] = set()
        self.byes: dict[tuple[str, str, str], str] = {}

    def check(self, host: str, message: Request | Response) -> None:
        if isinstance(message, Response):
            self._one_final(host, message)
        elif message.to_tag and message.method != "ACK":
            self._nothing_after_bye(message)

    def _one_final(self, host: str, response: Response) -> None:
        if response.cseq.method != "INVITE" or response.status < 200:
            return
        key = (host, response.call_id, response.cseq.number, response.via.branch or "")
        assert self.finals.setdefault(key, response.status) == response.status, f"two final answers to {key}"

    def _nothing_after_bye(self, request: Request) -> None:
        key = (request.call_id, request.from_tag or "", request.to_tag or "")
        branch = request.via.branch or ""
        assert self.byes.get(key, branch) == branch, f"{request.method} after the BYE of {key}"
        if request.method == "BYE":
            self.byes[key] = branch


def deliver(scene: Scene, actors: dict[str, Actor], rules: Rules) -> None:
    """Hand out what the border sent until it says no more."""
    while scene.sent:
        sent = scene.sent.pop(0)
        host = sent.path.host if isinstance(sent.path, Target) else sent.path.remote[0]
        message = sent.message
        assert isinstance(message, Request | Response)
        rules.check(host, message)
        if host in actors and (isinstance(sent.path, Target) or sent.path.open):
            actors[host].hear(message)
