"""What one phone proxy serves, whichever way it is asked: our trust list, else the cluster's file, turned and signed.

Unknown, forbidden and unreachable sound the same to whoever asks (`Missing`); the operator is told which it was.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor

from cubeproxy.config.model import Config, PhoneProxy
from cubeproxy.phoneproxy.names import Kind, Wanted
from cubeproxy.phoneproxy.preparing import CONFIGS, FileRefused, Prepared, Preparer
from cubeproxy.phoneproxy.view import access_view
from cubeproxy.protocols.errors import CubeError, RemoteProtocolError
from cubeproxy.protocols.trustlist import Role, read_list
from cubeproxy.protocols.values import Event, Severity
from cubeproxy.server.phoneproxy.buffer import Buffer
from cubeproxy.server.phoneproxy.fetch import Fetcher, FetchFailed, NotFound
from cubeproxy.server.phoneproxy.keeper import Keeper, Served

UNAUTHENTICATED = "config.upstream-unauthenticated"  # said once, however often the lists are made anew

Report = Callable[[Event], None]


class Missing(CubeError):
    """There is nothing to serve. The operator knows why already."""


class Library:
    """`threads` does what takes longer than a message may wait: reading and writing large XML, and signatures."""

    def __init__(
        self,
        config: Config,
        proxy: PhoneProxy,
        keeper: Keeper,
        fetcher: Fetcher,
        buffer: Buffer,
        report: Report,
        threads: Executor | None = None,
    ) -> None:
        self._view = access_view(config, proxy)
        self._proxy = proxy
        self._keeper = keeper
        self._fetcher = fetcher
        self._report = report
        self._threads = threads
        self._preparer: Preparer | None = None
        self._refuses_cluster = False
        self._said_unauthenticated = False
        self.buffer = buffer
        self.served = 0
        self.missed = 0

    def build(self) -> None:
        """Make the trust list, or make it again after certificates changed. TrustError, OSError: the old one stays."""
        built = self._keeper.build(int(time.time()))
        for event in built.trust.events:
            self._report(event)
        if self._preparer is None or built.trust.ctl != self._preparer.trust.ctl:
            self._report(_serving(self._proxy, built))
        self._preparer = Preparer(self._view, built.signer, built.trust, built.cluster)
        self._refuses_cluster = built.verified and not built.cluster
        self.buffer.clear()

    def upstream_name(self, wanted: Wanted) -> str:
        """The name that the cluster is asked for."""
        return self._preparer.upstream_name(wanted) if self._preparer is not None else wanted.plain_name

    async def find(self, wanted: Wanted, peer: str) -> bytes:
        """The octets to send. Missing."""
        try:
            content = await self._find(wanted)
        except FileRefused as error:
            self._tell(error.event, peer)
        except NotFound as error:
            self._tell(_event("file.missing", Severity.INFO, str(error), wanted), peer)
        except FetchFailed as error:
            fix = f"is {self._fetcher.server} the cluster's TFTP server, and reachable from {self._fetcher.local}?"
            self._tell(_event("file.unreachable", Severity.WARNING, str(error), wanted, error.cause, fix), peer)
        except RemoteProtocolError as error:
            self._tell(_event("file.refused", Severity.WARNING, str(error), wanted, "malformed"), peer)
        else:
            self.served += 1
            return content
        self.missed += 1
        raise Missing(wanted.name)

    async def _find(self, wanted: Wanted) -> bytes:
        preparer = self._preparer
        if preparer is None:
            raise NotFound("there is no trust list yet")
        own = preparer.own(wanted)
        if own is not None:
            return own
        loop = asyncio.get_running_loop()
        shared = wanted.kind not in CONFIGS
        kept = self.buffer.get(wanted.name, loop.time()) if shared else None
        if kept is not None:
            return kept
        if self._refuses_cluster and wanted.kind is not Kind.FIRMWARE:
            raise FileRefused(_unverifiable(wanted))
        upstream = await self._fetcher.fetch(preparer.upstream_name(wanted))
        prepared = await loop.run_in_executor(self._threads, _prepare, preparer, wanted, upstream)
        for event in prepared.events:
            if event.name != UNAUTHENTICATED or not self._said_unauthenticated:
                self._report(event)
            self._said_unauthenticated |= event.name == UNAUTHENTICATED
        if shared and preparer is self._preparer:
            self.buffer.put(wanted.name, prepared.content, loop.time())
        return prepared.content

    def _tell(self, event: Event, peer: str) -> None:
        event.peer = peer
        self._report(event)


def _prepare(preparer: Preparer, wanted: Wanted, upstream: bytes) -> Prepared:
    return preparer.prepare(wanted, upstream, int(time.time()))


def _event(name: str, severity: Severity, text: str, wanted: Wanted, cause: str = "", fix: str = "") -> Event:
    return Event(name, severity, text, device=wanted.device, cause=cause, fix=fix, fields={"file": wanted.name})


def _unverifiable(wanted: Wanted) -> Event:
    return _event(
        "file.refused",
        Severity.WARNING,
        f"{wanted.name} is not served: record-entry cucm-tftp is configured, and no certificate to verify with is here",
        wanted,
        "no-cluster-certificate",
        "authenticate the trustpoint with CallManager.pem of each node: cubeproxy pki authenticate NAME --ca FILE",
    )


def _serving(proxy: PhoneProxy, built: Served) -> Event:
    found = read_list(built.trust.ctl)
    roles = [Role(record.role).name for record in found.records if record.role in Role.__members__.values()]
    mode = "secure" if proxy.access_secure else "nonsecure"
    return Event(
        "ctl.serving",
        Severity.NOTICE,
        f"phone proxy {proxy.name} serves a {mode} trust list of {len(found.records)} records, signed by "
        f"{found.header.signer}: phones that hold no list take it on faith, others only if they know the signer",
        fields={"timestamp": found.header.timestamp, "sha1": found.envelope.fingerprint, "roles": roles},
    )
