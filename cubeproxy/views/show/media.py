"""`show voip rtp connections` (layout: vendor, line-side survivability chapter)."""

from __future__ import annotations

from cubeproxy.views.show.calls import legs
from cubeproxy.views.sources import Sources


def rtp_connections(sources: Sources) -> str:
    first, last = sources.config.rtp_ports
    available = (last - first + 1) // 2
    views = [view for view in legs(sources) if view.call.session]
    configured = sources.config.voice.rtp_ports is not None
    rows = [
        "VoIP RTP Port Usage Information:",
        f"Max Ports Available: {available}, Ports Reserved: 0, Ports in Use: {len(views)}",
        f"Port range {'configured' if configured else 'not configured'}, Min: {first}, Max: {last}",
        "",
        "                                                        Ports       Ports       Ports",
        "Media-Address Range                                     Available   Reserved    In-use",
        f"Default Address-Range                                   {available:<11} {0:<11} {len(views)}",
        "VoIP RTP active connections :",
        "No. CallId     dstCallId  LocalRTP RmtRTP LocalIP              RemoteIP          MPSS VRF",
    ]
    for number, view in enumerate(views, 1):
        other = view.call.legs[1 - view.leg.index]
        host, port = view.call.negotiation.sides[view.leg.index].local
        remote_host, remote_port = (view.spec.remote if view.spec else None) or ("0.0.0.0", 0)
        ours = f"{number:<3} {view.leg.id:<10} {other.id:<10} {port:<8}"
        rows.append(f"{ours} {remote_port:<6} {host:<20} {remote_host:<17} NO   NA")
    rows.append(f"Found {len(views)} active RTP connections")
    return "\n".join(rows) + "\n"
