"""The phones that a cluster knows, and what is in the configuration that each of them gets."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from string import Template
from xml.sax.saxutils import escape

from cubelab import data
from cubelab.provisioning.models import MODELS, Model
from cubeproxy.protocols.capf import AuthMode

_NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")  # of URLs (RFC 4122): any that stays the same
_MEMBER = """<member priority="{priority}">
<callManager>
<name>{host}</name>
<ports>
<ethernetPhonePort>2000</ethernetPhonePort>
<sipPort>{sip}</sipPort>
<securedSipPort>{secure_sip}</securedSipPort>
<mgcpPorts><listen>2427</listen><keepAlive>2428</keepAlive></mgcpPorts>
</ports>
<processNodeName>{host}</processNodeName>
</callManager>
</member>
"""
_TVS = '<member priority="{priority}">\n<port>{port}</port>\n<address>{host}</address>\n</member>\n'
_SHORT = """<?xml version="1.0" encoding="UTF-8"?>
<device>
<fullConfig>false</fullConfig>
<ipAddressMode>0</ipAddressMode>
<loadInformation></loadInformation>
<capfAuthMode>{mode}</capfAuthMode>
<capfList><capf><phonePort>{port}</phonePort><processNodeName>{capf}</processNodeName></capf></capfList>
<certHash></certHash>
<encrConfig>true</encrConfig>
</device>
"""


@dataclass(slots=True)
class Device:
    """One phone in the cluster's database. `secure` wants an encrypted security profile, which takes mixed mode."""

    name: str  # SEP and the MAC
    number: str
    password: str = field(repr=False)
    model: str = "8841"
    secure: bool = True
    capf_node: str = ""  # whose CAPF its configuration names; "" the publisher's
    encrypted_config: bool = False  # TFTP Encrypted Config: only the phone can read its configuration

    @property
    def kind(self) -> Model:
        return MODELS[self.model]


@dataclass(slots=True, frozen=True)
class Surroundings:
    """What a node writes into a configuration besides the device's own. Hosts by name of the node."""

    node: str  # host of the node that serves
    nodes: Mapping[str, str]
    mixed: bool
    mode: AuthMode  # of the pending CAPF operation
    stamp: int  # s since 1970: when the configuration changed last
    ports: tuple[int, int] = (5060, 5061)  # of SIP
    capf_port: int = 3804
    tvs_port: int = 2445


def configuration(device: Device, around: Surroundings) -> bytes:
    """`SEP<MAC>.cnf.xml`."""
    capf = around.nodes.get(device.capf_node) or next(iter(around.nodes.values()))
    if device.encrypted_config:
        return _SHORT.format(mode=int(around.mode), port=around.capf_port, capf=capf).encode()
    secure = device.secure and around.mixed
    own = uuid.uuid5(_NAMESPACE, device.name)
    values = {
        "ctiid": str(own.int % 10_000),
        "uuid": str(own),
        "contact": str(uuid.uuid5(_NAMESPACE, f"{device.name} line 1")),
        "number": device.number,
        "password": device.password,
        "control": str(around.ports[secure]),
        "security": "3" if secure else "1",
        "transport": "3" if secure else "4",
        "capf_mode": str(int(around.mode)),
        "capf": capf,
        "capf_port": str(around.capf_port),
        "stamp": f"{{{around.stamp}-{uuid.uuid5(own, str(around.stamp))}}}",
    }
    return _fill(device.kind.template, values, around)


def default_configuration(around: Surroundings) -> bytes:
    """`XMLDefault.cnf.xml`: for phones that the cluster does not know."""
    return _fill("default.cnf.xml", {}, around)


def _fill(template: str, values: Mapping[str, str], around: Surroundings) -> bytes:
    sip, secure_sip = around.ports
    members = "".join(
        _MEMBER.format(priority=place, host=host, sip=sip, secure_sip=secure_sip)
        for place, host in enumerate(around.nodes.values())
    )
    tvs = "".join(
        _TVS.format(priority=place, host=host, port=around.tvs_port) for place, host in enumerate(around.nodes.values())
    )
    filled = {name: escape(value) for name, value in values.items()}
    text = Template(data.config(template).read_text("utf-8"))
    return text.substitute(filled, members=members, tvs=tvs, node=around.node).encode()
