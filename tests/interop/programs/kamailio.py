"""Kamailio 5.6 as the core: registrar with digest, location lookup, static routes to what stands behind it."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .process import Program, free_port, require, until

CONFIG = """\
#!KAMAILIO
debug=2
log_stderror=yes
log_name="kamailio"
fork=yes
children=2
{tcp}
auto_aliases=no
dns=no
rev_dns=no
listen=udp:{host}:{port}
{listen_tls}
mpath="{modules}"
loadmodule "tm.so"
loadmodule "sl.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
loadmodule "auth.so"
{load_tls}
modparam("usrloc", "db_mode", 0)
modparam("registrar", "max_expires", 3600)
modparam("registrar", "gruu_enabled", 0)
modparam("rr", "enable_double_rr", 1)

request_route {{
    if (!mf_process_maxfwd_header("10")) {{
        sl_send_reply("483", "Too Many Hops");
        exit;
    }}
    xlog("L_NOTICE", "request $rm $ru from $si:$sp\\n");
    if (has_totag()) {{
        if (loose_route() || is_method("ACK") && t_check_trans()) {{
            t_relay();
        }} else if (!is_method("ACK")) {{
            sl_send_reply("404", "Not here");
        }}
        exit;
    }}
    if (is_method("CANCEL")) {{
        if (t_check_trans()) {{
            t_relay();
        }}
        exit;
    }}
    if (is_method("OPTIONS")) {{
        sl_send_reply("200", "OK");
        exit;
    }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("{realm}", "{password}", "0")) {{
            www_challenge("{realm}", "1");
            exit;
        }}
        save("location");
        xlog("L_NOTICE", "saved $tu at $ct\\n");
        exit;
    }}
    record_route();
{routes}
    if (!lookup("location")) {{
        xlog("L_NOTICE", "no location of $ru\\n");
        sl_send_reply("404", "Not Found");
        exit;
    }}
    t_relay();
    exit;
}}
"""
TLS_CONFIG = """\
[server:default]
method = TLSv1.2+
verify_certificate = {verify}
require_certificate = {verify}
private_key = {key}
certificate = {certificate}
ca_list = {authority}

[client:default]
method = TLSv1.2+
verify_certificate = no
private_key = {key}
certificate = {certificate}
ca_list = {authority}
"""
ROUTE = """\
    if ($rU == "{number}") {{
        $ru = "sip:{number}@{target}";
        t_relay();
        exit;
    }}
"""
MODULES = "/usr/lib/x86_64-linux-gnu/kamailio/modules/"


@dataclass(slots=True)
class TlsFiles:
    certificate: Path
    key: Path
    authority: Path
    verify: bool = True


class Kamailio(Program):
    """`routes` maps a number to host:port (with ;transport=… if need be); other numbers are looked up."""

    name = "kamailio"

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        *,
        port: int = 0,
        tls_port: int = 0,
        realm: str = "core.lab",
        password: str = "secret",
        routes: Mapping[str, str] | None = None,
        tls: TlsFiles | None = None,
    ) -> None:
        super().__init__(folder)
        self.program = require("kamailio")
        self.host = host
        self.port = port or free_port(host)
        self.tls_port = (tls_port or free_port(host)) if tls else 0
        self.realm, self.password = realm, password
        self.config = folder / "kamailio.cfg"
        self.run = folder / "run"
        self.run.mkdir()
        load_tls = ""
        if tls:
            file = folder / "tls.cfg"
            values = {"certificate": tls.certificate, "key": tls.key, "authority": tls.authority}
            file.write_text(TLS_CONFIG.format(verify="yes" if tls.verify else "no", **values))
            load_tls = f'loadmodule "tls.so"\nmodparam("tls", "config", "{file}")'
        self.config.write_text(
            CONFIG.format(
                host=host,
                port=self.port,
                tcp="disable_tcp=no\nenable_tls=yes\ntcp_children=2" if tls else "disable_tcp=yes",
                listen_tls=f"listen=tls:{host}:{self.tls_port}" if tls else "",
                load_tls=load_tls,
                modules=modules(),
                realm=realm,
                password=password,
                routes="".join(ROUTE.format(number=n, target=t) for n, t in (routes or {}).items()),
            )
        )

    def command(self) -> Sequence[str]:
        return [self.program, "-f", str(self.config), "-DD", "-E", "-m", "64", "-M", "8", "-Y", str(self.run)]

    def ready(self) -> None:
        until("Kamailio answers OPTIONS", self._answers, log=self.log)

    def _answers(self) -> bool:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((self.host, 0))
            probe.settimeout(0.5)
            here = f"{self.host}:{probe.getsockname()[1]}"
            text = (
                f"OPTIONS sip:{self.host}:{self.port} SIP/2.0\r\nVia: SIP/2.0/UDP {here};branch=z9hG4bKready\r\n"
                f"From: <sip:ready@{here}>;tag=1\r\nTo: <sip:{self.host}>\r\nCall-ID: ready@{here}\r\n"
                "CSeq: 1 OPTIONS\r\nMax-Forwards: 5\r\nContent-Length: 0\r\n\r\n"
            )
            with contextlib.suppress(OSError):
                probe.sendto(text.encode(), (self.host, self.port))
                return probe.recv(2000).startswith(b"SIP/2.0 200")
        return False


def modules() -> str:
    """Kamailio's module folder on this architecture."""
    found = sorted(Path("/usr/lib").glob("*/kamailio/modules"))
    return f"{found[0]}/" if found else MODULES
