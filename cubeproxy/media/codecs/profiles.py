"""What the codecs of a `dspfarm profile` are here: those that there is a coder for, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cubeproxy.config.model import Config
from cubeproxy.media.codecs.table import why_not
from cubeproxy.protocols.sccp.codecs import BY_IOS
from cubeproxy.protocols.values import Event, Severity


def unusable(names: Iterable[str]) -> dict[str, str]:
    """IOS names without a coder, and what is missing. Names that SCCP does not know are left to whoever knows them."""
    rows = [BY_IOS[name] for name in names if name in BY_IOS]
    return {row.ios: why for row in rows if (why := why_not(row.codec))}


def unusable_in(config: Config) -> dict[str, str]:
    """Of all profiles of this box that transcode."""
    profiles = [one for one in config.dspfarm_profiles.values() if one.service == "transcode" and not one.shutdown]
    return unusable(dict.fromkeys(name for profile in profiles for name in profile.codecs))


def told(found: Mapping[str, str], device: str = "") -> Iterator[Event]:
    """What the operator should know of them; `device` is the farm that lacks them, "" for the box."""
    for name, why in found.items():
        text = f"codec {name} of a dspfarm profile is not transcoded: {why}"
        yield Event("dsp.codec.missing", Severity.NOTICE, text, device=device)
