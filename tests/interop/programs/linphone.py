"""linphonec 5.x without a sound card: plays a WAV file, records a WAV file, commands on standard input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .process import Program, free_port, free_ports, require

CONFIG = """\
[sip]
sip_port={udp}
sip_tcp_port={tcp}
sip_tls_port={tls}
bind_address={host}
default_proxy=0
guess_hostname=0
register_only_when_network_is_up=0
verify_server_certs={verify}
verify_server_cn=0
root_ca={authority}
{certificate}
media_encryption={encryption}
media_encryption_mandatory={mandatory}
use_ipv6=0
ipv6_migration_done=1
keepalive_period=0
use_rport=1
inc_timeout=60

[proxy_0]
reg_proxy=<sip:{registrar};transport={transport}>
reg_route=<sip:{registrar};transport={transport};lr>
reg_identity="{user}" <sip:{user}@{domain}>
reg_expires={expires}
reg_sendregister={register}
publish=0
dial_escape_plus=0

[auth_info_0]
username={auth_user}
userid={auth_user}
passwd={password}

[rtp]
audio_rtp_port={rtp}
symmetric=1
bind_address={host}
audio_jitt_comp=40
rtcp_enabled=1

[sound]
playback_dev_id=
capture_dev_id=
echocancellation=0
remote_ring=
local_ring=
mic_gain_db=0
agc=0

[audio_codec_0]
mime=PCMU
rate=8000
enabled=1

[audio_codec_1]
mime=PCMA
rate=8000
enabled=1

[net]
mtu=1300

[misc]
add_missing_audio_codecs=0
log_collection_upload_server_url=
"""


@dataclass(slots=True)
class LinphoneAccount:
    user: str
    registrar: str  # host:port
    domain: str  # of the address of record
    transport: str = "tls"
    auth_user: str = ""
    password: str = ""
    register: bool = True
    encryption: str = "srtp"  # or "none"


class Linphone(Program):
    """A phone with one account. `sound` is the file that it plays into each call."""

    def __init__(
        self,
        folder: Path,
        account: LinphoneAccount,
        sound: Path,
        *,
        host: str = "127.0.0.1",
        certificate: Path | None = None,
        key: Path | None = None,
        authority: Path | None = None,
    ) -> None:
        self.name = f"linphonec-{account.user}"
        super().__init__(folder)
        self.program = require("linphonec")
        self.account = account
        self.sound = sound
        self.heard = folder / "heard.wav"
        self.config = folder / "linphonerc"
        (folder / ".local/share/linphone").mkdir(parents=True)  # without its database it opens no SIP port
        certificates = f"client_cert_chain={certificate}\nclient_cert_key={key}" if certificate else ""
        self.tls_port = free_port(host)
        self.config.write_text(
            CONFIG.format(
                udp=free_port(host) if account.transport == "udp" else 0,
                tcp=free_port(host) if account.transport == "tcp" else 0,
                tls=self.tls_port if account.transport == "tls" else 0,
                host=host,
                user=account.user,
                verify=1 if authority else 0,
                authority=authority or "",
                certificate=certificates,
                encryption=account.encryption,
                mandatory=1 if account.encryption == "srtp" else 0,
                registrar=account.registrar,
                transport=account.transport,
                domain=account.domain,
                expires=300,
                register=int(account.register),
                auth_user=account.auth_user or account.user,
                password=account.password,
                rtp=free_ports(host, 2),
            )
        )

    def command(self) -> Sequence[str]:
        # -d 6 prints every message: the tests wait on those lines.
        return [self.program, "-d", "6", "-c", str(self.config)]

    def environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder),
            "PATH": "/usr/bin:/bin",
            "LANG": "C",
            "XDG_DATA_HOME": str(self.folder / ".local/share"),
        }

    def ready(self) -> None:
        self.wait_for(r"Creating listening point")
        self.wait_for(r"use -V or -C")
        self.tell("soundcard use files")
        self.tell(f"play {self.sound}")
        self.tell(f"record {self.heard}")

    def stop(self, *args: object, **kwargs: object) -> int | None:
        return super().stop()

    def wait_registered(self) -> None:
        self.wait_for(r"to \[LinphoneRegistrationOk\]")

    def dial(self, uri: str) -> None:
        self.tell(f"call {uri}")

    def wait_ringing(self) -> None:
        self.wait_for(r"Receiving new incoming call")

    def answer(self) -> None:
        self.tell("answer")

    def wait_established(self, count: int = 1) -> None:
        self.wait_for(r"^Media streams established", count=count)

    def hang_up(self) -> None:
        self.tell("terminate all")

    def wait_closed(self, count: int = 1) -> None:
        self.wait_for(r"^Call \d+ with .* ended", count=count)
