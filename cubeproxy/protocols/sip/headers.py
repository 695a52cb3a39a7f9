"""The header rows of a message: in order, byte-exact until changed, looked up by name (RFC 3261 7.3).

A row is kept as it came, folds included; values are unfolded and split only when they are asked for. Rows that are
written here are always whole, well-formed lines: a line break in a value is a bug of ours, never a second header.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sip.grammar import LWS, excerpt, is_token, split_list
from cubeproxy.protocols.sip.names import KEYS, LISTS, LONG, key_of

_BARE_NUL = re.compile(r"(?<!\\)\x00")
_PREFIXES = {key: f"{name}: " for key, name in LONG.items()}  # how a row of that key begins when we write it


class Headers:
    """Ordered rows. Names match without case, and compact forms equal long ones.

    `views` is for whoever reads values out of rows: by key, what the first row of it means (never None). A view is
    gone as soon as a row of its key is touched.
    """

    __slots__ = ("_keys", "_rows", "changed", "views")

    def __init__(self) -> None:
        self._keys: list[str] = []
        self._rows: list[str] = []  # "Name: value", folds kept, without the last line end
        self.changed = False  # since it was parsed
        self.views: dict[str, Any] = {}

    @classmethod
    def parse(cls, lines: list[str]) -> Headers:
        """Read a head split at CRLF, no line break left in it. The first line is the start line and passed over."""
        headers = cls()
        rows = lines[1:]
        try:  # the usual head: known names, no folds; a third faster than row by row
            keys = [KEYS[name] for name, colon, _ in [line.partition(":") for line in rows] if colon]
        except KeyError:
            keys = []
        if len(keys) == len(rows):
            headers._keys, headers._rows = keys, rows
        else:
            headers._parse_rows(rows)
        return headers

    def _parse_rows(self, lines: list[str]) -> None:
        for line in lines:
            name, colon, _ = line.partition(":")
            key = KEYS.get(name)
            if key is None or not colon:
                if line[:1] in ("", " ", "\t"):
                    if not self._rows or not line:
                        raise RemoteProtocolError("a continuation line without a header before it")
                    self._rows[-1] += "\r\n" + line
                    continue
                key = _checked_key(name, colon)
            self._keys.append(key)
            self._rows.append(line)

    def get(self, name: str) -> str | None:
        """The first value of the first row, unfolded and stripped."""
        key = key_of(name)
        if key not in self._keys:
            return None
        value = value_of(self._rows[self._keys.index(key)])
        return split_list(value)[0] if "," in value and key in LISTS else value

    def all(self, name: str) -> list[str]:
        """Every value in order. Only headers whose grammar is a list are split; empty rows give nothing."""
        key = key_of(name)
        if key not in self._keys:
            return []
        values = [value_of(row) for at, row in zip(self._keys, self._rows, strict=True) if at == key]
        if key not in LISTS:
            return values
        return [piece for value in values if value for piece in split_list(value)]

    def rows(self, name: str) -> list[str]:
        """One value a row, unfolded, not split."""
        key = key_of(name)
        if key not in self._keys:
            return []
        return [value_of(row) for at, row in zip(self._keys, self._rows, strict=True) if at == key]

    def first_row(self, key: str) -> str | None:
        """The first row of that key as it stands, name included."""
        try:
            return self._rows[self._keys.index(key)]
        except ValueError:
            return None

    def keys(self) -> list[str]:
        """The key of every row (lower-case long name), in order."""
        return self._keys

    def pairs(self) -> Iterator[tuple[str, str]]:
        """(key, row as it stands), in order."""
        return zip(self._keys, self._rows, strict=True)

    def count(self, key: str) -> int:
        """How many rows have that key (lower-case long name)."""
        return self._keys.count(key)

    def add(self, name: str, value: str) -> None:
        """Append a row."""
        key, row = _written(name, value)
        self.carry(key, row)

    def carry(self, key: str, row: str) -> None:
        """Append a row that we wrote, or the `plain` one of another message."""
        self._keys.append(key)
        self._rows.append(row)
        self.views.pop(key, None)
        self.changed = True

    def take(self, source: Headers, keys: frozenset[str]) -> None:
        """Append the rows of these keys (lower-case long names) from another message, in its order and unfolded.

        Of a header that is no list only the first row is taken.
        """
        own, rows = self._keys, self._rows
        for key, row in zip(source._keys, source._rows, strict=True):
            if key in keys and (key in LISTS or key not in own):
                own.append(key)
                rows.append(plain(key, row))
        self.views.clear()
        self.changed = True

    def extend(self, key: str, text: str) -> None:
        """Add text to the value of the first row of that key."""
        at = self._keys.index(key)
        self._rows[at] = f"{plain(key, self._rows[at])}{text}"
        self.views.pop(key, None)
        self.changed = True

    def prepend(self, name: str, value: str) -> None:
        """Insert a row before the first one of that name, at the top when there is none."""
        key = key_of(name)
        self._insert(self._keys.index(key) if key in self._keys else 0, name, value)

    def set(self, name: str, value: str | Sequence[str]) -> None:
        """Replace all rows of that name, where the first one stands; at the end when there is none."""
        key = key_of(name)
        at = self._keys.index(key) if key in self._keys else len(self._keys)
        self.remove(name)
        for offset, one in enumerate((value,) if isinstance(value, str) else value):
            self._insert(at + offset, name, one)

    def remove(self, name: str) -> None:
        key = key_of(name)
        if key not in self._keys:
            return
        kept = [(at, row) for at, row in zip(self._keys, self._rows, strict=True) if at != key]
        self._keys = [at for at, _ in kept]
        self._rows = [row for _, row in kept]
        self.views.pop(key, None)
        self.changed = True

    def items(self) -> Iterator[tuple[str, str]]:
        """(long name, unfolded value) a row; unknown names are as written."""
        for key, row in zip(self._keys, self._rows, strict=True):
            yield LONG.get(key) or row.partition(":")[0].rstrip(LWS), value_of(row)

    def lines(self) -> list[str]:
        """The rows as they go to the wire."""
        return self._rows

    def copy(self) -> Headers:
        copy = Headers()
        copy._keys = self._keys.copy()
        copy._rows = self._rows.copy()
        copy.changed = self.changed
        return copy

    def __contains__(self, name: str) -> bool:
        return key_of(name) in self._keys

    def __len__(self) -> int:
        return len(self._rows)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Headers) and self._rows == other._rows

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Headers({', '.join(LONG.get(key, key) for key in self._keys)})"

    def _insert(self, at: int, name: str, value: str) -> None:
        key, row = _written(name, value)
        self._keys.insert(at, key)
        self._rows.insert(at, row)
        self.views.pop(key, None)
        self.changed = True


def _written(name: str, value: str) -> tuple[str, str]:
    """The key and the row that we write."""
    key = KEYS.get(name) or key_of(name)
    prefix = _PREFIXES.get(key)
    if prefix is None:
        if not is_token(name):
            raise LocalProtocolError(f"no header name: {excerpt(name)}")
        prefix = f"{name}: "
    if "\n" in value or "\r" in value or ("\0" in value and _BARE_NUL.search(value)):
        raise LocalProtocolError(f"a line break or NUL in a value of {prefix[:-2]}")
    return key, prefix + value


def plain(key: str, row: str) -> str:
    """The row as we would write it; mostly it is."""
    prefix = _PREFIXES.get(key) or f"{row.partition(':')[0].rstrip(LWS)}: "
    if row.startswith(prefix) and "\n" not in row and row[-1] not in LWS and row[len(prefix)] not in LWS:
        return row
    return f"{prefix}{value_of(row)}"


def value_of(row: str) -> str:
    """The value of a row: behind the colon, folds turned into one space (RFC 3261 7.3.1), stripped."""
    value = row.partition(":")[2]
    if "\n" in value:
        value = " ".join([part.strip(LWS) for part in value.split("\r\n")])
    return value.strip(LWS)


def _checked_key(name: str, colon: str) -> str:
    """White space before the colon is legal (HCOLON, RFC 3261 25.1) and belongs to nothing: one name, one view."""
    if not colon:
        raise RemoteProtocolError(f"a header line without a colon: {excerpt(name)}")
    bare = name.rstrip(LWS)
    if not is_token(bare):
        raise RemoteProtocolError(f"no header name: {excerpt(bare)}")
    return key_of(bare)
