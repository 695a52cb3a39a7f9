"""The files of one node by the names that phones ask for. Sans-IO."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from cubelab.cluster.devices import Device, Surroundings, configuration, default_configuration
from cubeproxy.protocols.capf import AuthMode
from cubeproxy.protocols.trustlist import Signer, sign_file
from cubeproxy.protocols.values import Address

_DEVICE = re.compile(r"(SEP[0-9A-F]{12})\.cnf\.xml", re.ASCII)
_LIST = re.compile(r"(CTL|ITL)(?:SEP[0-9A-F]{12}|File)\.tlv", re.ASCII)
SIGNED = ".sgn"


class Library:
    """`lists` gives the CTL or the ITL as served now, None where there is none; `mode` what CAPF has in store.

    Without a signer (a cluster before 8.0) nothing is signed, and there is no list.
    """

    def __init__(
        self,
        around: Surroundings,
        devices: Mapping[str, Device],
        lists: Callable[[str], bytes | None],
        mode: Callable[[str], AuthMode],
        signer: Signer | None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.around = around
        self.devices = devices
        self.others: dict[str, bytes] = {
            "dialplan.xml": b'<DIALTEMPLATE>\n<TEMPLATE MATCH="." Timeout="15"/>\n</DIALTEMPLATE>\n'
        }
        self.asked: list[tuple[str, str]] = []  # host and name, oldest first
        self._lists = lists
        self._mode = mode
        self._signer = signer
        self._clock = clock

    def find(self, name: str, peer: Address) -> bytes | None:
        self.asked.append((peer[0], name))
        if match := _LIST.fullmatch(name):
            return self._lists(match[1])
        plain = self._plain(name.removesuffix(SIGNED))
        if plain is None or not name.endswith(SIGNED):
            return plain
        return None if self._signer is None else sign_file(plain, name, self._signer, int(self._clock()))

    def _plain(self, name: str) -> bytes | None:
        if match := _DEVICE.fullmatch(name):
            device = self.devices.get(match[1])
            if device is None:
                return None
            return configuration(device, replace(self.around, mode=self._mode(device.name)))
        if name == "XMLDefault.cnf.xml":
            return default_configuration(self.around)
        return self.others.get(name)
