"""`cubeproxy run`."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from cubeproxy.cli.common import fail, read_config
from cubeproxy.media.reports import INTERVAL
from cubeproxy.media.transcoders.ng_engine import EngineSettings
from cubeproxy.protocols.errors import ConfigError, CubeError
from cubeproxy.protocols.values import Address, Severity
from cubeproxy.server.media_engine import CHOICES, WAIT
from cubeproxy.server.run import run
from cubeproxy.server.settings import Settings


class LogFormat(Enum):
    TEXT = "text"
    JSON = "json"


class RtcpPolicy(Enum):
    DROP = "drop"
    TERMINATE = "terminate"

    @property
    def reports(self) -> float:
        """Seconds between two reports, 0 for none."""
        return INTERVAL if self is RtcpPolicy.TERMINATE else 0.0


MAP_HELP = "Put the address NEW in the place of the router's OLD, everywhere: OLD=NEW, or @FILE with one a line."
NVRAM_HELP = "Folder with a subfolder for every trustpoint: ca.pem, cert.pem, key.pem as far as it has them."
RTPENGINE = "HOST:PORT[,weight=N][,sessions=N]"
RTPENGINE_HELP = "ng port of an rtpengine, for calls that the configuration's own transcoders do not take; repeatable."


def command(
    config: Annotated[Path, typer.Argument(help="Running configuration of the router, `-` for standard input.")],
    nvram: Annotated[Path | None, typer.Option(envvar="CUBEPROXY_NVRAM", help=NVRAM_HELP)] = None,
    maps: Annotated[list[str] | None, typer.Option("--map", metavar="OLD=NEW", help=MAP_HELP)] = None,
    control: Annotated[
        Path | None, typer.Option(envvar="CUBEPROXY_CONTROL", help="Unix socket for `cubeproxy show`.")
    ] = None,
    media: Annotated[
        str,
        typer.Option(envvar="CUBEPROXY_MEDIA", metavar="|".join(CHOICES), help="Media engine; auto takes the best."),
    ] = "auto",
    media_wait: Annotated[
        int, typer.Option(min=0, max=20_000, help="Microseconds that the native engine may hold a packet to batch it.")
    ] = WAIT,
    realtime: Annotated[
        bool, typer.Option(help="Real-time priority for the native media engine, where it is permitted.")
    ] = True,
    rtcp: Annotated[
        RtcpPolicy,
        typer.Option(
            envvar="CUBEPROXY_RTCP", help="RTCP: drop it like the router, or terminate it with reports on each leg."
        ),
    ] = RtcpPolicy.DROP,
    rtpengine: Annotated[
        list[str] | None,
        typer.Option(envvar="CUBEPROXY_RTPENGINE", metavar=RTPENGINE, help=RTPENGINE_HELP),
    ] = None,
    workers: Annotated[
        int, typer.Option(min=1, max=64, help="Media loops, each a process: calls are spread over them.")
    ] = 1,
    drain: Annotated[float, typer.Option(min=0, help="Seconds that calls may go on after SIGTERM.")] = 60.0,
    lease: Annotated[
        float, typer.Option(min=1, help="Seconds that audio goes on should the signalling process die.")
    ] = 3600.0,
    keylog: Annotated[Path | None, typer.Option(help="Lab only: write TLS secrets here for tshark.")] = None,
    legacy_tls: Annotated[
        bool, typer.Option("--legacy-tls", help="Access side: TLS 1.0, SHA-1 and short keys for old phones.")
    ] = False,
    device_rate: Annotated[
        float, typer.Option(min=0, help="Requests a second that one phone may begin; 0: no limit.")
    ] = 200.0,
    tftp_port: Annotated[
        int, typer.Option(min=0, max=65535, help="Port of the phone proxy's TFTP; below 1024 needs root.")
    ] = 69,
    cluster_tftp_port: Annotated[
        int, typer.Option(min=1, max=65535, help="Port of the cluster's TFTP, for a lab without root.")
    ] = 69,
    metrics: Annotated[str, typer.Option(metavar="HOST:PORT", help="Serve Prometheus metrics.")] = "",
    log_format: Annotated[LogFormat, typer.Option(help="Operator events as text or JSON lines.")] = LogFormat.TEXT,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Debug events too.")] = False,
) -> None:
    """Serve a pasted running configuration until SIGTERM (drains; a second one ends at once).

    On a laptop: cubelab pki init nvram; cubeproxy run sample-a-xe.ios --nvram nvram --map @lab.map
    """
    try:
        engines = tuple(EngineSettings.parse(text) for text in rtpengine or [])
    except ConfigError as error:
        fail(error)
    settings = Settings(
        rtpengines=engines,
        nvram=nvram,
        control=control,
        media=media,
        media_wait=media_wait,
        realtime=realtime,
        reports=rtcp.reports,
        workers=workers,
        drain=drain,
        lease=lease,
        keylog=keylog,
        legacy_tls=legacy_tls,
        tftp_port=tftp_port,
        cluster_tftp_port=cluster_tftp_port,
        device_rate=device_rate,
        metrics=_address(metrics) if metrics else None,
    )
    model = read_config(config, maps or [])
    level = Severity.DEBUG if verbose else Severity.INFO
    try:
        run(model, settings, json_lines=log_format is LogFormat.JSON, level=level)
    except CubeError as error:
        fail(error)
    except OSError as error:
        fail(f"{error.strerror or error}: {error.filename or ''}".rstrip(": "))


def _address(text: str) -> Address:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdecimal() or int(port) > 65535:
        fail(f"--metrics takes HOST:PORT, not {text!r}", 2)
    return host.strip("[]"), int(port)
