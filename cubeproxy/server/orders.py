"""What an operator can order a running proxy to do, over its control socket: a line that begins with `do`.

Everything else that comes there is a show command, and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from cubeproxy.media.transcoders.rtpengine import Rtpengines
from cubeproxy.protocols.values import Event, Severity

USAGE = "% do rtpengine drain|resume HOST:PORT\n"


class Orders:
    """`engines` are those of the pool, None without any; `show` answers what is no order."""

    def __init__(
        self, engines: Rtpengines | None, show: Callable[[str], str], on_report: Callable[[Event], None]
    ) -> None:
        self._engines = engines
        self._show = show
        self._on_report = on_report

    def answer(self, line: str) -> str:
        words = line.split()
        if words[:1] != ["do"]:
            return self._show(line)
        match words[1:]:
            case ["rtpengine", "drain" | "resume" as verb, name]:
                return self._rtpengine(name, resume=verb == "resume")
        return USAGE

    def _rtpengine(self, name: str, *, resume: bool) -> str:
        if self._engines is None or not self._engines.drain(name, resume=resume):
            return f"% no rtpengine {name} here: see `show rtpengine`\n"
        text = f"rtpengine {name} {'is back in service' if resume else 'gets no new sessions'}"
        self._on_report(Event(f"rtpengine.{'resumed' if resume else 'draining'}", Severity.NOTICE, text, peer=name))
        return f"{text}\n"
