"""`--map OLD=NEW`: lab addresses in the place of the router's, everywhere in the model.

OLD and NEW are addresses or host names, or both have a port (`192.0.2.1:5061=127.0.10.1:15061`), which then
applies where the configuration names that port. Masks, texts and certificates stay.
"""

from __future__ import annotations

import copy
import dataclasses
import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from cubeproxy.config.lines import NAME, shown
from cubeproxy.config.model import Config, CryptoSignaling
from cubeproxy.protocols.addresses import format_address
from cubeproxy.protocols.errors import ConfigError

KEPT = {
    "mask",
    "description",
    "name",
    "tag",
    "version",
    "hostname",
    "domain_name",
    "subject_name",
    "ignored",
    "unmapped",
}
PATTERNS = {"pattern", "user_id", "enrollment"}  # an address may stand inside
MAX_ENTRIES = 4096
_DIGITS = re.compile(r"[0-9.]+")  # what is meant to be an IPv4 address: no name is all digits
_ENDPOINT = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\s:\[\]]+))(?::([0-9]{1,5}))?")


def parse_map(
    items: Iterable[str], read: Callable[[str], str] = lambda path: Path(path).read_text("utf-8")
) -> dict[str, str]:
    """`OLD=NEW` texts to the dictionary that `apply_map` takes; `@FILE` holds one a line, `#` starts a comment."""
    found: dict[str, str] = {}
    for item in items:
        lines = _file(item[1:], read) if item.startswith("@") else [(0, item)]
        for number, text in lines:
            old, new = _entry(text, number)
            if found.setdefault(old, new) != new:
                raise ConfigError(f"{old} is mapped to {found[old]} and to {new}", number)
            if len(found) > MAX_ENTRIES:
                raise ConfigError(f"more than {MAX_ENTRIES} addresses to map", number)
    return found


def apply_map(config: Config, mapping: Mapping[str, str]) -> Config:
    """A copy of the configuration with every OLD replaced by its NEW; those that stand nowhere are its `unmapped`."""
    mapper = _Mapper(mapping)
    result = copy.deepcopy(config)
    mapper.walk(result)
    result.voice.trusted = mapper.networks(result.voice.trusted)
    result.sip_ua.crypto_signaling = mapper.signaling(result.sip_ua.crypto_signaling)
    result.unmapped = [old for old in mapping if _endpoint(old) not in mapper.used]
    return result


def _file(path: str, read: Callable[[str], str]) -> list[tuple[int, str]]:
    try:
        text = read(path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the map file {path} cannot be read: {error}") from None
    lines = [(number, line.partition("#")[0].strip()) for number, line in enumerate(text.split("\n"), start=1)]
    return [(number, line) for number, line in lines if line]


def _entry(text: str, number: int) -> tuple[str, str]:
    old, equals, new = text.partition("=")
    for side in (old, new):
        host = side.strip().partition(":")[0]
        if side.count(":") < 2 and _DIGITS.fullmatch(host) and _literal(host) is None:
            raise ConfigError(f"{host} is no IPv4 address", number, "four numbers from 0 to 255")
    first, second = _endpoint(old.strip()), _endpoint(new.strip())
    if not equals or first is None or second is None or bool(first[1]) != bool(second[1]):
        raise ConfigError(
            f"'{shown(text)}' is not a map entry",
            number,
            "write OLD=NEW, addresses with a port on both sides or on none",
        )
    return _join(*first), _join(*second)


def _endpoint(text: str) -> tuple[str, int] | None:
    """Host and port (0: none) of an address, a name, A:P or [A]:P."""
    try:
        return str(ipaddress.ip_address(text)), 0
    except ValueError:
        match = _ENDPOINT.fullmatch(text)
    if match is None:
        return None
    host, port = match[1] or match[2], int(match[3] or 0)
    if port > 65535 or (match[3] and not port):
        return None
    try:
        return str(ipaddress.ip_address(host)), port
    except ValueError:
        return (host, port) if not match[1] and NAME.fullmatch(host) and not _DIGITS.fullmatch(host) else None


def _join(host: str, port: int) -> str:
    return format_address((host, port)) if port else host


class _Mapper:
    def __init__(self, mapping: Mapping[str, str]) -> None:
        pairs = [(_endpoint(old), _endpoint(new)) for old, new in mapping.items()]
        known = [(old, new) for old, new in pairs if old is not None and new is not None]
        self.hosts = {old[0]: new[0] for old, new in known if not old[1]}
        self.ports = {old: new for old, new in known if old[1]}
        self.used: set[tuple[str, int] | None] = set()  # of the old ones, port 0 is any
        names = sorted(self.hosts, key=len, reverse=True)
        plain = "|".join(re.escape(name) for name in names)
        escaped = "|".join(re.escape(re.escape(name)) for name in names)
        self.inside = (
            re.compile(rf"(?<![0-9A-Za-z.:])(?:({escaped})|({plain}))(?![0-9A-Za-z]|\\?\.[0-9A-Za-z])")
            if names
            else None
        )

    def walk(self, item: Any) -> None:
        """Replace in every field of a dataclass, however deep."""
        for field in dataclasses.fields(item):
            if field.name in KEPT:
                continue
            value = getattr(item, field.name)
            if field.name in PATTERNS and isinstance(value, str):
                setattr(item, field.name, self.text(value))
            else:
                setattr(item, field.name, self.value(value))

    def value(self, value: Any) -> Any:
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            self.walk(value)
        elif isinstance(value, str) and not isinstance(value, Enum):
            return self.host(value)
        elif isinstance(value, tuple) and len(value) == 2 and isinstance(value[0], str) and isinstance(value[1], int):
            return self.address(*value)
        elif isinstance(value, tuple | list | set):
            return type(value)(self.value(each) for each in value)
        elif isinstance(value, dict):
            return {key: self.value(each) for key, each in value.items()}
        return value

    def address(self, host: str, port: int) -> tuple[str, int]:
        if (host, port) in self.ports:
            self.used.add((host, port))
            return self.ports[host, port]
        return self.host(host), port

    def host(self, host: str) -> str:
        if host in self.hosts:
            self.used.add((host, 0))
        return self.hosts.get(host, host)

    def text(self, text: str) -> str:
        """Addresses inside a regular expression (with or without `\\.`) or a URL."""

        def replace(match: re.Match[str]) -> str:
            if match[1]:
                return re.escape(self.host(re.sub(r"\\(.)", r"\1", match[1])))
            return self.host(match[2])

        return self.inside.sub(replace, text) if self.inside is not None else text

    def networks(self, networks: Iterable[str]) -> list[str]:
        """A host's entry is replaced; a network stays, and the new addresses of its hosts come beside it."""
        found: list[str] = []
        for network in networks:
            found += self.network(network)
        return list(dict.fromkeys(found))

    def network(self, network: str) -> list[str]:
        parsed = ipaddress.ip_network(network)
        inside = [_alone(self.host(old)) for old in self.hosts if (host := _literal(old)) and host in parsed]
        moved = [entry for entry in inside if entry]
        return moved if moved and parsed.num_addresses == 1 else [network, *moved]

    def signaling(self, entries: Iterable[CryptoSignaling]) -> list[CryptoSignaling]:
        found: dict[str, CryptoSignaling] = {}
        for entry in entries:
            for remote in self.network(entry.remote) if entry.remote else [""]:
                found.setdefault(remote, dataclasses.replace(entry, remote=remote))
        return list(found.values())


def _literal(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _alone(host: str) -> str:
    """The network of one address, "" for a name."""
    return str(ipaddress.ip_network(host)) if _literal(host) is not None else ""
