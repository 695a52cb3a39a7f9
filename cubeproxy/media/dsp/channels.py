"""The DSP side of a farm: channels that a call manager opens become media sessions. Sans-IO.

A conference is a session with two parties, its legs. The first channel reserves ports for both; a channel is answered
with the port of its leg. `OpenReceiveChannel` says what the leg receives (codec, and the key that the far end protects
with), `StartMediaTransmission` where it sends to and with which key. A channel that is closed with its port kept is
opened again under the same numbers and answers with the same port.

Each leg is a stream of its own: equal codecs on both legs are relayed between their keys, others are transcoded.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sccp.codecs import BY_IOS, BY_NUMBER
from cubeproxy.protocols.sccp.encryption import MediaEncryption
from cubeproxy.protocols.sccp.media_messages import (
    CloseReceiveChannel,
    ConnectionStatisticsRequest,
    ConnectionStatisticsResponse,
    MediaTransmissionFailure,
    OpenReceiveChannel,
    OpenReceiveChannelAck,
    PortHandling,
    StartMediaTransmission,
    StartMediaTransmissionAck,
    Status,
    StopMediaTransmission,
)
from cubeproxy.protocols.sccp.registry import Message
from cubeproxy.protocols.suites import MasterKey
from cubeproxy.protocols.values import (
    Address,
    Codec,
    MediaCommand,
    MediaEvent,
    MediaLost,
    MediaMoved,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    StreamCounters,
    StreamSpec,
    UpdateMedia,
)

Asked = TypeVar("Asked", OpenReceiveChannel, StartMediaTransmission)
G711 = {"pcmu", "pcma"}
PERIODS = range(10, 241, 10)  # ms


@dataclass(slots=True)
class Party:
    """One stream of a conference. `receiving` and `sending` are the last messages, None when closed or stopped."""

    number: int
    call: int = 0
    receiving: OpenReceiveChannel | None = None
    sending: StartMediaTransmission | None = None
    answered: bool = False
    receive_key: MasterKey | None = None
    send_key: MasterKey | None = None


@dataclass(slots=True)
class Conference:
    """`local` are the ports of both legs once `session` is reserved (0 until then)."""

    number: int
    ticket: int
    session: int = 0
    local: tuple[Address, Address] = (("", 0), ("", 0))
    parties: list[Party] = field(default_factory=list)

    def leg_of(self, party: int) -> int | None:
        return next((leg for leg, one in enumerate(self.parties) if one.number == party), None)


Output = Message | MediaCommand


class Channels:
    """`address` is where media comes to, `sessions` the profile's limit, `codecs` the names in its list.

    Without `universal` one side of a session has to be G.711, without `secure` there is no SRTP.
    """

    def __init__(
        self, address: str, sessions: int, codecs: Iterable[str], *, secure: bool, universal: bool = True
    ) -> None:
        self.address = address
        self.limit = sessions
        self.codecs = {BY_IOS[name].number for name in codecs if name in BY_IOS}
        self.names = {BY_NUMBER[number].rtp for number in self.codecs}
        self.secure = secure
        self.universal = universal
        self.conferences: dict[int, Conference] = {}
        self.refused = 0
        self._tickets = 0

    def receive(self, message: Message) -> list[Output]:
        """What the call manager asks. Something about channels that are not there is passed over."""
        match message:
            case OpenReceiveChannel():
                return self._open(message)
            case StartMediaTransmission():
                return self._start(message)
            case CloseReceiveChannel() | StopMediaTransmission():
                return self._end(message)
        return []

    def media(self, event: MediaEvent) -> list[Output]:
        """The answer of the media service."""
        match event:
            case MediaReserved():
                return self._reserved(event)
            case MediaRefused():
                return self._refused(event)
            case MediaLost():
                return self._lost(event)
            case MediaMoved():  # only from a pool, and a farm has none
                return []

    def clear(self) -> list[Output]:
        """The call manager is gone: everything ends."""
        conferences, self.conferences = self.conferences, {}
        return [ReleaseMedia(one.session) for one in conferences.values() if one.session]

    def statistics(self, request: ConnectionStatisticsRequest, counters: dict[int, StreamCounters]) -> list[Output]:
        """The answer for a call reference; `counters` by party."""
        for conference in self.conferences.values():
            for party in conference.parties:
                if party.call == request.call:
                    seen = counters.get(party.number, StreamCounters())
                    return [
                        ConnectionStatisticsResponse(
                            directory_number=request.directory_number,
                            call=request.call,
                            mode=request.mode,
                            mode_octet=request.mode & 0xFF,
                            sent=seen.sent & 0xFFFFFFFF,
                            sent_octets=seen.sent_octets & 0xFFFFFFFF,
                            received=seen.received & 0xFFFFFFFF,
                            received_octets=seen.received_octets & 0xFFFFFFFF,
                            lost=seen.lost & 0xFFFFFFFF,
                            jitter=seen.jitter & 0xFFFFFFFF,
                        )
                    ]
        return []

    def _open(self, channel: OpenReceiveChannel) -> list[Output]:
        conference = self.conferences.get(channel.conference)
        party = Party(channel.party, channel.call)
        if conference is not None and (leg := conference.leg_of(channel.party)) is not None:
            party = conference.parties[leg]
        try:
            status = self._judge(channel, conference, party)
            key = channel.encryption.master_key()
        except RemoteProtocolError:
            status, key = Status.CODER_FAILED, None
        if status is not Status.OK:
            self.refused += 1
            return [OpenReceiveChannelAck(status, party=channel.party, call=channel.call)]
        party.receiving, party.receive_key, party.answered = _without_key(channel), key, False
        if conference is None:
            self._tickets += 1
            conference = Conference(channel.conference, self._tickets)
            self.conferences[channel.conference] = conference
            conference.parties.append(party)
            where = (self.address, self.address)
            name, transcodes = f"conference {channel.conference}", len(self.names) > 1
            return [ReserveMedia(self._tickets, name, where, Need.CRYPTO, transcodes)]
        if party not in conference.parties:
            conference.parties.append(party)
        return self._answer(conference)

    def _judge(self, channel: OpenReceiveChannel, conference: Conference | None, party: Party) -> Status:
        if channel.codec not in self.codecs and _rtp_name(channel.codec) not in self.names:
            return Status.INVALID_CODEC
        if channel.period not in PERIODS:
            return Status.INVALID_PACKET_SIZE
        if channel.encryption.algorithm and not self.secure:
            return Status.CODER_FAILED
        if conference is None:
            return Status.OK if len(self.conferences) < self.limit else Status.NOT_ENOUGH_CHANNELS
        others = [one for one in conference.parties if one is not party]
        if len(others) > 1:
            return Status.NOT_ENOUGH_CHANNELS
        names = {_rtp_name(one.receiving.codec) for one in others if one.receiving} | {_rtp_name(channel.codec)}
        if others and not (self.universal or names & G711):
            return Status.INVALID_CODEC
        return Status.OK

    def _answer(self, conference: Conference) -> list[Output]:
        """Acknowledge every channel that waits for its port, and tell the media service."""
        if not conference.session:
            return []
        out: list[Output] = []
        for leg, party in enumerate(conference.parties):
            if party.receiving is not None and not party.answered:
                party.answered = True
                host, port = conference.local[leg]
                out.append(OpenReceiveChannelAck(Status.OK, host, port, party.number, party.call))
        return [self._update(conference), *out]

    def _reserved(self, event: MediaReserved) -> list[Output]:
        conference = next((one for one in self.conferences.values() if one.ticket == event.ticket), None)
        if conference is None:  # closed meanwhile
            return [ReleaseMedia(event.session)]
        conference.session, conference.local = event.session, event.local
        return self._answer(conference)

    def _refused(self, event: MediaRefused) -> list[Output]:
        conference = next((one for one in self.conferences.values() if one.ticket == event.ticket), None)
        if conference is None or conference.session:
            return []
        del self.conferences[conference.number]
        self.refused += 1
        return [
            OpenReceiveChannelAck(Status.OUT_OF_SOCKETS, party=party.number, call=party.call)
            for party in conference.parties
            if party.receiving
        ]

    def _lost(self, event: MediaLost) -> list[Output]:
        """The worker died: the call manager hears it for each stream."""
        conference = next((one for one in self.conferences.values() if one.session == event.session), None)
        if conference is None:
            return []
        del self.conferences[conference.number]
        return [
            MediaTransmissionFailure(conference.number, party.number, self.address, 0, party.call)
            for party in conference.parties
        ]

    def _start(self, start: StartMediaTransmission) -> list[Output]:
        names = (start.conference, start.party, start.call)
        conference = self.conferences.get(start.conference)
        leg = conference.leg_of(start.party) if conference is not None else None
        if conference is None or leg is None or not conference.session:
            return [StartMediaTransmissionAck(*names, status=Status.INVALID_PARTY)]
        party = conference.parties[leg]
        status = self._judge_start(start, party)
        try:
            key = start.encryption.master_key()
        except RemoteProtocolError:
            status, key = Status.CODER_FAILED, None
        if status is not Status.OK:
            return [StartMediaTransmissionAck(*names, status=status)]
        party.sending, party.send_key = _without_key(start), key
        host, port = conference.local[leg]
        return [self._update(conference), StartMediaTransmissionAck(*names, host, port)]

    def _judge_start(self, start: StartMediaTransmission, party: Party) -> Status:
        """A stream is sent as it is received: in one codec."""
        if party.receiving is None or _rtp_name(start.codec) != _rtp_name(party.receiving.codec):
            return Status.INVALID_CODEC
        if start.period not in PERIODS:
            return Status.INVALID_PACKET_SIZE
        if not 0 < start.port < 65536 or (":" in start.host) != (":" in self.address):
            return Status.ADDRESS_TYPE_UNAVAILABLE
        return Status.CODER_FAILED if start.encryption.algorithm and not self.secure else Status.OK

    def _end(self, end: CloseReceiveChannel | StopMediaTransmission) -> list[Output]:
        conference = self.conferences.get(end.conference)
        leg = conference.leg_of(end.party) if conference is not None else None
        if conference is None or leg is None:
            return []
        party = conference.parties[leg]
        if isinstance(end, CloseReceiveChannel):
            party.receiving = party.receive_key = None
        else:
            party.sending = party.send_key = None
        kept = end.port_handling == PortHandling.KEEP
        if not kept and not any(one.receiving or one.sending for one in conference.parties):
            del self.conferences[end.conference]
            return [ReleaseMedia(conference.session)] if conference.session else []
        return [self._update(conference)] if conference.session else []

    def _update(self, conference: Conference) -> UpdateMedia:
        legs = [self._spec(party) for party in conference.parties]
        legs += [None] * (2 - len(legs))
        return UpdateMedia(conference.session, (legs[0], legs[1]))

    def _spec(self, party: Party) -> StreamSpec | None:
        asked = party.sending or party.receiving
        if asked is None:
            return None
        row = BY_NUMBER[asked.codec]
        return StreamSpec(
            remote=(party.sending.host, party.sending.port) if party.sending else None,
            codec=Codec(row.rtp, row.clock),
            payload_type=row.payload_type if row.payload_type >= 0 else asked.dynamic_payload & 0x7F,
            send_key=party.send_key,
            receive_key=party.receive_key,
            dtmf_payload_type=asked.event_payload & 0x7F or None,
            ptime=asked.period,
            sends=party.sending is not None,
            receives=party.receiving is not None,
            joins=party.receive_key is not None,  # SCCP carries no rollover counter, and we may be a second farm
        )


def _rtp_name(codec: int) -> str:
    row = BY_NUMBER.get(codec)
    return row.rtp if row else ""


def _without_key(message: Asked) -> Asked:
    """To be kept: the key stands beside it, once."""
    return replace(message, encryption=MediaEncryption())
