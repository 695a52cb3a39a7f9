"""A virtual phone: registers with its certificate and its password, calls, answers, speaks and records."""

from __future__ import annotations

import asyncio
import secrets
import uuid
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any

from cubelab.agent.agent import Agent, NoAnswer
from cubelab.agent.credentials import Credentials
from cubelab.agent.leg import ALLOW, SDP, Leg, State
from cubelab.agent.requests import again, contact, new_request
from cubelab.agent.switchboard import Switchboard
from cubelab.agent.trust import read_certificates, read_identity, trusting
from cubelab.agent.voice_call import VoiceCall, quiet
from cubelab.phone.dialect import contact_parameters, invite_headers, register_headers
from cubelab.phone.service_control import is_service_control, read_action
from cubelab.phone.settings import PhoneSettings
from cubelab.voice.negotiation import Negotiation, VoiceProfile
from cubelab.voice.pacer import Pacer
from cubelab.voice.voice import Voice
from cubeproxy.protocols.sip.layer import ServerKey
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.sip.timers import Timers
from cubeproxy.protocols.values import Flow, Path, Target, Transport
from cubeproxy.transport.tls import TlsClient

REFRESH = 0.8  # of the granted time
RETRY = 5.0  # s after a refresh that failed


class RegistrationFailed(Exception):
    """The registrar refused, or could not be reached (`status` 0)."""

    def __init__(self, text: str, status: int = 0) -> None:
        super().__init__(text)
        self.status = status


@dataclass(slots=True)
class Registration:
    expires: int  # s, as granted
    challenged: bool  # whether a digest was asked for
    contact: str  # as the registrar has it


class VirtualPhone(Switchboard):
    """`start`, then `register`; `close` at the end. Calls that came in are in `incoming`, in order."""

    def __init__(self, settings: PhoneSettings, pacer: Pacer, timers: Timers | None = None) -> None:
        super().__init__()
        self.settings = settings
        self.registration: Registration | None = None
        self.incoming: asyncio.Queue[VoiceCall] = asyncio.Queue()
        self.controls: asyncio.Queue[str] = asyncio.Queue()  # actions of service-control that came in
        self._pacer = pacer
        self._timers = timers
        self._user = str(uuid.uuid4())  # a phone's Contact has a UUID for its user part
        self._call_id = ""
        self._sequence = 100
        self._refresh: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Open what the phone needs. TLS and TCP connect with the first request; nothing listens there."""
        s = self.settings
        tls = None
        if s.certificate and s.key:
            judge = s.judge or trusting([one for path in s.trust for one in read_certificates(path)])
            tls = TlsClient(*read_identity(s.certificate, s.key), judge)
        self.agent = Agent(self, tls=tls, timers=self._timers)
        self.credentials = Credentials(s.number, s.password, self.agent.tokens)
        self._call_id = self.agent.tokens.call_id()
        self._from_tag = self.agent.tokens.tag()
        local = (s.host, s.proxy[1])
        if s.transport is Transport.UDP:
            local = await self.agent.listen(Transport.UDP, (s.host, 0))
        self.path: Path = Target(s.transport, *s.proxy, local)
        self.contact = contact(self._user, local, s.transport)

    async def close(self) -> None:
        """Leave without a word: neither BYE nor unregister."""
        if self._refresh:
            self._refresh.cancel()
        for task in list(self._tasks):
            task.cancel()
        for leg in self.legs:
            leg.end("the phone is switched off")
        await self.agent.close()

    # Registration.

    async def register(self) -> Registration:
        """REGISTER with digest; refreshed from now on. RegistrationFailed."""
        response = await self._register(self.settings.expires)
        granted = _granted(response, self._user, self.settings.expires)
        self.registration = Registration(
            granted, self.credentials.challenged > 0, response.headers.get("Contact") or ""
        )
        self._schedule(granted * REFRESH)
        return self.registration

    async def unregister(self) -> None:
        if self._refresh:
            self._refresh.cancel()
        self.registration = None
        await self._register(0)

    async def _register(self, expires: int) -> Response:
        request = self._register_request(expires)
        self.credentials.authorise(request)
        try:
            response = await self.agent.ask(request, self.path)
            if response.status in (401, 407):
                renewed = again(request, self._next())
                if self.credentials.answer(renewed, response):
                    response = await self.agent.ask(renewed, self.path)
        except NoAnswer as error:
            raise RegistrationFailed(str(error)) from None
        if response.status >= 300:
            warning = response.headers.get("Warning")
            text = f"{response.status} {response.reason}" + (f", Warning: {warning}" if warning else "")
            raise RegistrationFailed(text, response.status)
        return response

    def _register_request(self, expires: int) -> Request:
        s = self.settings
        record = f"<sip:{s.number}@{s.domain}>"
        request = new_request(
            "REGISTER",
            f"sip:{s.domain}",
            record,
            record,
            self.agent.tokens,
            call_id=self._call_id,
            sequence=self._next(),
            from_tag=self._from_tag,
        )
        request.headers.add("Contact", self.contact + contact_parameters(s.device))
        request.headers.add("Expires", str(expires))
        register_headers(request.headers, s.device, first=self.registration is None)
        return request

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence

    def _schedule(self, delay: float) -> None:
        if self._refresh:
            self._refresh.cancel()
        loop = asyncio.get_running_loop()
        self._refresh = loop.call_later(delay, lambda: self._spawn(self._renew(), "refresh registration"))

    async def _renew(self) -> None:
        try:
            await self.register()
        except RegistrationFailed as error:
            self.agent.troubles.append(f"refresh failed: {error}")
            self.registration = None
            self._schedule(RETRY)

    def other(self, key: ServerKey, request: Request, flow: Flow) -> None:
        """A cluster's service-control is answered here, and carried out by whoever has the phone."""
        if not is_service_control(request):
            super().other(key, request, flow)
            return
        action = read_action(request, self._call_id)
        self.agent.respond(key, response_to(request, 200, to_tag=self.agent.tokens.tag()))
        self.controls.put_nowait(action)

    # Calls.

    async def call(self, number: str, voice: VoiceProfile | None = None) -> VoiceCall:
        """Send an INVITE; `await call.answered()` tells how it went. `voice` other than the phone's for this call."""
        s = self.settings
        call = self._prepare(voice)
        await self._open(call)
        leg = call.leg = Leg(self.agent, call, self.contact, self.path, self.credentials)
        uri = f"sip:{number}@{s.domain}"
        invite = new_request(
            "INVITE",
            uri,
            f'"{s.number}" <sip:{s.number}@{s.domain}>',
            f"<{uri}>",
            self.agent.tokens,
            from_tag=leg.local_tag,
        )
        headers = invite.headers
        headers.add("Contact", self.contact)
        headers.add("Allow", ALLOW)
        headers.add("Expires", "180")
        invite_headers(headers, s.number, s.domain)
        headers.add("Content-Type", SDP)
        invite.body = call.negotiation.offer()
        self.adopt(leg, invite.call_id)
        leg.call(invite)
        return call

    def invited(self, key: ServerKey, request: Request, flow: Flow) -> None:
        self._spawn(self._be_called(key, request, flow), "incoming call")

    async def _be_called(self, key: ServerKey, request: Request, flow: Flow) -> None:
        call = self._prepare()
        leg = call.leg = Leg(self.agent, call, self.contact, flow)
        self.take_invite(leg, key, request)  # before the first await, so that a CANCEL finds it
        await self._open(call)
        if leg.state is not State.RINGING:  # cancelled meanwhile
            call.voice.close()
            return
        leg.answer(180)
        self.incoming.put_nowait(call)
        if self.settings.answers:
            await asyncio.sleep(self.settings.rings)
            call.pick_up(request.body)

    def _prepare(self, profile: VoiceProfile | None = None) -> VoiceCall:
        s = self.settings
        voice = Voice(self._pacer, s.says, record=s.record, fault=s.fault)
        return VoiceCall(voice, Negotiation(profile or s.voice, ("", 0), secrets.randbelow(2**31)))

    async def _open(self, call: VoiceCall) -> None:
        call.negotiation.address = await call.voice.open(self.settings.host, self.settings.wire)

    def closed(self, flow: Flow, cause: str) -> None:
        """The connection to the proxy went: our binding there went with it, so register again over a new one."""
        if self.registration is not None:
            self._schedule(0.0)

    async def hang_up_all(self) -> None:
        for leg in self.legs:
            if isinstance(leg.user, VoiceCall):
                await quiet(leg.user)

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _granted(response: Response, user: str, asked: int) -> int:
    """Seconds: the expires parameter of our own Contact, else Expires, else what we asked for (RFC 3261 10.3)."""
    for one in response.contacts:
        text = one.params.get("expires")
        if one.uri.user == user and text and text.isdigit():
            return int(text)
    return asked if response.expires is None else response.expires
