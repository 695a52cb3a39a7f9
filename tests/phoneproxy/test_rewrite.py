"""A phone's configuration turned towards the access side: each row, nothing else, and texts that were made to hurt.

ElementTree, which shares no code with the offsets of the rewriter, reads the results.
"""

from __future__ import annotations

from dataclasses import replace
from time import process_time
from xml.etree import ElementTree
from xml.parsers import expat

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.config.parser import parse_config
from cubeproxy.phoneproxy.rewrite import Change, rewrite
from cubeproxy.phoneproxy.view import AccessView, access_view
from cubeproxy.phoneproxy.xmltext import XmlRefused, read_xml
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.values import Transport
from tests.phoneproxy.samples import CONFIG, VIEW

NOTHING = AccessView(secure=False, transport=Transport.TCP, nodes={}, node="")
WITH_TVS = replace(VIEW, services={("198.51.100.11", 2445): ("192.0.2.1", 12445)})


def texts(data: bytes, path: str) -> list[str]:
    return [element.text or "" for element in ElementTree.fromstring(data).iterfind(path)]


def turned(view: AccessView = VIEW, data: bytes = CONFIG) -> bytes:
    return rewrite(data, view).data


def refused(data: bytes) -> str:
    with pytest.raises(XmlRefused) as caught:
        rewrite(data, VIEW)
    return caught.value.cause


@pytest.mark.parametrize(
    ("path", "view", "expected"),
    [
        ("devicePool/callManagerGroup/members/member/callManager/processNodeName", VIEW, ["192.0.2.1"]),
        ("devicePool/callManagerGroup/members/member/callManager/name", VIEW, ["192.0.2.1"]),
        ("devicePool/callManagerGroup/members/member/callManager/ports/sipPort", VIEW, ["5060"]),
        ("devicePool/callManagerGroup/members/member/callManager/ports/securedSipPort", VIEW, ["5061"]),
        ("devicePool/callManagerGroup/members/member/callManager/ports/ethernetPhonePort", VIEW, ["2000"]),
        ("devicePool/srstInfo/ipAddr1", VIEW, [""]),
        ("TVS/members/member/address", VIEW, [""]),
        ("TVS/members/member/address", WITH_TVS, ["192.0.2.1"]),
        ("TVS/members/member/port", WITH_TVS, ["12445"]),
        ("sipProfile/voipControlPort", VIEW, ["5061"]),
        ("sipProfile/voipControlPort", NOTHING, ["5060"]),
        ("deviceSecurityMode", VIEW, ["3"]),
        ("deviceSecurityMode", NOTHING, ["1"]),
        ("transportLayerProtocol", VIEW, ["3"]),
        ("transportLayerProtocol", NOTHING, ["1"]),
        ("transportLayerProtocol", replace(NOTHING, transport=Transport.UDP), ["2"]),
        ("capfAuthMode", VIEW, ["2"]),
        ("capfList/capf/processNodeName", VIEW, ["192.0.2.1"]),
        ("capfList/capf/phonePort", replace(VIEW, capf=("192.0.2.1", 13804)), ["13804"]),
        ("capfList/capf/processNodeName", NOTHING, ["198.51.100.11"]),
        ("encrConfig", VIEW, ["false"]),
        ("servicesURL", VIEW, [" http://192.0.2.1:18080/getservices?a=1&b=2"]),
        ("secureServicesURL", VIEW, ["https://192.0.2.1:8443/services"]),
        ("directoryURL", VIEW, ["http://198.51.100.11/directory"]),
        ("phoneServices/phoneService/url", VIEW, ["Application:Cisco/MissedCalls"]),
        ("vendorConfig/webAccess", VIEW, ["0"]),
        ("vendorConfig/webAccess", replace(VIEW, disable_service_settings=True), ["1"]),
        ("vendorConfig/spanToPCPort", replace(VIEW, disable_service_settings=True), ["1"]),
        ("vendorConfig/spanToPCPort", VIEW, []),
        ("sipProfile/sipLines/line/authPassword", VIEW, ["s\u00e9cret"]),
        ("versionStamp", VIEW, ["{1-2}"]),
    ],
)
def test_each_element(path: str, view: AccessView, expected: list[str]) -> None:
    assert texts(turned(view), path) == expected


def test_nodes_behind_addresses_of_their_own_stay() -> None:
    view = replace(VIEW, nodes={"198.51.100.11": "192.0.2.1", "ccm-sub.lab": "192.0.2.2"}, node="")
    path = "devicePool/callManagerGroup/members/member/callManager/processNodeName"
    assert texts(turned(view), path) == ["192.0.2.1", "192.0.2.2"]


def test_what_nothing_maps_is_told() -> None:
    assert rewrite(CONFIG, VIEW).kept == ("198.51.100.11:80",)
    kept = rewrite(CONFIG, NOTHING).kept
    assert {"198.51.100.11", "ccm-sub.lab", "198.51.100.11:8080", "CCM-PUB.lab:8443"} <= set(kept)


def test_what_was_changed_is_told_without_secrets() -> None:
    changes = rewrite(CONFIG, VIEW).changes
    assert Change("device/deviceSecurityMode", "1", "3") in changes
    path = "device/devicePool/callManagerGroup/members/member"
    assert [change for change in changes if change.path.startswith(path)] == [
        Change(path, "ccm-sub.lab", ""),
        Change(f"{path}/callManager/processNodeName", "198.51.100.11", "192.0.2.1"),
        Change(f"{path}/callManager/name", "ccm-pub", "192.0.2.1"),
        Change(f"{path}/callManager/ports/sipPort", "5062", "5060"),
        Change(f"{path}/callManager/ports/securedSipPort", "5063", "5061"),
    ]
    assert Change("device/servicesURL", "198.51.100.11:8080", "192.0.2.1:18080") in changes
    assert not any("cret" in change.old + change.new for change in changes)


def test_what_must_be_said_is_added_where_it_is_missing() -> None:
    data = turned(data=b"<device><vendorConfig/><x>1</x></device>")
    assert data == (
        b"<device><vendorConfig/><x>1</x>"
        b"<deviceSecurityMode>3</deviceSecurityMode><transportLayerProtocol>3</transportLayerProtocol></device>"
    )


def test_a_default_configuration_has_nodes_and_no_security() -> None:
    data = (
        b"<Default><callManagerGroup><members><member priority='0'><callManager><processNodeName>198.51.100.11"
        b"</processNodeName></callManager></member></members></callManagerGroup></Default>"
    )
    assert turned(data=data) == data.replace(b"198.51.100.11", b"192.0.2.1")


def test_nothing_else_is_disturbed() -> None:
    """Declaration, comments, quotes, spaces and the order of everything are those of the cluster."""
    data = turned()
    expected = CONFIG
    for old, new in (
        (b"<name>ccm-pub</name>", b"<name>192.0.2.1</name>"),
        (b"<processNodeName>198.51.100.11</", b"<processNodeName>192.0.2.1</"),
        (b">5062<", b">5060<"),
        (b">5063<", b">5061<"),
        (b">5060</voipControlPort>", b">5061</voipControlPort>"),
        (b"<ipAddr1>198.51.100.9<", b"<ipAddr1><"),
        (b"<address>198.51.100.11<", b"<address><"),
        (b">4</transportLayerProtocol>", b">3</transportLayerProtocol>"),
        (b">1</deviceSecurityMode>", b">3</deviceSecurityMode>"),
        (b"<encrConfig>true<", b"<encrConfig>false<"),
        (b"198.51.100.11:8080", b"192.0.2.1:18080"),
        (b"CCM-PUB.lab:8443", b"192.0.2.1:8443"),
    ):
        assert old in expected
        expected = expected.replace(old, new)
    start, end = expected.index(b"<member priority='1'>"), expected.index(b"</member>\n </members>") + len(b"</member>")
    assert data == expected[:start] + expected[end:]


def test_what_has_been_rewritten_stays_as_it_is() -> None:
    again = rewrite(turned(), VIEW)
    assert (again.data, again.changes) == (turned(), ())


names = st.sampled_from(["a", "url", "name", "servicesURL", "processNodeName", "callManager", "member", "vendorConfig"])
leaves = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=8)


def build(parts: tuple[str, str | list[ElementTree.Element]]) -> ElementTree.Element:
    name, content = parts
    element = ElementTree.Element(name)
    if isinstance(content, str):
        element.text = content
    else:
        element.extend(content)
    return element


trees = st.recursive(
    st.tuples(names, leaves).map(build),
    lambda children: st.tuples(names, st.lists(children, max_size=4)).map(build),
    max_leaves=12,
)


@given(trees)
@settings(max_examples=120, deadline=None)
def test_any_tree_is_rewritten_to_a_tree(tree: ElementTree.Element) -> None:
    root = ElementTree.Element("device")
    root.append(tree)
    result = rewrite(ElementTree.tostring(root, encoding="utf-8"), replace(VIEW, disable_service_settings=True))
    assert ElementTree.fromstring(result.data).tag == "device"


BOMB = b'<!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><device>&b;</device>'


@pytest.mark.parametrize(
    ("data", "cause"),
    [
        (b"", "not-xml"),
        (b"<device>", "not-xml"),
        (b"<device></device><device/>", "not-xml"),
        (b"<device>&nothing;</device>", "not-xml"),
        (b"<device>\xff</device>", "not-xml"),
        (BOMB, "dtd"),
        (b"<!DOCTYPE device><device/>", "dtd"),
        (b'<!DOCTYPE d SYSTEM "file:///etc/passwd"><d/>', "dtd"),
        (b"<device>" + b"<a>" * 40 + b"</a>" * 40 + b"</device>", "too-deep"),
        (b"<device>" + b"<a/>" * 20_001 + b"</device>", "too-many"),
        (b"<device>" + b" " * (2 << 20) + b"</device>", "too-large"),
        ("<device/>".encode("utf-16"), "encoding"),
        (b'<?xml version="1.0" encoding="UTF-7"?><device/>', "encoding"),
        (b'<?xml version="1.0" encoding="cp037"?><device/>', "encoding"),
        (b"<html/>", "not-a-device"),
        (b"<device><fullConfig> false </fullConfig></device>", "encrypted"),
    ],
)
def test_each_refusal_has_its_cause(data: bytes, cause: str) -> None:
    assert refused(data) == cause


@given(st.binary(max_size=200), st.integers(0, len(CONFIG)))
@settings(max_examples=150, deadline=None)
def test_hostile_octets_are_the_peers_fault(noise: bytes, at: int) -> None:
    for data in (noise, CONFIG[:at] + noise + CONFIG[at:]):
        try:
            result = rewrite(data, VIEW)
        except RemoteProtocolError:
            continue
        expat.ParserCreate().Parse(result.data, True)  # ElementTree also minds prefixes, which noise may unbind


@pytest.mark.parametrize(
    "inside",
    [
        b"x<a/>" * 19_000,
        b"x<!---->" * 200_000,
        b"<servicesURL>" + b" " * 2_000_000 + b"</servicesURL>",
        b"<vendorConfig><pcPort/></vendorConfig>" * 9_000,
        b"<members><member><callManager><processNodeName>a</processNodeName></callManager></member></members>" * 4_900,
        b"<a x='" + b">" * 1_900_000 + b"'/>",
    ],
)
def test_the_work_is_bounded(inside: bytes) -> None:
    """Processor seconds, with room for a slow machine: what is quadratic takes minutes."""
    start = process_time()
    rewrite(b"<device>" + inside + b"</device>", VIEW)
    assert process_time() - start < 5


ROUTER = """
voice-phone-proxy LSPP
 tftp-server address ipv4 198.51.100.11 local-addr ipv4 198.51.100.1 acc-addr ipv4 192.0.2.1
 access-secure
 service-map server-addr ipv4 198.51.100.11 port 3804 acc-addr ipv4 192.0.2.1 port 13804
 service-map server-addr ipv4 198.51.100.11 port 2445 acc-addr ipv4 192.0.2.1 port 2445
 complete
dial-peer voice 100 voip
 session transport tcp
 phone-proxy LSPP signal-addr ipv4 192.0.2.1 cucm ipv4 198.51.100.11
dial-peer voice 101 voip
 phone-proxy LSPP signal-addr ipv4 192.0.2.2 cucm ipv4 198.51.100.12
dial-peer voice 102 voip
 phone-proxy OTHER signal-addr ipv4 192.0.2.3 cucm ipv4 198.51.100.13
"""


def test_the_view_comes_from_the_configuration() -> None:
    config = parse_config(ROUTER)
    view = access_view(config, config.phone_proxies["LSPP"], {"sub": "198.51.100.12"})
    assert (view.secure, view.transport) == (True, Transport.TLS)
    assert view.nodes == {"198.51.100.11": "192.0.2.1", "198.51.100.12": "192.0.2.2"}
    assert (view.node_for("SUB"), view.node_for("elsewhere")) == ("192.0.2.2", "192.0.2.1")
    assert (view.capf, view.tvs) == (("192.0.2.1", 13804), ("192.0.2.1", 2445))


def test_without_access_secure_the_dial_peer_says_how() -> None:
    config = parse_config(ROUTER.replace(" access-secure\n", " capf-address ipv4 10.0.0.1 acc-addr ipv4 192.0.2.9\n"))
    view = access_view(config, config.phone_proxies["LSPP"])
    assert (view.secure, view.transport, view.capf) == (False, Transport.TCP, ("192.0.2.9", 3804))


def test_without_dial_peers_the_file_server_is_the_node() -> None:
    config = parse_config(ROUTER.split("dial-peer", maxsplit=1)[0])
    view = access_view(config, config.phone_proxies["LSPP"])
    assert (view.node, view.nodes) == ("192.0.2.1", {})


def test_a_document_reads_its_own_places() -> None:
    document = read_xml(CONFIG)
    (element,) = document.find("capf", "processNodeName")
    assert document.raw(element) == b"198.51.100.11"
    assert document.data[element.start : element.end] == b"<processNodeName>198.51.100.11</processNodeName>"
