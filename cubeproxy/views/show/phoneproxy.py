"""`show voice class phone-proxy [sessions | file-buffer [detail]]`.

The layouts of the first two are those of the vendor's command reference. That of file-buffer was not found and is ours.
"""

from __future__ import annotations

from collections.abc import Iterator

from cubeproxy.config.model import DialPeer, PhoneProxy
from cubeproxy.protocols.values import Address
from cubeproxy.views.phonefiles import FileState
from cubeproxy.views.sources import Sources

MEGABYTE = 1_048_576


def phone_proxies(sources: Sources) -> str:
    return "".join(_proxy(sources, proxy) for proxy in sources.config.phone_proxies.values()) or NONE


def sessions(sources: Sources) -> str:
    return "".join(_sessions(sources, proxy) for proxy in sources.config.phone_proxies.values()) or NONE


def file_buffer(sources: Sources) -> str:
    return "".join(_buffer(sources, proxy, detail=False) for proxy in sources.config.phone_proxies.values()) or NONE


def file_buffer_detail(sources: Sources) -> str:
    return "".join(_buffer(sources, proxy, detail=True) for proxy in sources.config.phone_proxies.values()) or NONE


NONE = "No phone-proxy is configured\n"


def _state(sources: Sources, proxy: PhoneProxy) -> FileState:
    return sources.phone_files().get(proxy.name, FileState())


def _peers(sources: Sources, proxy: PhoneProxy) -> Iterator[DialPeer]:
    for peer in sources.config.dial_peers.values():
        if peer.phone_proxy is not None and peer.phone_proxy.name == proxy.name:
            yield peer


def _proxy(sources: Sources, proxy: PhoneProxy) -> str:
    secure = proxy.access_secure
    settings = "disable" if proxy.disable_service_settings else "preserve(default)"
    capf = "Capf server address" if secure else "Local capf server address"
    plan = sources.border.plan.peers
    rows = [
        f"Phone-Proxy '{proxy.name}':",
        f" Description: {proxy.description}",
        "   Access Secure: secure" if secure else "   Access secure: nonsecure (default)",
        f"   Tftp-client address: {proxy.tftp_local}",
        f"   Tftp-server address: {proxy.tftp_server}",
        f"   {capf}: {proxy.capf_server}",
        f"   CUCM service settings: {settings}",
        f"   Ctl file name: {proxy.ctl_file}",
        f"   Session-timeout: {proxy.session_timeout} seconds",
        f"   Max-concurrent-sessions: {proxy.max_concurrent_sessions}",
        f"   Current sessions: {len(_state(sources, proxy).sessions)}",
        f"   Configuration status: {'complete' if proxy.complete else 'not complete'}",
        "   Dialpeers associated:",
        "      Name                      State",
        "      ---------------------------------",
        *(
            f"      {f'dialpeer{peer.tag}':<29} {'active' if peer.tag in plan else 'inactive'}"
            for peer in _peers(sources, proxy)
        ),
    ]
    return "\n".join(rows) + "\n"


def _sessions(sources: Sources, proxy: PhoneProxy) -> str:
    """A pair of lines a transfer: phone to us, and we to the cluster while we ask it."""
    rows = [
        f"Phone-Proxy '{proxy.name}':",
        "               srcaddr:port         dstaddr:port     vrf",
        "            ------------         -------------    ----",
    ]
    names = [f"dialpeer{peer.tag}" for peer in _peers(sources, proxy)]
    found = _state(sources, proxy).sessions
    if found:
        rows.append(f"-------------Sessions of Dialpeer {names[0] if names else 'none'}-------")
    for session in found:
        rows.append(f" |Access:   {_pair(session.phone, session.access)}   global    |")
        core = _pair(session.local, session.server) if session.local and session.server else " " * 41
        rows.append(f" |Core  :   {core}   global    |")
        rows.append("  " + "-" * 72)
    return "\n".join(rows) + "\n"


def _pair(source: Address, destination: Address) -> str:
    return f"{source[0]}:{source[1]}".ljust(20) + " " + f"{destination[0]}:{destination[1]}".ljust(20)


def _buffer(sources: Sources, proxy: PhoneProxy, *, detail: bool) -> str:
    state = _state(sources, proxy)
    settings = sources.config.file_buffer
    rows = [f"Phone-Proxy '{proxy.name}' file-buffer:"]
    if settings is None or not state.buffer_limit:
        return f"{rows[0]} not configured\n"
    used = sum(kept.octets for kept in state.buffered)
    rows += [
        f"   Size: {settings.size} MB, aging: {settings.aging} seconds",
        f"   Files: {len(state.buffered)}, octets: {used}, without room: {state.buffer_refused}",
    ]
    if detail:
        rows.append(f"   {'Name':<40} {'Octets':>9} {'Age':>6} {'Hits':>6}")
        rows += [f"   {one.name:<40} {one.octets:>9} {one.age:>6} {one.hits:>6}" for one in state.buffered]
    return "\n".join(rows) + "\n"
