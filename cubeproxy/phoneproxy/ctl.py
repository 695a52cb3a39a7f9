"""The trust list that phones are handed: records from trustpoints, signed once, and never older than before.

    record-entry selfsigned   SAST, and the node that phones talk to: this proxy   (the first one signs, two at most)
    record-entry cucm-tftp    a node of the cluster
    record-entry capf         the CAPF of a node, one entry for each

Phones believe the next list only if a SAST of the one they hold signed it. So the signer stays, a list is built anew
only when its records change, and a second SAST (a further `selfsigned` entry, or `spare`) is in every list, to be the
signer when the first has to go. Without `access-secure` the node is a stub, and phones register without security;
our certificate is then listed for files alone.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from cryptography import x509

from cubeproxy.config.model import Config, CtlFile, PhoneProxy
from cubeproxy.pki.store import Store
from cubeproxy.protocols.errors import RemoteProtocolError, TrustError
from cubeproxy.protocols.trustlist import (
    CTL_NAME,
    ITL_NAME,
    Digest,
    Record,
    Role,
    Signer,
    TrustList,
    read_list,
    record_of,
    sign_list,
    stub_of,
    validate_list,
)
from cubeproxy.protocols.values import Event, Severity

CAPF_PORT = 3804
MOST_SAST = 2
LAST_TIMESTAMP = 0xFFFFFFFF  # s, what four octets hold


@dataclass(frozen=True)
class Plan:
    """What is to be listed, and who signs. `events` names each entry that is missing."""

    records: tuple[Record, ...]
    signer: Signer
    events: tuple[Event, ...] = ()


@dataclass(frozen=True)
class TrustFiles:
    """The two lists as they are served. `fresh`: signed now, and to be kept for the next start."""

    ctl: bytes = field(repr=False)
    itl: bytes = field(repr=False)
    timestamp: int
    fresh: bool
    events: tuple[Event, ...] = ()


def plan_ctl(config: Config, proxy: PhoneProxy, store: Store, spare: x509.Certificate | None = None) -> Plan:
    """TrustError when there is no complete CTL file, or nobody who could sign it.

    An entry without certificate is left out with an event: phones of the other nodes shall not suffer.
    """
    ctl = config.ctl_files.get(proxy.ctl_file)
    if ctl is None or not ctl.complete:
        raise TrustError(
            f"voice-phone-proxy {proxy.name} has no complete CTL file {proxy.ctl_file}".rstrip(),
            fix=f"enter `complete` under `voice-ctl-file {proxy.ctl_file or 'NAME'}`",
        )
    own = [entry.trustpoint for entry in ctl.record_entries if entry.role == "selfsigned"]
    if not own:
        raise TrustError(
            f"CTL file {ctl.name} has nobody who could sign it",
            fix=f"enter `record-entry selfsigned trustpoint NAME` under `voice-ctl-file {ctl.name}`",
        )
    identity = store.own(own[0])
    signer = Signer(identity.chain[0], identity.key)  # type: ignore[arg-type]  # Signer refuses what is not RSA
    events: list[Event] = []
    listed = list(_certificates(ctl, store, events))
    nodes = [certificate for role, certificate in listed if role == "selfsigned"]
    events += [_one_too_many(ctl, trustpoint) for trustpoint in own[MOST_SAST:]]
    sasts = [*nodes, spare] if spare is not None and spare not in nodes else nodes
    return Plan(tuple(_records(proxy, nodes[:MOST_SAST], sasts[:MOST_SAST], listed)), signer, tuple(events))


def _one_too_many(ctl: CtlFile, trustpoint: str) -> Event:
    return Event(
        "ctl.record-surplus",
        Severity.WARNING,
        f"CTL file {ctl.name} goes without trustpoint {trustpoint}: phones take two signers at most",
        fix=f"enter `no record-entry selfsigned trustpoint {trustpoint}` under `voice-ctl-file {ctl.name}`",
        fields={"ctl": ctl.name, "trustpoint": trustpoint, "role": "selfsigned"},
    )


def _certificates(ctl: CtlFile, store: Store, events: list[Event]) -> Iterator[tuple[str, x509.Certificate]]:
    for entry in ctl.record_entries:
        try:
            yield entry.role, store.certificates(entry.trustpoint)[0]
        except TrustError as error:
            events.append(
                Event(
                    "ctl.record-missing",
                    Severity.ERROR,
                    f"CTL file {ctl.name} goes without its {entry.role} record: {error}",
                    cause=str(error),
                    fix=error.fix,
                    fields={"ctl": ctl.name, "trustpoint": entry.trustpoint, "role": entry.role},
                )
            )


def _records(
    proxy: PhoneProxy,
    nodes: list[x509.Certificate],
    sasts: list[x509.Certificate],
    listed: list[tuple[str, x509.Certificate]],
) -> Iterator[Record]:
    """SAST first, as CUCM has it. Addresses are those of the access side: some clients take servers from here.

    Both `selfsigned` certificates are nodes: while one takes over from the other, TLS may still present either.
    """
    node = proxy.tftp_access
    for certificate in sasts:
        yield record_of(certificate, Role.SAST, node, _literal(node))
    if not proxy.access_secure:
        yield stub_of(Role.CCM_TFTP, node, _literal(node))
    for certificate in nodes:
        role_here = Role.CCM_TFTP if proxy.access_secure else Role.TFTP
        yield record_of(certificate, role_here, node, _literal(node))
    capf = capf_address(proxy) or node
    for role, certificate in listed:
        if role == "cucm-tftp" and proxy.access_secure:
            yield record_of(certificate, Role.CCM_TFTP, node, _literal(node))
        elif role == "capf":
            yield record_of(certificate, Role.CAPF, capf, _literal(capf))


def capf_address(proxy: PhoneProxy) -> str:
    """Where phones find CAPF on the access side: `capf-address`, or a `service-map` of port 3804. "" for nowhere."""
    mapped = (entry.access[0] for entry in proxy.service_maps if entry.server[1] == CAPF_PORT)
    return proxy.capf_access or next(mapped, "")


def build_ctl(plan: Plan, now: int, previous: bytes | None = None, digest: Digest = Digest.SHA1) -> TrustFiles:
    """The lists to serve. `previous` is the CTL served before, `now` is in seconds since 1970.

    The same records by the same signer are the same octets again, since the signature is made over the old timestamp.
    Otherwise the timestamp goes on, even if the clock went back.
    """
    held, events = _previous(previous)
    if held is not None and _unchanged(plan, held, digest):
        return _sign(plan, held.header.timestamp, digest, False, plan.events)
    timestamp = now if held is None else min(max(now, held.header.timestamp + 1), LAST_TIMESTAMP)
    files = _sign(plan, timestamp, digest, True, (*plan.events, *events))
    if held is not None:
        files = _warn_of_strangers(files, held)
    return files


def _previous(previous: bytes | None) -> tuple[TrustList | None, tuple[Event, ...]]:
    """A stored list that was tampered with still says how far the timestamp had got, if it can be read at all."""
    if previous is None:
        return None, ()
    try:
        return validate_list(previous), ()
    except RemoteProtocolError as error:
        event = Event(
            "ctl.previous-broken",
            Severity.ERROR,
            f"the CTL served before cannot be used, a new one is signed: {error}",
            cause=str(error),
        )
    try:
        return read_list(previous), (event,)
    except RemoteProtocolError:
        return None, (event,)


def _unchanged(plan: Plan, held: TrustList, digest: Digest) -> bool:
    same = held.records == plan.records and held.header.digest is digest
    return same and _sign(plan, held.header.timestamp, digest, False, ()).ctl == held.data


def _sign(plan: Plan, timestamp: int, digest: Digest, fresh: bool, events: tuple[Event, ...]) -> TrustFiles:
    ctl, itl = (
        sign_list(plan.records, plan.signer, timestamp, digest=digest, file_name=name) for name in (CTL_NAME, ITL_NAME)
    )
    return TrustFiles(ctl, itl, timestamp, fresh, events)


def _warn_of_strangers(files: TrustFiles, held: TrustList) -> TrustFiles:
    """Phones that hold the old list will refuse the new one: the operator hears it from us first."""
    try:
        validate_list(files.ctl, (held,))
    except RemoteProtocolError as error:
        event = Event(
            "ctl.signer-changed",
            Severity.WARNING,
            "phones that hold the CTL served before will refuse the new one",
            cause=str(error),
            fix="sign with a SAST of the old list, or delete the trust list on each phone",
            fields={"signer": read_list(files.ctl).header.signer},
        )
        return replace(files, events=(*files.events, event))
    return files


def _literal(host: str) -> str | None:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        return None
