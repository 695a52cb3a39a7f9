"""What the codecs of a `dspfarm profile` are here: those that there is a coder for, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable

from cubeproxy.config.model import Config
from cubeproxy.media.codecs.table import why_not
from cubeproxy.protocols.sccp.codecs import BY_IOS


def unusable(names: Iterable[str]) -> dict[str, str]:
    """IOS names without a coder, and what is missing. Names that SCCP does not know are left to whoever knows them."""
    rows = [BY_IOS[name] for name in names if name in BY_IOS]
    return {row.ios: why for row in rows if (why := why_not(row.codec))}


def unusable_in(config: Config) -> dict[str, str]:
    """Of all profiles of this box that transcode."""
    profiles = [one for one in config.dspfarm_profiles.values() if one.service == "transcode" and not one.shutdown]
    return unusable(dict.fromkeys(name for profile in profiles for name in profile.codecs))
