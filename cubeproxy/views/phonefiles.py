"""What the file service of a phone proxy looks like from outside: values for the shows, filled by `server`."""

from __future__ import annotations

from dataclasses import dataclass, field

from cubeproxy.protocols.values import Address


@dataclass(slots=True)
class FileSession:
    """One TFTP transfer to a phone. The core pair is None while the answer comes from here."""

    name: str
    phone: Address
    access: Address
    local: Address | None = None
    server: Address | None = None


@dataclass(slots=True)
class BufferedFile:
    name: str
    octets: int
    age: int  # s
    hits: int


@dataclass(slots=True)
class FileState:
    """One phone proxy now. `running`: its files are served."""

    running: bool = False
    sessions: list[FileSession] = field(default_factory=list)
    buffered: list[BufferedFile] = field(default_factory=list)
    buffer_limit: int = 0  # octets, 0 for no buffer
    buffer_refused: int = 0
