"""`show call active voice ...` and its relatives, in the layouts that people scrape."""

from __future__ import annotations

import re

from cubeproxy.config.parser import parse_config
from cubeproxy.protocols.values import StreamCounters
from cubeproxy.views.show import COMMANDS, Show
from cubeproxy.views.sources import Sources
from tests.border.scene import Scene, established, rtp, sample


def sources(scene: Scene) -> Sources:
    counters = (
        StreamCounters(sent=10, sent_octets=1600, received=20, received_octets=3200, lost=5),
        StreamCounters(sent=20, sent_octets=3200, received=10, received_octets=1600),
    )
    return Sources(
        scene.config, scene.border, lambda: scene.now, lambda session: counters, 900.0, lambda: "test engine"
    )


def show(scene: Scene, command: str) -> str:
    return Show(sources(scene)).answer(command)


def test_brief_tells_the_truth_about_srtp_on_ios_xe() -> None:
    scene = Scene()
    established(scene)
    scene.wait(12)
    text = show(scene, "show call active voice brief")
    assert text.count("SIP call-legs: 2\n") == 2
    legs = re.findall(r"pid:(\d+) (\w+) (\d+) (\w+)\n dur (\S+) tx:(\S+) rx:(\S+) .*\n IP (\S+) SRTP: (\w+)", text)
    assert legs == [
        ("100", "Answer", "1001", "active", "00:00:12", "10/1600", "20/3200", "203.0.113.7:20000", "on"),
        ("200", "Originate", "2001", "active", "00:00:12", "20/3200", "10/1600", "198.51.100.11:30000", "off"),
    ]
    local = re.findall(r" LocalUUID:([0-9a-f]{32})\n RemoteUUID:([0-9a-f]{32})\n VRF: NA", text)
    assert local[0] == local[1][::-1]
    assert " LostPacketRate:20.00 OutOfOrderRate:0.00" in text


def test_brief_on_ios_has_no_uuids() -> None:
    scene = Scene(sample("sample-a.ios", replace={"\n srtp\n": "\n"}))
    phone, node = scene.registered(), scene.node()
    phone.calls("2001", rtp("203.0.113.7", 20000))
    phone.gets(100)
    node.answers(node.hears("INVITE"), 200, body=rtp())
    phone.gets(200)
    phone.acks()
    text = show(scene, "show call active voice brief")
    assert "SRTP: off rtt:0ms" in text
    assert "UUID" not in text
    assert "STCAPP" not in text


def test_words_may_be_abbreviated() -> None:
    scene = Scene()
    assert show(scene, "sh call act voi br") == show(scene, "show call active voice brief")


def test_an_ambiguous_or_unknown_command_says_what_there_is() -> None:
    scene = Scene()
    assert show(scene, "show call active").startswith("% Invalid input")
    assert show(scene, "show call active voice b | i x") == ""
    for command in COMMANDS:
        assert command in show(scene, "show ?")


def test_a_filter_follows_the_bar() -> None:
    scene = Scene()
    established(scene)
    text = show(scene, "show call active voice brief | i dur")
    assert [line.split()[0] for line in text.splitlines()] == ["dur", "long", "dur", "long"]
    assert show(scene, "show call active voice brief | count SRTP: on") == "Number of lines which match regexp = 1\n"
    assert show(scene, "show call active voice brief | include [").startswith("% Invalid regular expression")
    assert show(scene, "show call active voice brief | frobnicate x").startswith("% Invalid filter")


def test_every_command_answers_with_and_without_calls() -> None:
    scene = Scene()
    for command in COMMANDS:
        assert show(scene, f"show {command}")
    established(scene)
    for command in COMMANDS:
        assert not show(scene, f"show {command}").startswith("%")


def test_rtp_connections_names_both_ends() -> None:
    scene = Scene()
    established(scene)
    text = show(scene, "show voip rtp connections")
    assert "Found 2 active RTP connections" in text
    assert re.search(r"^1 +1 +2 +16004 +20000 +192\.0\.2\.1 +203\.0\.113\.7 ", text, re.MULTILINE)


def test_registrations_count_down() -> None:
    scene = Scene()
    scene.registered()
    scene.wait(100)
    assert re.search(r"1001 +100 +e2e +500 +/600 ", show(scene, "show sip-ua registration passthrough status"))


def test_dial_peers_show_busyout() -> None:
    scene = Scene(sample(keepalive=True))
    assert show(scene, "show dial-peer voice summary").count("active") == 2
    for _ in range(6):
        scene.wait(4)
    assert show(scene, "show dial-peer voice summary").count("busyout") == 2


def test_running_config_parses_back_to_what_runs() -> None:
    scene = Scene()
    assert parse_config(show(scene, "show running-config")).dial_peers == scene.config.dial_peers
