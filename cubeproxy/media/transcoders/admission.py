"""Which farm may register with CUBE's SCCP server, by `telephony-service` and the profiles of this box."""

from __future__ import annotations

from collections.abc import Iterable

from cubeproxy.config.model import Config, DspfarmProfile
from cubeproxy.protocols.sccp.messages import DeviceType, RegisterRequest

TRANSCODERS = frozenset(
    {
        DeviceType.SOFTWARE_MTP_DIXIELAND,
        DeviceType.MTP,
        DeviceType.MTP_YOKO,
        DeviceType.MTP_DIXIELAND,
        DeviceType.MTP_SUMMIT,
    }
)
TRANSCODE = "transcode"


def own_addresses(config: Config) -> frozenset[str]:
    """The addresses of this box."""
    found = {interface.address for interface in config.interfaces.values() if interface.address}
    if config.telephony and config.telephony.source_address:
        found.add(config.telephony.source_address[0])
    return frozenset(found)


def profiles_by_name(config: Config) -> dict[str, DspfarmProfile]:
    """The profiles of this box that register with a call manager, by the name under which they do."""
    return {
        name: config.dspfarm_profiles[number]
        for group in config.sccp.groups.values()
        for number, name in group.associate_profile
        if number in config.dspfarm_profiles
    }


def lti_profiles(config: Config) -> list[DspfarmProfile]:
    return [
        profile
        for profile in config.dspfarm_profiles.values()
        if profile.service == TRANSCODE and profile.application == "CUBE" and profile.security and not profile.shutdown
    ]


def judge(
    config: Config, request: RegisterRequest, host: str, registered: Iterable[str], *, secure: bool = False
) -> str:
    """The text of the refusal, "" to admit: at most 32 characters. `secure`: it comes over mutual TLS.

    Keys travel in the clear on port 2000, so only a farm of this box may register there, and only if its profile says
    `no tls`. Over TLS a farm may be anywhere, and its profile in a configuration that we never see.
    """
    service = config.telephony
    names = list(registered)
    if service is None or request.device not in service.sdspfarm_tags.values():
        return "no sdspfarm tag with this name"
    if request.device_type not in TRANSCODERS:
        return "not a transcoder"
    if not secure and host not in own_addresses(config):
        return "TLS required: not on this box"
    profile = profiles_by_name(config).get(request.device)
    if not secure and profile is not None and profile.tls and profile.security:
        return "TLS required by the profile"
    if request.device in names:
        return "already registered"
    if len(names) >= service.sdspfarm_units:
        return "no more sdspfarm units"
    if request.max_streams < 2:
        return "no streams"
    return ""
