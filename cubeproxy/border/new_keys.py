"""New keys for what we send in a call that is up: which are spent, what takes their place, and the offer that says so.

When another engine carries a call, it knows the old one's keys and not how far these had been used: under the same key
a keystream would go out twice (RFC 3711 9.1). So each SRTP leg is offered a new key of its suite and nothing else new.
The peer may answer with the key that it has or with another (RFC 4568 7.1.4); what it sends is heard all the while. We
send nothing before it has answered, for it could not read it.
"""

from __future__ import annotations

from dataclasses import replace

from cubeproxy.border.crypto_lines import taken_line
from cubeproxy.border.descriptions import EVENTS, Formats, Refused, effective_direction, parse_description
from cubeproxy.border.halves import Session
from cubeproxy.border.negotiation import Negotiation
from cubeproxy.protocols.sdes import CryptoLine
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import StreamSpec

Legs = tuple[StreamSpec | None, StreamSpec | None]


class NewKeys:
    def __init__(self, negotiation: Negotiation) -> None:
        self._negotiation = negotiation
        self._spent: set[bytes] = set()  # master keys that an engine had that is gone

    def spend(self) -> None:
        """Every key of ours is spent."""
        for side, leg in zip(self._negotiation.sides, self._legs, strict=True):
            self._spent.update(key.master for key in side.send_keys.values())
            if leg is not None and leg.send_key is not None:
                self._spent.add(leg.send_key.master)
            side.send_keys.clear()

    @property
    def due(self) -> int | None:
        """The leg whose peer has to hear of a new key, None when there is none left."""
        return next((index for index, leg in enumerate(self._legs) if leg is not None and self._is_spent(leg)), None)

    def interim(self, legs: Legs) -> Legs:
        """The legs as an engine may have them already: with the keys that are on offer, not used before the answer."""
        first, second = (self._renewed(index, leg) for index, leg in enumerate(legs))
        return first, second

    def offer(self, index: int) -> bytes:
        """Our description of a leg as it is, with a new key."""
        negotiation, leg = self._negotiation, self._legs[index]
        side = negotiation.sides[index]
        assert leg is not None
        sent, _, media = parse_description(side.sent)
        side.lines = [CryptoLine.own(1, self._key(index, leg))]
        crypto = [line.serialise() for line in side.lines]
        offered = negotiation.audio_on(side, media, _agreed(media.codecs(), leg), media.direction(sent), crypto)
        lines = list(side.layout) or [offered]
        lines[side.place] = offered
        return negotiation.describe(side, lines)

    def answered(self, index: int, body: bytes) -> None:
        """The answer to it. The next session has what was agreed before, or less.

        Raises Refused or RemoteProtocolError.
        """
        negotiation, leg = self._negotiation, self._legs[index]
        assert leg is not None
        assert negotiation.session is not None
        description, _, media = negotiation.read(index, body)
        if not media.port or not media.is_secure:
            raise Refused("no-new-keys", "the peer gave up its SRTP stream")
        receive_key, send_key = taken_line(media, negotiation.sides[index].lines, negotiation.keys)
        agreed = {codec.name: number for number, codec in _agreed(media.codecs(), leg)}
        if leg.codec.name not in agreed:
            raise Refused("no-new-keys", "the answer has another codec")
        wrote = effective_direction(media, description)
        leg = replace(
            leg,
            remote=media.address(description),
            remote_rtcp=media.rtcp_address(description, muxed=False),
            payload_type=agreed[leg.codec.name],
            dtmf_payload_type=agreed.get(EVENTS),
            send_key=send_key,
            receive_key=receive_key,
            sends=leg.sends and wrote.receives,
            receives=leg.receives and wrote.sends,
        )
        first, second = self._legs
        negotiation.session = Session((leg, second) if index == 0 else (first, leg), negotiation.session.kinds)

    @property
    def _legs(self) -> Legs:
        session = self._negotiation.session
        return session.legs if session is not None else (None, None)

    def _is_spent(self, leg: StreamSpec) -> bool:
        return leg.send_key is not None and leg.send_key.master in self._spent

    def _renewed(self, index: int, leg: StreamSpec | None) -> StreamSpec | None:
        if leg is None or not self._is_spent(leg):
            return leg
        return replace(leg, send_key=self._key(index, leg), sends=False)

    def _key(self, index: int, leg: StreamSpec) -> MasterKey:
        assert leg.send_key is not None
        old, negotiation = leg.send_key, self._negotiation
        return negotiation.key_on(negotiation.sides[index], old.suite, old.mki)


def _agreed(formats: Formats, leg: StreamSpec) -> Formats:
    """Those of the formats that are in use: the codec, and telephone-event at its clock."""
    return [(number, codec) for number, codec in formats if codec == leg.codec or _events(codec.name, codec.clock, leg)]


def _events(name: str, clock: int, leg: StreamSpec) -> bool:
    return name == EVENTS and leg.dtmf_payload_type is not None and clock == leg.codec.clock
