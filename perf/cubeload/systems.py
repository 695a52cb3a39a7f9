"""What can be loaded: a program that was started, where calls go in and where its core side sends them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cubeload import peers
from cubeload.links import ClientTls


@dataclass(slots=True)
class Phone:
    """Who calls: a number, an address of its own and, for TLS, a certificate."""

    user: str
    host: str
    tls: ClientTls | None = None


@dataclass(slots=True)
class System:
    """A program under load. `pid` is its signalling process, other processes are children of that one.

    `counted`, where there is one, asks the program itself how many calls it has connected so far.
    """

    name: str
    path: str  # in words: what goes in, what comes out
    pid: int
    enter: tuple[str, int]
    core: list[tuple[str, int]]  # where its core side sends requests; all of them must be answered
    domain: str
    phones: list[Phone]
    secure: bool = False  # SDES in the offer
    number: str = "2000"
    register: bool = False
    counted: Callable[[], int] | None = None
    options: dict[str, str] = field(default_factory=dict)  # what else a result should name


@contextlib.contextmanager
def sippy_system(host: str = "127.0.0.1") -> Iterator[System]:
    """The Python mark, UDP to UDP, no media engine, its logs off."""
    port, core = peers.free_udp_port(host), peers.free_udp_port(host)
    with peers.sippy(host, port, f"{host}:{core}") as pid:
        yield System(
            "sippy", "UDP to UDP, no media", pid, (host, port), [(host, core)], f"{host}:{port}", [Phone("1000", host)]
        )
