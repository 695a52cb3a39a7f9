"""Digest authentication (RFC 2617, RFC 7616; in SIP RFC 3261 22 and RFC 8760): MD5 and SHA-256, qop "auth".

Values hold the meaning of quoted strings: escapes are undone on reading and made again on writing, and hashes are
taken over the meaning (unq() of RFC 2617 3.2.1). Neither passwords nor responses show in a repr. Counting `nc`
against replays is left to the server that keeps the nonces.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sip.grammar import LWS, QUOTED, TOKEN, excerpt, quote, unquote

_PARAM = re.compile(rf'[ \t]*+({TOKEN})[ \t]*+=[ \t]*+({QUOTED}|[^\s",]++)[ \t]*+(?:,|\Z)', re.ASCII)
_NC = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_TIME = re.compile(r"([0-9a-f]{1,12})\.([0-9a-f]{32})", re.ASCII)

ALGORITHMS = {"md5": "MD5", "md5-sess": "MD5-sess", "sha-256": "SHA-256", "sha-256-sess": "SHA-256-sess"}


def _hash(algorithm: str, text: str) -> str:
    data = text.encode("utf-8", "surrogateescape")
    if algorithm.upper().startswith("SHA-256"):
        return hashlib.sha256(data).hexdigest()
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def response(
    algorithm: str,
    *,
    user: str,
    realm: str,
    password: str,
    method: str,
    uri: str,
    nonce: str,
    nc: str = "",
    cnonce: str = "",
    qop: str = "",
) -> str:
    """The request-digest in lower-case hex (RFC 7616 3.4.1); without `qop` the form of RFC 2069."""
    secret = _hash(algorithm, f"{user}:{realm}:{password}")
    if algorithm.lower().endswith("-sess"):
        secret = _hash(algorithm, f"{secret}:{nonce}:{cnonce}")
    request = _hash(algorithm, f"{method}:{uri}")
    middle = f"{nonce}:{nc}:{cnonce}:{qop}" if qop else nonce
    return _hash(algorithm, f"{secret}:{middle}:{request}")


@dataclass(slots=True)
class Challenge:
    """WWW-Authenticate or Proxy-Authenticate. `algorithm` "" was not sent and means MD5."""

    realm: str
    nonce: str
    algorithm: str = ""
    qop: tuple[str, ...] = ()
    opaque: str | None = None
    stale: bool = False
    domain: str = ""

    @property
    def supported(self) -> bool:
        known = (self.algorithm or "MD5").lower() in ALGORITHMS
        return known and (not self.qop or "auth" in self.qop)

    def __str__(self) -> str:
        parts = [f"realm={quote(self.realm)}", f"nonce={quote(self.nonce)}"]
        if self.domain:
            parts.append(f"domain={quote(self.domain)}")
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.stale:
            parts.append("stale=TRUE")
        if self.algorithm:
            parts.append(f"algorithm={self.algorithm}")
        if self.qop:
            parts.append(f"qop={quote(','.join(self.qop))}")
        return "Digest " + ", ".join(parts)


@dataclass(slots=True)
class Credentials:
    """Authorization or Proxy-Authorization. `nc` is eight hex digits, "" without qop."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str = field(repr=False)
    algorithm: str = ""
    qop: str = ""
    cnonce: str = field(default="", repr=False)
    nc: str = ""
    opaque: str | None = None

    def __str__(self) -> str:
        quoted = ("username", "realm", "nonce", "uri", "response")
        parts = [f"{name}={quote(getattr(self, name))}" for name in quoted]
        if self.algorithm:
            parts.append(f"algorithm={self.algorithm}")
        if self.cnonce:
            parts.append(f"cnonce={quote(self.cnonce)}")
        if self.opaque is not None:
            parts.append(f"opaque={quote(self.opaque)}")
        if self.qop:
            parts += [f"qop={self.qop}", f"nc={self.nc}"]
        return "Digest " + ", ".join(parts)


def parse_challenge(text: str) -> Challenge:
    params = _params(text)
    return Challenge(
        realm=_needed(params, "realm"),
        nonce=_needed(params, "nonce"),
        algorithm=params.get("algorithm", ""),
        qop=tuple(one.strip(LWS).lower() for one in params["qop"].split(",")) if params.get("qop") else (),
        opaque=params.get("opaque"),
        stale=params.get("stale", "").lower() == "true",
        domain=params.get("domain", ""),
    )


def parse_authorization(text: str) -> Credentials:
    params = _params(text)
    qop = params.get("qop", "").lower()
    nc = params.get("nc", "")
    if qop and not (_NC.fullmatch(nc) and params.get("cnonce")):
        raise RemoteProtocolError("digest credentials with qop need nc and cnonce")  # RFC 7616 3.4
    return Credentials(
        username=_needed(params, "username"),
        realm=_needed(params, "realm"),
        nonce=_needed(params, "nonce"),
        uri=_needed(params, "uri"),
        response=_needed(params, "response"),
        algorithm=params.get("algorithm", ""),
        qop=qop,
        cnonce=params.get("cnonce", ""),
        nc=nc,
        opaque=params.get("opaque"),
    )


def choose(challenges: Iterable[str]) -> Challenge | None:
    """The first of these header values that we can answer: servers list them by preference (RFC 8760 2.4)."""
    for text in challenges:
        if is_digest(text):
            challenge = parse_challenge(text)
            if challenge.supported:
                return challenge
    return None


def is_digest(text: str) -> bool:
    return text[:6].lower() == "digest" and text[6:7] in (" ", "\t")


def answer(challenge: Challenge, method: str, uri: str, user: str, password: str, nc: int = 1, cnonce: str = "") -> str:
    """The header value that answers a challenge. `nc` counts the uses of its nonce from 1."""
    if not challenge.supported:
        raise RemoteProtocolError(f"no way to answer algorithm {excerpt(challenge.algorithm)}, qop {challenge.qop}")
    algorithm = challenge.algorithm or "MD5"
    qop = "auth" if challenge.qop else ""
    if (qop or algorithm.lower().endswith("-sess")) and not cnonce:
        raise LocalProtocolError("this challenge is answered with a cnonce")
    count = f"{nc:08x}" if qop else ""
    proof = response(
        algorithm,
        user=user,
        realm=challenge.realm,
        password=password,
        method=method,
        uri=uri,
        nonce=challenge.nonce,
        nc=count,
        cnonce=cnonce,
        qop=qop,
    )
    shown = cnonce if qop or algorithm.lower().endswith("-sess") else ""
    credentials = Credentials(
        user, challenge.realm, challenge.nonce, uri, proof, challenge.algorithm, qop, shown, count, challenge.opaque
    )
    return str(credentials)


def verify(credentials: Credentials, method: str, password: str, *, challenge: Challenge | None = None) -> bool:
    """Whether the password was known. With `challenge`, also whether it is what was asked for (realm, algorithm, qop).

    That the nonce is ours and fresh, and that `uri` is the request's, is for the caller (`Nonces`).
    """
    algorithm = credentials.algorithm or "MD5"
    if algorithm.lower() not in ALGORITHMS or credentials.qop not in ("", "auth"):
        return False
    if challenge is not None and not _answers(credentials, challenge):
        return False
    expected = response(
        algorithm,
        user=credentials.username,
        realm=credentials.realm,
        password=password,
        method=method,
        uri=credentials.uri,
        nonce=credentials.nonce,
        nc=credentials.nc,
        cnonce=credentials.cnonce,
        qop=credentials.qop,
    )
    received = credentials.response.lower().encode("utf-8", "surrogateescape")
    return hmac.compare_digest(expected.encode("ascii"), received)


def _answers(credentials: Credentials, challenge: Challenge) -> bool:
    return (
        credentials.realm == challenge.realm
        and (credentials.algorithm or "MD5").lower() == (challenge.algorithm or "MD5").lower()
        and (not challenge.qop or credentials.qop in challenge.qop)
    )


class Freshness(Enum):
    FRESH = "fresh"
    STALE = "stale"  # ours, but too old: challenge again with stale=TRUE
    FOREIGN = "foreign"


class Nonces:
    """Nonces without memory: a time and its HMAC. `key`: secret octets; `lifetime` and `now` in seconds."""

    def __init__(self, key: bytes, lifetime: float = 300.0) -> None:
        self._key = key
        self._lifetime = lifetime

    def issue(self, now: float) -> str:
        stamp = f"{int(now):x}"
        return f"{stamp}.{self._seal(stamp)}"

    def judge(self, nonce: str, now: float) -> Freshness:
        found = _TIME.fullmatch(nonce)
        if found is None or not hmac.compare_digest(self._seal(found[1]), found[2]):
            return Freshness.FOREIGN
        return Freshness.FRESH if now - int(found[1], 16) <= self._lifetime else Freshness.STALE

    def _seal(self, stamp: str) -> str:
        return hmac.new(self._key, stamp.encode("ascii"), hashlib.sha256).hexdigest()[:32]


def _params(text: str) -> dict[str, str]:
    """The auth-params of a Digest value: names in lower case, values unquoted; none twice."""
    if not is_digest(text):
        raise RemoteProtocolError(f"no Digest: {excerpt(text, 20)}")
    params: dict[str, str] = {}
    at = 7
    while at < len(text):
        found = _PARAM.match(text, at)
        if found is None:
            raise RemoteProtocolError("bad digest parameters")
        name = found[1].lower()
        if name in params:
            raise RemoteProtocolError(f"digest parameter {name} is given twice")
        params[name] = unquote(found[2])
        at = found.end()
    return params


def _needed(params: dict[str, str], name: str) -> str:
    if name not in params:
        raise RemoteProtocolError(f"digest parameter {name} is missing")
    return params[name]
