"""What two legs agree on: descriptions in, descriptions for the other leg and media sessions out.

A negotiated `Session` is immutable; a re-INVITE builds the next one and keeps the ports. Three
rules: a description is rebuilt from what was understood, never passed on; each leg has its own keys;
a key of ours stays as long as its suite does, so that hold and resume re-key nothing (RFC 4568 7.1.4), unless an engine
was lost with it (see `new_keys`). The exception to the second is `srtp pass-thru`: there keys, suites that we do not
know and payload types are those of the far ends.
"""

from __future__ import annotations

from collections.abc import Container
from dataclasses import replace
from secrets import token_bytes

from cubeproxy.border.crypto_lines import choose_line, passing_answer, passing_lines, taken_line
from cubeproxy.border.descriptions import (
    EVENTS,
    Formats,
    Refused,
    allowed,
    answered_formats,
    check_address,
    effective_direction,
    parse_description,
    renumbered,
)
from cubeproxy.border.formats import Transcodes, agree, disjoint
from cubeproxy.border.halves import Half, Octets, OpenOffer, Session
from cubeproxy.border.interworking import ANY, CARRIES, FIRST_OFFER, INTERWORKING, Codecs, Keys, Kind, accept, carried
from cubeproxy.border.offer_answer import Input, Meaning, OfferAnswer
from cubeproxy.border.plan import Peer
from cubeproxy.config.model import Personality, SrtpPolicy
from cubeproxy.protocols.errors import CubeError, RemoteProtocolError
from cubeproxy.protocols.sdes import CryptoLine
from cubeproxy.protocols.sdp import Direction, Media, SessionDescription, audio, describe
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import PASS_THROUGH, Address, Need, Side, StreamSpec

PROFILE = {Kind.SRTP: "RTP/SAVP", Kind.RTP: "RTP/AVP", Kind.OPAQUE: "RTP/SAVP"}

OWN_MKI = 1  # the identifier of our keys where the peer's have one

CROSSING = {Meaning.GLARE: 491, Meaning.TOO_SOON: 500}  # RFC 3311 5.2

Description = tuple[SessionDescription, int, Media]  # the whole, the place of its audio, the audio


class Negotiation:
    """`sides[0]` is the caller's leg, `sides[1]` the called one."""

    def __init__(
        self,
        caller: Peer,
        called: Peer,
        personality: Personality,
        rng: Octets = token_bytes,
        signalling: Container[Address] = (),
        *,
        farms: bool = False,
        transcodes: Transcodes = lambda _first, _second: False,
    ) -> None:
        """`signalling` are the ports of ours and of the cluster that no phone's audio may go to; `farms` whether a
        transcoder may be a DSP farm, which cannot be told every key; `transcodes` which codecs there is one for."""
        self.sides = (Half(caller), Half(called))
        self.session: Session | None = None
        self.state = OfferAnswer()
        self._personality = personality
        self._rng = rng
        self._signalling = signalling
        self._farms = farms
        self._can_transcode = transcodes
        self.transcodes = False  # whether the first offer takes another codec on the other leg
        self._offer: OpenOffer | None = None
        self.keys: Keys = ANY  # that may be chosen for the pair of legs
        self.renewing = False  # an offer of our own is open on one leg: see `new_keys`
        self._before: tuple[Kind | None, Kind | None] = (None, None)
        self._looked_at: tuple[int, bytes, Description] | None = None  # a first offer that was read to judge the need
        for side in self.sides:
            side.session_id = int.from_bytes(rng(4), "big") >> 1

    def set_local(self, caller: Address, called: Address) -> None:
        self.sides[0].local, self.sides[1].local = caller, called

    def reroute(self, called: Peer) -> None:
        """Another dial peer takes the call before anything was agreed on the called leg."""
        if called.tag != self.sides[1].peer.tag:
            self.sides[1].peer = called
            self.sides[1].send_keys.clear()
            self.sides[1].fallback = False

    def expected_need(self, body: bytes) -> Need:
        """What the call will need, judged by its first offer (b"": a delayed offer). Raises Refused."""
        caller, called = self.sides
        other = Kind.RTP if called.fallback else FIRST_OFFER[called.peer.policy]
        if not body:
            self.transcodes = disjoint(caller.peer, called.peer, self._can_transcode)
            return self._need(FIRST_OFFER[caller.peer.policy], other, self.transcodes)
        description = self.read(0, body)
        self._looked_at = 0, body, description
        kind = self._accept(caller, description[2])
        try:
            here, there = agree(description[2].codecs(), caller.peer, called.peer, self._can_transcode)
        except Refused:  # told when the offer is to be passed on
            self.transcodes = False
            return self._need(kind, other)
        self.transcodes = here is not there
        return self._need(kind, other, self.transcodes)

    def pass_on(self, source: int, body: bytes, role: Input) -> bytes:
        """A description from leg `source`'s peer: the one to send on the other leg, b"" for none. Raises Refused."""
        description, place, media = self.read(source, body)
        self._looked_at = None
        if self.renewing and role is Input.REQUEST:
            raise RemoteProtocolError("an offer of ours is open", 491)
        meaning = self.state.body(source, role)
        if meaning in CROSSING:
            raise RemoteProtocolError("an offer is open already", CROSSING[meaning])
        if meaning is Meaning.IGNORE:
            return b""
        try:
            if meaning is Meaning.OFFER:
                return self._take_offer(source, description, place, media)
            return self._take_answer(source, description, media)
        except CubeError:
            self.state.concluded(ok=False)
            self._revert()
            raise

    def answer_again(self, body: bytes) -> None:
        """Another fork's answer to the caller's offer: its media counts from now, the caller's description stays."""
        description, _, media = self.read(1, body)
        if self._offer is not None and self._offer.source == 0 and not self.state.owed_by(0):
            self._take_answer(1, description, media)

    def concluded(self, ok: bool) -> None:
        """The transaction that carried an offer is over."""
        if self.state.concluded(ok) is Meaning.REVERT:
            self._revert()

    def _revert(self) -> None:
        self.sides[0].kind, self.sides[1].kind = self._before
        self._offer = None

    def read(self, source: int, body: bytes) -> Description:
        """A description of leg `source`'s peer. A phone's audio goes into no signalling port, ours or the cluster's."""
        if self._looked_at is not None and self._looked_at[:2] == (source, body):
            return self._looked_at[2]
        description, place, media = parse_description(body)
        if self.sides[source].peer.side is Side.ACCESS:
            check_address(description, media, self._signalling)
        return description, place, media

    def _accept(self, side: Half, media: Media) -> Kind:
        offered_kind = Kind.SRTP if media.is_secure else Kind.RTP
        verdict = accept(side.peer.policy, side.peer.negotiate_cisco, offered_kind)
        if isinstance(verdict, str):
            raise Refused(verdict, f"{media.protocol} offered on dial-peer {side.peer.tag}")
        return verdict

    def _take_offer(self, source: int, description: SessionDescription, place: int, media: Media) -> bytes:
        side, other = self.sides[source], self.sides[1 - source]
        self._before = (self.sides[0].kind, self.sides[1].kind)
        side.kind = self._accept(side, media)
        if other.kind is None or self.session is None:
            other.kind = Kind.RTP if other.fallback else FIRST_OFFER[other.peer.policy]
        formats, there = agree(media.codecs(), side.peer, other.peer, self._can_transcode)
        self.keys = CARRIES[self._need(side.kind, other.kind, formats is not there), self._farms]
        line = choose_line(media, side.peer, self.keys) if side.kind is Kind.SRTP and media.port else None
        self._offer = OpenOffer(
            source,
            description,
            place,
            media,
            formats,
            there,
            CryptoLine.own(line.tag, self._own_key(side, line)) if line else None,
            line.key if line else None,
        )
        direction = effective_direction(media, description)
        offered = self._offer_media(other, media, there, direction)
        lines = list(other.layout) or [offered]
        lines[other.place] = offered
        return self.describe(other, lines)

    def _own_key(self, side: Half, line: CryptoLine) -> MasterKey:
        """Our key of the line's suite, with an MKI as long as the offerer's: there are peers that have it both ways."""
        assert line.suite is not None
        return self.key_on(side, line.suite, OWN_MKI.to_bytes(len(line.key.mki), "big") if line.key.mki else b"")

    def key_on(self, side: Half, suite: Suite, mki: bytes) -> MasterKey:
        """Our key of a suite on a leg, with this MKI."""
        key = side.send_key(suite, self._rng)
        return replace(key, mki=mki) if mki else key

    def _offer_media(self, side: Half, media: Media, formats: Formats, direction: Direction) -> Media:
        assert side.kind is not None
        side.lines = []
        if side.kind is Kind.SRTP:
            suites = carried(side.peer.suites, self.keys)
            if not suites:
                raise Refused("no-suite", f"dial-peer {side.peer.tag} has no suite to offer; {self.keys.why}")
            keys = [side.send_key(suite, self._rng) for suite in suites]
            side.lines = [CryptoLine.own(tag, key) for tag, key in enumerate(keys, 1)]
        elif side.kind is Kind.OPAQUE and media.port:
            side.lines = passing_lines(media)
        crypto = [line.serialise() for line in side.lines]
        return self.audio_on(side, media, formats, direction, crypto)

    def _take_answer(self, source: int, description: SessionDescription, media: Media) -> bytes:
        offer = self._offer
        assert offer is not None
        side, other = self.sides[source], self.sides[offer.source]
        self._check_profile(side, media)
        receive_key, send_key = self._answered_keys(side, offer, media) if media.port else (None, None)
        formats = answered_formats(offer.there, media.codecs()) if media.port else offer.there
        here = renumbered(offer.formats, formats) if offer.there is offer.formats else offer.formats
        wrote = effective_direction(offer.media, offer.description)
        direction = allowed(media.direction(description), wrote)
        opaque = side.kind is Kind.OPAQUE  # packets keep the payload types that their sender gave them
        answer = self._write_answer(other, offer, formats if opaque else here, direction, media)
        assert side.kind is not None
        assert other.kind is not None
        if media.port and offer.media.port:
            theirs = self._spec(description, media, formats, direction, Direction.SENDRECV)
            theirs = replace(theirs, send_key=send_key, receive_key=receive_key, latch=side.peer.latch)
            ours = self._spec(offer.description, offer.media, here, wrote, direction.mirrored)
            own_key = offer.answer_line.key if offer.answer_line and side.kind is not Kind.OPAQUE else None
            ours = replace(ours, send_key=own_key, receive_key=offer.receive_key, latch=other.peer.latch)
            legs = (ours, theirs) if offer.source == 0 else (theirs, ours)
            self._set_session(legs)
        else:
            self._set_session((None, None))
        return answer

    def _set_session(self, legs: tuple[StreamSpec | None, StreamSpec | None]) -> None:
        kinds = (self.sides[0].kind or Kind.RTP, self.sides[1].kind or Kind.RTP)
        self.session = Session(legs, kinds)

    def _check_profile(self, side: Half, media: Media) -> None:
        """An RTP answer to an SRTP offer takes `srtp fallback`; the other way round is an error of the peer."""
        if media.is_secure and side.kind is Kind.RTP:
            raise Refused("bad-sdp", "SRTP answered to an RTP offer")
        if not media.is_secure and side.kind is Kind.OPAQUE and media.port:
            raise Refused("pass-thru-needs-savp", f"RTP answered on dial-peer {side.peer.tag}")
        if not media.is_secure and side.kind is Kind.SRTP and media.port:
            if side.peer.policy is not SrtpPolicy.FALLBACK:
                raise Refused("srtp-required", f"RTP answered on dial-peer {side.peer.tag}")
            side.kind = Kind.RTP

    def _answered_keys(self, side: Half, offer: OpenOffer, media: Media) -> tuple[MasterKey | None, MasterKey | None]:
        """(what the peer protects with, what we protect with) on an SRTP leg, by the line that it took."""
        if side.kind is Kind.OPAQUE:
            offer.answer_line = passing_answer(media, side.lines)
        if side.kind is not Kind.SRTP:
            return None, None
        return taken_line(media, side.lines, self.keys)

    def _write_answer(
        self, side: Half, offer: OpenOffer, formats: Formats, direction: Direction, answered: Media
    ) -> bytes:
        side.layout = [media.refused() for media in offer.description.media]
        side.place = offer.place
        if not answered.port or not offer.media.port:
            return self.describe(side, side.layout)
        crypto = [offer.answer_line.serialise()] if offer.answer_line else []
        parameters = answered if side.kind is Kind.OPAQUE else offer.media
        media = self.audio_on(side, answered, formats, direction, crypto, parameters=parameters)
        return self.describe(side, offer.description.with_only(offer.place, media))

    def audio_on(
        self,
        side: Half,
        source: Media,
        formats: Formats,
        direction: Direction,
        crypto: list[str],
        parameters: Media | None = None,
    ) -> Media:
        """Our m-line on a leg, with the packet time of `source` and the format parameters of `parameters`."""
        assert side.kind is not None
        told = parameters or source
        known = dict(told.codecs())
        fmtp = {number: text for number, codec in formats if known.get(number) == codec and (text := told.fmtp(number))}
        port = side.local[1] if source.port else 0
        return audio(
            port,
            formats,
            protocol=PROFILE[side.kind],
            crypto=crypto,
            fmtp=fmtp,
            direction=direction,
            ptime=source.ptime,
        )

    def describe(self, side: Half, media: list[Media]) -> bytes:
        """Our description on a leg; the version grows only when it differs from the last one (RFC 3264 8)."""
        body = self._serialise(side, media)
        if side.sent and body != side.sent:
            side.version += 1
            body = self._serialise(side, media)
        side.sent = body
        return body

    def _serialise(self, side: Half, media: list[Media]) -> bytes:
        return describe(
            side.local[0],
            media,
            session_id=side.session_id,
            version=side.version,
            username="cubeproxy",
            name="SIP Call",
        ).serialise()

    def _spec(
        self, description: SessionDescription, media: Media, formats: Formats, wrote: Direction, other: Direction
    ) -> StreamSpec:
        """A peer's stream as we see it: we send what it receives, and the other leg's peer must agree."""
        number, codec = next((number, codec) for number, codec in formats if codec.name != EVENTS)
        events = next((n for n, c in formats if c.name == EVENTS and c.clock == codec.clock), None)
        return StreamSpec(
            remote=media.address(description),
            remote_rtcp=media.rtcp_address(description, muxed=False),  # we neither offer nor accept it
            codec=PASS_THROUGH if self.sides[0].kind is Kind.OPAQUE else codec,
            payload_type=number,
            dtmf_payload_type=events,
            ptime=media.ptime or 20,
            sends=wrote.receives and other.receives,
            receives=wrote.sends and other.sends,
        )

    def _need(self, caller: Kind, called: Kind, transcodes: bool = False) -> Need:
        """Raises Refused for a pair that cannot be."""
        codecs = Codecs.DIFFER if transcodes else Codecs.SAME
        row = INTERWORKING.get((caller, called, codecs, self._personality))
        if row is None:
            cause = "no-codec" if transcodes else "pass-thru-one-side"
            raise Refused(cause, f"{caller.value} to {called.value}, {codecs.value}")
        return row[0]

    @property
    def need(self) -> Need:
        """What the negotiated pair needs."""
        return self._need(*self.session.kinds, self.session.differ) if self.session else Need.RELAY


def answer_cause(error: Refused | RemoteProtocolError) -> str:
    """The same for what the called side answered: a 400 is not the caller's."""
    cause = cause_of(error)
    return "bad-answer" if cause == "bad-sdp" else cause


def cause_of(error: Refused | RemoteProtocolError) -> str:
    """The row of the failure table for a description that could not be taken."""
    if isinstance(error, Refused):
        return error.cause
    return "no-audio" if error.status == 488 else "bad-sdp"
