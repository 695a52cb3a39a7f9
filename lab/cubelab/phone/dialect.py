"""How Cisco phones write their requests: the headers that must survive a B2BUA (traces of 8800 series phones)."""

from __future__ import annotations

from cubeproxy.protocols.sip.message import Headers

USER_AGENT = "Cisco-CP8841/12.8.1"
MODEL = "683"  # the device type number of an 8841 in Cisco's databases
SUPPORTED = (
    "replaces,join,sdp-anat,norefersub,resource-priority,extended-refer,X-cisco-callinfo,X-cisco-serviceuri,"
    "X-cisco-escapecodes,X-cisco-service-control,X-cisco-srtp-fallback,X-cisco-monrec,X-cisco-config,"
    "X-cisco-sis-7.0.0,X-cisco-xsi-8.5.1"
)


def contact_parameters(device: str) -> str:
    """Parameters of a REGISTER's Contact that name the device (SEP and the MAC)."""
    mac = device.removeprefix("SEP").lower()
    return (
        f';+sip.instance="<urn:uuid:00000000-0000-0000-0000-{mac}>"'
        f';+u.sip!devicename.ccm.cisco.com="{device}";+u.sip!model.ccm.cisco.com="{MODEL}"'
    )


def alarm(device: str) -> str:
    """The Reason of a phone's first REGISTER: why it restarted, and with which firmware."""
    return (
        f'SIP;cause=200;text="cisco-alarm:23 Name={device} ActiveLoad=sip88xx.12-8-1-0001-455.loads '
        f'InactiveLoad=sip88xx.12-8-1-0001-455.loads Last=phone-reg-rej"'
    )


def register_headers(headers: Headers, device: str, *, first: bool) -> None:
    headers.add("User-Agent", USER_AGENT)
    headers.add("Supported", SUPPORTED)
    if first:
        headers.add("Reason", alarm(device))


def invite_headers(headers: Headers, number: str, host: str) -> None:
    headers.add("User-Agent", USER_AGENT)
    headers.add("Remote-Party-ID", f'"{number}" <sip:{number}@{host}>;party=calling;id-type=subscriber;privacy=off')
    call_info = "<urn:x-cisco-remotecc:callinfo>;security=NotAuthenticated;orientation=from;call-instance=1;isVoip"
    headers.add("Call-Info", call_info)
    headers.add("Supported", SUPPORTED)
    headers.add("Allow-Events", "kpml,dialog")
    headers.add("Recv-Info", "conference")
    headers.add("Recv-Info", "x-cisco-conference")
