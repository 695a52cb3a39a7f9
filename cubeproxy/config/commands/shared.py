"""Arguments that the same command takes under `voice service voip`, `sip-ua` and a dial peer."""

from __future__ import annotations

from typing import Any

from cubeproxy.config.grammar import Handler, Unmodelled
from cubeproxy.config.interfaces import read_interface
from cubeproxy.config.lines import Line
from cubeproxy.config.model import RegistrationPassthrough, SrtpPolicy
from cubeproxy.protocols.suites import Suite

TAG = (1, 10000)  # of `voice class ...`; server groups and copy lists go further, nobody uses it
LAST_HEADER_LIST = 20001  # the predefined list of IOS XE 16.8.1, above those of one's own
SRTP_AUTH = {"sha1-32": Suite.AES_CM_128_HMAC_SHA1_32, "sha1-80": Suite.AES_CM_128_HMAC_SHA1_80}


def srtp(target: Any, line: Line) -> None:
    """`srtp [fallback | pass-thru]`."""
    if line.negated:
        target.srtp = SrtpPolicy.OFF
        return
    if line.peek() is None:
        target.srtp = SrtpPolicy.STRICT
        return
    target.srtp = SrtpPolicy(line.choose("SRTP policy", ("fallback", "pass-thru")))
    line.end()


def srtp_negotiate(target: Any, line: Line) -> None:
    """`srtp negotiate cisco`: the option tag X-cisco-srtp-fallback."""
    if line.peek() is not None:
        line.choose("SRTP negotiation", ("cisco",))
    elif not line.negated:
        raise line.error("`cisco` is missing after 'srtp negotiate'")
    target.srtp_negotiate_cisco = not line.negated


def srtp_crypto(target: Any, line: Line) -> None:
    """`srtp-crypto TAG` of `voice class srtp-crypto`."""
    target.srtp_crypto = 0 if line.negated else line.integer("srtp-crypto tag", *TAG)


def srtp_auth(target: Any, line: Line) -> None:
    """`srtp-auth {sha1-32 | sha1-80}`, both in order of preference (no effect from IOS XE 16.5.1b on)."""
    if line.negated:
        target.srtp_auth = ()
        return
    suites = [SRTP_AUTH[line.choose("SRTP suite", SRTP_AUTH)]]
    if line.peek() is not None:
        suites.append(SRTP_AUTH[line.choose("SRTP suite", SRTP_AUTH)])
    line.end()
    target.srtp_auth = tuple(dict.fromkeys(suites))


def bind(target: Any, line: Line) -> None:
    """`bind {control | media | all} source-interface IF`."""
    kind = line.choose("bind", ("control", "media", "all"))
    name = ""
    if not line.negated:
        line.choose("keyword", ("source-interface",))
        name = read_interface(line)
        if line.peek() is not None:  # ipv6-address and the like
            raise Unmodelled
    if kind in ("control", "all"):
        target.bind_control = name
    if kind in ("media", "all"):
        target.bind_media = name


def registration_passthrough(target: Any, line: Line) -> None:
    """`registration passthrough [system | dynamic | static] [rate-limit [expires S] [fail-count N]]`.

    `dynamic` is end to end, `static` peer to peer with the local registrar's configuration.
    """
    if line.negated:
        target.registration_passthrough = None
        return
    result = RegistrationPassthrough()
    kind = line.accept("system", "dynamic", "static")
    if kind == "system":
        target.registration_passthrough = None  # what `voice service voip` says
        return
    result.mode = "p2p" if kind == "static" else "e2e"
    if line.accept("rate-limit"):
        while keyword := line.accept("expires", "fail-count"):
            if keyword == "expires":
                result.rate_limit_expires = line.integer("expiry in seconds", 60, 65535)
            else:
                result.rate_limit_fail_count = line.integer("fail count", 2, 20)
    if line.peek() is not None:  # local-fallback, reg-sync, registrar-index
        raise Unmodelled
    target.registration_passthrough = result


def midcall(target: Any, line: Line, default: str) -> None:
    """`midcall-signaling {passthru [media-change] | block | preserve-codec}`."""
    if line.negated:
        target.midcall = default
        return
    kind = line.choose("mid-call signalling", ("passthru", "block", "preserve-codec"))
    if kind == "passthru" and line.accept("media-change"):
        kind = "passthru media-change"
    line.end()
    target.midcall = kind


def pass_thru_headers(target: Any, line: Line) -> None:
    """`pass-thru headers {TAG | unsupp}`: a `voice class sip-hdr-passthrulist`."""
    if line.accept("unsupp"):
        raise Unmodelled
    target.pass_thru_headers = 0 if line.negated else line.integer("header list", 1, LAST_HEADER_LIST)


def system_or(handler: Handler[Any]) -> Handler[Any]:
    """A dial peer's form of a command: `system` means what `voice service voip` says."""

    def wrapped(target: Any, line: Line) -> None:
        if line.peek() == "system":
            raise Unmodelled
        handler(target, line)

    return wrapped
