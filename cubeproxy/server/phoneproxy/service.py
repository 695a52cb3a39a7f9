"""All phone proxies of a configuration: files by TFTP and HTTP, and byte relays to CAPF and mapped services.

What one of them cannot do (a port that is taken, a certificate that is missing) is an event with its fix, and leaves
calls and the other parts alone.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from cubeproxy.config.model import Config, PhoneProxy
from cubeproxy.phoneproxy.ctl import CAPF_PORT
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import CubeError
from cubeproxy.protocols.values import Address, Event, Severity
from cubeproxy.server.phoneproxy import http
from cubeproxy.server.phoneproxy.buffer import Buffer
from cubeproxy.server.phoneproxy.fetch import Fetcher
from cubeproxy.server.phoneproxy.http import HttpService
from cubeproxy.server.phoneproxy.keeper import Keeper
from cubeproxy.server.phoneproxy.library import Library
from cubeproxy.server.phoneproxy.tftp import TftpService
from cubeproxy.transport.relay import ByteRelay, RelayLimits
from cubeproxy.transport.tls import format_address
from cubeproxy.views.phonefiles import BufferedFile, FileSession, FileState

TLS_PORTS = (443, 2445, CAPF_PORT, 6971, 8443, 9443)  # services that begin with a TLS handshake
HANDSHAKE = 22  # first octet of one
# An old phone makes its key inside the CAPF session and says nothing for more than half an hour. Time cannot tell it
# from an idle attacker, so slots and octets do.
CAPF_LIMITS = RelayLimits(total=128, idle=2700.0, duration=3600.0)
SERVICE_LIMITS = RelayLimits(per_address=16, total=128, idle=60.0, duration=600.0, octets=8_388_608, first_octet=None)

Report = Callable[[Event], None]


@dataclass
class Instance:
    """One `voice-phone-proxy` that is complete."""

    proxy: PhoneProxy
    library: Library
    fetcher: Fetcher
    tftp: TftpService
    http: list[HttpService] = field(default_factory=list)
    relays: list[ByteRelay] = field(default_factory=list)


class PhoneProxyService:
    """`cluster_port` is the TFTP port of the cluster: 69, but for a lab without root."""

    def __init__(
        self, config: Config, store: Store, report: Report, *, nvram: Path | None, port: int, cluster_port: int = 69
    ) -> None:
        self._report = report
        self._port = port
        self._threads = ThreadPoolExecutor(1, "phone-files")
        self.instances: list[Instance] = []
        self._inactive: list[PhoneProxy] = []
        for proxy in config.phone_proxies.values():
            if proxy.complete and proxy.tftp_access:
                keeper = Keeper(config, proxy, store, nvram)
                self.instances.append(self._instance(config, proxy, keeper, cluster_port))
            else:
                self._inactive.append(proxy)

    def _instance(self, config: Config, proxy: PhoneProxy, keeper: Keeper, cluster_port: int) -> Instance:
        fetcher = Fetcher(proxy.tftp_server, cluster_port, proxy.tftp_local)
        buffer = Buffer(config.file_buffer, asyncio.get_running_loop().time())
        library = Library(config, proxy, keeper, fetcher, buffer, self._report, self._threads)
        tftp = TftpService(
            library, self._report, most=proxy.max_concurrent_sessions, timeout=float(proxy.session_timeout)
        )
        return Instance(proxy, library, fetcher, tftp)

    async def start(self) -> None:
        """Open what can be opened; the rest is told."""
        for proxy in self._inactive:
            self._report(_inactive(proxy))
        for instance in self.instances:
            name = instance.proxy.name
            if self._build(instance):
                await self._serve(instance)
            for what, server, access in relays(instance.proxy):
                await self._relay(instance, f"{name} {what}", server, access)

    async def close(self) -> None:
        for instance in self.instances:
            await instance.tftp.close()
            for service in instance.http:
                await service.close()
            for relay in instance.relays:
                await relay.close()
            await instance.fetcher.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    def trust_changed(self) -> None:
        """Certificates changed: the lists are made again, and served from now on."""
        for instance in self.instances:
            self._build(instance)

    def state(self) -> dict[str, FileState]:
        """Every phone proxy as the shows want it, by name."""
        return {instance.proxy.name: _state(instance) for instance in self.instances}

    def _build(self, instance: Instance) -> bool:
        try:
            instance.library.build()
        except (CubeError, OSError) as error:
            text = f"phone proxy {instance.proxy.name} has no trust list to serve: {error}"
            event = Event("ctl.failed", Severity.ERROR, text, cause=str(error), fix=getattr(error, "fix", ""))
            self._report(event)
            return False
        return True

    async def _serve(self, instance: Instance) -> None:
        proxy = instance.proxy
        where = proxy.tftp_access, self._port
        with self._told(proxy, "files by TFTP", "udp", where):
            self._listening(proxy, "files by TFTP", "udp", instance.tftp.listen(where))
        for address in _http_addresses(proxy):
            service = HttpService(
                instance.library,
                self._report,
                most=proxy.max_concurrent_sessions,
                timeout=float(proxy.session_timeout),
            )
            with self._told(proxy, "files by HTTP", "tcp", address):
                self._listening(proxy, "files by HTTP", "tcp", await service.listen(address))
                instance.http.append(service)

    async def _relay(self, instance: Instance, name: str, server: Address, access: Address) -> None:
        limits = CAPF_LIMITS if server[1] == CAPF_PORT else SERVICE_LIMITS
        if server[1] in TLS_PORTS and limits is SERVICE_LIMITS:
            limits = replace(limits, first_octet=HANDSHAKE)
        relay = ByteRelay(server, self._report, limits, name=name, source=instance.proxy.tftp_local)
        with self._told(instance.proxy, name, "tcp", access):
            bound = await relay.listen(access)
            self._listening(instance.proxy, f"{name}, through to {format_address(server)}", "tcp", bound)
            instance.relays.append(relay)

    def _listening(self, proxy: PhoneProxy, what: str, transport: str, address: Address) -> None:
        text = f"phone proxy {proxy.name}: {what} on {transport} {format_address(address)}"
        self._report(Event("phoneproxy.listening", Severity.NOTICE, text))

    def _told(self, proxy: PhoneProxy, what: str, transport: str, address: Address) -> _Told:
        return _Told(self._report, f"phone proxy {proxy.name}: {what} on {transport} {format_address(address)}")


def _inactive(proxy: PhoneProxy) -> Event:
    lacks, fix = (
        ("is not complete", "complete") if proxy.tftp_access else ("has no TFTP server", "tftp-server address ...")
    )
    text = f"phone proxy {proxy.name} {lacks}: phones get nothing from it"
    return Event("phoneproxy.inactive", Severity.NOTICE, text, fix=f"voice-phone-proxy {proxy.name} / {fix}")


class _Told:
    """A listener that cannot be opened becomes an event."""

    def __init__(self, report: Report, what: str) -> None:
        self._report = report
        self._what = what

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> bool:
        if not isinstance(error, OSError):
            return False
        fix = "end what uses this address, or put another in its place with --map"
        if error.errno in (errno.EACCES, errno.EPERM):
            fix = "ports below 1024 need root or CAP_NET_BIND_SERVICE; another one: --tftp-port 6969"
        text = f"{self._what} cannot be opened: {error.strerror}"
        self._report(Event("phoneproxy.not-listening", Severity.ERROR, text, cause=str(error.strerror), fix=fix))
        return True


def _state(instance: Instance) -> FileState:
    running = instance.fetcher.running
    now = asyncio.get_running_loop().time()
    buffer = instance.library.buffer
    return FileState(
        running=instance.tftp.address[1] != 0,
        sessions=[
            FileSession(
                session.name,
                session.peer,
                instance.tftp.address,
                asked.local if (asked := running.get(session.upstream)) else None,
                asked.server if asked else None,
            )
            for session in instance.tftp.sessions.values()
        ],
        buffered=[BufferedFile(one.name, len(one.content), int(now - one.since), one.hits) for one in buffer],
        buffer_limit=buffer.limit,
        buffer_refused=buffer.refused,
    )


def relays(proxy: PhoneProxy) -> Iterator[tuple[str, Address, Address]]:
    """Name, server and access address of each relay: `capf-address`, and every `service-map`, each place once.

    The cluster's own file service is no relay: phones would get their configuration as the cluster made it.
    """
    taken: set[Address] = set()
    if proxy.capf_server and proxy.capf_access:
        taken.add((proxy.capf_access, CAPF_PORT))
        yield "CAPF", (proxy.capf_server, CAPF_PORT), (proxy.capf_access, CAPF_PORT)
    for entry in proxy.service_maps:
        if entry.server[1] != http.PORT and entry.access not in taken:
            taken.add(entry.access)
            name = "CAPF" if entry.server[1] == CAPF_PORT else f"service {entry.access[1]}"
            yield name, entry.server, entry.access


def _http_addresses(proxy: PhoneProxy) -> list[Address]:
    """6970 beside the TFTP service, and wherever a service map puts the cluster's file service."""
    mapped = [entry.access for entry in proxy.service_maps if entry.server[1] == http.PORT]
    return list(dict.fromkeys([(proxy.tftp_access, http.PORT), *mapped]))
