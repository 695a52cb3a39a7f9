"""Shows of DSP farms and SCCP, over a real border and a real pool."""

from __future__ import annotations

import pytest

from cubeproxy.protocols.values import StreamCounters
from cubeproxy.views.show import Show
from cubeproxy.views.sources import Sources
from tests.border.scene import Scene, sample
from tests.media.transcoders.scene import Box, config


def show(box: Box, command: str) -> str:
    scene = Scene(sample("sample-a.ios"))
    counters = (StreamCounters(), StreamCounters())
    inner = {101: (StreamCounters(sent=7, received=11), StreamCounters(sent=12, received=8))}
    sources = Sources(
        box.config,
        scene.border,
        lambda: box.now,
        lambda _session: counters,
        0.0,
        transcoders=box.pool,
        inner_counters=inner.__getitem__,
    )
    return Show(sources).answer(command)


def talking() -> Box:
    box = Box(config(universal=True, codecs=["g711ulaw", "g711alaw"]))
    box.farm()
    box.update(box.reserve())
    return box


def lines(text: str, *wanted: str) -> None:
    """Each of these lines stands in the text, in this order."""
    left = iter(text.splitlines())
    for one in wanted:
        assert one in left, f"{one!r} is not in\n{text}"


def test_a_profile_with_a_farm_is_active() -> None:
    lines(
        show(talking(), "show dspfarm profile"),
        " Profile ID = 1, Service =Universal TRANSCODING, Resource ID = 1",
        " Profile Service Mode : secure",
        " Profile Admin State : UP",
        " Profile Operation State : ACTIVE",
        " Application : SCCP   Status : ASSOCIATED",
        " Total Number of Resources Configured : 2",
        " Total Number of Resources Available : 1",
        " Total Number of Resources Out of Service : 0",
        " Total Number of Resources Active : 1",
        " Codec Configuration: num_of_codecs:2",
        " Codec : g711ulaw, Maximum Packetization Period : 30",
    )


def over_tls() -> Box:
    """The profile as the vendor has it by default: registered with its certificate."""
    box = Box(config(tls=True, trustpoint="CUBE_SS", tls_version="v1.2"))
    box.config.sccp.ccms[0].trustpoint = "CUBE_SS"
    return box


def test_tls_is_shown_where_the_profile_wants_it() -> None:
    box = over_tls()
    lines(
        show(box, "show dspfarm profile"),
        " Profile Service Mode : secure",
        " Trustpoint : CUBE_SS",
        " TLS Version  : v1.2",
        " TLS Cipher   : N/A",
        " Profile Admin State : UP",
    )
    box.farm(host="198.51.100.9", tls=True)
    lines(
        show(box, "show dspfarm profile"),
        " TLS Version  : v1.3",
        " TLS Cipher   : TLS_AES_256_GCM_SHA384",
        " Profile Operation State : ACTIVE",
    )
    lines(
        show(box, "show sccp"),
        "Call Manager: 198.51.100.1, Port Number: 2000",
        "                Trustpoint: CUBE_SS",
        "Active Call Manager: 198.51.100.1, Port Number: 2443",
    )
    assert "TLS" not in show(talking(), "show dspfarm profile")


def test_a_profile_without_one_is_down() -> None:
    lines(
        show(Box(), "show dspfarm profile"),
        " Profile Operation State : DOWN",
        " Application : SCCP   Status : NOT ASSOCIATED",
        " Total Number of Resources Available : 0",
        " Total Number of Resources Out of Service : 2",
    )


def test_a_local_profile_needs_no_registration() -> None:
    box = Box(config("CUBE"))
    box.reserve()
    lines(
        show(box, "show dspfarm profile"),
        " Profile Operation State : ACTIVE",
        " Application : CUBE   Status : ASSOCIATED",
        " Total Number of Resources Active : 1",
    )


def test_sccp_names_its_call_manager() -> None:
    lines(
        show(talking(), "show sccp"),
        "SCCP Admin State: UP",
        "Call Manager: 198.51.100.1, Port Number: 2000",
        "Transcoding Oper State: ACTIVE - Cause Code: NONE",
        "TCP Link Status: CONNECTED, Profile Identifier: 1",
        "Reported Max Streams: 4, Reported Max OOS Streams: 0",
        "Supported Codec: g711ulaw, Maximum Packetization Period: 30",
        "Supported Codec: rfc2833 dtmf, Maximum Packetization Period: 30",
    )
    assert "TCP Link Status: NOT_CONNECTED" in show(Box(), "show sccp")


def test_connections_are_the_two_streams_of_a_session() -> None:
    lines(
        show(talking(), "show sccp connections"),
        "sess_id    conn_id    stype         mode     codec   ripaddr         rport sport",
        "1          1          secure -xcode sendrecv g711u   198.51.100.1    18202 20010",
        "1          2          xcode         sendrecv g711u   198.51.100.1    16204 20012",
        "Total number of active session(s) 1, and connection(s) 2",
    )
    assert "session(s) 0, and connection(s) 0" in show(Box(), "show sccp connections")


def test_details_add_periods_and_suites() -> None:
    text = show(talking(), "show sccp connections details")
    rows = [line.split() for line in text.splitlines()]
    assert ["1", "-", "1", "N/A", "N/A", "N/A", "transmsp", "All", "RTPSPI", "Callegs", "N/A", "-"] in rows
    secure = ["1", "1", "1", "g711u", "20", "rfc2833_pthru", "rtpspi", "(1,1)", "AES_CM_128_HMAC_SHA1_32", "ef"]
    assert secure in rows
    assert ["1", "2", "2", "g711u", "20", "none", "rtpspi", "(1,1)", "N/A", "ef"] in rows
    assert "Total number of active session(s) 1, and connection(s) 2" in text


def test_sessions_of_the_farm_have_their_packet_periods() -> None:
    lines(
        show(talking(), "show dspfarm sessions"),
        "sess_id    conn_id    stype         mode     codec   pkt ripaddr         rport sport",
        "1          1          secure -xcode sendrecv g711u   20  198.51.100.1    18202 20010",
        "1          2          xcode         sendrecv g711u   20  198.51.100.1    16204 20012",
        "Total number of DSPFARM session(s) 1",
    )


def test_a_summary_has_a_line_a_stream() -> None:
    lines(
        show(talking(), "show sdspfarm sessions summary"),
        "max-mtps:2, max-streams:20, alloc-streams:4, act-streams:2",
        "ID    MTP State  CallID     confID Usage                 Codec/Duration",
        "1     1   START  1          1      Ip-Ip                 G711Ulaw /20ms",
        "2     1   START  2          1      Ip-Ip                 G711Ulaw /20ms",
    )
    assert show(talking(), "show sdspfarm sessions active") == show(talking(), "show sdspfarm sessions")


def test_units_are_the_tags_with_who_registered() -> None:
    lines(
        show(talking(), "show sdspfarm units"),
        "mtp-1 Device:XCODE TCP socket:[1]  REGISTERED",
        "actual_stream:4 max_stream 4 IP:198.51.100.1  40000  MTP YOKO keepalive 0",
        "Supported codec:G711Ulaw",
        "mtp-2 Device:OTHER TCP socket:[-1]  UNREGISTERED",
        "max-mtps:2, max-streams:20, alloc-streams:4, act-streams:2",
    )


def test_sessions_name_each_others_streams() -> None:
    lines(
        show(talking(), "show sdspfarm sessions"),
        "Stream-ID:1 mtp:1 198.51.100.1 20010 Local:2000 START",
        " codec:G711Ulaw duration:20 vad:0 peer Stream-ID:2",
        "Stream-ID:2 mtp:1 198.51.100.1 20012 Local:2000 START",
    )


def test_active_channels_count_packets_from_both_sides() -> None:
    text = show(talking(), "show dspfarm dsp active")
    rows = [line.split() for line in text.splitlines()]
    assert [row[-7:] for row in rows[1:3]] == [
        ["1", "USED", "xcode", "1", "1", "11", "7"],
        ["2", "USED", "xcode", "1", "1", "8", "12"],
    ]
    assert "Total number of DSPFARM DSP channel(s) 2" in text


def test_a_group_counts_credits() -> None:
    box = talking()
    box.config.voice_cards["0"].dsp_services_dspfarm = False
    assert "no voice card" in show(box, "show voice dsp group")
    box.config.voice_cards["0"].dsp_services_dspfarm = True
    lines(
        show(box, "show voice dsp group"),
        "Show DSP group all for slot 0:",
        "dsp 1: (1 x PVDM3-16)",
        "  Max signal/voice channel: 16/16",
        "  Max credits: 240",
        "  Group: FLEX_GROUP_VOICE, complexity: FLEX",
        "    Shared credits: 200, reserved credits: 0",
        "  Group: FLEX_GROUP_XCODE, complexity: SECURE MEDIUM",
        "    Shared credits: 0, reserved credits: 40",
        "    Transcoding channels allocated: 1",
        "    Credits used: 20",
    )


def test_statistics_count_messages_by_name() -> None:
    text = show(talking(), "show sccp statistics")
    assert " OpenReceiveChannelAck: rx 2, tx 0" in text
    assert " OpenReceiveChannel: rx 0, tx 2" in text
    assert " StartMediaTransmission: rx 0, tx 2" in text
    assert " RegisterAck: rx 0, tx 1" in text
    assert show(Box(), "show sccp statistics") == "No SCCP application is registered\n"


def test_a_group_of_call_managers_says_its_methods() -> None:
    lines(
        show(talking(), "show sccp ccm group"),
        "CCM Group Identifier: 1",
        " Associated Profile: 1, Registration Name: XCODE",
        " Switchover Method: GRACEFUL, Switchback Method: GUARD",
    )


@pytest.mark.parametrize(
    "command",
    [
        "dspfarm profile",
        "sccp",
        "sccp connections",
        "sccp connections details",
        "dspfarm sessions",
        "sdspfarm sessions summary",
        "sdspfarm units",
        "sdspfarm sessions",
        "voice dsp group",
        "dspfarm dsp active",
    ],
)
def test_no_show_has_a_key(command: str) -> None:
    text = show(talking(), command)
    for octet in (1, 2):
        assert (bytes((octet,)) * 4).hex() not in text
        assert repr(bytes((octet,)) * 4)[2:-1] not in text


def test_a_codec_that_nothing_codes_is_shown_with_what_it_lacks() -> None:
    box = Box(config(universal=True, codecs=["g711ulaw", "ilbc"]))
    box.farm()
    lines(
        show(box, "show dspfarm profile"),
        " Codec Configuration: num_of_codecs:1",
        " Codec : g711ulaw, Maximum Packetization Period : 30",
        " Codec not offered : ilbc, of iLBC there is a packaged decoder (FFmpeg) and no packaged encoder",
    )
