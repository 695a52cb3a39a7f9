"""Is this phone allowed to say that name? The binding rules between a certificate and SIP.

A device name or an instance MAC in Contact must equal the device of the certificate, compared
whole; where the Contact names none, the binding is the certificate on its flow (design: "On the
edge to the Internet").
"""

from __future__ import annotations

import re

from cubeproxy.protocols.errors import TrustError
from cubeproxy.protocols.sip.uri import NameAddr
from cubeproxy.protocols.values import Flow

DEVICE_NAME = "+u.sip!devicename.ccm.cisco.com"
INSTANCE = "+sip.instance"
# Cisco phones put their MAC into the last node of an otherwise empty UUID (seen in REGISTERs of 7800s and 8800s).
_INSTANCE_MAC = re.compile(r"<urn:uuid:00000000-0000-0000-0000-([0-9A-Fa-f]{12})>", re.ASCII)


def claimed_devices(contact: NameAddr) -> set[str]:
    """Every device name that a Contact claims, upper case."""
    claims = set()
    name = _parameter(contact, DEVICE_NAME)
    if name:
        claims.add(name.upper())
    mac = _INSTANCE_MAC.fullmatch(_parameter(contact, INSTANCE))
    if mac:
        claims.add(f"SEP{mac[1].upper()}")
    return claims


def check_claims(contact: NameAddr, flow: Flow) -> None:
    """Raise TrustError unless the Contact claims nothing but what the certificate says."""
    if flow.identity is None:
        return
    claims = claimed_devices(contact)
    if claims - {flow.identity.name}:
        raise TrustError(
            f"Contact claims {', '.join(sorted(claims))}, the certificate {flow.identity.name or 'names no device'}",
            subject=flow.identity.subject,
            issuer=flow.identity.issuer,
            trustpoint=flow.identity.trustpoint,
            fix="register each phone with the certificate that was issued to it",
        )


def device_key(flow: Flow) -> str:
    """What a binding is tied to: the device, or the certificate, or the flow itself where there is neither."""
    if flow.identity is None:
        return f"flow:{flow.id}"
    return flow.identity.name or f"sha256:{flow.identity.fingerprint}"


def _parameter(contact: NameAddr, name: str) -> str:
    value = contact.params.get(name)
    return value.strip('"') if value else ""
