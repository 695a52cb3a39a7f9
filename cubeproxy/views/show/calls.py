"""`show call active voice ...` in the two layouts of the vendor's command reference (brief, compact)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from cubeproxy.border.call import Call
from cubeproxy.border.leg import Leg
from cubeproxy.border.phases import State
from cubeproxy.config.model import Personality
from cubeproxy.protocols.values import PASS_THROUGH, StreamCounters, StreamSpec
from cubeproxy.views.sources import Sources

# RTP encoding names to the names that shows use.
CODECS = {
    "pcmu": "g711ulaw",
    "pcma": "g711alaw",
    "g722": "g722-64",
    "g729": "g729r8",
    "ilbc": "ilbc",
    "opus": "opus",
}
STATES = {
    State.RESERVING: "connecting",
    State.CALLING: "connecting",
    State.ANSWERED: "connected",
    State.UP: "active",
    State.GIVING_UP: "disconnecting",
    State.CLOSING: "disconnecting",
    State.ENDED: "disconnecting",
}


@dataclass(slots=True)
class LegView:
    call: Call
    leg: Leg
    spec: StreamSpec | None
    counters: StreamCounters

    @property
    def direction(self) -> str:
        return "Originate" if self.leg.index else "Answer"

    @property
    def srtp(self) -> bool:
        return self.spec is not None and (self.spec.send_key is not None or self.spec.codec == PASS_THROUGH)

    @property
    def codec(self) -> str:
        return CODECS.get(self.spec.codec.name, self.spec.codec.name) if self.spec else "None"

    @property
    def remote(self) -> str:
        return f"{self.spec.remote[0]}:{self.spec.remote[1]}" if self.spec and self.spec.remote else "0.0.0.0:0"


def legs(sources: Sources) -> Iterator[LegView]:
    """Every leg of every call, oldest call first, the caller's leg first."""
    for call in sources.border.calls:
        session = call.negotiation.session
        counters = sources.counters(call.session) if call.session else (StreamCounters(), StreamCounters())
        for leg in call.legs:
            yield LegView(call, leg, session.legs[leg.index] if session else None, counters[leg.index])


def active_summary(sources: Sources) -> str:
    count = 2 * len(sources.border.calls)
    farm = sum(2 for call in sources.border.calls if _farm_parties(sources, call))
    rows = [
        ("Telephony call-legs", 0),
        ("SIP call-legs", count),
        ("H323 call-legs", 0),
        ("Call agent controlled call-legs", 0),
        ("SCCP call-legs", farm),
    ]
    if sources.config.personality is Personality.IOSXE:
        rows.append(("STCAPP call-legs", 0))
    rows += [("Multicast call-legs", 0), ("Total call-legs", count + farm)]
    return "".join(f"{name}: {number}\n" for name, number in rows)


def total_calls(sources: Sources) -> str:
    return f"Total Number of Active Calls : {len(sources.border.calls)}\n"


def active_brief(sources: Sources) -> str:
    render = _xe if sources.config.personality is Personality.IOSXE else _ios
    summary = active_summary(sources)
    rows = [render(sources, view) for view in legs(sources)]
    for call in sources.border.calls:
        rows += _sccp_legs(sources, call)
    return "\n".join([summary, *rows, summary])


def _farm_parties(sources: Sources, call: Call) -> tuple[int, int] | None:
    """The streams of a DSP farm that carries this call; None when none does."""
    pool = sources.transcoders
    session = pool.farm_session(call.session) if pool is not None and call.session else None
    return session.machine.parties if session is not None else None


def _sccp_legs(sources: Sources, call: Call) -> list[str]:
    """The two legs towards the farm: the clear one, then the secure one, each with the counters of its SIP leg."""
    parties = _farm_parties(sources, call)
    service = sources.config.telephony
    if parties is None or service is None or service.source_address is None:
        return []
    host, port = service.source_address
    views = sorted((view for view in legs(sources) if view.call is call), key=lambda view: view.srtp)
    rows = []
    for place, view in enumerate(views, 3):
        packets = _packets(view.counters)
        rows.append(
            "\n".join(
                [
                    (
                        f"{call.ticket:<4X} : {parties[view.leg.index]} {_date(sources, call)[1:]}.{place} +0"
                        " pid:0 Originate  connecting"
                    ),
                    f" dur {_duration(_seconds(sources, call))} {packets} dscp:0 media:0",
                    f" IP {host}:{port} {_media(view)}",
                    *_tail(),
                    "",
                ]
            )
        )
    return rows


def active_compact(sources: Sources) -> str:
    rows = ["<callID>  A/O FAX T<sec> Codec       type        Peer Address       IP R<ip>:<udp>   VRF"]
    views = list(legs(sources))
    rows.append(f"Total call-legs: {len(views)}")
    for view in views:
        side = "ORG" if view.leg.index else "ANS"
        seconds = f"T{_seconds(sources, view.call)}"
        who = f"P{view.leg.number:<17} {view.remote}"
        rows.append(f"{view.leg.id:>10} {side}     {seconds:<6} {view.codec:<11} VOIP        {who}           NA")
    return "\n".join(rows) + "\n"


def _ios(sources: Sources, view: LegView) -> str:
    """IOS 15.x: no UUID, no VRF, no Transcoded."""
    return "\n".join([*_head(sources, view, ""), f" IP {view.remote} {_media(view)}", *_tail(), ""])


def _xe(sources: Sources, view: LegView) -> str:
    """IOS XE 16 and 17. LocalUUID and RemoteUUID are swapped between the legs."""
    uuids = [_uuid(view.call, 0), _uuid(view.call, 1)]
    local, remote = (uuids[1], uuids[0]) if view.leg.index else (uuids[0], uuids[1])
    return "\n".join(
        [
            *_head(sources, view, " audio tos:0xB8 video tos:0x0"),
            f" IP {view.remote} {_media(view)} Transcoded: No ICE: Off",
            *_tail(),
            f" LostPacketRate:{_lost(view.counters):.2f} OutOfOrderRate:{_late(view.counters):.2f}",
            f" LocalUUID:{local}",
            f" RemoteUUID:{remote}",
            " VRF: NA",
            "",
        ]
    )


def _head(sources: Sources, view: LegView, tos: str) -> list[str]:
    call, leg, counters = view.call, view.leg, view.counters
    date = _date(sources, call)
    connect = round((call.connected_at - call.started_at) * 1000) if call.connected_at is not None else 0
    xe = sources.config.personality is Personality.IOSXE
    uptime = f"{sources.uptime_ms(call.started_at)}ms.{leg.index + 1} ({date})"
    start = uptime if xe else f"{date[1:]}.{leg.index + 1}"
    who = f"pid:{leg.peer.tag} {view.direction} {leg.number} {STATES[call.state]}"
    packets = _packets(counters)
    return [
        f"{call.ticket:<4X} : {leg.id} {start} +{connect} {who}",
        f" dur {_duration(_seconds(sources, call))} {packets} dscp:0 media:0{tos}",
    ]


def _date(sources: Sources, call: Call) -> str:
    started = sources.wall_time(call.started_at)
    return f"*{started:%H:%M:%S}.{started.microsecond // 1000:03d} UTC {started:%a %b} {started.day} {started.year}"


def _packets(counters: StreamCounters) -> str:
    return f"tx:{counters.sent}/{counters.sent_octets} rx:{counters.received}/{counters.received_octets}"


def _media(view: LegView) -> str:
    srtp = "on" if view.srtp else "off"
    lost = f"{view.counters.lost}/0/{view.counters.late}"
    rtt = round(view.counters.round_trip * 1000 / 65536)  # of RTCP, 0 while it is dropped
    return f"SRTP: {srtp} rtt:{rtt}ms pl:0/0ms lost:{lost} delay:0/0/0ms {view.codec} TextRelay: off"


def _tail() -> list[str]:
    return [
        " media inactive detected:n media contrl rcvd:n/a timestamp:n/a",
        " long duration call detected:n long duration call duration:n/a timestamp:n/a",
    ]


def _uuid(call: Call, index: int) -> str:
    """32 hexadecimal digits that name one end of a call: its leg's Call-ID and tag, folded."""
    dialog = call.legs[index].dialog
    text = f"{dialog.call_id}{dialog.local_tag}" if dialog else call.name
    return f"{int.from_bytes(text.encode(), 'big') % (1 << 128):032x}"


def _seconds(sources: Sources, call: Call) -> int:
    return int(sources.clock() - call.connected_at) if call.connected_at is not None else 0


def _duration(seconds: int) -> str:
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


def _lost(counters: StreamCounters) -> float:
    expected = counters.received + counters.lost
    return 100 * counters.lost / expected if expected else 0.0


def _late(counters: StreamCounters) -> float:
    return 100 * counters.late / counters.received if counters.received else 0.0
