"""The client side of digest for one user: answers challenges, and authorises ahead once it knows one (RFC 7616)."""

from __future__ import annotations

from cubeproxy.protocols.sip import digest
from cubeproxy.protocols.sip.message import Request, Response
from cubeproxy.protocols.sip.tokens import Tokens

_BY_STATUS = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}


class Credentials:
    """Holds a password: never shown."""

    def __init__(self, user: str, password: str, tokens: Tokens) -> None:
        self.user = user
        self.challenged = 0
        self._password = password
        self._tokens = tokens
        self._known: dict[str, tuple[digest.Challenge, int]] = {}  # header of the answer -> challenge, nonce count

    def __repr__(self) -> str:
        return f"Credentials({self.user}, <redacted>)"

    def answer(self, request: Request, response: Response) -> bool:
        """Put an answer to the challenge into the request; False when there is none that we can answer.

        A second challenge with the nonce that was just answered for the first time is a refusal: the password is wrong.
        """
        challenge_header, answer_header = _BY_STATUS[response.status]
        challenge = digest.choose(response.headers.all(challenge_header))
        if challenge is None:
            return False
        _, uses = self._known.get(answer_header, (challenge, 0))
        if answer_header in request.headers and uses == 1 and not challenge.stale:
            return False
        self.challenged += 1
        self._known[answer_header] = (challenge, 0)
        self.authorise(request)
        return True

    def authorise(self, request: Request) -> None:
        """Answer the challenges that we know, with the next nonce count."""
        for header, (challenge, count) in self._known.items():
            self._known[header] = (challenge, count + 1)
            cnonce = self._tokens.cnonce()
            value = digest.answer(challenge, request.method, request.uri, self.user, self._password, count + 1, cnonce)
            request.headers.set(header, value)
