"""`voice-ctl-file` and `voice-phone-proxy` (vendor command reference, 15.3(3)M)."""

from __future__ import annotations

from cubeproxy.config.grammar import Commands, flag, number, text, word
from cubeproxy.config.lines import NAME as HOST
from cubeproxy.config.lines import Line, shown
from cubeproxy.config.model import CtlFile, PhoneProxy, RecordEntry, ServiceMap

MAX_ENTRIES = 64  # record entries of a CTL file, and service maps of a phone proxy


def _record_entry(ctl: CtlFile, line: Line) -> None:
    role = line.choose("record entry", ("capf", "cucm-tftp", "selfsigned"))
    line.accept("trustpoint")
    entry = RecordEntry(role, line.name("trustpoint"))
    line.end()
    if line.negated:
        ctl.record_entries = [other for other in ctl.record_entries if other != entry]
    elif len(ctl.record_entries) >= MAX_ENTRIES:
        raise line.error(f"a CTL file takes at most {MAX_ENTRIES} record entries")
    elif entry not in ctl.record_entries:
        ctl.record_entries.append(entry)


CTL_FILE: Commands[CtlFile] = Commands(
    {
        "description": text("description", "description", 100),
        "record-entry": _record_entry,
        "complete": flag("complete"),
    }
)


def _tftp_server(proxy: PhoneProxy, line: Line) -> None:
    if line.negated:
        proxy.tftp_server = proxy.tftp_local = proxy.tftp_access = ""
        return
    if line.accept("ipv4", "ipv6"):
        server = line.address("TFTP server")
    else:
        server = line.take("TFTP server")
        if not HOST.fullmatch(server):
            raise line.error(f"TFTP server '{shown(server)}' is neither an address nor a host name")
    local = _named_address(line, "local-addr", "local address towards the core")
    access = _named_address(line, "acc-addr", "address on the access side")
    line.end()
    proxy.tftp_server, proxy.tftp_local, proxy.tftp_access = server, local, access


def _capf_address(proxy: PhoneProxy, line: Line) -> None:
    if line.negated:
        proxy.capf_server = proxy.capf_access = ""
        return
    line.family()
    server = line.address("CAPF server")
    access = _named_address(line, "acc-addr", "address on the access side")
    line.end()
    proxy.capf_server, proxy.capf_access = server, access


def _service_map(proxy: PhoneProxy, line: Line) -> None:
    server = _named_address(line, "server-addr", "address of the service"), _port(line)
    access = _named_address(line, "acc-addr", "address on the access side"), _port(line)
    line.end()
    entry = ServiceMap(server, access)
    if line.negated:
        proxy.service_maps = [other for other in proxy.service_maps if other != entry]
    elif len(proxy.service_maps) >= MAX_ENTRIES:
        raise line.error(f"a phone proxy takes at most {MAX_ENTRIES} service maps")
    elif entry not in proxy.service_maps:
        proxy.service_maps.append(entry)


def _named_address(line: Line, keyword: str, what: str) -> str:
    line.choose("keyword", (keyword,))
    line.family()
    return line.address(what)


def _port(line: Line) -> int:
    line.choose("keyword", ("port",))
    return line.integer("port", 1, 65535)


_SESSION_TIMEOUT = number("session_timeout", "session timeout in seconds", 60, 6000, 180)

PHONE_PROXY: Commands[PhoneProxy] = Commands(
    {
        "description": text("description", "description"),
        "tftp-server address": _tftp_server,
        "ctl-file": word("ctl_file", "CTL file", 30),
        "access-secure": flag("access_secure"),
        "capf-address": _capf_address,
        "service-map": _service_map,
        "disable service-settings": flag("disable_service_settings"),
        "session-timeout": _SESSION_TIMEOUT,
        "session-timer": _SESSION_TIMEOUT,  # so in the vendor's own sample
        "max-concurrent-sessions": number("max_concurrent_sessions", "number of TFTP sessions", 0, 500, 200),
        "complete": flag("complete"),
    }
)
