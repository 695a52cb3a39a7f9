"""A phone's configuration as text with places in it: what is not changed stays as it is, octet for octet.

Hardened: no document type at all (no entities, no bombs, nothing fetched), limits on size, depth and elements, and only
encodings in which a tag is ASCII.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat
from xml.sax.saxutils import escape

from cubeproxy.protocols.errors import RemoteProtocolError

LARGEST = 2 * 1024 * 1024  # octets
DEEPEST = 32
MOST_ELEMENTS = 20_000
ENCODINGS = frozenset({"", "utf-8", "us-ascii", "ascii", "iso-8859-1"})

_TAG = re.compile(rb"<(?:[^>\"']|\"[^\"]*\"|'[^']*')*>")


class XmlRefused(RemoteProtocolError):
    """`cause`: "dtd", "too-large", "too-deep", "too-many", "encoding", "not-xml"."""

    def __init__(self, cause: str, text: str) -> None:
        super().__init__(text)
        self.cause = cause


@dataclass(slots=True)
class Element:
    """One element. Offsets are of octets; `start` to `end` is the whole, `open` to `close` what is between its tags."""

    path: tuple[str, ...]
    start: int
    parent: Element | None = field(default=None, repr=False)
    open: int = 0
    close: int = 0
    end: int = 0
    empty: bool = False  # <name/>
    children: int = 0
    text: str = ""  # of a leaf

    @property
    def name(self) -> str:
        return self.path[-1]


@dataclass(slots=True)
class Document:
    """Its elements in the order of the text, and the changes that are to be made."""

    data: bytes = field(repr=False)
    elements: list[Element] = field(default_factory=list)
    by_name: dict[str, list[Element]] = field(default_factory=dict)
    edits: list[tuple[int, int, bytes]] = field(default_factory=list)

    @property
    def root(self) -> Element:
        return self.elements[0]

    def find(self, *tail: str) -> Iterator[Element]:
        """Elements whose path ends like this, in the order of the text."""
        return (one for one in self.by_name.get(tail[-1], ()) if one.path[-len(tail) :] == tail)

    def raw(self, element: Element) -> bytes:
        return self.data[element.open : element.close]

    def set(self, element: Element, text: str) -> None:
        """Give a leaf another text."""
        value = escape(text).encode("ascii", "xmlcharrefreplace")
        if element.empty:
            tag = self.data[element.start : element.end]
            opened = tag[:-2].rstrip() + b">"
            self.edits.append((element.start, element.end, opened + value + b"</" + element.name.encode() + b">"))
        else:
            self.edits.append((element.open, element.close, value))

    def splice(self, start: int, end: int, value: bytes) -> None:
        self.edits.append((start, end, value))

    def remove(self, element: Element) -> None:
        self.edits.append((element.start, element.end, b""))

    def append(self, parent: Element, name: str, text: str) -> None:
        """A new last child of an element that has an end tag."""
        child = f"<{name}>{escape(text)}</{name}>".encode("ascii", "xmlcharrefreplace")
        self.edits.append((parent.close, parent.close, child))

    def result(self) -> bytes:
        """The text with the changes in it. Inside of what is removed nothing else is changed."""
        parts, at = [], 0
        for start, end, value in sorted(self.edits, key=lambda edit: (edit[0], -edit[1])):
            if start >= at:
                parts += [self.data[at:start], value]
                at = end
        return b"".join((*parts, self.data[at:]))


def read_xml(data: bytes) -> Document:
    """XmlRefused says why a text is not read."""
    if len(data) > LARGEST:
        raise XmlRefused("too-large", f"a configuration of {len(data)} octets")
    if b"\0" in data:
        raise XmlRefused("encoding", "an encoding in which a tag is not ASCII")
    reader = _Reader(data)
    try:
        reader.parser.Parse(data, True)
    except expat.ExpatError as error:
        raise XmlRefused("not-xml", f"not well-formed: {error}") from None
    except (LookupError, ValueError) as error:
        raise XmlRefused("encoding", f"an encoding nobody knows: {error}") from None
    return reader.document


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.document = Document(data)
        self.stack: list[Element] = []
        self.count = 0
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.XmlDeclHandler = self.declaration
        parser.StartDoctypeDeclHandler = self.doctype
        parser.StartElementHandler = self.start
        parser.EndElementHandler = self.end
        parser.CharacterDataHandler = self.text

    def declaration(self, _version: str, encoding: str | None, _standalone: int) -> None:
        if (encoding or "").lower() not in ENCODINGS:
            raise XmlRefused("encoding", f"encoding {encoding} is not read here")

    def doctype(self, name: str, *_more: object) -> None:
        raise XmlRefused("dtd", f"a document type ({name[:40]}) has no place in a configuration")

    def start(self, name: str, _attributes: dict[str, str]) -> None:
        self.count += 1
        if self.count > MOST_ELEMENTS:
            raise XmlRefused("too-many", f"more than {MOST_ELEMENTS} elements")
        if len(self.stack) == DEEPEST:
            raise XmlRefused("too-deep", f"elements more than {DEEPEST} deep")
        data, start = self.document.data, self.parser.CurrentByteIndex
        tag = _TAG.match(data, start)
        if tag is None:
            raise XmlRefused("encoding", "a tag that is no ASCII")
        path = (*self.stack[-1].path, name) if self.stack else (name,)
        if self.stack:
            self.stack[-1].children += 1
            self.stack[-1].text = ""
        parent = self.stack[-1] if self.stack else None
        element = Element(path, start, parent, open=tag.end(), empty=tag[0].endswith(b"/>"))
        self.stack.append(element)
        self.document.elements.append(element)
        self.document.by_name.setdefault(name, []).append(element)

    def end(self, _name: str) -> None:
        element = self.stack.pop()
        if element.empty:
            element.close = element.end = element.open
        else:
            element.close = self.parser.CurrentByteIndex
            element.end = self.document.data.index(b">", element.close) + 1

    def text(self, text: str) -> None:
        if not self.stack[-1].children:
            self.stack[-1].text += text
