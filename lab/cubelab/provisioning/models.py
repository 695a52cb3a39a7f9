"""Kinds of phones, as far as provisioning can tell them apart."""

from __future__ import annotations

from dataclasses import dataclass

from cubeproxy.protocols.tftp import Terms
from cubeproxy.protocols.tftp.options import PLAIN


@dataclass(frozen=True, slots=True)
class Model:
    """`number` is the device type in Cisco's databases, `template` the file its configuration is made from."""

    name: str
    number: str
    template: str
    http_first: bool  # each file by HTTP 6970, and by TFTP when that has none
    asks_tvs: bool = True
    terms: Terms = PLAIN  # of TFTP: the old ones take blocks of 512 octets and know no options
    legacy_tls: bool = False  # nothing newer than TLS 1.0 towards CAPF and TVS


_NEW, _OLD = "phone-8800.cnf.xml", "phone-7900.cnf.xml"

MODELS = {
    model.name: model
    for model in (
        Model("7960", "7", _OLD, http_first=False, asks_tvs=False, legacy_tls=True),
        Model("7961", "308", _OLD, http_first=False, legacy_tls=True),
        Model("7975", "437", _OLD, http_first=False, legacy_tls=True),
        Model("8841", "683", _NEW, http_first=True),
        Model("8861", "685", _NEW, http_first=True),
    )
}
