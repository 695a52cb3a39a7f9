"""A border between two scripted peers: the test writes what they say and reads what they are told.

No socket, no clock: `scene.now` moves when the test moves it. Media is granted at once unless the
test takes that over (`scene.auto_media = False`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib.resources import files

from cubeproxy.border.border import Border
from cubeproxy.border.effects import Effect, FlowClosed, Malformed, MessageArrived, PathFailed
from cubeproxy.config.model import Config
from cubeproxy.config.parser import parse_config
from cubeproxy.protocols.sdp import Media, SessionDescription
from cubeproxy.protocols.sip.layer import Transmit
from cubeproxy.protocols.sip.message import (
    MalformedMessage,
    Request,
    Response,
    parse_message,
    response_to,
    validate_request,
    validate_response,
)
from cubeproxy.protocols.sip.tokens import SeededTokens
from cubeproxy.protocols.values import (
    DeviceIdentity,
    Event,
    Flow,
    MediaReserved,
    Path,
    ReleaseMedia,
    ReserveMedia,
    StreamSpec,
    Target,
    Transport,
    UpdateMedia,
)

ACCESS = ("192.0.2.1", 5061)
CORE = ("198.51.100.1", 5060)
NODE_1, NODE_2 = ("198.51.100.11", 5060), ("198.51.100.12", 5060)
SAVP_KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwd"  # 30 octets

RTP_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP {formats}\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
)
SRTP_SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/SAVP {formats}\r\na=crypto:1 {suite} inline:{key}\r\n"
    "a=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na={direction}\r\n"
)


def rtp(host: str = NODE_1[0], port: int = 30000, *, formats: str = "0 101", direction: str = "sendrecv") -> bytes:
    return RTP_SDP.format(host=host, port=port, formats=formats, direction=direction).encode()


def srtp(
    host: str = "203.0.113.7",
    port: int = 20000,
    *,
    suite: str = "AES_CM_128_HMAC_SHA1_80",
    key: str = SAVP_KEY,
    formats: str = "0 101",
    direction: str = "sendrecv",
) -> bytes:
    return SRTP_SDP.format(host=host, port=port, suite=suite, key=key, formats=formats, direction=direction).encode()


def sample(name: str = "sample-a-xe.ios", *, keepalive: bool = False, replace: dict[str, str] | None = None) -> Config:
    """A sample configuration; `replace` changes its text before it is read.

    Without keepalives nothing runs for ever.
    """
    text = files("cubelab").joinpath("_data", "configs", name).read_text()
    for old, new in (replace or {}).items():
        assert old in text
        text = text.replace(old, new)
    config = parse_config(text)
    if not keepalive:
        for peer in config.dial_peers.values():
            peer.keepalive = None
    return config


def identity(name: str) -> DeviceIdentity:
    return DeviceIdentity(name, f"CN={name}", "CN=CAPF", "LSC", "CAPF_PUB", f"{name.lower():0>64}")


@dataclass
class Scene:
    config: Config = field(default_factory=sample)
    now: float = 1000.0
    auto_media: bool = True
    strict: bool = True  # whatever leaves us is valid; False where garbage is answered with what it said

    def __post_init__(self) -> None:
        self.border = Border(self.config, SeededTokens(7))
        self.effects: list[Effect] = []
        self.media: list[ReserveMedia | UpdateMedia | ReleaseMedia] = []
        self.events: list[Event] = []
        self.sent: list[Transmit] = []
        self._port = 16000
        self._session = 0
        self._flow = 100
        self.take(self.border.start(self.now))
        self.sent.clear()  # the first OPTIONS

    def take(self, effects: list[Effect]) -> None:
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case Transmit():
                    self.sent.append(Transmit(effect.path, self._on_the_wire(effect)))
                case ReserveMedia():
                    self.media.append(effect)
                    if self.auto_media:
                        self.grant(effect)
                case UpdateMedia() | ReleaseMedia():
                    self.media.append(effect)
                case Event():
                    self.events.append(effect)

    def _on_the_wire(self, sent: Transmit) -> Request | Response:
        """What a receiver reads: nothing malformed ever leaves us."""
        parsed = parse_message(sent.message.serialise())
        if self.strict and isinstance(parsed, Request):
            validate_request(parsed)
        elif self.strict and isinstance(parsed, Response):
            validate_response(parsed)
        return parsed

    def feed(self, event: object) -> None:
        self.take(self.border.receive(event, self.now))  # type: ignore[arg-type]

    def grant(self, wanted: ReserveMedia) -> None:
        self._session += 1
        self._port += 4
        local = ((wanted.local[0], self._port), (wanted.local[1], self._port + 2))
        self.feed(MediaReserved(wanted.ticket, self._session, local))

    def wait(self, seconds: float) -> None:
        """Let time pass, ringing every deadline on its way."""
        end = self.now + seconds
        while (deadline := self.border.deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.take(self.border.timeout(self.now))
        self.now = end

    def flow(self, transport: Transport, local: tuple[str, int], remote: tuple[str, int], device: str = "") -> Flow:
        self._flow += 1
        return Flow(self._flow, transport, local, remote, identity(device) if device else None)

    def close(self, flow: Flow, cause: str = "reset") -> None:
        flow.open = False
        self.feed(FlowClosed(flow, cause))

    def fail(self, path: Path, cause: str = "refused") -> None:
        self.feed(PathFailed(path, cause))

    def next(self, host: str) -> Transmit:
        """The oldest unread message to a host."""
        for index, sent in enumerate(self.sent):
            if _host(sent.path) == host:
                return self.sent.pop(index)
        raise AssertionError(f"nothing was sent to {host}; unread: {[describe(s) for s in self.sent]}")

    def quiet(self, *hosts: str) -> bool:
        """Whether nothing unread was sent to these hosts (or to anybody)."""
        return not [s for s in self.sent if not hosts or _host(s.path) in hosts]

    def event(self, name: str) -> Event:
        for event in self.events:
            if event.name == name:
                return event
        raise AssertionError(f"no event {name}; there are {[event.name for event in self.events]}")

    def updated(self) -> UpdateMedia:
        """The last media update."""
        return next(command for command in reversed(self.media) if isinstance(command, UpdateMedia))

    @property
    def access(self) -> StreamSpec:
        """The phone's leg in the last media update of a call that a phone made."""
        spec = self.updated().legs[0]
        assert spec is not None
        return spec

    @property
    def core(self) -> StreamSpec:
        """The core's leg there."""
        spec = self.updated().legs[1]
        assert spec is not None
        return spec

    def released(self) -> bool:
        """Whether every session that was granted has been released, once."""
        released = [command.session for command in self.media if isinstance(command, ReleaseMedia)]
        return sorted(released) == list(range(1, self._session + 1))

    def leftovers(self) -> dict[str, int]:
        """What is still held after everything has ended, transactions after their timers."""
        self.wait(70.0)
        user = self.border.user
        counts = self.border.calls.counts() | user.layer.counts() | user.counts()
        counts.pop("user alarms")  # those of the registrations
        return {name: count for name, count in counts.items() if count}

    def phone(self, number: str = "1001", device: str = "SEP001122334455", host: str = "203.0.113.7") -> Peer:
        return Peer(self, self.flow(Transport.TLS, ACCESS, (host, 40000), device), number, device)

    def node(self, address: tuple[str, int] = NODE_1) -> Peer:
        return Peer(self, self.flow(Transport.TCP, CORE, address), "", "")

    def registered(self, number: str = "1001", device: str = "SEP001122334455", host: str = "203.0.113.7") -> Peer:
        """A phone that the first node has accepted."""
        phone = self.phone(number, device, host)
        phone.register()
        node = self.node()
        asked = node.hears("REGISTER")
        contact = asked.headers.get("Contact") or ""
        node.answers(asked, 200, [("Contact", contact)])
        phone.gets(200)
        return phone


class Peer:
    """One scripted end: what it says goes into the border, what it hears is read from the border's effects."""

    def __init__(self, scene: Scene, flow: Flow, number: str, device: str) -> None:
        self.scene = scene
        self.flow = flow
        self.number = number
        self.device = device
        self.display = ""
        self.cseq = 0
        self.serial = 0
        self.request: Request | None = None  # our last request
        self.invite: Request | None = None  # our last INVITE
        self.heard: Request | None = None  # the last INVITE that we were sent
        self.tag = ""
        self.answer: Response | None = None

    @property
    def host(self) -> str:
        return self.flow.remote[0]

    def says(self, text: str | Request) -> None:
        request = parse_message(text.encode("utf-8", "surrogateescape")) if isinstance(text, str) else text
        assert isinstance(request, Request)
        self.request = request
        if request.method == "INVITE":
            self.invite = request
        self.scene.feed(MessageArrived(self.flow, request))

    def sends(self, octets: bytes) -> None:
        """Whatever octets: the transport's part of it, as far as one datagram goes."""
        try:
            message = parse_message(octets)
        except MalformedMessage as error:
            self.scene.feed(Malformed(self.flow, error, error.message))
            return
        self.scene.feed(MessageArrived(self.flow, message))

    def out(
        self,
        method: str,
        uri: str,
        *,
        to: str = "",
        call_id: str = "",
        tag: str = "",
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
        cseq: int = 0,
        contact: str | None = None,
        content_type: str = "application/sdp",
        hops: int | None = 70,
    ) -> None:
        """Say a request from its parts; a fresh dialog unless call_id is given."""
        self.serial += 1
        self.cseq = cseq or self.cseq + 1
        local = self.flow.local
        fresh = f"{self.flow.id}x{self.serial}"
        sent_by = f"{self.host}:{self.flow.remote[1]}"
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/{self.flow.transport.value} {sent_by};branch=z9hG4bK{fresh}",
            *([] if hops is None else [f"Max-Forwards: {hops}"]),
            f"From: {self.display}<sip:{self.number or 'node'}@{local[0]}>;tag={tag or f't{fresh}'}",
            f"To: {to or f'<{uri}>'}",
            f"Call-ID: {call_id or f'c{fresh}'}",
            f"CSeq: {self.cseq} {method}",
        ]
        contact = self.contact if contact is None else contact
        if contact:
            lines.append(f"Contact: {contact}")
        lines += [f"{name}: {value}" for name, value in headers or []]
        if body:
            lines.append(f"Content-Type: {content_type}")
        lines.append(f"Content-Length: {len(body)}")
        self.says("\r\n".join([*lines, "", ""]) + body.decode("utf-8", "surrogateescape"))

    @property
    def contact(self) -> str:
        host, port = self.flow.remote
        transport = self.flow.transport.value.lower()
        return f"<sip:{self.number or 'node'}@{host}:{port};transport={transport}>"

    def register(self, expires: int = 600, *, headers: list[tuple[str, str]] | None = None, contact: str = "") -> None:
        instance = f"urn:uuid:00000000-0000-0000-0000-{self.device[3:]}"
        own = f'{self.contact};+sip.instance="<{instance}>";+u.sip!devicename.ccm.cisco.com="{self.device}"'
        uri = f"sip:{self.number}@{self.flow.local[0]}"
        self.out(
            "REGISTER",
            f"sip:{self.flow.local[0]}",
            to=f"<{uri}>",
            call_id=f"reg-{self.device}-{self.number}",
            headers=[("Expires", str(expires)), *(headers or [])],
            contact=contact or own,
        )

    def calls(self, number: str, body: bytes = b"", headers: list[tuple[str, str]] | None = None) -> None:
        """A new INVITE to a number at the border's address."""
        local = self.flow.local
        self.answer = None
        self.out("INVITE", f"sip:{number}@{local[0]}", body=body, headers=headers)

    def within(
        self,
        method: str,
        *,
        body: bytes = b"",
        headers: list[tuple[str, str]] | None = None,
        content_type: str = "application/sdp",
        cseq: int = 0,
        hops: int | None = 70,
    ) -> None:
        """A request inside the dialog of the call, whichever end began it."""
        if self.invite is not None and self.answer is not None:
            call_id, tag = self.invite.call_id, self.invite.from_tag or ""
            to = self.answer.headers.get("To") or ""
            uri = str(self.answer.contacts[0].uri) if self.answer.contacts else self.invite.uri
        else:
            assert self.heard is not None
            call_id, tag = self.heard.call_id, self.tag
            to = self.heard.headers.get("From") or ""
            uri = str(self.heard.contacts[0].uri)
        self.out(
            method,
            uri,
            to=to,
            call_id=call_id,
            tag=tag,
            body=body,
            headers=headers,
            content_type=content_type,
            cseq=cseq,
            hops=hops,
        )

    def acks(self, body: bytes = b"") -> None:
        assert self.invite is not None
        assert self.answer is not None
        self.within("ACK", body=body, cseq=self.answer.cseq.number)

    def acks_failure(self) -> None:
        """The ACK for a 3xx-6xx, which belongs to the INVITE's transaction (RFC 3261 17.1.1.3)."""
        assert self.invite is not None
        assert self.answer is not None
        rows = [
            f"ACK {self.invite.uri} SIP/2.0",
            f"Via: {self.invite.headers.get('Via')}",
            "Max-Forwards: 70",
            f"From: {self.invite.headers.get('From')}",
            f"To: {self.answer.headers.get('To')}",
            f"Call-ID: {self.invite.call_id}",
            f"CSeq: {self.invite.cseq.number} ACK",
        ]
        self.replies("\r\n".join([*rows, "", ""]))

    def cancels(self) -> None:
        assert self.invite is not None
        text = self.invite.serialise().decode().replace("INVITE ", "CANCEL ", 1)
        cancel = parse_message(text.replace(" INVITE\r\n", " CANCEL\r\n").encode())
        assert isinstance(cancel, Request)
        for name in ("Content-Type", "Contact"):
            cancel.headers.remove(name)
        cancel.body = b""
        self.scene.feed(MessageArrived(self.flow, parse_message(cancel.serialise())))

    def answers(
        self,
        request: Request,
        status: int,
        headers: list[tuple[str, str]] | None = None,
        body: bytes = b"",
        *,
        tag: str = "",
        raw: bytes = b"",
    ) -> None:
        """Answer a request that was heard; an INVITE's answers keep one tag and have a Contact.

        `body` is a description, `raw` whatever the headers say that it is.
        """
        if not self.tag or tag:
            self.tag = tag or f"u{self.flow.id}"
        response = response_to(request, status, to_tag=self.tag if status > 100 else None)
        if request.method in ("INVITE", "UPDATE") and 100 < status < 300:
            response.headers.add("Contact", self.contact)
        for name, value in headers or []:
            response.headers.add(name, value)
        if body:
            response.headers.add("Content-Type", "application/sdp")
        response.body = body or raw
        self.replies(response.serialise().decode("utf-8", "surrogateescape"))

    def replies(self, text: str) -> None:
        self.scene.feed(MessageArrived(self.flow, parse_message(text.encode("utf-8", "surrogateescape"))))

    def hears(self, method: str) -> Request:
        """The next message to this peer, which has to be this request."""
        message = self.scene.next(self.host).message
        assert isinstance(message, Request), f"heard {describe_message(message)}, wanted {method}"
        assert message.method == method, f"heard {describe_message(message)}, wanted {method}"
        if method == "INVITE":
            self.heard = message
        return message

    def gets(self, status: int) -> Response:
        """The next message to this peer, which has to be this response."""
        message = self.scene.next(self.host).message
        assert isinstance(message, Response), f"heard {describe_message(message)}, wanted {status}"
        assert message.status == status, f"heard {describe_message(message)}, wanted {status}"
        if message.cseq.method == "INVITE" and status > 100:
            self.answer = message
        return message

    def quiet(self) -> bool:
        return self.scene.quiet(self.host)


def _host(path: Path) -> str:
    return path.host if isinstance(path, Target) else path.remote[0]


def describe_message(message: object) -> str:
    if isinstance(message, Request):
        return f"{message.method} {message.uri}"
    assert isinstance(message, Response)
    return f"{message.status} to {message.cseq.method} {message.headers.get('Warning') or ''}"


def describe(sent: Transmit) -> str:
    return f"{describe_message(sent.message)} -> {_host(sent.path)}"


def established(scene: Scene) -> tuple[Peer, Peer]:
    """A registered phone with SRTP in a call to the core with RTP; the phone called."""
    phone, node = scene.registered(), scene.node()
    phone.calls("2001", srtp())
    phone.gets(100)
    invite = node.hears("INVITE")
    node.answers(invite, 180)
    phone.gets(180)
    node.answers(invite, 200, body=rtp())
    node.hears("ACK")
    phone.gets(200)
    phone.acks()
    return phone, node


def calling(scene: Scene, body: bytes | None = None, **kwargs: list[tuple[str, str]]) -> tuple[Peer, Peer, Request]:
    """A registered phone has called 2001, and the first node heard the INVITE."""
    phone, node = scene.registered(), scene.node()
    phone.calls("2001", srtp() if body is None else body, **kwargs)
    phone.gets(100)
    return phone, node, node.hears("INVITE")


def called(scene: Scene, body: bytes | None = None, **kwargs: list[tuple[str, str]]) -> tuple[Peer, Peer, Request]:
    """The core has called a registered phone, which heard the INVITE."""
    phone, node = scene.registered(), scene.node()
    node.calls("1001", rtp() if body is None else body, **kwargs)
    node.gets(100)
    return phone, node, phone.hears("INVITE")


def answered(scene: Scene) -> tuple[Peer, Peer]:
    """The core has called a phone, which answered; all is acknowledged."""
    phone, node, invite = called(scene)
    phone.answers(invite, 200, body=fitting(invite))
    phone.hears("ACK")
    node.gets(200)
    node.acks()
    return phone, node


def fitting(request: Request, direction: str = "sendrecv") -> bytes:
    """An answer that fits the offer in a request; where there is none, an offer of RTP."""
    offer = SessionDescription.parse(request.body) if request.body.startswith(b"v=0") else None
    for value in offer.media[0].crypto if offer else ():
        if "AES_CM_128_HMAC_SHA1_80" in value:
            tag = value.split()[0].encode()
            return srtp(direction=direction).replace(b"crypto:1", b"crypto:" + tag)
    return rtp(direction=direction)


def media_of(message: Request | Response) -> Media:
    """The first stream of a message's description."""
    return SessionDescription.parse(message.body).media[0]
