"""Configuration modes as tables: command words to the function that obeys them.

Rules of matching, the router's own as far as they matter here:
* a word may be abbreviated to a prefix that only one command of the mode has;
* hyphen and space are the same between words (`disable-service-settings`, `disable service-settings`):
  the vendor's own examples mix them;
* the longest command wins (`sccp ccm group` before `sccp ccm`), what follows are its arguments.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from cubeproxy.config.lines import Line

T = TypeVar("T")
SHORTEST = 2  # characters of an abbreviated first word: this table knows few of the router's commands
SHORTEST_MORE = 3  # and of a word that could be an argument too: `passthru-hdr u` and `passthru-hdr unsupp`

Handler = Callable[[T, Line], "Mode[Any] | Block | None"]


@dataclass(slots=True)
class _Node(Generic[T]):
    children: dict[str, _Node[T]] = field(default_factory=dict)
    joined: set[str] = field(default_factory=set)  # children that a hyphen joins: both are one word of the router
    handler: Handler[T] | None = None

    def completed(self) -> _Node[T]:
        """Where a word leads that stops before its hyphen: `dtmf` for `dtmf-relay`, if nothing else begins so."""
        node = self
        while node.handler is None and len(node.children) == 1 and node.joined:
            node = next(iter(node.children.values()))
        return node


class Unmodelled(Exception):
    """A form of a known command that this product does not model: the line is reported, not obeyed."""


class Commands(Generic[T]):
    """The commands of one mode, by their words."""

    def __init__(self, table: Mapping[str, Handler[T]]) -> None:
        self.table = dict(table)
        self._root: _Node[T] = _Node()
        for words, handler in table.items():
            node = self._root
            for token in words.split():
                for place, word in enumerate(token.split("-")):
                    if place:
                        node.joined.add(word)
                    node = node.children.setdefault(word, _Node())
            node.handler = handler

    def find(self, line: Line) -> tuple[Handler[T], int] | None:
        """The handler of a line and how many of its words name the command. None when it is not ours."""
        node, best = self._root, None
        for count, word in enumerate(line.words, start=1):
            shortest = SHORTEST if node is self._root else SHORTEST_MORE if node.handler else 1
            following = self._step(node, word.lower(), shortest)
            if following is None and node.completed() is not node:
                following = self._step(node.completed(), word.lower(), SHORTEST_MORE)
            if following is None:
                break
            node = following
            handler = node.completed().handler
            if handler is not None:
                best = handler, count
        return best

    def _step(self, node: _Node[T], word: str, shortest: int) -> _Node[T] | None:
        for part in word.split("-"):
            following = node.children.get(part)
            if following is None:
                found = [child for name, child in node.children.items() if name.startswith(part)]
                if len(found) != 1 or len(part) < shortest:
                    return None
                following = found[0]
            node, shortest = following, 1
        return node


@dataclass(slots=True)
class Mode(Generic[T]):
    """A configuration mode that has been entered: its commands and what they change."""

    commands: Commands[T]
    target: T

    def knows(self, line: Line) -> bool:
        return self.commands.find(line) is not None

    def obey(self, line: Line) -> Mode[Any] | Block | None:
        """Carry the line out. Unmodelled when it is not a command of this mode."""
        found = self.commands.find(line)
        if found is None:
            raise Unmodelled
        handler, count = found
        line.position += count
        return handler(self.target, line)


@dataclass(slots=True)
class Block:
    """What a handler returns when the next lines, up to `quit`, are octets in hexadecimal.

    `octets` bounds them; `finish` gets them with the number of the first line.
    """

    octets: int
    finish: Callable[[bytes, int], None]


def flag(attribute: str, *, on: bool = True) -> Handler[Any]:
    """A command without arguments; its `no` form takes it back."""

    def handler(target: Any, line: Line) -> None:
        setattr(target, attribute, on is not line.negated)

    return handler


def text(attribute: str, what: str, limit: int = 0) -> Handler[Any]:
    """A command whose argument is the rest of the line."""

    def handler(target: Any, line: Line) -> None:
        setattr(target, attribute, "" if line.negated else line.rest(what, limit))

    return handler


def word(attribute: str, what: str, limit: int = 64) -> Handler[Any]:
    """A command with one word."""

    def handler(target: Any, line: Line) -> None:
        setattr(target, attribute, "" if line.negated else line.name(what, limit))
        if not line.negated:
            line.end()

    return handler


def number(attribute: str, what: str, low: int, high: int, default: int = 0) -> Handler[Any]:
    """A command with one number."""

    def handler(target: Any, line: Line) -> None:
        setattr(target, attribute, default if line.negated else line.integer(what, low, high))
        if not line.negated:
            line.end()

    return handler


def nothing(_target: Any, _line: Line) -> None:
    """A command that the router needs and this product does not: reported with the ignored lines."""
    raise Unmodelled


FOREIGN: Mode[None] = Mode(Commands({}), None)  # a mode of the router that has nothing for us


def foreign(_target: Any, _line: Line) -> Mode[Any]:
    """Enter a mode that is none of ours: its lines are ignored until a command of ours comes."""
    return FOREIGN
