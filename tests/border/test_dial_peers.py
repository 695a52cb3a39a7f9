"""Which dial peer a call comes in on, and which ones it may leave by."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cubeproxy.border.plan import Plan, compile_pattern
from cubeproxy.border.routing import Router
from cubeproxy.config.model import DialPeer, Interface, PhoneProxyAttachment, ServerGroup, SrtpPolicy, UriClass
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.sip.message import Request, parse_message
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Flow, Side, Transport
from tests.border.scene import ACCESS, CORE, Scene, called, calling, fitting, sample, srtp

FLOW = Flow(1, Transport.TCP, CORE, ("198.51.100.11", 5060))


def invite(
    uri: str = "sip:1001@198.51.100.1", *, to: str = "sip:1001@b", from_: str = "sip:2001@a", via: str = "v.example"
) -> Request:
    text = (
        f"INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/TCP {via};branch=z9hG4bKx\r\nFrom: <{from_}>;tag=1\r\nTo: <{to}>\r\n"
        "Call-ID: x\r\nCSeq: 1 INVITE\r\nContact: <sip:x@a>\r\nContent-Length: 0\r\n\r\n"
    )
    message = parse_message(text.encode())
    assert isinstance(message, Request)
    return message


def incoming(classes: list[UriClass], where: dict[int, dict[str, str]], request: Request, **extra: str) -> int:
    """The tag of the core peer that a request comes in on; 201 has what `where` and `extra` say, 200 nothing."""
    config = sample()
    for peer in config.dial_peers.values():
        peer.incoming_uri = {}
    config.uri_classes = {one.tag: one for one in classes}
    for tag, kinds in where.items():
        config.dial_peers[tag].incoming_uri = kinds
    config.dial_peers[201].incoming_called_number = extra.get("called", "")
    return Router(Plan(config)).incoming(request, FLOW).tag


class TestIncoming:
    @pytest.mark.parametrize(
        ("where", "request_"),
        [
            ("via", invite(via="x.example")),
            ("via", invite(via="x.example:5070")),
            ("request", invite("sip:1001@x.example")),
            ("to", invite(to="sip:1001@X.example")),
            ("from", invite(from_="sip:2001@x.example")),
        ],
    )
    def test_by_each_kind_of_uri(self, where: str, request_: Request) -> None:
        x = UriClass("X", hosts=["x.example"])
        assert incoming([x], {201: {where: "X"}}, request_) == 201
        assert incoming([x], {201: {where: "X"}}, invite()) == 200
        assert incoming([x], {201: {where: "MISSING"}}, request_) == 200

    def test_via_before_request_before_to_before_from_before_the_called_number(self) -> None:
        """Vendor's order, whatever the order of the dial peers."""
        hosts = [UriClass(name, hosts=[f"{name}.example"]) for name in ("v", "r", "t", "f")]
        request = invite("sip:1001@r.example", to="sip:1@t.example", from_="sip:2@f.example", via="v.example")
        kinds = [("via", "v"), ("request", "r"), ("to", "t"), ("from", "f")]
        for (first, one), (second, two) in pairwise(kinds):
            assert incoming(hosts, {200: {second: two}, 201: {first: one}}, request) == 201
        assert incoming(hosts, {200: {"from": "f"}}, request, called="1...") == 200

    def test_by_the_called_number(self) -> None:
        assert incoming([], {}, invite(), called="1...") == 201
        assert incoming([], {}, invite("sip:1001;phone-context=x@198.51.100.1"), called="1001") == 201
        assert incoming([], {}, invite(), called="2...") == 200

    @pytest.mark.parametrize(
        ("condition", "holds"),
        [
            ({"hosts": ["a", "b.example"]}, True),
            ({"hosts": ["a"]}, False),
            ({"user_id": "^10"}, True),
            ({"user_id": "^20"}, False),
            ({"pattern": "1001@b"}, True),
            ({"pattern": "1002@b"}, False),
            ({"phone_context": "lab"}, False),
            ({"hosts": ["b.example"], "user_id": "^20"}, False),
        ],
    )
    def test_all_conditions_of_a_class_must_hold(self, condition: dict[str, object], holds: bool) -> None:
        one = UriClass("X", **condition)  # type: ignore[arg-type]
        assert incoming([one], {201: {"to": "X"}}, invite(to="sip:1001@b.example")) == (201 if holds else 200)

    def test_a_phone_context(self) -> None:
        one = UriClass("X", phone_context="lab")
        assert incoming([one], {201: {"to": "X"}}, invite(to="sip:1001@b;phone-context=lab")) == 201

    def test_a_face_without_a_peer_of_that_transport_takes_its_first(self) -> None:
        router = Router(Plan(sample()))
        flow = Flow(1, Transport.TCP, ACCESS, ("203.0.113.7", 5060))
        assert router.incoming(invite(), flow).tag == 100
        assert router.incoming(invite(), FLOW).side is Side.CORE


class TestOutgoing:
    def test_the_peer_tied_to_the_phone_comes_first_then_the_others_by_preference(self) -> None:
        scene = Scene()
        router = scene.border.router
        peers = scene.border.plan.peers
        hosts = [node.target.host for node in router.core_nodes(invite("sip:2001@192.0.2.1"), peers[101])]
        assert hosts == ["198.51.100.12", "198.51.100.11"]
        hosts = [node.target.host for node in router.core_nodes(invite("sip:2001@192.0.2.1"), peers[100])]
        assert hosts == ["198.51.100.11", "198.51.100.12"]

    def test_an_escaped_number_is_the_same_number(self) -> None:
        config = sample()
        config.dial_peers[200].destination_pattern = "+49"
        scene = Scene(config)
        phone, node = scene.registered(), scene.node()
        phone.calls("%2B4930123", srtp())
        phone.gets(100)
        assert node.hears("INVITE").uri.startswith("sip:%2B4930123@")

    def test_destination_pattern_and_uri_choose(self) -> None:
        config = sample()
        config.dial_peers[200].destination_pattern = "2..."
        config.dial_peers[201].destination_uri = "NOWHERE"
        router = Router(Plan(config))
        access = router.plan.peers[100]
        assert [n.peer for n in router.core_nodes(invite("sip:2001@192.0.2.1"), access)] == [200]
        assert router.core_nodes(invite("sip:3001@192.0.2.1"), access) == []
        assert router.core_nodes(invite("tel:2001"), access) == []
        register = invite("sip:192.0.2.1")
        register.method = "REGISTER"
        assert [n.peer for n in router.core_nodes(register, access)] == [200]

    def test_a_call_that_no_peer_takes(self) -> None:
        config = sample()
        for tag in (200, 201):
            config.dial_peers[tag].destination_pattern = "9T"
        scene = Scene(config)
        phone = scene.registered()
        phone.calls("2001", srtp())
        phone.gets(100)
        assert phone.gets(404).headers.get("Warning") == '399 192.0.2.1 "No matching outgoing dial-peer"'
        assert scene.event("call.refused").cause == "no-peer"

    def test_a_call_to_a_phone_goes_by_the_peer_that_it_registered_on(self) -> None:
        config = sample(replace={" destination uri LINES\n": ""})
        _, _, _ = called(Scene(config))
        config.dial_peers[100].destination_uri = "CORE"
        scene = Scene(config)
        scene.registered()
        node = scene.node()
        node.calls("1001")
        node.gets(100)
        node.gets(404)
        assert scene.event("call.refused").cause == "no-peer"

    def test_a_server_group_has_its_own_order(self) -> None:
        config = sample()
        config.server_groups[1] = ServerGroup(1, [(("198.51.100.21", 5070), 2), (("198.51.100.22", 0), 1)])
        config.dial_peers[200].server_group = 1
        nodes = Plan(config).peers[200].nodes
        assert [(n.target.host, n.target.port) for n in nodes] == [("198.51.100.22", 5060), ("198.51.100.21", 5070)]
        config.dial_peers[200].server_group = 7
        assert Plan(config).peers[200].nodes == ()

    @pytest.mark.parametrize(
        ("pattern", "number", "matches"),
        [
            ("2...", "2001", True),
            ("2...", "201", False),
            ("9T", "9", True),
            ("9T", "90123456", True),
            ("+49T", "+4930", True),
            ("+49T", "4930", False),
            ("[23]00.", "3009", True),
            ("[23]00.", "4009", False),
            ("20$", "20", True),
            ("20$", "201", False),
        ],
    )
    def test_patterns(self, pattern: str, number: str, matches: bool) -> None:
        assert bool(compile_pattern(pattern).match(number)) is matches


class TestHunt:
    def test_the_next_peer_s_own_srtp_counts(self) -> None:
        """The second node's dial peer wants SRTP, the first does not."""
        config = sample()
        config.dial_peers[201].srtp = SrtpPolicy.STRICT
        scene = Scene(config)
        phone, node, invite_ = calling(scene)
        node.answers(invite_, 503)
        second = scene.node(("198.51.100.12", 5060))
        invite_ = second.hears("INVITE")
        assert b"RTP/SAVP" in invite_.body
        second.answers(invite_, 200, body=fitting(invite_))
        second.hears("ACK")
        phone.gets(200)
        assert scene.core.send_key is not None

    def test_a_next_peer_that_takes_no_codec_ends_the_attempt(self) -> None:
        config = sample()
        config.dial_peers[201].codecs = ("g729r8",)
        scene = Scene(config)
        phone, node, invite_ = calling(scene)
        node.answers(invite_, 503)
        node.hears("ACK")
        phone.gets(488)
        assert scene.released()


class TestPlan:
    def test_a_peer_that_is_shut_or_speaks_no_sip_is_not_there(self) -> None:
        config = sample()
        config.dial_peers[201].shutdown = True
        config.dial_peers[101].protocol_sipv2 = False
        assert sorted(Plan(config).peers) == [100, 200]

    def test_listeners(self) -> None:
        listeners = Plan(sample()).listeners
        assert [(one.transport, one.address) for one in listeners] == [
            (Transport.TLS, ACCESS),
            (Transport.UDP, CORE),
            (Transport.TCP, CORE),
        ]

    def test_an_interface_without_an_address(self) -> None:
        config = sample()
        config.interfaces["GigabitEthernet2"].address = ""
        with pytest.raises(ConfigError, match="has no address") as error:
            Plan(config)
        assert error.value.fix

    def test_where_to_listen_without_bind(self) -> None:
        config = sample()
        for peer in config.dial_peers.values():
            peer.bind_control = peer.bind_media = ""
        plan = Plan(config)
        assert plan.peers[100].control == ACCESS  # signal-addr
        assert plan.peers[200].control == CORE  # the phone proxy's local-addr
        config.phone_proxies.clear()
        with pytest.raises(ConfigError, match="no address to listen on"):
            Plan(config)
        del config.interfaces["GigabitEthernet1"]
        assert Plan(config).peers[200].control == CORE
        config.dial_peers[100].phone_proxy = None
        assert Plan(config).peers[100].control[0] == CORE[0]

    def test_an_interface_that_is_down_is_no_place(self) -> None:
        config = sample()
        config.dial_peers = {1: DialPeer(1, protocol_sipv2=True)}
        config.phone_proxies.clear()
        config.interfaces = {
            "A": Interface("A", "192.0.2.1", shutdown=True),
            "B": Interface("B", "192.0.2.2"),
        }
        assert Plan(config).peers[1].control == ("192.0.2.2", 5060)

    def test_suites_by_class_by_srtp_auth_and_by_personality(self) -> None:
        config = sample()
        assert Plan(config).peers[100].suites == tuple(Suite)
        config.srtp_crypto[3] = (Suite.AEAD_AES_128_GCM,)
        config.voice.srtp_crypto = 3
        assert Plan(config).peers[100].suites == (Suite.AEAD_AES_128_GCM,)
        config.dial_peers[100].srtp_crypto = 4
        with pytest.raises(ConfigError, match="srtp-crypto 4 is missing"):
            Plan(config)
        config.dial_peers[100].srtp_crypto = config.voice.srtp_crypto = 0
        config.voice.srtp_auth = (Suite.AES_CM_128_HMAC_SHA1_80,)
        assert Plan(config).peers[100].suites == tuple(Suite)  # accepted without effect from XE 16.5.1b on
        config.version = "15.7"
        assert Plan(config).peers[100].suites == (Suite.AES_CM_128_HMAC_SHA1_80,)

    def test_a_keepalive_profile_is_found_by_its_tag(self) -> None:
        config = sample(keepalive=True)
        profile = config.dial_peers[200].keepalive
        assert profile is not None
        config.keepalive_profiles[9] = type(profile)(9, 11, 12, 2)
        profile.tag = 9
        assert Plan(config).peers[200].nodes[0].keepalive == config.keepalive_profiles[9]
        profile.tag = 8
        assert Plan(config).peers[200].nodes[0].keepalive is profile

    def test_a_phone_proxy_makes_a_peer_face_the_phones(self) -> None:
        config = sample()
        config.dial_peers[200].phone_proxy = PhoneProxyAttachment("LSPP", "192.0.2.1", "198.51.100.11")
        assert Plan(config).peers[200].side is Side.ACCESS
