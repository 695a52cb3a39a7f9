"""What the shows of DSP farms ask in common: who is registered, which sessions they carry, and words for them."""

from __future__ import annotations

from collections.abc import Iterator

from cubeproxy.config.model import DspfarmProfile
from cubeproxy.media.transcoders.admission import profiles_by_name
from cubeproxy.media.transcoders.sccp import Farm, Session
from cubeproxy.protocols.sccp.codecs import BY_NUMBER
from cubeproxy.protocols.sccp.session import State, Stream
from cubeproxy.views.sources import Sources

SHORT = {"g711ulaw": "g711u", "g711alaw": "g711a", "g729r8": "g729", "g729ar8": "g729a", "g729abr8": "g729ab"}
LONG = {"g711ulaw": "G711Ulaw", "g711alaw": "G711Alaw", "g729ar8": "G729a", "g729abr8": "G729ab", "g729r8": "G729"}
NOBODY = "N/A"


def registered(sources: Sources) -> list[Farm]:
    """Farms, in the order in which they came."""
    farms = sources.transcoders.farms if sources.transcoders else None
    return [farm for farm in farms.farms.values() if farm.server.registered] if farms else []


def farm_of(sources: Sources, profile: DspfarmProfile) -> Farm | None:
    """The farm that a profile of this box has registered."""
    names = {name for name, one in profiles_by_name(sources.config).items() if one is profile}
    return next((farm for farm in registered(sources) if farm.server.name in names), None)


def carried(sources: Sources) -> Iterator[tuple[Session, Farm]]:
    """Sessions of all farms."""
    for farm in registered(sources):
        for session in farm.sessions.values():
            yield session, farm


def streams(session: Session) -> list[tuple[int, int, Stream | None, int]]:
    """Leg, party, what the leg's stream is (None: not yet known) and the farm's port for it (0: not yet known)."""
    machine = session.machine
    return [
        (leg, party, machine.streams[leg] if machine.streams else None, session.hosts[leg][1] if session.hosts else 0)
        for leg, party in enumerate(machine.parties)
    ]


def stream_type(stream: Stream | None) -> str:
    """Of `show sccp connections`."""
    return "secure -xcode" if stream is not None and stream.receive.algorithm else "xcode"


def mode(session: Session) -> str:
    return "sendrecv" if session.machine.state is State.RUNNING else "inactive"


def codec(stream: Stream | None) -> str:
    """By its IOS name."""
    return BY_NUMBER[stream.codec].ios if stream is not None else "none"
