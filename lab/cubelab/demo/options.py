"""What may be asked of the demo. Faults are made in the lab only: the proxy's command line is the same every time.

They are made in the first of its two runs, on IOS; the second one, on IOS XE, is left in peace.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Fault(StrEnum):
    NONE = "none"
    WRONG_CERTIFICATE = "wrong-certificate"  # phone 1 shows an LSC of somebody else's CAPF
    WRONG_KEY = "wrong-key"  # phone 1 encrypts with another key than it announces
    DEAD_CORE = "dead-core"  # nobody listens at the cluster's addresses
    FOREIGN_CTL = "foreign-ctl"  # phone 1 comes with the trust list of somebody else's cluster
    DAMAGED_CONFIG = "damaged-config"  # phone 1's configuration changes between the proxy and the phone
    FOREIGN_CAPF = "foreign-capf"  # behind the relay answers a CAPF that is not in the trust list
    NO_FARM = "no-farm"  # nobody starts the DSP farm
    UNKNOWN_FARM = "unknown-farm"  # the farm registers with a name that no sdspfarm tag has
    DAMAGED_KEY = "damaged-key"  # keys change between the proxy and the farm


class Access(StrEnum):
    SRTP = "srtp"
    CLEAR = "clear"  # both phones announce keys, and send plain RTP all the same


@dataclass(slots=True, frozen=True)
class DemoOptions:
    out: Path
    access: Access = Access.SRTP
    fault: Fault = Fault.NONE
    talk: float = 2.5  # s that both phones speak
    tones: tuple[int, int] = (440, 1000)  # Hz: phone 1, phone 2
    config: Path | None = None  # of the first run; sample-a.ios when None
