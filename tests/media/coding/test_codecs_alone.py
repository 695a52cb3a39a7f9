"""Each codec by itself: what it makes is understood by others, what is missing is said, what is broken is an error."""

from __future__ import annotations

import signal
import subprocess
import sys

import numpy as np
import pytest

from cubeproxy.media.codecs import ffmpeg, g729, spandsp, table
from cubeproxy.media.codecs.base import CodecMissing
from cubeproxy.protocols.values import Codec

from .ends import NAMES, audio_rate, codec, judge
from .signals import floats, likeness, pcm, peak_of, speech, tone


@pytest.mark.parametrize("name", NAMES)
def test_what_we_make_and_what_another_decoder_makes_of_it_agree(name: str) -> None:
    """G.729: bcg729 against FFmpeg. Opus: libopus against FFmpeg's own. G.726: spandsp against FFmpeg, which also
    settles the order of codewords in an octet. G.722: spandsp against FFmpeg. G.711: tables against the formula."""
    encoder, ours, (theirs, rate) = table.encoder(codec(name), 20), table.decoder(codec(name)), judge(name)
    samples = speech(encoder.rate, 2)
    size = encoder.rate // 50
    payloads = [encoder.encode(pcm(samples[at : at + size])) for at in range(0, len(samples), size)]
    own = np.concatenate([floats(ours.decode(payload)) for payload in payloads])
    other = np.concatenate([theirs(payload) for payload in payloads])
    assert len(own) / ours.rate == pytest.approx(len(other) / rate, abs=0.001)
    wave, _ = likeness(own, other, rate)
    assert wave > 0.99


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("ptime", [10, 20, 30, 40])
def test_a_packet_is_as_long_as_asked_where_the_codec_has_that_length(name: str, ptime: int) -> None:
    encoder, decoder = table.encoder(codec(name), ptime), table.decoder(codec(name))
    assert encoder.ptime == (20 if (name, ptime) == ("opus", 30) else ptime)
    size = encoder.rate * encoder.ptime // 1000
    payloads = [encoder.encode(pcm(piece)) for piece in tone(encoder.rate, 0.4)[: 5 * size].reshape(-1, size)]
    assert sum(len(decoder.decode(payload)) for payload in payloads) == 5 * decoder.rate * encoder.ptime // 1000


@pytest.mark.parametrize("name", NAMES)
def test_lost_samples_are_filled_and_fade_out(name: str) -> None:
    decoder = table.decoder(codec(name))
    encoder = table.encoder(codec(name), 20)
    for piece in tone(encoder.rate, 0.2, 400).reshape(10, -1):
        decoder.decode(encoder.encode(pcm(piece)))
    size = decoder.rate // 50
    filled = [floats(decoder.conceal(size)) for _ in range(10)]
    assert all(len(piece) == size for piece in filled)
    assert np.abs(filled[0]).max() > 3000
    frequency, *_ = peak_of(filled[0], decoder.rate)
    assert frequency == pytest.approx(400, abs=40)
    assert np.abs(filled[-1]).max() < 600


@pytest.mark.parametrize("name", ["g729", "opus"])
def test_a_payload_that_is_none_is_an_error_of_its_own(name: str) -> None:
    with pytest.raises(ValueError):
        table.decoder(codec(name)).decode(b"\xff" * 7)


def test_the_other_way_is_missing_where_nobody_encodes() -> None:
    assert "encoder" in table.why_not(Codec("ilbc", 8000))
    with pytest.raises(CodecMissing, match="packaged encoder"):
        table.encoder(Codec("ilbc", 8000), 20)
    with pytest.raises(CodecMissing, match="gsm"):
        table.decoder(Codec("gsm", 8000))


def test_every_codec_of_the_table_can_be_used_here() -> None:
    assert {name for name, why in table.usable().items() if not why} == set(NAMES)
    assert all(audio_rate(name) for name in NAMES)


def test_without_its_library_each_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ffmpeg, spandsp):
        module.library.cache_clear()
    g729.missing.cache_clear()
    monkeypatch.setitem(sys.modules, "av", None)
    monkeypatch.setattr(spandsp, "NAMES", ("libnothing.so",))
    monkeypatch.setattr(g729, "COMMAND", (sys.executable, "-c", "raise SystemExit(1)"))
    try:
        assert "cubeproxy[codecs]" in table.usable()["opus"]
        assert "libspandsp2" in table.usable()["g726-32"]
        assert "libbcg729-0" in table.usable()["g729"]
        assert table.usable()["pcmu"] == ""
    finally:
        for module in (ffmpeg, spandsp):
            module.library.cache_clear()
        g729.missing.cache_clear()


@pytest.mark.parametrize("name", ["g722", "g726-32"])
def test_spandsp_without_room_for_a_channel_says_so(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for init in ("g722_decode_init", "g722_encode_init", "g726_init"):
        monkeypatch.setattr(spandsp.library(), init, lambda *_settings: None)
    for make in (lambda: table.decoder(codec(name)), lambda: table.encoder(codec(name), 20)):
        with pytest.raises(CodecMissing, match="no room"):
            make()


def test_a_helper_that_dies_is_started_again_and_the_stream_goes_on() -> None:
    encoder, decoder = g729.G729Encoder(20), g729.G729Decoder()
    pieces = tone(8000, 1, 440).reshape(-1, 160)
    for piece in pieces[:10]:
        decoder.decode(encoder.encode(pcm(piece)))
    g729.helper()._process.kill()
    heard = np.concatenate([floats(decoder.decode(encoder.encode(pcm(piece)))) for piece in pieces[10:]])
    frequency, *_ = peak_of(heard[2000:], 8000)
    assert frequency == pytest.approx(440, abs=3)


def test_a_helper_that_died_while_nobody_spoke_is_started_again_for_the_next_call() -> None:
    g729.helper()._process.kill()
    g729.helper()._process.wait()
    assert len(g729.G729Decoder().decode(bytes(20))) == 160


def test_an_answer_that_comes_late_is_not_taken_for_the_next() -> None:
    helper = g729.Helper()
    try:
        decoder, other = helper.open(g729.DECODER), helper.open(g729.DECODER)
        helper._ours.settimeout(0.05)
        late = helper._process
        late.send_signal(signal.SIGSTOP)
        helper.forget(other)
        late.send_signal(signal.SIGCONT)
        assert len(helper.ask(g729.DECODE, decoder, b"\0")) == 160
    finally:
        helper.close()


def test_the_helper_is_a_program_of_its_own() -> None:
    """GPL-3 covers what shares a process with bcg729: neither the helper nor the library is ever loaded by us."""
    code = (
        "import sys; from cubeproxy.media.codecs import table; from cubeproxy.protocols.values import Codec;"
        "table.encoder(Codec('g729', 8000), 20).encode(__import__('array').array('h', bytes(320)));"
        "assert not [m for m in sys.modules if 'helper' in m and 'g729' in m];"
        "assert 'bcg729.so' not in open('/proc/self/maps').read()"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=20)
    head = g729.PROGRAM.read_text().splitlines()[0]
    assert head == "# SPDX-License-Identifier: GPL-3.0-or-later"
    assert "GNU GENERAL PUBLIC LICENSE" in g729.PROGRAM.with_name("COPYING").read_text()
