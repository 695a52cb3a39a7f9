"""What a router does not have: the settings that are flags or environment variables of `cubeproxy run`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cubeproxy.media.transcoders.ng_engine import EngineSettings
from cubeproxy.protocols.values import Address


@dataclass(frozen=True)
class Settings:
    """`nvram` None: only the certificates in the configuration's own chains."""

    nvram: Path | None = None
    control: Path | None = None  # Unix socket for `cubeproxy show`
    media: str = "auto"  # which media engine, one of media_engine.CHOICES
    media_wait: int = 1000  # us that a packet may wait for others in the native engine
    realtime: bool = True  # real-time priority for the native engine, where it is permitted
    reports: float = 0.0  # s between two RTCP reports on each leg, as SRTCP where it is secure; 0 drops RTCP
    workers: int = 1  # media worker processes
    drain: float = 60.0  # s that calls may go on after the first SIGTERM
    lease: float = 3600.0  # s that media goes on after the signalling process died
    keylog: Path | None = None  # TLS secrets in NSS format, for captures in a lab
    legacy_tls: bool = False  # TLS 1.0, SHA-1 chains and 1024-bit keys for old phones
    tftp_port: int = 69  # of the phone proxy; below 1024 needs root or CAP_NET_BIND_SERVICE
    cluster_tftp_port: int = 69  # where the cluster's TFTP server listens
    sweep: float = 60.0  # s between two looks at trustpoints, revocation lists and expiry
    device_rate: float = 200.0  # requests a second that one phone may begin; 0 is no limit
    rtpengines: tuple[EngineSettings, ...] = ()  # engines of others that carry what the configuration's own do not
    metrics: Address | None = None  # Prometheus endpoint
