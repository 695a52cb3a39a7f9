"""Offer and answer of a lab endpoint: one G.711 audio stream, plain or with SDES keys (RFC 3264, RFC 4568).

Sans-IO. An endpoint has one `Negotiation` for the life of a call: it writes offers and answers, and every completed
exchange gives a `Session`, which never changes; hold and resume make the next one, with the same keys while the suite
stays.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from cubelab.audio.codec import FORMATS, PCMA, PCMU, Format
from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sdes import CryptoLine, choose, fresh, offered, read_lines
from cubeproxy.protocols.sdp import Direction, Media, SessionDescription, audio, describe
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Address, Codec

EVENTS = (101, Codec("telephone-event", 8000))


@dataclass(slots=True, frozen=True)
class VoiceProfile:
    """What an endpoint can do. `suites` in order of preference; empty means plain RTP."""

    suites: tuple[Suite, ...] = (Suite.AES_CM_128_HMAC_SHA1_80, Suite.AES_CM_128_HMAC_SHA1_32)
    formats: tuple[Format, ...] = (PCMU, PCMA)
    fallback: bool = False  # answers a plain offer in the clear although it has suites

    @property
    def secure(self) -> bool:
        return bool(self.suites)


SECURE = VoiceProfile()
PLAIN = VoiceProfile(suites=())


@dataclass(slots=True, frozen=True)
class Session:
    """What one exchange agreed on. Keys are None where the stream is plain RTP."""

    remote: Address | None  # None: the far end wants nothing (hold with c=0.0.0.0)
    form: Format
    sends: bool
    receives: bool
    send_key: MasterKey | None = None
    receive_key: MasterKey | None = None

    @property
    def secure(self) -> bool:
        return self.send_key is not None


@dataclass
class Negotiation:
    """`address` is what goes into c= and m=: the endpoint's own, or that of its link on the wire."""

    profile: VoiceProfile
    address: Address
    session_id: int = 1
    session: Session | None = None
    remote: SessionDescription | None = None  # the far end's last description
    renews: bool = False  # a key of its own in each answer, where most phones keep theirs
    _version: int = 0
    _direction: Direction = Direction.SENDRECV
    _lines: list[CryptoLine] = field(default_factory=list)  # of our last offer

    def offer(self, direction: Direction = Direction.SENDRECV) -> bytes:
        """Our offer; with suites it is RTP/SAVP with one crypto line a suite."""
        self._direction = direction
        self._lines = self._offered_lines()
        codecs = [(form.payload_type, Codec(form.name.lower(), 8000)) for form in self.profile.formats]
        return self._write([self._audio([*codecs, EVENTS], direction, self._lines)])

    def _offered_lines(self) -> list[CryptoLine]:
        """All our suites in the first offer; later the one that is in use, with its key."""
        if self.session is None:
            return [CryptoLine.own(tag, fresh(suite)) for tag, suite in enumerate(self.profile.suites, 1)]
        key = self.session.send_key
        return [CryptoLine.own(1, key)] if key else []

    def accept(self, answer: bytes) -> Session:
        """Take the answer to our last offer. RemoteProtocolError when it does not fit the offer."""
        description, media = self._read(answer)
        keys = self._answered_keys(media)
        return self._agree(description, media, self._direction, *keys)

    def answer(self, offer: bytes, direction: Direction = Direction.SENDRECV) -> bytes:
        """Answer an offer, and agree. RemoteProtocolError 488 when there is nothing that both can."""
        description, media = self._read(offer)
        line = self._choose(media)
        ours = self._own_line(line) if line else None
        wanted = media.direction(description).mirrored
        settled = Direction((direction.sends and wanted.sends, direction.receives and wanted.receives))
        session = self._agree(description, media, settled, ours.key if ours else None, line.key if line else None)
        codecs = [(session.form.payload_type, Codec(session.form.name.lower(), 8000))]
        events = media.payload_type("telephone-event")
        if events is not None:
            codecs.append((events, EVENTS[1]))
        reply = self._audio(codecs, settled, [ours] if ours else [])
        reply.protocol = media.protocol
        return self._write(description.with_only(description.media.index(media), reply))

    def _read(self, body: bytes) -> tuple[SessionDescription, Media]:
        description = SessionDescription.parse(body)
        media = description.audio
        if media is None:
            raise RemoteProtocolError("no audio stream in the description", 488)
        return description, media

    def _choose(self, media: Media) -> CryptoLine | None:
        """The crypto line to answer; None for a plain stream that we may take."""
        if not media.is_secure:
            if self.profile.secure and not self.profile.fallback:
                raise RemoteProtocolError("plain RTP offered to an endpoint that wants SRTP", 488)
            return None
        line = choose(read_lines(media.crypto)[0], self.profile.suites)
        if line is None:
            raise RemoteProtocolError("no crypto line that both can", 488)
        return line

    def _own_line(self, line: CryptoLine) -> CryptoLine:
        """Our line in the answer: the key of before while the suite stays, so that a hold does not re-key."""
        before = self.session.send_key if self.session else None
        suite = line.suite
        if before is not None and before.suite is suite and not self.renews:
            return CryptoLine.own(line.tag, before)
        return CryptoLine.own(line.tag, fresh(line.key.suite))

    def _answered_keys(self, media: Media) -> tuple[MasterKey | None, MasterKey | None]:
        """(what we send with, what the far end sends with) after its answer to our lines."""
        if not media.is_secure:
            if self._lines and not self.profile.fallback:
                raise RemoteProtocolError("the answer is plain RTP to an offer of SRTP", 488)
            return None, None
        lines = read_lines(media.crypto)[0]
        if len(lines) != 1:
            raise RemoteProtocolError(f"an answer has one crypto line, not {len(lines)}", 488)
        ours = offered(self._lines, lines[0])
        self._lines = [ours]
        return ours.key, lines[0].key

    def _agree(
        self,
        description: SessionDescription,
        media: Media,
        direction: Direction,
        send_key: MasterKey | None,
        receive_key: MasterKey | None,
    ) -> Session:
        ours = [form.payload_type for form in self.profile.formats]
        common = [number for number in media.payload_types if number in ours]
        if not common:
            raise RemoteProtocolError("no codec that both can", 488)
        wanted = media.direction(description).mirrored
        self.remote = description
        self.session = Session(
            media.address(description),
            FORMATS[common[0]],
            direction.sends and wanted.sends,
            direction.receives and wanted.receives,
            send_key,
            receive_key,
        )
        return self.session

    def _audio(self, codecs: list[tuple[int, Codec]], direction: Direction, lines: list[CryptoLine]) -> Media:
        return audio(
            self.address[1],
            codecs,
            protocol="RTP/SAVP" if lines else "RTP/AVP",
            crypto=[line.serialise() for line in lines],
            direction=direction,
            ptime=20,
        )

    def _write(self, media: list[Media]) -> bytes:
        self._version += 1
        description = describe(
            self.address[0],
            media,
            session_id=self.session_id,
            version=self._version,
            username="CubeLab",
            name="SIP Call",
        )
        return description.serialise()


def other_key(key: MasterKey) -> MasterKey:
    """A key of the same suite that nobody announced: the lab's wrong-key fault."""
    return replace(fresh(key.suite), mki=key.mki)
