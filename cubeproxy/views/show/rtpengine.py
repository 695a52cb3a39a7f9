"""`show rtpengine`: the engines of others and what they carry. No command of the router's."""

from __future__ import annotations

from cubeproxy.media.transcoders.ng_engine import Engine
from cubeproxy.protocols.addresses import format_address
from cubeproxy.views.sources import Sources

ENGINES = "{:<24} {:<9} {:>6} {:>9} {:>6} {:>6} {:>8} {:>9}"
SESSIONS = "{:>6} {:<24} {:<17} {:<22} {:<22} {:>9} {:>7}"
NONE = "No rtpengine is configured: `cubeproxy run --rtpengine HOST:PORT`\n"


def rtpengines(sources: Sources) -> str:
    """One line an engine: `own` is what it counts itself, calls of other controllers included."""
    member = sources.transcoders.engines if sources.transcoders is not None else None
    if member is None:
        return NONE
    rows = [ENGINES.format("engine", "state", "weight", "sessions", "limit", "own", "carried", "uptime")]
    for engine in member.engines:
        counts = (len(engine.sessions), engine.settings.sessions, engine.theirs, engine.total)
        rows.append(ENGINES.format(engine.name, state(engine), engine.settings.weight, *counts, f"{engine.uptime} s"))
    counters = member.statistics()
    rows += ["", f"from {member.inside}: " + ", ".join(f"{name} {count}" for name, count in counters.items())]
    return "\n".join(rows) + "\n"


def rtpengine_sessions(sources: Sources) -> str:
    """One line a session, with the engine's address towards either leg and its packets, as of its last answer."""
    member = sources.transcoders.engines if sources.transcoders is not None else None
    if member is None:
        return NONE
    rows = [SESSIONS.format("sess", "engine", "state", "access side", "core side", "packets", "errors")]
    for number, session in member.sessions.items():
        first, second = (format_address(host[0]) for host in session.hosts) if session.hosts else ("-", "-")
        row = (number, session.engine.name, session.phase.value, first, second, *session.packets)
        rows.append(SESSIONS.format(*row))
    return "\n".join([*rows, "", f"Total number of sessions {len(member.sessions)}"]) + "\n"


def state(engine: Engine) -> str:
    if engine.up and engine.draining:
        return "draining"
    return "full" if engine.up and engine.full else engine.liveness.state.value
