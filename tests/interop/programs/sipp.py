"""SIPp 3.6 on UDP: answers or places calls, with RTP echo or a tone, and answers REGISTER and OPTIONS as a small core.

Scenarios are put together here, since SIPp has no conditions on its command line. Debian 12's build has no TLS.
"""

from __future__ import annotations

import csv
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from .audio import tone
from .process import Program, free_port, free_ports, require, until

HEAD = '<?xml version="1.0" encoding="ISO-8859-1" ?>\n<scenario name="{name}">\n'
ECHO, TONE = "echo", "tone"

ANSWER = """\
  <send><![CDATA[
SIP/2.0 {line}
[last_Via:]
[last_From:]
[last_To:]{tag}
[last_Call-ID:]
[last_CSeq:]
{rows}Content-Length: 0

]]></send>
"""
TO_TAG = ";tag=[pid]sipp[call_number]"
SDP = """\
v=0
o=sipp 1 1 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [{port}] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
"""
ANSWER_200 = """\
  <send retrans="500"><![CDATA[
SIP/2.0 200 OK
[last_Via:]
[last_Record-Route:]
[last_From:]
[last_To:]
[last_Call-ID:]
[last_CSeq:]
Contact: <sip:[local_ip]:[local_port];transport=[transport]>
Content-Type: application/sdp
Content-Length: [len]

{sdp}]]></send>
"""
REQUEST = """\
  <send{retrans}><![CDATA[
{method} {uri} SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
{routes}From: "sipp" <sip:{caller}@[local_ip]:[local_port]>;tag=[pid]sipp[call_number]
To: <sip:[service]@[remote_ip]:[remote_port]>{peer_tag}
Call-ID: [call_id]
CSeq: {cseq} {method}
Contact: <sip:{caller}@[local_ip]:[local_port]>
Max-Forwards: 70
{body}]]></send>
"""
NO_BODY = "Content-Length: 0\n\n"
STREAM = '  <nop><action><exec rtp_stream="{file},-1,0" /></action></nop>\n'
STOP = '  <nop><action><exec rtp_stream="pause" /></action></nop>\n'


def uas(media: str, sound: Path | None) -> str:
    """Answers a call and waits for BYE; answers REGISTER with a binding, and OPTIONS."""
    binding = "[last_Contact:]\nExpires: 3600\n"
    return "".join(
        [
            HEAD.format(name="uas"),
            '  <recv request="REGISTER" optional="true" next="1"></recv>\n',
            '  <recv request="OPTIONS" optional="true" next="2"></recv>\n',
            '  <recv request="INVITE" crlf="true" rrs="true"></recv>\n',
            ANSWER.format(line="100 Trying", tag="", rows=""),
            ANSWER.format(line="180 Ringing", tag=TO_TAG, rows="[last_Record-Route:]\n"),
            ANSWER_200.format(sdp=sdp(media)).replace("[last_To:]", f"[last_To:]{TO_TAG}"),
            '  <recv request="ACK"></recv>\n',
            stream(media, sound),
            '  <recv request="BYE"></recv>\n',
            STOP if media == TONE else "",
            ANSWER.format(line="200 OK", tag="", rows=""),
            '  <nop next="9"></nop>\n  <label id="1"/>\n',
            ANSWER.format(line="200 OK", tag=TO_TAG, rows=binding),
            '  <nop next="9"></nop>\n  <label id="2"/>\n',
            ANSWER.format(line="200 OK", tag=TO_TAG, rows=""),
            '  <label id="9"/>\n</scenario>\n',
        ]
    )


def uac(media: str, sound: Path | None, seconds: float, caller: str) -> str:
    """Places a call, holds it for so many seconds and ends it."""
    offer = f"Content-Type: application/sdp\nContent-Length: [len]\n\n{sdp(media)}"
    first = {"uri": "sip:[service]@[remote_ip]:[remote_port]", "routes": "", "peer_tag": "", "caller": caller}
    later = {"uri": "[next_url]", "routes": "[routes]\n", "peer_tag": "[peer_tag_param]", "caller": caller}
    return "".join(
        [
            HEAD.format(name="uac"),
            REQUEST.format(method="INVITE", cseq=1, retrans=' retrans="500"', body=offer, **first),
            "".join(f'  <recv response="{status}" optional="true"></recv>\n' for status in (100, 180, 183)),
            '  <recv response="200" rrs="true" rtd="true"></recv>\n',
            REQUEST.format(method="ACK", cseq=1, retrans="", body=NO_BODY, **later),
            stream(media, sound),
            f'  <pause milliseconds="{int(seconds * 1000)}"/>\n',
            STOP if media == TONE else "",
            REQUEST.format(method="BYE", cseq=2, retrans=' retrans="500"', body=NO_BODY, **later),
            '  <recv response="200"></recv>\n</scenario>\n',
        ]
    )


def sdp(media: str) -> str:
    return SDP.format(port="rtpstream_audio_port" if media == TONE else "media_port")


def stream(media: str, sound: Path | None) -> str:
    return STREAM.format(file=sound) if media == TONE else ""


@dataclass(slots=True)
class Counts:
    """SIPp's own cumulative statistics."""

    successful: int
    failed: int
    retransmissions: int


class Sipp(Program):
    """A SIPp. Without `target` it answers, with one it calls `service` there."""

    def __init__(
        self,
        folder: Path,
        host: str = "127.0.0.1",
        *,
        port: int = 0,
        target: str = "",
        service: str = "",
        caller: str = "2001",
        media: str = ECHO,
        hertz: float = 1000,
        seconds: float = 3,
        rate: float = 1,
        calls: int = 1,
    ) -> None:
        self.name = "sipp-uac" if target else "sipp-uas"
        super().__init__(folder)
        self.program = require("sipp")
        self.host = host
        self.port = port or free_port(host)
        self.media = free_ports(host, 4)
        self.target, self.rate, self.calls, self.service = target, rate, calls, service
        self.echo = media == ECHO
        sound = None
        if media == TONE:
            sound = folder / "tone.ul"
            sound.write_bytes(ulaw(hertz, seconds=60))
        text = uac(media, sound, seconds, caller) if target else uas(media, sound)
        self.scenario = folder / "scenario.xml"
        self.scenario.write_text(text)
        self.statistics = folder / "statistics.csv"

    def command(self) -> Sequence[str]:
        common = [self.program, "-sf", str(self.scenario), "-i", self.host, "-p", str(self.port), "-nostdin"]
        common += ["-mi", self.host, "-mp", str(self.media), "-cp", str(free_port(self.host))]
        if self.echo:  # beside a tone it would mix two streams on one port
            common.append("-rtp_echo")
        common += ["-trace_msg", "-message_file", str(self.folder / "messages.log")]
        common += ["-trace_err", "-error_file", str(self.folder / "errors.log")]
        common += ["-trace_stat", "-stf", str(self.statistics), "-fd", "1"]
        if not self.target:
            return common
        return [*common, "-s", self.service, "-r", str(self.rate), "-m", str(self.calls), self.target]

    def ready(self) -> None:
        if not self.target:
            until("SIPp writes its statistics", self.statistics.exists, log=self.log)

    def stop(self, how: signal.Signals = signal.SIGKILL, seconds: float = 5) -> int | None:
        """At once: SIGTERM would wait for calls that never end, and everything is written by then."""
        return super().stop(how, seconds)

    @property
    def messages(self) -> str:
        file = self.folder / "messages.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def errors(self) -> str:
        file = self.folder / "errors.log"
        return file.read_text(errors="replace") if file.exists() else ""

    @property
    def counts(self) -> Counts:
        with self.statistics.open() as lines:
            row = list(csv.DictReader(lines, delimiter=";"))[-1]
        numbers = (int(row[name]) for name in ("SuccessfulCall(C)", "FailedCall(C)", "Retransmissions(C)"))
        return Counts(*numbers)


def ulaw(hertz: float, seconds: float) -> bytes:
    """A tone as G.711 u-law octets (ITU-T G.711, table 2a), made here so that the product's tables are not trusted."""
    out = bytearray()
    for value in tone(hertz, seconds):
        sample = int(value * 32767)
        sign = 0x80 if sample < 0 else 0
        magnitude = min(abs(sample), 32635) + 132
        exponent = magnitude.bit_length() - 8
        out.append(~(sign | exponent << 4 | magnitude >> exponent + 3 & 0x0F) & 0xFF)
    return bytes(out)
