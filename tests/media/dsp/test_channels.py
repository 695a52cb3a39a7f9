"""A farm's channels: ports, keys, limits, and what a call manager may do in any order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.media.commands import Update, encode
from cubeproxy.media.dsp.channels import Channels, Output
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
from cubeproxy.protocols.sccp.messages import KeepAlive
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import (
    Codec,
    MediaLost,
    MediaRefused,
    MediaReserved,
    Need,
    ReleaseMedia,
    ReserveMedia,
    StreamCounters,
    StreamSpec,
    UpdateMedia,
)
from tests.protocols.sccp.values import messages

HOST = "192.0.2.9"
LOCAL = ((HOST, 4000), (HOST, 4002))
THEIRS, OURS = (MasterKey(Suite.AES_CM_128_HMAC_SHA1_32, bytes((number,)) * 30) for number in (1, 2))
PCMU = Codec("pcmu", 8000)


def made(sessions: int = 2, **changes: Any) -> Channels:
    return Channels(HOST, sessions, ["g711ulaw", "g729ar8"], **{"secure": True, **changes})


def secure_open(**changes: Any) -> OpenReceiveChannel:
    names = {"conference": 7, "party": 71, "call": 701, "encryption": MediaEncryption.of(THEIRS), "event_payload": 101}
    return OpenReceiveChannel(**{**names, **changes})


def clear_open(**changes: Any) -> OpenReceiveChannel:
    return OpenReceiveChannel(**{"conference": 7, "party": 72, "call": 702, "period": 30, **changes})


def start(party: int = 71, **changes: Any) -> StartMediaTransmission:
    key = MediaEncryption.of(OURS) if party == 71 else MediaEncryption()
    fields = {"conference": 7, "party": party, "call": 10 * party - 9, "host": "192.0.2.1", "port": 16384 + party}
    return StartMediaTransmission(**{**fields, "encryption": key, **changes})


def acked(outputs: list[Output]) -> OpenReceiveChannelAck | StartMediaTransmissionAck:
    (ack,) = [one for one in outputs if isinstance(one, OpenReceiveChannelAck | StartMediaTransmissionAck)]
    return ack


def updated(outputs: list[Output]) -> tuple[StreamSpec | None, StreamSpec | None]:
    (update,) = [one for one in outputs if isinstance(one, UpdateMedia)]
    assert update.session == 5
    return update.legs


def opened(channels: Channels) -> None:
    """Both channels of conference 7 are open as session 5."""
    assert channels.receive(secure_open()) == [
        ReserveMedia(1, "conference 7", (HOST, HOST), Need.CRYPTO, transcodes=True)
    ]
    out = channels.media(MediaReserved(1, 5, LOCAL))
    assert acked(out) == OpenReceiveChannelAck(Status.OK, HOST, 4000, 71, 701)
    assert acked(channels.receive(clear_open())) == OpenReceiveChannelAck(Status.OK, HOST, 4002, 72, 702)


def running(channels: Channels) -> None:
    opened(channels)
    assert acked(channels.receive(start(71))) == StartMediaTransmissionAck(7, 71, 701, HOST, 4000)
    assert acked(channels.receive(start(72))).status == Status.OK


def test_each_leg_gets_its_keys_and_its_peer() -> None:
    channels = made()
    running(channels)
    legs = updated(channels.receive(start(72)))
    assert legs == (
        StreamSpec(("192.0.2.1", 16455), PCMU, 0, OURS, THEIRS, dtmf_payload_type=None, ptime=20, joins=True),
        StreamSpec(("192.0.2.1", 16456), PCMU, 0),
    )


def test_a_channel_without_a_transmission_only_receives() -> None:
    channels = made()
    opened(channels)
    first, second = updated(channels.receive(start(72)))
    assert first == StreamSpec(None, PCMU, 0, None, THEIRS, dtmf_payload_type=101, sends=False, joins=True)
    assert second is not None
    assert (second.sends, second.receives, second.ptime) == (True, True, 20)


def test_both_channels_may_be_asked_for_before_there_are_ports() -> None:
    channels = made()
    channels.receive(secure_open())
    assert channels.receive(clear_open()) == []
    out = channels.media(MediaReserved(1, 5, LOCAL))
    assert [ack.port for ack in out if isinstance(ack, OpenReceiveChannelAck)] == [4000, 4002]


def test_no_key_is_kept_in_a_message() -> None:
    channels = made()
    running(channels)
    assert "redacted" not in repr(channels.conferences[7].parties[0].receiving)
    assert "<redacted>" in repr(channels.conferences[7].parties[0].receive_key)


def test_a_channel_that_is_opened_again_has_the_same_port_and_the_new_key() -> None:
    channels = made()
    running(channels)
    kept = PortHandling.KEEP
    channels.receive(StopMediaTransmission(7, 71, 701, kept))
    legs = updated(channels.receive(CloseReceiveChannel(7, 71, 701, kept)))
    assert legs[0] is None
    out = channels.receive(secure_open(encryption=MediaEncryption.of(OURS)))
    assert acked(out) == OpenReceiveChannelAck(Status.OK, HOST, 4000, 71, 701)
    (first, _second) = updated(out)
    assert first is not None
    assert first.receive_key == OURS


def test_the_last_stream_that_ends_frees_the_session() -> None:
    channels = made(sessions=1)
    running(channels)
    for party in (71, 72):
        assert not any(isinstance(one, ReleaseMedia) for one in channels.receive(CloseReceiveChannel(7, party, 0)))
    assert channels.receive(StopMediaTransmission(7, 71, 0))
    assert channels.receive(StopMediaTransmission(7, 72, 0)) == [ReleaseMedia(5)]
    assert channels.conferences == {}
    assert isinstance(channels.receive(secure_open(conference=8))[0], ReserveMedia)


def test_one_session_too_many_is_refused() -> None:
    channels = made(sessions=1)
    running(channels)
    ack = acked(channels.receive(secure_open(conference=8, party=81)))
    assert ack == OpenReceiveChannelAck(Status.NOT_ENOUGH_CHANNELS, party=81, call=701)
    assert acked(channels.receive(secure_open(party=73))).status == Status.NOT_ENOUGH_CHANNELS
    assert channels.refused == 2


@pytest.mark.parametrize(
    ("channel", "status"),
    [
        (secure_open(codec=0x5A), Status.INVALID_CODEC),
        (secure_open(codec=0x7777), Status.INVALID_CODEC),
        (secure_open(period=7), Status.INVALID_PACKET_SIZE),
        (secure_open(encryption=MediaEncryption(6, bytes(16), bytes(12))), Status.CODER_FAILED),
        (secure_open(encryption=MediaEncryption(2, bytes(3), bytes(14))), Status.CODER_FAILED),
    ],
)
def test_a_channel_that_cannot_be_is_refused_with_the_reason(channel: OpenReceiveChannel, status: Status) -> None:
    channels = made()
    assert acked(channels.receive(channel)).status == status
    assert channels.conferences == {}


def test_any_variant_of_a_codec_in_the_list_will_do() -> None:
    assert isinstance(made().receive(secure_open(codec=0x0B))[0], ReserveMedia)


@pytest.mark.parametrize("universal", [True, False])
def test_different_codecs_are_two_legs_of_one_session(universal: bool) -> None:
    channels = made(universal=universal)
    channels.receive(secure_open())
    channels.media(MediaReserved(1, 5, LOCAL))
    update, ack = channels.receive(clear_open(codec=0x0C, period=30))
    assert isinstance(update, UpdateMedia)
    assert [(leg.codec.name, leg.payload_type, leg.ptime) for leg in update.legs if leg] == [
        ("pcmu", 0, 20), ("g729", 18, 30),
    ]  # fmt: skip
    assert acked([ack]).status == Status.OK


@pytest.mark.parametrize(("universal", "status"), [(True, Status.OK), (False, Status.INVALID_CODEC)])
def test_without_universal_one_side_is_g711(universal: bool, status: Status) -> None:
    channels = made(universal=universal)
    channels.receive(secure_open(codec=0x0C))
    channels.media(MediaReserved(1, 5, LOCAL))
    assert acked(channels.receive(clear_open(codec=0x0C))).status == status


def test_a_profile_without_security_takes_no_keys() -> None:
    channels = made(secure=False)
    assert acked(channels.receive(secure_open())).status == Status.CODER_FAILED
    channels.receive(clear_open(party=71))
    channels.media(MediaReserved(1, 5, LOCAL))
    assert acked(channels.receive(start(71))).status == Status.CODER_FAILED
    assert acked(channels.receive(start(71, encryption=MediaEncryption()))).status == Status.OK


def test_a_transmission_needs_its_channel_and_a_key_that_is_one() -> None:
    channels = made()
    assert acked(channels.receive(start())).status == Status.INVALID_PARTY
    channels.receive(secure_open())
    assert acked(channels.receive(start())).status == Status.INVALID_PARTY
    channels.media(MediaReserved(1, 5, LOCAL))
    assert acked(channels.receive(start(99))).status == Status.INVALID_PARTY
    for change, status in (
        ({"codec": 0x0C}, Status.INVALID_CODEC),
        ({"codec": 0x7777}, Status.INVALID_CODEC),
        ({"period": 7}, Status.INVALID_PACKET_SIZE),
        ({"port": 0}, Status.ADDRESS_TYPE_UNAVAILABLE),
        ({"port": 65536}, Status.ADDRESS_TYPE_UNAVAILABLE),
        ({"host": "2001:db8::1"}, Status.ADDRESS_TYPE_UNAVAILABLE),
    ):
        assert acked(channels.receive(start(**change))).status == status
    assert acked(channels.receive(start(encryption=MediaEncryption(3, bytes(16), bytes(14))))).status == 9


def test_ports_that_cannot_be_had_are_told() -> None:
    channels = made()
    channels.receive(secure_open())
    out = channels.media(MediaRefused(1, "no-ports", "none"))
    assert out == [OpenReceiveChannelAck(Status.OUT_OF_SOCKETS, party=71, call=701)]
    assert channels.conferences == {}
    assert channels.media(MediaRefused(1, "no-ports", "none")) == []


def test_ports_that_come_too_late_go_back() -> None:
    channels = made()
    channels.receive(secure_open())
    assert channels.receive(CloseReceiveChannel(7, 71, 701)) == []
    assert channels.media(MediaReserved(1, 5, LOCAL)) == [ReleaseMedia(5)]


def test_a_dead_worker_is_told_for_each_stream() -> None:
    channels = made()
    running(channels)
    out = channels.media(MediaLost(5, "died"))
    assert [(one.party, one.call) for one in out if isinstance(one, MediaTransmissionFailure)] == [(71, 701), (72, 702)]
    assert channels.media(MediaLost(5, "died")) == []
    assert channels.conferences == {}


def test_without_a_call_manager_nothing_stays() -> None:
    channels = made()
    running(channels)
    channels.receive(secure_open(conference=8, party=81))
    assert channels.clear() == [ReleaseMedia(5)]
    assert channels.conferences == {}


def test_what_is_not_about_channels_is_passed_over() -> None:
    channels = made()
    assert channels.receive(KeepAlive()) == []
    assert channels.receive(CloseReceiveChannel(9, 9, 9)) == []


def test_statistics_of_a_call() -> None:
    channels = made()
    running(channels)
    request = ConnectionStatisticsRequest("5", 702, 1)
    (answer,) = channels.statistics(request, {72: StreamCounters(received=9, sent=1 << 33)})
    assert isinstance(answer, ConnectionStatisticsResponse)
    assert (answer.call, answer.received, answer.sent) == (702, 9, 0)
    assert channels.statistics(ConnectionStatisticsRequest(call=999), {}) == []


ASKED = st.one_of(
    messages().map(lambda drawn: drawn[0]),
    st.builds(secure_open, conference=st.integers(7, 8), party=st.integers(70, 73)),
    st.builds(start, st.integers(70, 73), conference=st.integers(7, 8)),
    st.builds(CloseReceiveChannel, st.integers(7, 8), st.integers(70, 73), st.just(0), st.integers(0, 1)),
    st.builds(StopMediaTransmission, st.integers(7, 8), st.integers(70, 73), st.just(0), st.integers(0, 1)),
    st.sampled_from(["reserve", "refuse", "lose"]),
)


@given(st.lists(ASKED, max_size=40))
@settings(max_examples=150)
def test_every_session_that_was_reserved_is_released_or_lost(asked: list[Any]) -> None:
    channels, sessions = made(), 0
    waiting: list[int] = []
    held: set[int] = set()
    for one in [*asked, *(["reserve"] * 20)]:
        if not isinstance(one, str):
            out = channels.receive(one)
        elif one == "lose":
            out = channels.media(MediaLost(min(held), "died")) if held else []
            held -= {min(held)} if held else set()
        elif not waiting:
            continue
        elif one == "reserve":
            sessions += 1
            held.add(sessions)
            out = channels.media(MediaReserved(waiting.pop(0), sessions, LOCAL))
        else:
            out = channels.media(MediaRefused(waiting.pop(0), "no-ports", ""))
        for command in out:
            if isinstance(command, UpdateMedia):
                assert encode(Update(command.session, command.legs)), "a worker could not be told"
        waiting += [command.ticket for command in out if isinstance(command, ReserveMedia)]
        held -= {command.session for command in out if isinstance(command, ReleaseMedia)}
        assert len(channels.conferences) <= channels.limit
    held -= {command.session for command in channels.clear() if isinstance(command, ReleaseMedia)}
    assert held == set()
