"""A phone's configuration, as the cluster made it, turned towards the access side.

Each row of ROWS is one kind of element and what becomes of it; whatever no row names stays as it is, octet for octet.
Afterwards the file has to be signed again (`trustlist.sign_file`), by a key that the served CTL lists for files.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice

from cubeproxy.phoneproxy.view import SIP_TRANSPORT, AccessView
from cubeproxy.phoneproxy.xmltext import Document, Element, XmlRefused, read_xml

ROOTS = ("device", "Default")
NODE = ("callManager", "processNodeName")
SRST_ADDRESSES = tuple(f"{kind}{number}" for kind in ("ipAddr", "sipIpAddr") for number in (1, 2, 3))
# 1 switches a service off: the numbers of the vendor's elements are the wrong way round.
SERVICE_SETTINGS = ("pcPort", "garp", "voiceVlanAccess", "webAccess", "spanToPCPort")

_URL = re.compile(
    rb"\s{0,99}(?:<!\[CDATA\[)?\s{0,99}(https?)://([^/:?#<&\s\]]{1,253})(?::([0-9]{1,5}))?(?=[/?#<&\s\]]|$)", re.ASCII
)
_URL_NAME = re.compile(r"\w*URL|url", re.ASCII)


@dataclass(frozen=True, slots=True)
class Change:
    """One element that says something else now. For the log: no element with a secret is ever changed."""

    path: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Rewritten:
    """`kept` are addresses of the cluster that phones still see, since nothing maps them."""

    data: bytes = field(repr=False)
    changes: tuple[Change, ...]
    kept: tuple[str, ...]


def rewrite(data: bytes, view: AccessView) -> Rewritten:
    """XmlRefused (a RemoteProtocolError) says why a configuration is not served; its `cause` may also be
    "not-a-device" or "encrypted"."""
    document = read_xml(data)
    if document.root.path not in [(name,) for name in ROOTS]:
        raise XmlRefused("not-a-device", f"<{document.root.name[:40]}> is no configuration of a phone")
    if any(element.text.strip() == "false" for element in document.find("device", "fullConfig")):
        raise XmlRefused(
            "encrypted", "the cluster encrypts its configurations: switch off TFTP Encrypted Config for this phone"
        )
    work = _Work(document, view)
    for row in ROWS:
        row(work)
    return Rewritten(document.result(), tuple(work.changes), tuple(dict.fromkeys(work.kept)))


class _Work:
    """One document on its way."""

    def __init__(self, document: Document, view: AccessView) -> None:
        self.document = document
        self.view = view
        self.changes: list[Change] = []
        self.kept: list[str] = []
        self.removed: set[int] = set()  # offsets of elements

    def put(self, element: Element, text: str) -> None:
        """Another text for a leaf, unless it says so already."""
        old = element.text.strip()
        if element.children or old == text or self.is_removed(element):
            return
        self.document.set(element, text)
        self.note(element, old, text)

    def remove(self, element: Element, old: str) -> None:
        self.document.remove(element)
        self.removed.add(element.start)
        self.note(element, old, "")

    def is_removed(self, element: Element | None) -> bool:
        """It, or what it stands in."""
        while element is not None:
            if element.start in self.removed:
                return True
            element = element.parent
        return False

    def note(self, element: Element, old: str, new: str) -> None:
        self.changes.append(Change("/".join(element.path), old, new))

    def put_all(self, text: str, *tail: str) -> None:
        for element in self.document.find(*tail):
            self.put(element, text)

    def require(self, parent: Element, name: str, text: str) -> None:
        """A child that must say this, added at the end where it is missing."""
        found = [one for one in self.document.by_name.get(name, ()) if one.parent is parent]
        for element in found:
            self.put(element, text)
        if not found and not parent.empty:
            self.document.append(parent, name, text)
            self.changes.append(Change("/".join((*parent.path, name)), "", text))


def nodes(work: _Work) -> None:
    """callManager: our address and ports. Of nodes behind one address of ours the first member stays."""
    seen: set[str] = set()
    for element in work.document.find("members", "member", *NODE):
        member = element.parent and element.parent.parent
        ours = work.view.node_for(element.text.strip())
        if member is not None and ours in seen:
            work.remove(member, element.text.strip())
        elif ours:
            seen.add(ours)
    for element in work.document.find(*NODE):
        _put_node(work, element)
    for element in work.document.find("callManager", "name"):
        _put_node(work, element)


def _put_node(work: _Work, element: Element) -> None:
    host = element.text.strip()
    ours = work.view.node_for(host)
    if ours:
        work.put(element, ours)
    elif host:
        work.kept.append(host)


def ports(work: _Work) -> None:
    work.put_all(str(work.view.sip_port), "callManager", "ports", "sipPort")
    work.put_all(str(work.view.secure_sip_port), "callManager", "ports", "securedSipPort")
    own = work.view.secure_sip_port if work.view.secure else work.view.sip_port
    work.put_all(str(own), "sipProfile", "voipControlPort")


def survivability(work: _Work) -> None:
    """A gateway inside is out of a phone's reach outside."""
    for name in SRST_ADDRESSES:
        work.put_all("", "srstInfo", name)


def verification(work: _Work) -> None:
    """TVS: ours where a service map leads to it, else none."""
    tvs = work.view.tvs
    work.put_all(tvs[0] if tvs else "", "TVS", "members", "member", "address")
    if tvs:
        work.put_all(str(tvs[1]), "TVS", "members", "member", "port")


def security(work: _Work) -> None:
    """`access-secure` means encrypted over TLS, whatever the cluster has; without it neither."""
    for root in [work.document.root] if work.document.root.name == "device" else []:
        work.require(root, "deviceSecurityMode", "3" if work.view.secure else "1")
        work.require(root, "transportLayerProtocol", SIP_TRANSPORT[work.view.transport])
    work.put_all("false", "device", "encrConfig")


def enrolment(work: _Work) -> None:
    if work.view.capf is None:
        work.kept += [one.text.strip() for one in work.document.find("capf", "processNodeName") if one.text.strip()]
        return
    work.put_all(work.view.capf[0], "capfList", "capf", "processNodeName")
    work.put_all(str(work.view.capf[1]), "capfList", "capf", "phonePort")


def urls(work: _Work) -> None:
    """Host and port of a URL by `service-map`; the rest of it stays as it is written."""
    for element in work.document.elements:
        if element.children or not _URL_NAME.fullmatch(element.name):
            continue
        found = _URL.match(work.document.raw(element))
        if found is None:
            continue
        scheme, host = found[1].decode("ascii"), found[2].decode("ascii", "replace")
        port = int(found[3]) if found[3] else {"http": 80, "https": 443}[scheme]
        ours = work.view.service_for(host, port)
        if ours is None:
            work.kept.append(f"{host}:{port}")
            continue
        new = f"{ours[0]}:{ours[1]}"
        work.document.splice(element.open + found.start(2), element.open + found.end(), new.encode("ascii"))
        work.note(element, f"{host}:{port}", new)


def service_settings(work: _Work) -> None:
    """`disable service-settings`. A setting that is missing would be on, and is added."""
    if work.view.disable_service_settings:
        for vendor in islice(work.document.find("device", "vendorConfig"), 1):
            for name in SERVICE_SETTINGS:
                work.require(vendor, name, "1")


ROWS: tuple[Callable[[_Work], None], ...] = (
    nodes,
    ports,
    survivability,
    verification,
    security,
    enrolment,
    urls,
    service_settings,
)
