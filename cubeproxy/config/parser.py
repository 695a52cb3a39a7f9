"""A running configuration (IOS text) to the typed model.

Which mode a line belongs to is told by its indentation, as `show running-config` prints it, or, in text
typed without any, by the first mode from the innermost that knows the command, as the router does it.
A line that no mode knows is kept in `Config.ignored` with everything indented below it; a known
command with a bad argument is a ConfigError. One pass, every line is looked at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cubeproxy.config.commands.root import ROOT
from cubeproxy.config.grammar import FOREIGN, Block, Mode, Unmodelled
from cubeproxy.config.lines import Line, pick, shown
from cubeproxy.config.model import Config
from cubeproxy.config.redact import reported
from cubeproxy.protocols.errors import ConfigError

MAX_TEXT = 8 << 20  # characters of a whole configuration; a large router's has some 300,000
MAX_LINE = 4096  # characters; the router itself takes 254 at its prompt
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_HEX = re.compile(r"[0-9A-Fa-f \t]+")


@dataclass(slots=True)
class _Frame:
    mode: Mode[Any]
    indent: int  # of the line that entered the mode
    indented: bool = False  # whether a line of the mode stood deeper than that


def parse_config(text: str) -> Config:
    """Read a whole running configuration. ConfigError names the line and what would be right."""
    if len(text) > MAX_TEXT:
        raise ConfigError(f"{len(text)} characters are too many for a configuration, at most {MAX_TEXT} are read")
    return _Parser(text).run()


class _Parser:
    def __init__(self, text: str) -> None:
        self.config = Config()
        self.lines: Iterator[tuple[int, str]] = enumerate(text.split("\n"), start=1)
        self.stack = [_Frame(Mode(ROOT, self.config), -1, indented=True)]
        self.opaque: int | None = None  # indentation of an unknown line: what stands deeper belongs to it
        self.ended = False  # after `end` come a router's prompts, until `configure terminal`

    def run(self) -> Config:
        for number, raw in self.lines:
            if raw.lstrip().startswith("banner "):
                self._skip_banner(number, raw)
                continue
            text = _CONTROL.sub("", raw).rstrip()
            if not text.strip() or text.lstrip().startswith("!"):
                continue
            if len(text) > MAX_LINE:
                self._ignore(number, text)
            else:
                self._line(Line(number, text))
        return self.config

    def _line(self, line: Line) -> None:
        if self._moves(line):
            return
        if self.ended or self._below_opaque(line):
            self._ignore(line.number, line.text)
            return
        self._find_mode(line)
        try:
            result = self.stack[-1].mode.obey(line)
        except Unmodelled:
            self._ignore(line.number, line.text)
            self.opaque = line.indent
            return
        if result is FOREIGN:
            self._ignore(line.number, line.text)
        if isinstance(result, Mode):
            self.stack.append(_Frame(result, line.indent))
        elif isinstance(result, Block):
            result.finish(*self._read_block(line, result.octets))

    def _moves(self, line: Line) -> bool:
        """`exit`, `end` and `configure terminal` change where we are and nothing else."""
        word = line.word(0).lower()
        if word == "exit" and len(line.spans) == 1:
            if len(self.stack) > 1 and not (self.opaque is not None and line.indent > self.opaque):
                self.stack.pop()
            return True
        if word == "end" and len(line.spans) == 1:
            del self.stack[1:]
            self.opaque, self.ended = None, True
            return True
        if len(line.spans) == 2 and len(word) >= 4 and pick(word, ["configure"]) and pick(line.word(1), ["terminal"]):
            self.ended = False
            return True
        return False

    def _below_opaque(self, line: Line) -> bool:
        if self.opaque is not None and line.indent > self.opaque:
            return True
        self.opaque = None
        return False

    def _find_mode(self, line: Line) -> None:
        """Leave the modes that this line is not in."""
        while len(self.stack) > 1:
            frame = self.stack[-1]
            if line.indent > frame.indent:
                frame.indented = True
                return
            if not frame.indented:
                break
            self.stack.pop()
        for depth in range(len(self.stack) - 1, -1, -1):
            if self.stack[depth].mode.knows(line):
                del self.stack[depth + 1 :]
                return

    def _read_block(self, opened: Line, limit: int) -> tuple[bytes, int]:
        """The octets of the hexadecimal lines up to `quit`, and the number of the first of them."""
        first, digits, size = 0, list[str](), 0
        for number, raw in self.lines:
            text = _CONTROL.sub("", raw).strip()
            if text.lower() == "quit":
                break
            if text and not _HEX.fullmatch(text):
                raise ConfigError(f"'{shown(reported(text))}' is not hexadecimal", number, "a block ends with `quit`")
            first = first or number
            digits.append("".join(text.split()))
            size += len(digits[-1])
            if size > 2 * limit:
                raise opened.error(f"more than {limit} octets before `quit`")
        else:
            raise opened.error("the hexadecimal block has no `quit`")
        try:
            return bytes.fromhex("".join(digits)), first or opened.number
        except ValueError:
            raise ConfigError(f"{size} hexadecimal digits are no whole number of octets", first) from None

    def _skip_banner(self, number: int, raw: str) -> None:
        """`banner motd ^C ... ^C`: from its first to its second delimiter nothing is a command."""
        rest = raw.lstrip().split(None, 2)
        body = rest[2] if len(rest) == 3 else ""
        delimiter = "^C" if body.startswith("^C") else body[:1]
        self._ignore(number, raw)
        if not delimiter or delimiter in body[len(delimiter) :]:
            return
        for _, text in self.lines:
            if delimiter in text:
                return
        raise ConfigError(f"the banner never ends: '{shown(reported(delimiter))}' does not come again", number)

    def _ignore(self, number: int, text: str) -> None:
        self.config.ignored.append((number, reported(text)))
