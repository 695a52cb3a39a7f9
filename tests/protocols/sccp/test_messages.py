"""Every message in every header version: sizes on the wire, and back again."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sccp import codecs
from cubeproxy.protocols.sccp.encryption import MediaEncryption
from cubeproxy.protocols.sccp.media_messages import (
    CloseReceiveChannel,
    ConnectionStatisticsRequest,
    ConnectionStatisticsResponse,
    MediaTransmissionFailure,
    NotifyDtmfTone,
    OpenReceiveChannel,
    OpenReceiveChannelAck,
    PortClose,
    PortRequest,
    PortResponse,
    StartMediaFailureDetection,
    StartMediaTransmission,
    StartMediaTransmissionAck,
    StopMediaTransmission,
    SubscribeDtmfPayloadError,
    SubscribeDtmfPayloadRequest,
)
from cubeproxy.protocols.sccp.messages import (
    Alarm,
    CapabilitiesRequest,
    CapabilitiesResponse,
    Capability,
    KeepAlive,
    KeepAliveAck,
    MediaResourceNotification,
    RegisterAck,
    RegisterReject,
    RegisterRequest,
    Reset,
    UnregisterAck,
    UnregisterRequest,
)
from cubeproxy.protocols.sccp.registry import HEAD, MESSAGES, Message, Unknown, decode, encode, header_version
from cubeproxy.protocols.suites import MasterKey, Suite
from cubeproxy.protocols.values import Codec
from tests.protocols.sccp.values import messages

# The data length that each message has on the wire, by header version (public dumps and Wireshark 4.0).
LENGTHS: list[tuple[type[Message], dict[int, int]]] = [
    (KeepAlive, {0: 4}),
    (KeepAliveAck, {0: 4}),
    (RegisterRequest, {0: 128}),
    (RegisterAck, {0: 24}),
    (RegisterReject, {0: 36}),
    (CapabilitiesRequest, {0: 4}),
    (CapabilitiesResponse, {0: 8}),
    (MediaResourceNotification, {0: 20}),
    (Alarm, {0: 96}),
    (UnregisterRequest, {0: 8}),
    (UnregisterAck, {0: 8}),
    (Reset, {0: 8}),
    (OpenReceiveChannel, {0: 96, 10: 96, 11: 112, 15: 112, 16: 116, 17: 132, 18: 136, 20: 136, 21: 172, 22: 172}),
    (OpenReceiveChannelAck, {0: 24, 16: 24, 17: 40, 22: 40}),
    (CloseReceiveChannel, {0: 20, 22: 20}),
    (StartMediaTransmission, {0: 116, 10: 116, 11: 116, 15: 120, 16: 120, 17: 136, 20: 136, 21: 172, 22: 172}),
    (StartMediaTransmissionAck, {0: 28, 16: 28, 17: 44}),
    (StopMediaTransmission, {0: 20}),
    (MediaTransmissionFailure, {0: 24, 16: 24, 17: 40}),
    (StartMediaFailureDetection, {0: 32, 22: 32}),
    (ConnectionStatisticsRequest, {0: 36, 17: 36, 18: 40}),
    (ConnectionStatisticsResponse, {0: 64, 17: 64, 18: 69}),
    (PortRequest, {0: 28}),
    (PortResponse, {0: 28, 17: 44, 18: 44, 19: 48}),
    (PortClose, {0: 20}),
    (NotifyDtmfTone, {0: 16}),
    (SubscribeDtmfPayloadRequest, {0: 20}),
    (SubscribeDtmfPayloadError, {0: 16}),
]
KEY = MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, bytes(range(30)))


@pytest.mark.parametrize(
    ("kind", "version", "length"),
    [(kind, version, length) for kind, rows in LENGTHS for version, length in rows.items()],
)
def test_a_message_is_as_long_as_real_ones(kind: type[Message], version: int, length: int) -> None:
    data = encode(kind(), version)
    assert HEAD.unpack_from(data) == (length, version, kind.ID)
    assert len(data) == length + 8


@given(messages())
@settings(max_examples=200)
def test_what_is_written_is_read_back(drawn: tuple[Message, int]) -> None:
    message, version = drawn
    data = encode(message, version)
    assert decode(message.ID, data[12:], version) == message


@given(st.sampled_from(sorted(MESSAGES)), st.binary(max_size=300), st.integers(0, 30))
@settings(max_examples=200)
def test_any_body_is_a_message_or_the_peers_fault(number: int, body: bytes, version: int) -> None:
    with suppress(RemoteProtocolError):
        assert isinstance(decode(number, body, version), MESSAGES[number])


@given(messages(), st.binary(min_size=1, max_size=40))
@settings(max_examples=50)
def test_what_newer_peers_add_to_the_end_is_passed_over(drawn: tuple[Message, int], more: bytes) -> None:
    message, version = drawn
    assert decode(message.ID, encode(message, version)[12:] + more, version) == message


@pytest.mark.parametrize("octets", [36, 40, 48, 124])
def test_a_registration_may_be_as_short_as_old_devices_write_it(octets: int) -> None:
    request = RegisterRequest(device="CUBEXCODE", max_streams=48, protocol_version=17 if octets >= 48 else 0)
    read = decode(RegisterRequest.ID, encode(request)[12 : 12 + octets], 0)
    assert read == request


@pytest.mark.parametrize("octets", [0, 16, 35, 37, 43])
def test_a_registration_that_ends_inside_a_field_is_refused(octets: int) -> None:
    with pytest.raises(RemoteProtocolError, match="RegisterRequest"):
        decode(RegisterRequest.ID, bytes(octets), 0)


def test_a_key_survives_the_way_over_the_wire() -> None:
    channel = OpenReceiveChannel(encryption=MediaEncryption.of(KEY))
    data = encode(channel, 17)
    assert data[40:48] == bytes.fromhex("0200000010000e00")
    assert data[48:64] == KEY.master[:16]
    assert data[64:80] == KEY.master[16:] + b"\0\0"
    read = decode(channel.ID, data[12:], 17)
    assert isinstance(read, OpenReceiveChannel)
    assert read.encryption.master_key() == KEY


@pytest.mark.parametrize("suite", [Suite.AES_CM_128_HMAC_SHA1_32, Suite.AEAD_AES_128_GCM])
def test_the_other_suites_survive_too(suite: Suite) -> None:
    key = MasterKey(suite, bytes(range(suite.sizes.master)))
    assert MediaEncryption.of(key).master_key() == key


def test_no_key_is_ever_shown() -> None:
    channel = StartMediaTransmission(encryption=MediaEncryption.of(KEY))
    for text in (repr(channel), str(channel), repr(channel.encryption)):
        assert "redacted" in text
        assert repr(KEY.master[:4])[2:-1] not in text
        assert KEY.master.hex()[:8] not in text
    assert repr(MediaEncryption()) == "MediaEncryption(none)"
    assert "6, <redacted>" in repr(MediaEncryption(6, b"k" * 16, b"s" * 12))


@pytest.mark.parametrize(
    "key",
    [
        MasterKey(Suite.AEAD_AES_256_GCM, bytes(44)),
        MasterKey(Suite.AES_CM_128_HMAC_SHA1_80, bytes(30), mki=b"\1"),
    ],
)
def test_a_key_that_does_not_fit_is_not_written(key: MasterKey) -> None:
    with pytest.raises(LocalProtocolError):
        MediaEncryption.of(key)


@pytest.mark.parametrize(
    "encryption",
    [
        MediaEncryption(3, bytes(16), bytes(14)),
        MediaEncryption(6, bytes(16), bytes(12)),
        MediaEncryption(2, bytes(16), bytes(12)),
        MediaEncryption(2, bytes(8), bytes(14)),
        MediaEncryption(2, bytes(16), bytes(14), mki_present=1),
        MediaEncryption(2, bytes(16), bytes(14), derivation_rate=1),
    ],
)
def test_a_key_of_the_peer_that_we_cannot_use_is_its_fault(encryption: MediaEncryption) -> None:
    with pytest.raises(RemoteProtocolError):
        encryption.master_key()


def test_a_key_longer_than_its_field_is_the_peers_fault() -> None:
    data = bytearray(encode(OpenReceiveChannel(), 17)[12:])
    data[32] = 32
    with pytest.raises(RemoteProtocolError, match="longer than its field"):
        decode(OpenReceiveChannel.ID, bytes(data), 17)


def test_an_own_key_that_is_too_long_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError):
        encode(OpenReceiveChannel(encryption=MediaEncryption(2, bytes(17))), 17)


def test_ipv6_needs_a_wide_header() -> None:
    with pytest.raises(LocalProtocolError, match="IPv6"):
        encode(StartMediaTransmission(host="2001:db8::1"), 16)
    wide = encode(StartMediaTransmission(host="2001:db8::1"), 17)
    assert decode(StartMediaTransmission.ID, wide[12:], 17) == StartMediaTransmission(host="2001:db8::1")


def test_an_address_of_no_type_is_the_peers_fault() -> None:
    data = bytearray(encode(OpenReceiveChannelAck(), 17)[12:])
    data[4] = 3
    with pytest.raises(RemoteProtocolError, match="address type 3"):
        decode(OpenReceiveChannelAck.ID, bytes(data), 17)


def test_a_number_that_is_too_large_is_our_fault() -> None:
    with pytest.raises(LocalProtocolError, match="Reset"):
        encode(Reset(kind=1 << 32))


def test_names_are_cleaned_of_what_terminals_obey() -> None:
    data = bytearray(encode(RegisterRequest(device="A"))[12:])
    data[0:4] = b"A\x1b[m"
    read = decode(RegisterRequest.ID, bytes(data), 0)
    assert isinstance(read, RegisterRequest)
    assert read.device == "A?[m"


def test_an_unknown_number_is_kept_to_be_counted() -> None:
    assert decode(0x7777, b"abc", 0) == Unknown(0x7777, b"abc")


def test_nineteen_capabilities_are_one_too_many() -> None:
    assert len(encode(CapabilitiesResponse([Capability(4)] * 19))) == 12 + 4 + 16 * 18
    with pytest.raises(RemoteProtocolError, match="19 capabilities"):
        decode(CapabilitiesResponse.ID, (19).to_bytes(4, "little") + bytes(16 * 19), 0)


def test_a_text_longer_than_any_is_refused() -> None:
    data = encode(ConnectionStatisticsResponse(text=b"x"), 18)[12:-5] + (601).to_bytes(4, "little") + bytes(700)
    with pytest.raises(RemoteProtocolError, match="601 octets"):
        decode(ConnectionStatisticsResponse.ID, data, 18)


@pytest.mark.parametrize(
    ("negotiated", "version"), [(-1, 0), (3, 0), (9, 0), (10, 10), (12, 11), (14, 11), (17, 17), (22, 22), (40, 22)]
)
def test_the_header_version_is_one_that_is_in_use(negotiated: int, version: int) -> None:
    assert header_version(negotiated) == version


def test_codecs_have_the_numbers_of_the_protocol() -> None:
    assert codecs.number_of(Codec("pcmu", 8000)) == 4
    assert codecs.number_of(Codec("g729", 8000)) == 0x0C
    assert codecs.number_of(Codec("opus", 48000, 2)) == 0x5A
    assert codecs.number_of(Codec("speex", 8000)) is None


def test_a_farm_lists_its_codecs_and_what_every_farm_can() -> None:
    told = codecs.capabilities(["g711ulaw", "g729abr8", "nonsense"])
    assert codecs.names_of([*told, Capability(999, 5)]) == [
        ("g711ulaw", 30),
        ("g729abr8", 60),
        ("rfc2833 dtmf", 30),
        ("rfc2833 pass-thru", 30),
        ("inband-dtmf to rfc2833 conversion", 30),
        ("codec 999", 5),
    ]
