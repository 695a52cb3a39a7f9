"""What a phone reads of `SEP<MAC>.cnf.xml`: where to register and how, its line, CAPF and TVS."""

from __future__ import annotations

from dataclasses import dataclass, field
from xml.etree import ElementTree

from cubeproxy.protocols.capf import AuthMode
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.values import Address, Transport

LARGEST = 512 * 1024  # octets
ENCRYPTED = 3  # deviceSecurityMode
_TRANSPORT = {1: Transport.TCP, 2: Transport.UDP, 3: Transport.TLS, 4: Transport.TCP}
_MANAGER = "devicePool/callManagerGroup/members/member/callManager"
_LINE = "sipProfile/sipLines/line"


@dataclass(frozen=True, slots=True)
class Configuration:
    """Servers in the order of their priority."""

    managers: tuple[Address, ...]
    transport: Transport
    security: int  # 1 no, 2 authenticated, 3 encrypted
    number: str
    user: str
    password: str = field(repr=False)
    capf: Address | None
    capf_mode: AuthMode
    tvs: Address | None
    stamp: str
    expires: int = 3600  # s

    @property
    def secure(self) -> bool:
        return self.security >= ENCRYPTED


def read_configuration(data: bytes) -> Configuration:
    """RemoteProtocolError when it is no configuration that a phone could work with."""
    root = _root(data)
    if root.findtext("fullConfig") == "false":
        raise RemoteProtocolError("the configuration is encrypted, and this phone has got the short form alone")
    transport = _TRANSPORT.get(_number(root, "transportLayerProtocol", 4), Transport.TCP)
    port = "ports/securedSipPort" if transport is Transport.TLS else "ports/sipPort"
    managers = tuple(
        (host, _number(one, port, 5061 if transport is Transport.TLS else 5060))
        for one in root.iterfind(_MANAGER)
        if (host := _text(one, "processNodeName"))
    )
    line = root.find(_LINE)
    if not managers or line is None:
        raise RemoteProtocolError("the configuration names no CallManager, or no line")
    mode = _number(root, "capfAuthMode", 0)
    return Configuration(
        managers=managers,
        transport=transport,
        security=_number(root, "deviceSecurityMode", 1),
        number=_text(line, "name"),
        user=_text(line, "authName") or _text(line, "name"),
        password=_text(line, "authPassword"),
        capf=_address(root.find("capfList/capf"), "processNodeName", "phonePort", 3804),
        capf_mode=AuthMode(mode) if mode in AuthMode.__members__.values() else AuthMode.NONE,
        tvs=_address(root.find("TVS/members/member"), "address", "port", 2445),
        stamp=_text(root, "versionStamp"),
        expires=_number(root, "sipProfile/sipStack/timerRegisterExpires", 3600),
    )


def _root(data: bytes) -> ElementTree.Element:
    if len(data) > LARGEST:
        raise RemoteProtocolError(f"a configuration of {len(data)} octets")
    if b"<!DOCTYPE" in data:
        raise RemoteProtocolError("a configuration with a document type: entities may hide in it")
    try:
        root = ElementTree.fromstring(data)  # noqa: S314 - of bounded size, and without entities
    except ElementTree.ParseError as error:
        raise RemoteProtocolError(f"the configuration is no XML: {error}") from None
    if root.tag != "device":
        raise RemoteProtocolError(f"<{root.tag[:40]}> is no configuration of a device")
    return root


def _text(element: ElementTree.Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _number(element: ElementTree.Element, path: str, default: int) -> int:
    text = _text(element, path)
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else default


def _address(element: ElementTree.Element | None, host: str, port: str, default: int) -> Address | None:
    if element is None or not _text(element, host):
        return None
    return _text(element, host), _number(element, port, default)
