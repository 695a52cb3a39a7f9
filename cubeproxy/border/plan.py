"""The configuration as the border reads it: which dial peer faces whom, from which address, with what.

A `Plan` is made once from a `Config` and never changes; every question that needs the text of the
configuration is answered here, so that a call meets values only.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass, replace

from cubeproxy.config.model import Config, DialPeer, KeepaliveProfile, Personality, SrtpPolicy
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.suites import Suite
from cubeproxy.protocols.values import Address, Side, Target, Transport

DEFAULT_PORT = {Transport.UDP: 5060, Transport.TCP: 5060, Transport.TLS: 5061}

# IOS codec names to RTP encoding names (RFC 3551, vendor's `codec` command).
ENCODINGS = {
    "g711ulaw": "pcmu",
    "g711alaw": "pcma",
    "g722-64": "g722",
    "g729r8": "g729",
    "g729br8": "g729",
    "g729ar8": "g729",
    "g729abr8": "g729",
    "g726r16": "g726-16",
    "g726r24": "g726-24",
    "g726r32": "g726-32",
    "g728": "g728",
    "g723r63": "g723",
    "ilbc": "ilbc",
    "opus": "opus",
}

G711 = {"pcmu", "pcma"}

# Suites without `voice class srtp-crypto`: IOS to 15.5(3)M knows SHA1_32 only, XE from 16.5.1b all four in this order.
DEFAULT_SUITES = {
    Personality.IOS: (Suite.AES_CM_128_HMAC_SHA1_32,),
    Personality.IOSXE: tuple(Suite),
}

PREDEFINED_PASS_LIST = (
    "Call-Info",
    "Content-ID",
    "Allow-Events",
    "Supported",
    "Remote-Party-ID",
    "Require",
    "Referred-By",
)


@dataclass(slots=True, frozen=True)
class Node:
    """One CUCM node that a core dial peer points at."""

    target: Target
    peer: int  # tag of the dial peer
    preference: int
    keepalive: KeepaliveProfile | None = None


@dataclass(slots=True, frozen=True)
class Peer:
    """A dial peer, resolved: the face it has, where it sits and what its media may be."""

    tag: int
    side: Side
    config: DialPeer
    control: Address  # address and port that we listen on and advertise
    media: str  # local media address
    policy: SrtpPolicy
    negotiate_cisco: bool
    suites: tuple[Suite, ...]
    encodings: tuple[str, ...]  # RTP encoding names in order; () is transparent
    dtmf: bool
    latch: bool  # a clear stream's source is learnt once (`nat symmetric check-media-src`)
    pass_list: tuple[str, ...]
    pass_unknown: bool
    nodes: tuple[Node, ...] = ()
    face: frozenset[str] = frozenset()  # every address that the configuration knows on this side


@dataclass(slots=True, frozen=True)
class Listener:
    side: Side
    transport: Transport
    address: Address


class Plan:
    """`peers` by tag, `listeners` to open, `side_of` an address of ours; `farms` whether a transcoder may be a DSP farm
    that is told its keys by SCCP. Raises ConfigError."""

    def __init__(self, config: Config, missing: Container[str] = ()) -> None:
        """`missing` are codecs, by their IOS names, that this box has no coder for."""
        self.config = config
        self._missing = missing
        self.personality = config.personality
        self.peers: dict[int, Peer] = {}
        for dial_peer in sorted(config.dial_peers.values(), key=lambda p: (p.preference, p.tag)):
            if not dial_peer.shutdown and dial_peer.protocol_sipv2:
                self.peers[dial_peer.tag] = self._resolve(dial_peer)
        self.peers = {tag: replace(peer, face=self._face(peer.side)) for tag, peer in self.peers.items()}
        self.access = [p for p in self.peers.values() if p.side is Side.ACCESS]
        self.core = [p for p in self.peers.values() if p.side is Side.CORE]
        self._sides = {p.control[0]: p.side for p in self.peers.values()}
        service = config.telephony
        self.farms = self.personality is Personality.IOS and service is not None and service.sdspfarm_units > 0
        self._profiles = list(self._transcoders())
        self.listeners = tuple(dict.fromkeys(self._listeners()))
        self.signalling = frozenset(p.control for p in self.peers.values()) | frozenset(
            (node.target.host, node.target.port) for peer in self.core for node in peer.nodes
        )
        self.trusted = frozenset(node.target.host for peer in self.core for node in peer.nodes)

    def side_of(self, local: Address) -> Side:
        """The face that a listener of ours belongs to."""
        return self._sides[local[0]]

    def _face(self, side: Side) -> frozenset[str]:
        peers = [peer for peer in self.peers.values() if peer.side is side]
        own = {address for peer in peers for address in (peer.control[0], peer.media)}
        return frozenset(own | {node.target.host for peer in peers for node in peer.nodes})

    def _listeners(self) -> Iterator[Listener]:
        """Plain SIP listens on UDP and TCP together, as the router does; TLS where a peer asks for it."""
        for peer in self.peers.values():
            plain = (Transport.UDP, Transport.TCP) if peer.config.transport is not Transport.TLS else (Transport.TLS,)
            for transport in plain:
                yield Listener(peer.side, transport, (peer.control[0], peer.control[1]))

    def transcodes(self, first: str, second: str) -> bool:
        """Whether a configured transcoder has both codecs (RTP encoding names). One that is not `universal` takes G.711
        on one side."""
        return any(
            {first, second} <= encodings and (universal or bool({first, second} & G711))
            for encodings, universal in self._profiles
        )

    def _transcoders(self) -> Iterator[tuple[frozenset[str], bool]]:
        """Codecs of each profile that serves calls here, and whether it is universal. What farms on other hosts have is
        in their configuration: they answer for themselves."""
        where = {"CUBE", "SCCP"} if self.farms else {"CUBE"}
        for profile in self.config.dspfarm_profiles.values():
            if profile.service == "transcode" and profile.application in where and not profile.shutdown:
                names = [name for name in profile.codecs if name not in self._missing]
                yield frozenset(ENCODINGS.get(name, name) for name in names), profile.universal
        service = self.config.telephony
        if self.farms and service and set(service.sdspfarm_tags.values()) - self.config.sccp.names:
            yield frozenset(ENCODINGS.values()), True

    def _resolve(self, dial_peer: DialPeer) -> Peer:
        side = Side.ACCESS if dial_peer.faces_phones else Side.CORE
        host = self._control_host(dial_peer, side)
        control = (host, DEFAULT_PORT[dial_peer.transport])
        voice = self.config.voice
        pass_list, unknown = self._pass_list(dial_peer)
        return Peer(
            tag=dial_peer.tag,
            side=side,
            config=dial_peer,
            control=control,
            media=self._interface(dial_peer.bind_media or voice.bind_media, dial_peer) or host,
            policy=self.config.srtp_of(dial_peer),
            negotiate_cisco=dial_peer.srtp_negotiate_cisco or voice.srtp_negotiate_cisco,
            suites=self._suites(dial_peer),
            encodings=tuple(dict.fromkeys(ENCODINGS.get(name, name) for name in dial_peer.codecs)),
            dtmf="rtp-nte" in dial_peer.dtmf_relay,
            latch=self.config.sip_ua.check_media_src,
            pass_list=pass_list,
            pass_unknown=unknown,
            nodes=tuple(self._nodes(dial_peer, control)) if side is Side.CORE else (),
        )

    def _interface(self, name: str, dial_peer: DialPeer) -> str:
        if not name:
            return ""
        interface = self.config.interfaces.get(name)
        if interface is None or not interface.address:
            raise ConfigError(
                f"dial-peer {dial_peer.tag}: bind source-interface {name} has no address",
                fix=f"interface {name} / ip address A.B.C.D MASK",
            )
        return interface.address

    def _control_host(self, dial_peer: DialPeer, side: Side) -> str:
        """`bind control`, else what the phone proxy says of this face, else the only interface there is."""
        host = self._interface(dial_peer.bind_control or self.config.voice.bind_control, dial_peer)
        if not host and dial_peer.phone_proxy:
            host = dial_peer.phone_proxy.signal_address
        if not host and side is Side.CORE:
            host = next((proxy.tftp_local for proxy in self.config.phone_proxies.values() if proxy.tftp_local), "")
        addresses = [i.address for i in self.config.interfaces.values() if i.address and not i.shutdown]
        if not host and len(addresses) == 1:
            host = addresses[0]
        if not host:
            raise ConfigError(
                f"dial-peer {dial_peer.tag}: no address to listen on",
                fix="voice-class sip bind control source-interface NAME",
            )
        return host

    def _suites(self, dial_peer: DialPeer) -> tuple[Suite, ...]:
        tag = dial_peer.srtp_crypto or self.config.voice.srtp_crypto
        if tag:
            try:
                return self.config.srtp_crypto[tag]
            except KeyError:
                raise ConfigError(f"dial-peer {dial_peer.tag}: voice class srtp-crypto {tag} is missing") from None
        authenticated = dial_peer.srtp_auth or self.config.voice.srtp_auth
        if authenticated and self.personality is Personality.IOS:
            return authenticated
        return DEFAULT_SUITES[self.personality]

    def _pass_list(self, dial_peer: DialPeer) -> tuple[tuple[str, ...], bool]:
        tag = dial_peer.pass_thru_headers or self.config.voice.pass_thru_headers
        if not tag:
            return PREDEFINED_PASS_LIST, False
        return (
            (*PREDEFINED_PASS_LIST, *self.config.header_lists.get(tag, ())),
            tag in self.config.header_lists_unsupp,
        )

    def _nodes(self, dial_peer: DialPeer, control: Address) -> Iterator[Node]:
        keepalive = dial_peer.keepalive
        if keepalive and keepalive.tag:
            keepalive = self.config.keepalive_profiles.get(keepalive.tag, keepalive)
        if dial_peer.server_group:
            group = self.config.server_groups.get(dial_peer.server_group)
            members = sorted(group.members, key=lambda member: member[1]) if group else []
        else:
            members = [(dial_peer.target_address, 0)] if dial_peer.target_address else []
        for (host, port), rank in members:
            target = Target(dial_peer.transport, host, port or DEFAULT_PORT[dial_peer.transport], control)
            yield Node(target, dial_peer.tag, dial_peer.preference * 100 + rank, keepalive)


def compile_pattern(pattern: str) -> re.Pattern[str]:
    """A `destination-pattern` or `incoming called-number` as a regular expression.

    The vendor's wildcards: `.` one digit, `T` further digits, `[ ]` a range, `$` the end; a first `+` is a digit.
    """
    body = re.escape(pattern[:1]) if pattern.startswith("+") else ""
    rest = pattern[1:] if body else pattern
    return re.compile(body + rest.replace("T", r"[0-9*#+]*").replace(".", r"[0-9*#A-Da-d]"), re.ASCII)
