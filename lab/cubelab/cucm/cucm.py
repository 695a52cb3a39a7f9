"""A virtual CUCM: registrar, call routing between registered numbers, and endpoints of its own that speak a tone.

All nodes of the cluster are one agent with several addresses: what one node knows, every node knows. In mixed mode
it also listens on TLS, and its own endpoints have SRTP.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from cubelab.agent.agent import Agent
from cubelab.agent.leg import ALLOW, SDP, Leg, State
from cubelab.agent.requests import contact, new_request
from cubelab.agent.switchboard import Switchboard
from cubelab.agent.trust import read_certificates, read_identity, trusting
from cubelab.agent.voice_call import VoiceCall
from cubelab.cucm.bridge import Bridge
from cubelab.cucm.registrar import Binding, Registrar
from cubelab.phone.service_control import EVENT, body_of
from cubelab.voice.negotiation import PLAIN, Negotiation, VoiceProfile
from cubelab.voice.pacer import Pacer
from cubelab.voice.voice import Source, Voice
from cubelab.wire.wire import Wire
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Headers, Request
from cubeproxy.protocols.sip.timers import Timers
from cubeproxy.protocols.sip.uri import Uri, unbracket
from cubeproxy.protocols.values import Flow, Path, Target, Transport
from cubeproxy.transport.tls import TlsClient, TlsServer

PORTS = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}


@dataclass(slots=True)
class CucmSettings:
    """`nodes` are host literals. A node with an identity is in mixed mode (TLS as well)."""

    nodes: tuple[str, ...]
    users: dict[str, str] = field(repr=False)  # password by number
    endpoints: dict[str, Source] = field(default_factory=dict)  # what our own numbers say
    voice: VoiceProfile = PLAIN  # of our own endpoints
    identities: Mapping[str, tuple[FilePath, FilePath]] = field(default_factory=dict)  # certificate and key by node
    trust: tuple[FilePath, ...] = ()
    challenge: bool = True
    reuse: bool = False  # call over the connection that REGISTER came by: phones without a proxy do not listen
    reject: int = 0  # answer everything with this status
    wire: Wire | None = None
    record: bool = True
    ports: dict[Transport, int] = field(default_factory=lambda: dict(PORTS))


class VirtualCucm(Switchboard):
    def __init__(self, settings: CucmSettings, pacer: Pacer, timers: Timers | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.registrar = Registrar(settings.users, secrets.token_bytes(16), challenge=settings.challenge)
        self.bridges = 0  # calls joined so far
        self.keepalives = 0  # OPTIONS answered
        self.calls: list[VoiceCall] = []  # of our own endpoints
        self._pacer = pacer
        self._timers = timers
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on every node's addresses. OSError when one is taken."""
        s = self.settings
        judge = trusting([one for path in s.trust for one in read_certificates(path)])
        identities = {node: read_identity(*files) for node, files in s.identities.items()}
        clients = {node: TlsClient(*identity, judge) for node, identity in identities.items()}
        self.agent = Agent(self, tls=lambda target: clients.get(target.local[0]), timers=self._timers)
        for node in s.nodes:
            await self.agent.listen(Transport.UDP, (node, s.ports[Transport.UDP]))
            await self.agent.listen(Transport.TCP, (node, s.ports[Transport.TCP]))
            if node in identities:
                server = TlsServer(*identities[node], judge)
                await self.agent.listen(Transport.TLS, (node, s.ports[Transport.TLS]), server)

    @property
    def carried(self) -> int:
        """Calls so far: from phone to phone, and to numbers of our own."""
        return self.bridges + len(self.calls)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        for leg in self.legs:
            leg.end("the cluster is switched off")
        await self.agent.close()

    # Requests outside of dialogs.

    def options(self, key: ServerKey, request: Request) -> None:
        self.keepalives += 1
        if self.settings.reject:
            self.agent.refuse(key, request, self.settings.reject)
        else:
            super().options(key, request)

    def other(self, key: ServerKey, request: Request, flow: Flow) -> None:
        if self.settings.reject:
            self.agent.refuse(key, request, self.settings.reject)
        elif request.method == "REGISTER":
            now = asyncio.get_running_loop().time()
            self.agent.respond(key, self.registrar.receive(request, flow, now))
        else:
            super().other(key, request, flow)

    def invited(self, key: ServerKey, request: Request, flow: Flow) -> None:
        number = Uri.parse(request.uri).user
        binding = self.registrar.find(number, asyncio.get_running_loop().time())
        if self.settings.reject:
            self.agent.refuse(key, request, self.settings.reject)
        elif number in self.settings.endpoints:
            self._spawn(self._endpoint(key, request, flow, number), "endpoint")
        elif binding is not None:
            self._spawn(self._bridge(key, request, flow, binding), "bridge")
        else:
            self.agent.refuse(key, request, 404)

    # Calls.

    async def _endpoint(self, key: ServerKey, request: Request, flow: Flow, number: str) -> None:
        call = self._prepare(self.settings.endpoints[number])
        leg = call.leg = Leg(self.agent, call, self._contact(number, flow.local, flow.transport), flow)
        self.take_invite(leg, key, request)
        await self._open(call, flow.local[0])
        if leg.state is not State.RINGING:
            call.voice.close()
            return
        self.calls.append(call)
        leg.answer(180)
        call.pick_up(request.body)

    async def _bridge(self, key: ServerKey, request: Request, flow: Flow, binding: Binding) -> None:
        bridge = Bridge(self.settings.wire)
        caller_number = request.from_.uri.user
        way = self._way(binding, flow.local[0])
        bridge.caller = Leg(self.agent, bridge, self._contact(binding.number, flow.local, flow.transport), flow)
        bridge.callee = Leg(self.agent, bridge, self._contact(caller_number, way.local, way.transport), way)
        self.take_invite(bridge.caller, key, request)
        await bridge.open()
        if bridge.caller.state is not State.RINGING:
            return
        self.bridges += 1
        body = bridge.through(request.body, from_caller=True)
        invite = self._invite(bridge.callee, binding, caller_number, body)
        for name in ("Call-Info", "Allow-Events", "Remote-Party-ID", "Supported"):
            for value in request.headers.rows(name):
                invite.headers.add(name, value)
        bridge.callee.call(invite)

    async def call(self, number: str, says: Source, caller: str = "9000") -> VoiceCall:
        """Call a registered number from an endpoint of ours. LookupError when nobody has registered it."""
        binding = self.registrar.find(number, asyncio.get_running_loop().time())
        if binding is None:
            raise LookupError(f"{number} is not registered")
        call = self._prepare(says)
        way = self._way(binding, binding.flow.local[0])
        await self._open(call, way.local[0])
        leg = call.leg = Leg(self.agent, call, self._contact(caller, way.local, way.transport), way)
        leg.call(self._invite(leg, binding, caller, call.negotiation.offer()))
        return call

    async def control(self, number: str, action: str) -> int:
        """Tell a registered phone to reset, restart or check its version; the status of its answer.

        LookupError when nobody has registered the number, NoAnswer.
        """
        binding = self.registrar.find(number, asyncio.get_running_loop().time())
        if binding is None:
            raise LookupError(f"{number} is not registered")
        way, uri = self._way(binding, binding.flow.local[0]), binding.contact.uri
        server = f"<sip:{way.local[0]}>"
        notify = new_request("NOTIFY", str(uri), server, f"<sip:{number}@{uri.host}>", self.agent.tokens)
        _add(notify.headers, ("Contact", server), ("Event", EVENT), ("Subscription-State", "active"))
        notify.headers.add("Content-Type", "text/plain")
        notify.body = body_of(action, binding.call_id)
        return (await self.agent.ask(notify, way)).status

    def _invite(self, leg: Leg, binding: Binding, caller: str, body: bytes) -> Request:
        """An INVITE as CUCM writes it, to the Contact that it knows."""
        local, uri = leg.path.local[0], binding.contact.uri
        invite = new_request(
            "INVITE",
            str(uri),
            f'"{caller}" <sip:{caller}@{local}>',
            f"<sip:{binding.number}@{uri.host}>",
            self.agent.tokens,
            from_tag=leg.local_tag,
        )
        _add(invite.headers, ("Contact", leg.contact), ("Allow", ALLOW), ("User-Agent", "Cisco-CUCM12.5"))
        _add(invite.headers, ("Cisco-Guid", "-".join(str(secrets.randbits(32)) for _ in range(4))), ("Expires", "180"))
        if body:
            invite.headers.add("Content-Type", SDP)
            invite.body = body
        self.adopt(leg, invite.call_id)
        return invite

    def _way(self, binding: Binding, node: str) -> Path:
        """The way to a binding's Contact, from this node."""
        if self.settings.reuse and binding.flow.open:
            return binding.flow
        uri = binding.contact.uri
        transport = Transport(uri.transport.upper()) if uri.transport else binding.flow.transport
        port = uri.port or PORTS[transport]
        return Target(transport, unbracket(uri.host), port, (node, self.settings.ports[transport]))

    def _contact(self, number: str, local: tuple[str, int], transport: Transport) -> str:
        return contact(number, local, transport)

    def _prepare(self, says: Source) -> VoiceCall:
        voice = Voice(self._pacer, says, record=self.settings.record)
        return VoiceCall(voice, Negotiation(self.settings.voice, ("", 0), secrets.randbelow(2**31)))

    async def _open(self, call: VoiceCall, host: str) -> None:
        call.negotiation.address = await call.voice.open(host, self.settings.wire)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _add(headers: Headers, *rows: tuple[str, str]) -> None:
    for name, value in rows:
        headers.add(name, value)
