"""`sip-ua`: which certificate for whom, TLS versions, NAT."""

from __future__ import annotations

from cubeproxy.config.grammar import Commands, Unmodelled, flag, nothing
from cubeproxy.config.lines import Line
from cubeproxy.config.model import CryptoSignaling, SipUa

TLS_VERSIONS = ("v1.0", "v1.1", "v1.2", "v1.3")
MAX_SIGNALING = 64
# In the unit that IOS has for each: milliseconds, but minutes for `hold` and seconds for `keepalive`.
TIMERS = (
    "trying", "connect", "disconnect", "expires", "rel1xx", "notify", "refer", "register", "hold", "buffer-invite",
    "comet", "info", "keepalive", "options", "prack", "prov-ack", "provisional", "update", "subscribe",
)  # fmt: skip
RETRIES = (
    "invite", "response", "bye", "cancel", "prack", "comet", "rel1xx", "notify", "refer", "register", "info",
    "options", "subscribe", "update", "keepalive",
)  # fmt: skip


def _crypto_signaling(ua: SipUa, line: Line) -> None:
    """`crypto signaling {default | remote-addr A MASK} [trustpoint TP] [client-vtp TP2] ...`."""
    entry = CryptoSignaling()
    if line.choose("peers", ("default", "remote-addr")) == "remote-addr":
        line.family()
        entry.remote = line.network(line.address("remote address"), "mask")
    if line.negated:
        ua.crypto_signaling = [other for other in ua.crypto_signaling if other.remote != entry.remote]
        return
    while line.peek() is not None:
        keyword = line.choose(
            "keyword", ("trustpoint", "client-vtp", "strict-cipher", "cn-san-validate", "ecdsa-cipher", "tls-profile")
        )
        match keyword:
            case "trustpoint":
                entry.trustpoint = line.name("trustpoint")
            case "client-vtp":
                entry.client_vtp = line.name("trustpoint")
            case "strict-cipher":
                entry.strict_cipher = True
            case "cn-san-validate":
                entry.cn_san_validate = line.choose("side", ("server", "client", "bidirectional"))
            case "ecdsa-cipher":
                if line.accept("curve-size"):
                    line.integer("curve size", 256, 521)
            case _:  # tls-profile: the trustpoint stands there
                raise Unmodelled
    if not entry.trustpoint:
        raise line.error("`crypto signaling` names no trustpoint", "add `trustpoint NAME`")
    ua.crypto_signaling = [other for other in ua.crypto_signaling if other.remote != entry.remote]
    if len(ua.crypto_signaling) >= MAX_SIGNALING:
        raise line.error(f"at most {MAX_SIGNALING} crypto signaling lines")
    ua.crypto_signaling.append(entry)


def _transport_tls(ua: SipUa, line: Line) -> None:
    """`transport tcp tls [v1.0 | v1.1 | v1.2 | v1.3] [minimum]`; without a version: 1.0 to 1.2."""
    if line.negated:
        ua.tls_versions = DEFAULT_TLS
    elif line.peek() is None:
        ua.tls_versions = TLS_VERSIONS[:3]
    else:
        first = TLS_VERSIONS.index(line.choose("TLS version", TLS_VERSIONS))
        ua.tls_versions = TLS_VERSIONS[first:] if line.accept("minimum") else (TLS_VERSIONS[first],)
        line.end()


DEFAULT_TLS = ("v1.2",)


def _transport(_ua: SipUa, _line: Line) -> None:
    raise Unmodelled  # udp, tcp: dial peers choose


def _nat(ua: SipUa, line: Line) -> None:
    """`nat symmetric check-media-src`: learn the media source of a clear leg once."""
    line.choose("keyword", ("symmetric",))
    if line.accept("check-media-src") is None:
        raise Unmodelled
    ua.check_media_src = not line.negated


def _timers(ua: SipUa, line: Line) -> None:
    _count(ua.timers, line, "timer", TIMERS, 10_000_000)


def _retry(ua: SipUa, line: Line) -> None:
    _count(ua.retry, line, "retry", RETRIES, 100)


def _count(into: dict[str, int], line: Line, what: str, names: tuple[str, ...], high: int) -> None:
    name = line.accept(*names)
    if name is None:
        raise Unmodelled
    if line.negated:
        into.pop(name, None)
        return
    if (line.peek() or "0")[0].isalpha():  # `timers connection aging`, `timers keepalive active 120`
        raise Unmodelled
    into[name] = line.integer(f"{what} {name}", 1, high)


SIP_UA: Commands[SipUa] = Commands(
    {
        "crypto signaling": _crypto_signaling,
        "transport tcp tls": _transport_tls,
        "transport": _transport,
        "connection-reuse": flag("connection_reuse"),
        "nat": _nat,
        "remote-party-id": flag("remote_party_id"),
        "timers": _timers,
        "retry": _retry,
        "handle-replaces": nothing,
        "registrar": nothing,
        "sip-server": nothing,
        "authentication": nothing,
        "credentials": nothing,
        "keepalive": nothing,
        "max-forwards": nothing,
        "set": nothing,
        "host-registrar": nothing,
        "mwi-server": nothing,
    }
)
