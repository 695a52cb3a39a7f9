"""Trust as it is today: once a minute and on SIGHUP the nvram folder is read again, and everybody judged again.

An open connection whose certificate has expired, was revoked, or whose authority is no longer trusted, is closed. Our
own renewed certificate is presented from the next handshake on; nothing is closed for it. What cannot be read any
more, or does not fit together, stays as it was, and is told once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cubeproxy.pki.names import fingerprint
from cubeproxy.pki.store import Material, Store
from cubeproxy.protocols.values import Event, Severity
from cubeproxy.server.tls import TlsPolicy
from cubeproxy.transport.sip import SipTransport
from cubeproxy.views.trustpoints import rows

PERIOD = 60.0  # s


class TrustSweep:
    """`changed` is called after trustpoints changed: whoever made something from certificates makes it anew.
    `farms` judges the connections of DSP farms again, and says how many it closed."""

    def __init__(
        self,
        store: Store,
        transport: SipTransport,
        tls: TlsPolicy,
        report: Callable[[Event], None],
        changed: Callable[[], None] = lambda: None,
        *,
        period: float = PERIOD,
        farms: Callable[[], int] = lambda: 0,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._transport = transport
        self._tls = tls
        self._report = report
        self._changed = changed
        self._period = period
        self._farms = farms
        self._clock = clock
        self._seen = _prints(store)
        self._told: set[tuple[str, str]] = {_what(event) for event in store.events}
        self._number = 0  # sweeps so far
        self._asked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._tell_once(self._expiring())
        self._task = asyncio.get_running_loop().create_task(self._run(), name="trust-sweep")

    def ask(self) -> None:
        """Sweep now (SIGHUP)."""
        self._asked.set()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            try:
                async with asyncio.timeout(self._period):
                    await self._asked.wait()
            except TimeoutError:
                pass
            asked = self._asked.is_set()
            self._asked.clear()
            try:
                await self.sweep(asked=asked)
            except Exception as error:  # the next minute may do better; without a sweep nobody would ever be closed
                text = f"trust could not be looked at again: {type(error).__name__}"
                self._report(Event("trust.crashed", Severity.ERROR, text, cause=type(error).__name__))
                asyncio.get_running_loop().call_exception_handler({"message": text, "exception": error})

    async def sweep(self, *, asked: bool = False) -> int:
        """Read, renew, judge; how many connections were closed."""
        problems = self._store.reload()
        seen = _prints(self._store)
        changes = [name for name in {**self._seen, **seen} if self._seen.get(name) != seen.get(name)]
        for name in changes:
            self._report(_change(name, self._seen.get(name), seen.get(name)))
        self._seen = seen
        problems += self._tls.renew()
        self._tell_once([*problems, *self._expiring()])
        if changes:
            self._changed()
        closed = await self._transport.rejudge() + self._farms()
        self._number += 1
        if closed or asked:
            text = f"sweep {self._number}: {closed} connections are no longer trusted, and were closed"
            fields = {"closed": closed, "changed": len(changes)}
            self._report(Event("trust.swept", Severity.NOTICE, text, fields=fields))
        return closed

    def _tell_once(self, events: list[Event]) -> None:
        """What is wrong for hours is told when it begins, and again after it was mended."""
        for event in events:
            if _what(event) not in self._told:
                self._report(event)
        self._told = {_what(event) for event in events}

    def _expiring(self) -> list[Event]:
        return [
            Event(
                f"pki.{row.state.replace(' ', '-')}",
                Severity.WARNING,
                f"the {row.kind} certificate of trustpoint {row.trustpoint} {_end(row.days or 0)}: {row.subject}",
                cause=row.state,
                fix=f"renew it: cubeproxy pki {'authenticate' if row.kind == 'ca' else 'import'} {row.trustpoint}",
                fields={"trustpoint": row.trustpoint, "until": row.until},
            )
            for row in rows(self._store, self._clock())
            if row.state in ("expiring", "expired")
        ]


def _end(days: int) -> str:
    return f"ends in {days} days" if days >= 0 else f"ended {-days} days ago"


def _what(event: Event) -> tuple[str, str]:
    return event.name, event.text


Prints = tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]  # own, authorities, revocation lists


def _prints(store: Store) -> dict[str, Prints]:
    return {name: _prints_of(material) for name, material in store.material.items()}


def _prints_of(material: Material) -> Prints:
    def sha256(crl: x509.CertificateRevocationList) -> str:
        return crl.fingerprint(hashes.SHA256()).hex()

    own, ca = (tuple(map(fingerprint, found)) for found in (material.own, material.ca))
    return own, ca, tuple(map(sha256, material.crls))


def _change(name: str, old: Prints | None, new: Prints | None) -> Event:
    empty: Prints = ((), (), ())
    parts = ("our certificate", "the authority", "the revocation list")
    said = [
        f"{part} {'is gone' if not after else 'is new' if not before else 'was replaced'}"
        for part, before, after in zip(parts, old or empty, new or empty, strict=True)
        if before != after
    ]
    return Event("trust.changed", Severity.NOTICE, f"trustpoint {name}: {', '.join(said)}", fields={"trustpoint": name})
