"""One call on an rtpengine: which commands give each leg the keys that the border has negotiated for it. Pure.

rtpengine makes keys of its own for the side that gets an offer, but passes the offering side's key through where both
sides are SRTP. That is how a key is dictated: the *other* side offers with the key that this leg has to be protected
with, the engine takes it for what it sends to this leg, and the leg answers with its peer's key, which the engine
takes for what it receives. An answer that comes with profile RTP/AVP for the offering side leaves that side in the
clear. The engine's own description is read back: an engine that took another key is found out before a packet
passes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.ng.messages import Answer, Command, Offer, Option
from cubeproxy.protocols.sdes import CryptoLine, read_lines
from cubeproxy.protocols.sdp.build import audio, describe
from cubeproxy.protocols.sdp.session import SessionDescription
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import Address, Codec, StreamSpec

CLEAR, SECURE = "RTP/AVP", "RTP/SAVP"
TAGS = ("leg0", "leg1")
EVENTS = "telephone-event"

# No ICE, no DTLS; our hops' addresses are as written and never learnt; RTCP has a port of its own; keys are padded
# (10.5 drops the padding of some otherwise).
OPTIONS: Mapping[str, Option] = {
    "ICE": "remove",
    "DTLS": "off",
    "SDES": ("pad",),
    "flags": ("trust-address", "asymmetric"),
    "replace": ("origin", "session-connection"),
    "rtcp-mux": ("demux",),
}

# What 10.5 codes and decodes, as it spells them (`rtpengine --codecs`), of what this program speaks.
CODECS = {"pcmu": "PCMU", "pcma": "PCMA", "g722": "G722", "g729": "G729", "opus": "opus/48000/2", "gsm": "GSM"}


@dataclass(slots=True)
class Side:
    """A leg as the engine has to know it: where our hop is, what is spoken there, and the keys from our side."""

    hop: Address
    codec: Codec
    payload_type: int
    events: int | None
    ptime: int
    send_key: MasterKey | None
    receive_key: MasterKey | None

    @classmethod
    def of(cls, spec: StreamSpec, hop: Address) -> Side:
        """LocalProtocolError when it cannot be told to an engine."""
        if (spec.send_key is None) != (spec.receive_key is None):
            raise LocalProtocolError("SRTP in one direction only")
        for key in (spec.send_key, spec.receive_key):
            if key is not None and key.mki:
                raise LocalProtocolError("a master key identifier cannot be passed through an rtpengine")
        send, receive = _plain(spec.send_key), _plain(spec.receive_key)
        return cls(hop, spec.codec, spec.payload_type, spec.dtmf_payload_type, spec.ptime, send, receive)

    def describe(self, key: MasterKey | None, tag: int, version: int) -> bytes:
        """This side's description; `key` is that of its crypto line, in clear without one."""
        codecs = [(self.payload_type, self.codec)]
        if self.events is not None:
            codecs.append((self.events, Codec(EVENTS, self.codec.clock)))
        crypto = [CryptoLine.own(tag, key).serialise()] if key is not None else []
        media = audio(
            self.hop[1], codecs, protocol=SECURE if key is not None else CLEAR, crypto=crypto, ptime=self.ptime
        )
        return describe(self.hop[0], [media], session_id=1, version=version).serialise()


@dataclass(slots=True)
class Step:
    """`speaker` says its description, with `key`, to the other side, which gets the profile `protocol`.

    The reply has the engine's address for the other side. `dictates`: it must also show `key` there.
    """

    speaker: int
    answers: bool
    key: MasterKey | None
    protocol: str
    dictates: bool = False


@dataclass(slots=True)
class Heard:
    """What a reply tells: where the engine is for a leg, and under which tag it has the key that was dictated."""

    rtp: Address
    rtcp: Address | None
    tag: int


def steps(sides: tuple[Side, Side]) -> list[Step]:
    """The whole negotiation. LocalProtocolError where no commands lead there."""
    _check_codecs(*sides)
    secure = [leg for leg in (0, 1) if sides[leg].send_key is not None]
    if not secure:
        return [Step(1, False, None, CLEAR), Step(0, True, None, CLEAR)]
    if len(secure) == 1:
        leg = secure[0]
        return [
            Step(1 - leg, False, sides[leg].send_key, SECURE, dictates=True),
            Step(leg, True, sides[leg].receive_key, CLEAR),
        ]
    if _suite(sides[0]) is not _suite(sides[1]):
        raise LocalProtocolError("an rtpengine passes keys through within one suite only")
    return [
        Step(1, False, sides[0].send_key, SECURE, dictates=True),
        Step(0, False, sides[1].send_key, SECURE, dictates=True),
        Step(1, True, sides[1].receive_key, SECURE),
        Step(0, True, sides[0].receive_key, SECURE),
    ]


def new_receive_keys(before: tuple[Side, Side], after: tuple[Side, Side]) -> list[Step] | None:
    """What a change of what the peers send needs, in a call that goes on; None when more has changed."""
    found = []
    for leg in (0, 1):
        old, new = before[leg], after[leg]
        if old == new:
            continue
        if _without_receive_key(old) != _without_receive_key(new) or old.receive_key is None:
            return None
        profile = SECURE if after[1 - leg].send_key is not None else CLEAR
        found.append(Step(leg, True, new.receive_key, profile))
    return found


def same_contexts(before: tuple[Side, Side], after: tuple[Side, Side]) -> bool:
    """Whether what we send goes on under the keys that it has: only then may a call be changed where it is.

    A new key begins with rollover counter 0 on our side, as everywhere in this program; an engine would keep the old
    counter (RFC 3711 3.3.1) and the peer, whose context is new, could not follow beyond the first wrap.
    """
    return all(old.send_key == new.send_key for old, new in zip(before, after, strict=True))


def command(call: str, step: Step, sides: tuple[Side, Side], tags: Sequence[int], version: int) -> Command:
    """The command of a step. `tags` are those of the crypto lines on each leg."""
    speaker, other = step.speaker, 1 - step.speaker
    side = sides[speaker]
    sdp = side.describe(step.key, tags[speaker] if step.answers else 1, version)
    options = {**OPTIONS, **_translation(side, sides[other], answers=step.answers)}
    if step.answers:
        return Answer(call, TAGS[other], TAGS[speaker], step.protocol, sdp, options)
    return Offer(call, TAGS[speaker], TAGS[other], step.protocol, sdp, options)


def _check_codecs(first: Side, second: Side) -> None:
    if first.codec == second.codec:
        if first.payload_type != second.payload_type:
            raise LocalProtocolError("an rtpengine maps no payload type where it changes no codec")
        return
    for side in (first, second):
        if side.codec.name not in CODECS:
            raise LocalProtocolError(f"an rtpengine cannot code {side.codec.name}")


def _translation(speaker: Side, other: Side, *, answers: bool) -> dict[str, Option]:
    """What the engine has to change between the sides: the codec of an offer is hidden behind the other side's."""
    found: dict[str, Option] = {}
    if speaker.codec != other.codec and not answers:
        found["codec"] = {"mask": (CODECS[speaker.codec.name],), "transcode": (CODECS[other.codec.name],)}
    if speaker.ptime != other.ptime:
        found["ptime-reverse" if answers else "ptime"] = other.ptime
    return found


def read(step: Step, sdp: bytes) -> Heard:
    """What the engine answered. RemoteProtocolError when it did something else than it was told."""
    description = SessionDescription.parse(sdp)
    media = description.audio
    rtp = media.address(description) if media is not None else None
    if media is None or rtp is None or not rtp[1]:
        raise RemoteProtocolError("rtpengine: no audio in its description")
    if media.is_secure != (step.protocol == SECURE):
        raise RemoteProtocolError(f"rtpengine: the profile is {media.protocol}, not {step.protocol}")
    tag = 1
    if step.dictates:
        lines, _errors = read_lines(media.crypto)
        found = [line.tag for line in lines if line.suite is not None and line.key == step.key]
        if not found:
            raise RemoteProtocolError("rtpengine: it made a key of its own where one was given")
        tag = found[0]
    return Heard(rtp, media.rtcp_address(description, muxed=False), tag)


def _plain(key: MasterKey | None) -> MasterKey | None:
    """Without the lifetime that was announced: a context goes on whether it is repeated or not."""
    return MasterKey(key.suite, key.master) if key is not None else None


def _suite(side: Side) -> object:
    return side.send_key.suite if side.send_key is not None else None


def _without_receive_key(side: Side) -> tuple[object, ...]:
    return (side.hop, side.codec, side.payload_type, side.events, side.ptime, side.send_key)
