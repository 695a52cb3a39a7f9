"""Lines that cannot be obeyed: the error names the line, what is wrong and what would be right."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cubeproxy.config.parser import MAX_TEXT, parse_config
from cubeproxy.protocols.errors import ConfigError

PROXY = "voice-phone-proxy P\n "
PEER = "dial-peer voice 1 voip\n "


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (PROXY + "session-timeout 59", 2, "60 to 6000"),
        (PROXY + "session-timeout 6001", 2, "60 to 6000"),
        (PROXY + "session-timeout", 2, "is missing after 'session-timeout'"),
        (PROXY + "session-timeout ٣٠٠", 2, "is not a number"),
        (PROXY + "max-concurrent-sessions 501", 2, "0 to 500"),
        (PROXY + "capf-address ipv4 300.1.1.1 acc-addr ipv4 192.0.2.1", 2, "'300.1.1.1' is not an IP address"),
        (PROXY + "service-map server-addr ipv4 198.51.100.1 port 0 acc-addr ipv4 192.0.2.1 port 1", 2, "1 to 65535"),
        (PROXY + "tftp-server address ipv4 198.51.100.1 acc-addr ipv4 192.0.2.1", 2, "is not one of local-addr"),
        (PROXY + "tftp-server address !", 2, "TFTP server is missing"),
        ("voice-ctl-file " + "N" * 31, 1, "at most 30"),
        ("voice-ctl-file C\n description " + "d" * 101, 2, "at most 100"),
        ("voice-ctl-file C\n record-entry tftp trustpoint X", 2, "capf, cucm-tftp, selfsigned"),
        ("voice-phone-proxy file-buffer size 9 aging 10", 1, "10 to 60"),
        (PEER + "session target 198.51.100.1", 2, "write registrar, ipv4:A.B.C.D"),
        (PEER + "session target ipv4:198.51.100.1:70000", 2, "'70000' is not a number from 1 to 65535"),
        (PEER + "session target ipv4:cucm.lab.example", 2, "is not an IP address"),
        (PEER + "session transport sctp", 2, "udp, tcp"),
        (PEER + "preference 11", 2, "0 to 10"),
        (PEER + "incoming uri ACC", 2, "request, via, from, to"),
        (PEER + "srtp sometimes", 2, "fallback, pass-thru"),
        (PEER + "dtmf-relay", 2, "is missing"),
        (PEER + "phone-proxy LSPP signal-addr ipv4 192.0.2.1", 2, "keyword is missing"),
        (PEER + "codec g999", 2, "g711ulaw"),
        ("dial-peer voice 0 voip", 1, "1 to 1073741823"),
        ("dial-peer voice x voip", 1, "'x' is not a number"),
        ("interface GigabitEthernet0/0\n ip address 192.0.2.1 255.0.255.0", 2, "is not a mask"),
        ("interface GigabitEthernet0/0\n ip address 192.0.2 255.255.255.0", 2, "is not an IP address"),
        ("voice service voip\n rtp-port range 20000 16384", 2, "is not above the first"),
        ("voice service voip\n sip\n  registrar server expires max 60 min 120", 3, "is above the longest"),
        ("voice class uri U sip\n host ipv4:192.0.2", 2, "is not an IP address"),
        ("voice class uri U sip\n pattern ([", 2, "is not a regular expression"),
        ("voice class sip-hdr-passthrulist 1\n passthru-hdr Call:Info", 2, "is not a header name"),
        ("voice class srtp-crypto 1\n crypto 1 AES_256", 2, "aead_aes_256_gcm"),
        ("sip-ua\n crypto signaling default", 2, "names no trustpoint"),
        ("sip-ua\n transport tcp tls v0.9", 2, "v1.0, v1.1, v1.2, v1.3"),
        ("crypto pki trustpoint ../../etc", 1, "is not a trustpoint name"),
        ("version fifteen", 1, "is not understood"),
        ("telephony-service\n secure-signaling TP", 2, "trustpoint"),
        ("dspfarm profile 1 transcode security\n tls-version v2.0", 2, "v1.0, v1.1, v1.2, v1.3"),
        ("sccp ccm 198.51.100.1", 1, "names no identifier"),
        ("banner motd #\nhello\n", 1, "the banner never ends"),
    ],
)
def test_a_bad_argument_is_refused(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(text + "\n")
    assert refused.value.line == line
    assert says in f"{refused.value} {refused.value.fix}"


CHAIN = "crypto pki certificate chain T\n certificate ca 01\n"


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        (CHAIN + "  30820101 ZZ\n  quit\n", 3, "is not hexadecimal"),
        (CHAIN + "  3082010\n  quit\n", 3, "no whole number of octets"),
        (CHAIN + "  30030201 01\n  quit\n", 3, "are not a certificate"),
        (CHAIN + "  quit\n", 2, "are not a certificate"),
        (CHAIN + "  30820101\n", 2, "has no `quit`"),
        (CHAIN + "  30820101\nhostname cube\n", 4, "is not hexadecimal"),
        (CHAIN + "  3030\n" * 9000 + "  quit\n", 2, "more than 16384 octets"),
        ("crypto pki certificate chain T\n certificate ca XYZ\n", 2, "serial number 'XYZ' is not hexadecimal"),
    ],
)
def test_a_broken_certificate_block_is_refused(text: str, line: int, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(text)
    assert refused.value.line == line
    assert says in str(refused.value)


def test_an_error_does_not_repeat_a_long_value() -> None:
    with pytest.raises(ConfigError) as refused:
        parse_config(PEER + "session target " + "x" * 3000)
    assert len(str(refused.value)) < 300


FRAGMENTS = [
    *(
        "dial-peer voice 1 voip",
        " session target ",
        "registrar",
        "ipv4:",
        "198.51.100.1",
        "no ",
        "voice class uri U sip",
    ),
    *(" host ", "crypto pki certificate chain T", " certificate ca 01", "3082", "quit", "exit", "end", "interface "),
    *("Gi0/0", "sip-ua", " timers ", "voice service voip", "banner motd ", "#", "^C", "!", " ", "\n", "\t", "-"),
    *("\x00", "\x1b[2J", "é", "９"),
]


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join) | st.text(max_size=200))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    try:
        ignored = parse_config(text).ignored
    except ConfigError as error:
        ignored = [(error.line, "")]
    assert all(1 <= number <= text.count("\n") + 1 for number, _ in ignored)
    assert all(shown.isprintable() for _, shown in ignored)


HOSTILE = {
    "unknown lines": lambda size: "x" * 30 + "\n" + "unknown line of noise\n" * size,
    "one mode entered again and again": lambda size: "dial-peer voice 1 voip\n description x\n" * size,
    "many modes": lambda size: "".join(f"dial-peer voice {n + 1} voip\n" for n in range(size)),
    "one long line": lambda size: "description " + "w " * size * 10,
    "deeper and deeper": lambda size: "".join(" " * (n % 4000) + "voice service voip\n" for n in range(size // 50)),
    "long unknown word": lambda size: "s-" * size * 10,
    "hexadecimal without an end": lambda size: "crypto pki certificate chain T\n certificate ca 01\n" + "00 \n" * size,
    "header names": lambda size: (
        "voice class sip-hdr-passthrulist 1\n" + "".join(f" passthru-hdr H{n}\n" for n in range(size))
    ),
    "hosts": lambda size: "voice class uri U sip\n" + "".join(f" host dns:h{n}\n" for n in range(size)),
    "trusted": lambda size: "voice service voip\n ip address trusted list\n" + "  ipv4 10.0.0.1\n" * size,
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_time_grows_with_the_length_of_the_text_alone(text: Callable[[int], str]) -> None:
    def seconds(size: int) -> float:
        start = time.process_time()
        with contextlib.suppress(ConfigError):
            parse_config(text(size))
        return time.process_time() - start

    small = min(seconds(1500) for _ in range(3))
    large = min(seconds(12000) for _ in range(3))
    assert large < 8 * 3 * small + 0.05  # eight times the text: a quadratic reader takes 64 times as long


def test_a_text_without_end_is_not_read() -> None:
    with pytest.raises(ConfigError, match="too many"):
        parse_config("\n" * (MAX_TEXT + 1))
