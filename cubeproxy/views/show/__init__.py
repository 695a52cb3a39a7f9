"""The show commands, by the words that operators know. A row a command; words may be abbreviated as on the router."""

from __future__ import annotations

from collections.abc import Callable

from cubeproxy.views.show.calls import active_brief, active_compact, active_summary, total_calls
from cubeproxy.views.show.certificates import certificates, trustpoint_status, trustpoints
from cubeproxy.views.show.dialpeers import dial_peer_summary
from cubeproxy.views.show.dsp import dsp_group, dsp_sessions, farm_channels, farm_profiles
from cubeproxy.views.show.filters import apply_filter
from cubeproxy.views.show.media import rtp_connections
from cubeproxy.views.show.phoneproxy import file_buffer, file_buffer_detail, phone_proxies, sessions
from cubeproxy.views.show.registrations import passthrough_status
from cubeproxy.views.show.rtpengine import rtpengine_sessions, rtpengines
from cubeproxy.views.show.sccp import (
    farm_sessions,
    farm_sessions_summary,
    farm_units,
    sccp,
    sccp_connections,
    sccp_details,
    sccp_groups,
    sccp_statistics,
)
from cubeproxy.views.show.system import running_config, version
from cubeproxy.views.sources import Sources

View = Callable[[Sources], str]

COMMANDS: dict[str, tuple[View, str]] = {
    "call active voice brief": (active_brief, "every call leg with SRTP: on|off"),
    "call active voice compact": (active_compact, "one line a call leg"),
    "call active voice summary": (active_summary, "numbers of call legs"),
    "call active total-calls": (total_calls, "number of calls"),
    "crypto pki certificates": (certificates, "certificates of all trustpoints"),
    "crypto pki trustpoints": (trustpoints, "trustpoints and their authorities"),
    "crypto pki trustpoints status": (trustpoint_status, "what each trustpoint has and lacks"),
    "dial-peer voice summary": (dial_peer_summary, "dial peers and the state of their nodes"),
    "dspfarm dsp active": (farm_channels, "streams on DSPs and their packets"),
    "dspfarm profile": (farm_profiles, "profiles of DSP farms, their state and their sessions"),
    "dspfarm sessions": (dsp_sessions, "sessions on DSPs, stream by stream"),
    "rtpengine": (rtpengines, "engines of others and how many sessions they carry"),
    "rtpengine sessions": (rtpengine_sessions, "sessions on them"),
    "sccp": (sccp, "SCCP and the registration of each profile"),
    "sccp ccm group": (sccp_groups, "groups of call managers"),
    "sccp connections": (sccp_connections, "streams of calls over a DSP farm"),
    "sccp connections details": (sccp_details, "the same, with suites and packet periods"),
    "sccp statistics": (sccp_statistics, "messages to and from each DSP farm"),
    "sdspfarm sessions": (farm_sessions, "streams as the call manager sees them"),
    "sdspfarm sessions active": (farm_sessions, "the same, for those who ask for active ones"),
    "sdspfarm sessions summary": (farm_sessions_summary, "one line a stream"),
    "sdspfarm units": (farm_units, "DSP farms that are registered here"),
    "sip-ua registration passthrough status": (passthrough_status, "registered phones"),
    "running-config": (running_config, "the configuration as it was understood, addresses mapped"),
    "version": (version, "release, personality and media engine"),
    "voice class phone-proxy": (phone_proxies, "phone proxies and their dial peers"),
    "voice class phone-proxy file-buffer": (file_buffer, "files kept for the next phone"),
    "voice class phone-proxy file-buffer detail": (file_buffer_detail, "the same, file by file"),
    "voice class phone-proxy sessions": (sessions, "TFTP sessions of phones"),
    "voice dsp group": (dsp_group, "credits of DSPs and what uses them"),
    "voip rtp connections": (rtp_connections, "media ports in use"),
}


class Show:
    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def answer(self, line: str) -> str:
        """The text of one command, with or without `show` in front of it."""
        line, bar, words_behind = line.partition("|")
        text = self._text(line)
        return apply_filter(text, words_behind) if bar and not text.startswith("%") else text

    def _text(self, line: str) -> str:
        words = line.lower().split()
        if words and len(words[0]) >= 2 and "show".startswith(words[0]):
            words = words[1:]
        if not words or words == ["?"]:
            return listing()
        found = [command for command in COMMANDS if _matches(words, command.split())]
        if len(found) == 1:
            return COMMANDS[found[0]][0](self._sources)
        if found:
            return "% Ambiguous command:\n" + "".join(f"  show {command}\n" for command in found)
        return f"% Invalid input: show {' '.join(words)[:80]}\n{listing()}"


def listing() -> str:
    """What there is to show."""
    width = max(map(len, COMMANDS))
    return "".join(f"  show {command:<{width}} {text}\n" for command, (_, text) in COMMANDS.items())


def _matches(words: list[str], command: list[str]) -> bool:
    return len(words) == len(command) and all(full.startswith(word) for word, full in zip(words, command, strict=True))
