"""What the session and every media description have in common (RFC 8866 5): i=, c=, b=, k= and a= lines.

The first line of a type that stands once is the field. Second ones and unknown types are kept where they
stood: `kept` holds (number of attributes before the line, the line as read).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from cubeproxy.protocols.errors import RemoteProtocolError


class Attribute(NamedTuple):
    """`a=name` (value None) or `a=name:value` (value may be empty)."""

    name: str
    value: str | None = None

    def __repr__(self) -> str:
        shown = "<redacted>" if self.name == "crypto" else self.value
        return f"Attribute({self.name!r}, {shown!r})"

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}:{self.value}"


@dataclass(slots=True, kw_only=True)
class Section:
    title: str | None = None
    connection: str | None = None  # "IN IP4 192.0.2.1"
    bandwidth: list[str] = field(default_factory=list)  # "AS:64"
    key: str | None = field(default=None, repr=False)  # the k= line, obsolete, a secret all the same
    attributes: list[Attribute] = field(default_factory=list)
    kept: list[tuple[int, str]] = field(default_factory=list, repr=False)

    # Attributes by name (case-sensitive, RFC 8866 9).

    def get(self, name: str) -> str | None:
        """Value of the first attribute of that name; "" for one without a value, None when there is none."""
        for attribute, value in self.attributes:
            if attribute == name:
                return value or ""
        return None

    def all(self, name: str) -> list[str]:
        return [attribute.value or "" for attribute in self.attributes if attribute.name == name]

    def add(self, name: str, value: str | None = None) -> None:
        self.attributes.append(Attribute(name, value))

    def set(self, name: str, value: str | None = None) -> None:
        """Put one attribute where the first of that name stands, or last; drop its other occurrences."""
        self.replace((name,), Attribute(name, value))

    def replace(self, names: tuple[str, ...], *new: Attribute) -> None:
        """Put `new` where the first attribute with one of these names stands, or last; drop the others."""
        place = next((i for i, attribute in enumerate(self.attributes) if attribute.name in names), None)
        if place is None:
            self.attributes.extend(new)
            return
        rest = [attribute for attribute in self.attributes[place:] if attribute.name not in names]
        self.attributes[place:] = [*new, *rest]

    def remove(self, *names: str) -> None:
        self.attributes = [attribute for attribute in self.attributes if attribute.name not in names]

    # Text.

    def read(self, letter: str, value: str) -> None:
        """Take one line of this section."""
        if letter == "a":
            name, colon, text = value.partition(":")
            if not name:
                raise RemoteProtocolError("SDP: attribute without a name")
            self.attributes.append(Attribute(name, text if colon else None))
        elif letter == "b":
            self.bandwidth.append(value)
        elif letter == "c" and self.connection is None:
            self.connection = value
        elif letter == "i" and self.title is None:
            self.title = value
        elif letter == "k" and self.key is None:
            self.key = value
        else:
            self.kept.append((len(self.attributes), f"{letter}={value}"))

    def attribute_lines(self) -> list[str]:
        """The a= lines, with the kept lines between them where they stood as far as that place still exists."""
        rows: list[str] = []
        done = 0
        for place, row in self.kept:
            rows += _written(self.attributes[done:place])
            rows.append(row)
            done = max(done, place)
        return rows + _written(self.attributes[done:])

    def connection_lines(self) -> list[str]:
        return optional("c", self.connection) + [f"b={value}" for value in self.bandwidth]


def _written(attributes: list[Attribute]) -> list[str]:
    return [f"a={name}" if value is None else f"a={name}:{value}" for name, value in attributes]


def optional(letter: str, value: str | None) -> list[str]:
    return [] if value is None else [f"{letter}={value}"]
