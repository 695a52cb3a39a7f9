"""baresip 1.x without a sound card: a tone goes in, recordings come out, commands over its TCP control port."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from .process import Program, free_port, free_ports, require, until

MODULES = "/usr/lib/baresip/modules"
PORTS = 20  # for RTP and RTCP
CONFIG = """\
poll_method epoll
sip_listen {sip_listen}
{certificate}
call_local_timeout 60
call_max_calls 8
audio_player aubridge,sink
audio_source ausine,{tone}
audio_alert aubridge,sink
ausrc_srate 48000
ausrc_channels 2
auplay_channels 0
audio_txmode thread
audio_level no
audio_buffer 20-160
rtp_tos 184
rtp_ports {first_rtp}-{last_rtp}
rtcp_mux no
jitter_buffer_delay 5-10
rtp_stats yes
net_interface {host}
module_path {modules}
{module_lines}
module_tmp account.so
module_app menu.so
module_app ctrl_tcp.so
ctrl_tcp_listen {host}:{control}
snd_path {recordings}
"""


@dataclass(slots=True)
class Account:
    """One line of baresip's accounts file. `registrar` is host:port, and where calls go unless `outbound` says else."""

    user: str
    registrar: str
    transport: str = "udp"
    auth_user: str = ""
    password: str = ""
    media_encryption: str = ""  # "srtp", "srtp-mand" or none
    register: int = 0  # s, 0: never
    codecs: str = "pcmu"
    answer: str = "auto"  # or "manual"
    outbound: str = ""
    extra: Sequence[str] = field(default_factory=tuple)

    def line(self) -> str:
        parts = [f"<sip:{self.user}@{self.registrar};transport={self.transport}>"]
        if self.auth_user:
            parts.append(f"auth_user={self.auth_user}")
        if self.password:
            parts.append(f"auth_pass={self.password}")
        if self.media_encryption:
            parts.append(f"mediaenc={self.media_encryption}")
        if self.outbound:
            parts.append(f'outbound="{self.outbound}"')
        parts += [f"regint={self.register}", f"audio_codecs={self.codecs}", f"answermode={self.answer}", *self.extra]
        return ";".join(parts) + "\n"


class Baresip(Program):
    """A phone with one account.

    Its RTP sockets are bound to no address, so that on any 127.x.y.z its packets come from 127.0.0.1: keep that as its
    host wherever the peer checks the source of media.
    """

    name = "baresip"

    def __init__(
        self,
        folder: Path,
        account: Account,
        *,
        host: str = "127.0.0.1",
        tone: int = 440,
        certificate: Path | None = None,
        authority: Path | None = None,
        listen: int = 0,
    ) -> None:
        self.name = f"baresip-{account.user}"
        super().__init__(folder)
        self.program = require("baresip")
        self.host = host
        self.listen = listen
        self.account = account
        self.recordings = folder / "recordings"
        self.recordings.mkdir(exist_ok=True)
        self.control = free_port(host)
        self.rtp_ports = free_ports(host, PORTS)
        self._socket: socket.socket | None = None
        self._write(tone, certificate, authority, listen)

    def _write(self, tone: int, certificate: Path | None, authority: Path | None, listen: int) -> None:
        lines = [f"sip_certificate {certificate}"] if certificate else []
        lines += [f"sip_cafile {authority}"] if authority else []
        modules = ["g711.so", "g722.so", "opus.so", "sndfile.so", "ausine.so", "aubridge.so", "srtp.so"]
        text = CONFIG.format(
            sip_listen=f"{self.host}:{listen}" if listen else f"{self.host}:0",
            certificate="\n".join(lines),
            tone=tone,
            host=self.host,
            control=self.control,
            recordings=self.recordings,
            modules=MODULES,
            module_lines="\n".join(f"module {name}" for name in modules),
            first_rtp=self.rtp_ports,
            last_rtp=self.rtp_ports + PORTS - 1,
        )
        (self.folder / "config").write_text(text)
        (self.folder / "accounts").write_text(self.account.line())
        (self.folder / "contacts").write_text("")
        (self.folder / "uuid").write_text("6f8e1f0e-0000-4000-8000-000000000000\n")

    def command(self) -> Sequence[str]:
        return [self.program, "-4", "-f", str(self.folder), "-v"]

    def ready(self) -> None:
        self.wait_for(r"baresip is ready")
        self._socket = until("baresip's control port", self._connect, log=self.log)

    def _connect(self) -> socket.socket | None:
        try:
            return socket.create_connection((self.host, self.control), 5)
        except OSError:
            return None

    def stop(self, *args: object, **kwargs: object) -> int | None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        return super().stop()

    def order(self, command: str, params: str = "") -> None:
        """A command as in its menu, sent as a netstring of JSON."""
        assert self._socket is not None, "baresip was not started"
        text = json.dumps({"command": command, "params": params})
        self._socket.sendall(f"{len(text)}:{text},".encode())

    @property
    def tls_port(self) -> int:
        """baresip takes the port behind its plain one for TLS."""
        return self.listen + 1

    def wait_registered(self) -> None:
        self.wait_for(r"\[\d+ binding|All \d+ useragents? registered")

    def dial(self, uri: str) -> None:
        self.order("dial", uri)

    def wait_established(self, count: int = 1) -> None:
        self.wait_for(r"Call established", count=count)

    def hang_up(self) -> None:
        self.order("hangup")

    def wait_closed(self, count: int = 1) -> None:
        self.wait_for(r"Call with .* terminated", count=count)

    def recording(self, what: str) -> Path:
        """The newest recording: "dec" is what it heard, "enc" what it said."""

        def newest() -> Path | None:
            files = sorted(self.recordings.glob(f"*{what}.wav"))
            return files[-1] if files else None

        return until(f"{self.name} records {what}", newest, log=self.log)

    @property
    def heard(self) -> Path:
        return self.recording("dec")

    @property
    def suites(self) -> list[str]:
        """SRTP suites that it said it uses, in order."""
        return re.findall(r"srtp: .*?(AES_CM_\w+|AEAD_\w+|AES_256_\w+)", self.output)
