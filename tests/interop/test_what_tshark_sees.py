"""The proxy's own packets as tshark sees them: every message that it counted, and none malformed.

A dissector that saw nothing finds nothing malformed either. So it is first held to the proxy's counters, kind by kind.
"""

from __future__ import annotations

import re
import urllib.request
from collections import Counter
from pathlib import Path

import pytest

from cubelab.pki.lab import Lab
from tests.interop.border_lab import CORE, PHONE, SIP, SIPS, TALK, TLS, UDP, BorderLab, Places, hears
from tests.interop.programs.process import free_port, running, until
from tests.interop.programs.tshark import Capture, Dissection, dissect

METRIC = re.compile(r'^cubeproxy_sip_messages_total\{direction="(in|out)",kind="([^"]+)"\} ([0-9.e+]+)$', re.MULTILINE)


def counted(metrics: str) -> Counter[str]:
    """The proxy's own count by method and by status, both directions together."""
    with urllib.request.urlopen(f"http://{metrics}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    kinds: Counter[str] = Counter()
    for _, kind, count in METRIC.findall(text):
        kinds[kind] += int(float(count))
    return kinds


def dissected(capture: Path, key_log: Path) -> Dissection:
    return dissect(capture, sip_tls_ports=[SIPS], sip_ports=[SIP], key_log=key_log)


def by_kind(seen: Dissection) -> Counter[str]:
    """As the proxy counts: "200 INVITE" and "200 BYE" are both a 200."""
    kinds: Counter[str] = Counter()
    for name, count in seen.sip.items():
        kinds[name.partition(" ")[0]] += count
    return kinds


@pytest.mark.parametrize("transport", [UDP, TLS], ids=["core-udp-rtp", "core-tls-srtp"])
def test_tshark_dissects_what_was_counted_and_finds_nothing_malformed(
    pki: tuple[Places, Lab], folder: Path, transport: str
) -> None:
    lab = BorderLab(*pki, folder, transport)
    keys = folder / "tls.keys"
    metrics = f"{lab.places.access}:{free_port(lab.places.access)}"
    proxy = lab.proxy("--keylog", str(keys), "--metrics", metrics)
    nodes = lab.core("pub"), lab.core("sub")  # both, or messages to the one that is down are counted and never seen
    callee, phone = lab.core_phone("2001", CORE), lab.access_baresip("1001", PHONE)
    capture = Capture(folder / "capture", f"host {lab.places.access} or host {lab.places.core}")
    with running(*nodes, capture, proxy, callee, phone):
        callee.wait_registered()
        phone.wait_registered()
        for number in (1, 2):
            phone.dial(f"sip:2001@{lab.domain}")
            callee.wait_established(number)
            until("the core hears the phone", lambda: hears(callee, PHONE), log=proxy.log)
            phone.hang_up()
            callee.wait_closed(number)
        ours = until("tshark and the proxy count the same", lambda: agreed(capture, keys, metrics), log=capture.log)
    seen = dissected(capture.file, keys)
    assert ours["INVITE"] == ours["BYE"] == ours["ACK"] == 4  # two calls, in and out
    assert seen.sdp == 8
    assert seen.rtp >= 4 * 2 * TALK / 0.02  # two calls, both directions on both legs
    # A handshake is four flights or more, every message of the phone's leg is a record, decrypted above.
    assert seen.tls >= 4 + ours["INVITE"] + ours["BYE"] + ours["ACK"]
    assert seen.malformed == []  # no expert error either, TLS included


def agreed(capture: Capture, keys: Path, metrics: str) -> Counter[str] | None:
    """What both count, once they agree; a capture is written with some delay."""
    ours = counted(metrics)
    seen = dissect(capture.file, sip_tls_ports=[SIPS], sip_ports=[SIP], key_log=keys, whole=False, display_filter="sip")
    print(f"proxy {dict(ours)}, tshark {dict(by_kind(seen))}")
    return ours if by_kind(seen) == ours else None
