"""`voice class ...`: URI classes, header lists, suites, codecs, server groups, keepalive profiles."""

from __future__ import annotations

import re
from typing import Generic, TypeVar

from cubeproxy.config.grammar import Commands, Handler, Mode, Unmodelled, nothing, number
from cubeproxy.config.lines import NAME, Line, shown
from cubeproxy.config.model import Config, KeepaliveProfile, ServerGroup, UriClass
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Transport

MAX_HOSTS = 64  # hosts of a URI class; IOS takes 10
MAX_HEADERS = 256
MAX_MEMBERS = 64  # of a server group; IOS takes 5
MAX_PATTERN = 256  # characters of a regular expression
TAG = (1, 10000)
CODECS = (
    "g711ulaw", "g711alaw", "g722-64", "g723r53", "g723r63", "g726r16", "g726r24", "g726r32", "g728", "g729r8",
    "g729br8", "g729ar8", "g729abr8", "ilbc", "isac", "mp4a-latm", "opus", "aacld", "gsmamr-nb", "gsmfr", "gsmefr",
)  # fmt: skip
T = TypeVar("T")
_TOKEN = re.compile(r"[A-Za-z0-9.!%*_+`'~-]+")  # RFC 3261 25.1


def codec_name(line: Line) -> str:
    """A codec by its IOS name. The `bytes N` and mode arguments that may follow are not modelled."""
    return line.choose("codec", CODECS)


def _host(uri: UriClass, line: Line) -> None:
    """`host {ipv4:A | ipv6:[A] | dns:NAME | NAME}`; several are alternatives."""
    value = line.take("host")
    kind, colon, rest = value.partition(":")
    if colon and kind.lower() in ("ipv4", "ipv6"):
        host = line.literal(rest.removeprefix("[").removesuffix("]"), "host")
    else:
        host = rest if colon and kind.lower() == "dns" else value
        if not NAME.fullmatch(host):
            raise line.error(f"host '{shown(value)}' is neither ipv4:A.B.C.D, ipv6:[A] nor dns:NAME")
    line.end()
    if line.negated:
        uri.hosts = [other for other in uri.hosts if other != host]
    elif len(uri.hosts) >= MAX_HOSTS:
        raise line.error(f"a URI class takes at most {MAX_HOSTS} hosts")
    elif host not in uri.hosts:
        uri.hosts.append(host)


def _pattern(attribute: str, what: str) -> Handler[UriClass]:
    """A regular expression, checked when it is read: length, and that it compiles."""

    def handler(uri: UriClass, line: Line) -> None:
        value = "" if line.negated else line.rest(what, MAX_PATTERN)
        try:
            re.compile(value)
        except (re.error, RecursionError, OverflowError) as error:
            raise line.error(f"{what} '{shown(value)}' is not a regular expression: {error}") from None
        setattr(uri, attribute, value)

    return handler


URI_CLASS: Commands[UriClass] = Commands(
    {
        "host": _host,
        "pattern": _pattern("pattern", "pattern"),
        "user-id": _pattern("user_id", "user id"),
        "phone context": _pattern("phone_context", "phone context"),
    }
)


def _header(target: tuple[list[str], set[int], int], line: Line) -> None:
    names, _, _ = target
    name = line.take("header name")
    if not _TOKEN.fullmatch(name):
        raise line.error(f"'{shown(name)}' is not a header name")
    line.end()
    if line.negated:
        names[:] = [other for other in names if other.lower() != name.lower()]
    elif len(names) >= MAX_HEADERS:
        raise line.error(f"a header list takes at most {MAX_HEADERS} names")
    elif all(other.lower() != name.lower() for other in names):
        names.append(name)


def _header_unsupp(target: tuple[list[str], set[int], int], line: Line) -> None:
    _, lists, tag = target
    (lists.discard if line.negated else lists.add)(tag)


HEADER_LIST: Commands[tuple[list[str], set[int], int]] = Commands(
    {"passthru-hdr": _header, "passthru-hdr-unsupp": _header_unsupp}
)


class Ranks(Generic[T]):
    """A list that the router keeps by preference numbers: `crypto 1 X`, `codec preference 2 Y`."""

    def __init__(self, store: dict[int, tuple[T, ...]], tag: int) -> None:
        self.store, self.tag = store, tag
        self.ranks = dict(enumerate(store.setdefault(tag, ()), start=1))

    def put(self, place: int, value: T | None) -> None:
        if value is None:
            self.ranks.pop(place, None)
        else:
            self.ranks[place] = value
        self.store[self.tag] = tuple(dict.fromkeys(self.ranks[rank] for rank in sorted(self.ranks)))


_SUITES = {suite.value.lower(): suite for suite in Suite}


def _crypto(ranks: Ranks[Suite], line: Line) -> None:
    """`crypto PREFERENCE SUITE`, 1 is best."""
    place = line.integer("preference", 1, 4)
    ranks.put(place, None if line.negated else _SUITES[line.choose("suite", _SUITES)])


SRTP_CRYPTO: Commands[Ranks[Suite]] = Commands({"crypto": _crypto})


def _codec(ranks: Ranks[str], line: Line) -> None:
    """`codec preference N NAME [bytes N ...]`, 1 is best."""
    line.choose("keyword", ("preference",))
    place = line.integer("preference", 1, 24)
    if line.peek() == "transparent":
        raise Unmodelled
    ranks.put(place, None if line.negated else codec_name(line))


CODEC_CLASS: Commands[Ranks[str]] = Commands({"codec": _codec})


def _member(group: ServerGroup, line: Line) -> None:
    """`ipv4 A [port P] [preference N]`."""
    host, port, preference = line.address("server"), 0, 0
    while keyword := line.accept("port", "preference"):
        if keyword == "port":
            port = line.integer("port", 1, 65535)
        else:
            preference = line.integer("preference", 0, 5)
    line.end()
    entry = (host, port), preference
    group.members = [other for other in group.members if other[0] != entry[0]]
    if line.negated:
        return
    if len(group.members) >= MAX_MEMBERS:
        raise line.error(f"a server group takes at most {MAX_MEMBERS} servers")
    group.members.append(entry)


def _hunt_scheme(group: ServerGroup, line: Line) -> None:
    group.hunt_scheme = (
        "preference" if line.negated else line.choose("hunt scheme", ("preference", "round-robin", "none"))
    )


def _huntstop(group: ServerGroup, line: Line) -> None:
    """`huntstop RULE resp-code STATUS [to STATUS]`."""
    line.integer("rule", 1, 1000)
    if line.negated:
        raise Unmodelled
    line.choose("keyword", ("resp-code",))
    first = line.integer("status", 400, 599)
    last = line.integer("status", first, 599) if line.accept("to") else first
    group.huntstop = tuple(sorted({*group.huntstop, *range(first, last + 1)}))


SERVER_GROUP: Commands[ServerGroup] = Commands(
    {
        "ipv4": _member,
        "ipv6": _member,
        "hunt-scheme": _hunt_scheme,
        "huntstop": _huntstop,
        "description": nothing,
    }
)


def _keepalive_transport(profile: KeepaliveProfile, line: Line) -> None:
    """`transport {udp | tcp [tls]}`."""
    profile.transport = None if line.negated else transport(line)


def transport(line: Line) -> Transport:
    """`udp`, `tcp` or `tcp tls`."""
    kind = line.choose("transport", ("udp", "tcp"))
    if kind == "udp":
        return Transport.UDP
    return Transport.TLS if line.accept("tls") else Transport.TCP


KEEPALIVE: Commands[KeepaliveProfile] = Commands(
    {
        "up-interval": number("up_interval", "interval in seconds", 5, 1200, 60),
        "down-interval": number("down_interval", "interval in seconds", 5, 1200, 30),
        "retry": number("retry", "number of tries", 1, 10, 5),
        "transport": _keepalive_transport,
        "description": nothing,
        "sip-profiles": nothing,
    }
)


def uri(config: Config, line: Line) -> Mode[UriClass] | None:
    """`voice class uri TAG sip`."""
    tag = line.name("tag", 32)
    if line.negated:
        config.uri_classes.pop(tag, None)
        return None
    if line.choose("scheme", ("sip", "tel")) != "sip":
        raise Unmodelled
    return Mode(URI_CLASS, config.uri_classes.setdefault(tag, UriClass(tag)))


def header_list(config: Config, line: Line) -> Mode[tuple[list[str], set[int], int]] | None:
    tag = line.integer("tag", *TAG)
    if line.negated:
        config.header_lists.pop(tag, None)
        config.header_lists_unsupp.discard(tag)
        return None
    return Mode(HEADER_LIST, (config.header_lists.setdefault(tag, []), config.header_lists_unsupp, tag))


def srtp_crypto(config: Config, line: Line) -> Mode[Ranks[Suite]] | None:
    tag = line.integer("tag", *TAG)
    if line.negated:
        config.srtp_crypto.pop(tag, None)
        return None
    return Mode(SRTP_CRYPTO, Ranks(config.srtp_crypto, tag))


def codec(config: Config, line: Line) -> Mode[Ranks[str]] | None:
    tag = line.integer("tag", *TAG)
    if line.negated:
        config.codec_classes.pop(tag, None)
        return None
    return Mode(CODEC_CLASS, Ranks(config.codec_classes, tag))


def server_group(config: Config, line: Line) -> Mode[ServerGroup] | None:
    tag = line.integer("tag", *TAG)
    if line.negated:
        config.server_groups.pop(tag, None)
        return None
    return Mode(SERVER_GROUP, config.server_groups.setdefault(tag, ServerGroup(tag)))


def keepalive(config: Config, line: Line) -> Mode[KeepaliveProfile] | None:
    tag = line.integer("tag", *TAG)
    if line.negated:
        config.keepalive_profiles.pop(tag, None)
        return None
    return Mode(KEEPALIVE, config.keepalive_profiles.setdefault(tag, KeepaliveProfile(tag)))
