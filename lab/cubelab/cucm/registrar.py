"""The registrar of the virtual CUCM: digest and a location table. Sans-IO (RFC 3261 10.3, RFC 7616).

One binding a number, as a line that only one phone has: the last REGISTER wins, whoever sent it with the right
password.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sip import digest
from cubeproxy.protocols.sip.message import Request, Response, response_to
from cubeproxy.protocols.sip.tokens import Tokens
from cubeproxy.protocols.sip.uri import NameAddr
from cubeproxy.protocols.values import Flow

MIN_EXPIRES, MAX_EXPIRES = 30, 3600  # s
_DEVICE = re.compile(r"SEP[0-9A-F]{12}", re.ASCII)


@dataclass(slots=True)
class Binding:
    """Where a number is. `flow` is the connection that its REGISTER came over."""

    number: str
    contact: NameAddr
    device: str  # "" when the Contact names none
    flow: Flow
    until: float  # on the clock of `now`
    call_id: str = ""  # of its REGISTER: a service-control names it


class Registrar:
    """`users`: password by number. `challenge` off takes everybody at their word, as CUCM does without digest."""

    def __init__(
        self, users: dict[str, str], secret: bytes, realm: str = "ccmsipline", *, challenge: bool = True
    ) -> None:
        self.bindings: dict[str, Binding] = {}
        self.realm = realm
        self.challenge = challenge
        self.challenges = 0
        self.accepted = 0
        self._users = users
        self._nonces = digest.Nonces(secret)
        self._tokens = Tokens()
        self.on_change: Callable[[str, Binding | None], None] = lambda _number, _binding: None

    def find(self, number: str, now: float) -> Binding | None:
        binding = self.bindings.get(number)
        if binding is not None and binding.until <= now:
            del self.bindings[number]
            return None
        return binding

    def receive(self, request: Request, flow: Flow, now: float) -> Response:
        """The answer to a REGISTER."""
        number = request.to.uri.user
        if number not in self._users:
            return self._answer(request, 404)
        if self.challenge and not self._authorised(request, number, now):
            return self._challenged(request, now)
        if request.contact_star or not request.contacts:
            return self._listed(request, number, now)
        return self._bind(request, number, flow, now)

    def _bind(self, request: Request, number: str, flow: Flow, now: float) -> Response:
        contact = request.contacts[0]
        text = contact.params.get("expires") or ""
        wanted = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else request.expires
        wanted = MAX_EXPIRES if wanted is None else wanted
        if 0 < wanted < MIN_EXPIRES:
            response = self._answer(request, 423)
            response.headers.add("Min-Expires", str(MIN_EXPIRES))
            return response
        if wanted == 0:
            self.bindings.pop(number, None)
            self.on_change(number, None)
        else:
            granted = min(wanted, MAX_EXPIRES)
            binding = Binding(number, contact, _device(contact), flow, now + granted, request.call_id)
            self.bindings[number] = binding
            self.on_change(number, binding)
        self.accepted += 1
        return self._listed(request, number, now)

    def _listed(self, request: Request, number: str, now: float) -> Response:
        response = self._answer(request, 200)
        binding = self.find(number, now)
        expires = 0
        if binding is not None:
            expires = round(binding.until - now)
            params = {**binding.contact.params, "expires": str(expires)}
            response.headers.add("Contact", str(NameAddr("", binding.contact.uri, params)))
        response.headers.add("Expires", str(expires))
        response.headers.add("Supported", "X-cisco-srtp-fallback,X-cisco-sis-9.0.0")
        return response

    def _authorised(self, request: Request, number: str, now: float) -> bool:
        for text in request.headers.all("Authorization"):
            try:
                credentials = digest.parse_authorization(text)
            except RemoteProtocolError:
                continue
            fresh = self._nonces.judge(credentials.nonce, now) is digest.Freshness.FRESH
            same = credentials.username == number and credentials.realm == self.realm
            if fresh and same and digest.verify(credentials, request.method, self._users[number]):
                return True
        return False

    def _challenged(self, request: Request, now: float) -> Response:
        self.challenges += 1
        response = self._answer(request, 401)
        challenge = digest.Challenge(self.realm, self._nonces.issue(now), "MD5", ("auth",))
        response.headers.add("WWW-Authenticate", str(challenge))
        return response

    def _answer(self, request: Request, status: int) -> Response:
        return response_to(request, status, to_tag=self._tokens.tag())


def _device(contact: NameAddr) -> str:
    """The device name in a Cisco phone's Contact."""
    found = _DEVICE.search(contact.params.get("+u.sip!devicename.ccm.cisco.com") or "")
    return found[0] if found else ""
