"""What a configuration registers with call managers: one plan for each `associate profile N register NAME`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cubeproxy.config.model import Config, DspfarmProfile, SccpCcm, SccpCcmGroup
from cubeproxy.media.codecs.profiles import unusable
from cubeproxy.media.dsp.capacity import profile_sessions
from cubeproxy.media.dsp.tables import Module
from cubeproxy.protocols.errors import ConfigError
from cubeproxy.protocols.sccp.codecs import capabilities
from cubeproxy.protocols.sccp.farm_words import FarmSettings, Method
from cubeproxy.protocols.values import Address
from cubeproxy.server.sccp_tls import PORT as SECURE_PORT


@dataclass(slots=True, frozen=True)
class Plan:
    """One registration: under which name, of which profile, where media comes to, and the call managers in order."""

    name: str
    profile: DspfarmProfile
    sessions: int
    address: str
    servers: tuple[Address, ...]
    group: SccpCcmGroup
    vouchers: Mapping[Address, str] = field(default_factory=dict)  # trustpoint that vouches for each, "" is any

    @property
    def codecs(self) -> list[str]:
        """Those of the profile that there is a coder for: a farm offers no others."""
        return [name for name in self.profile.codecs if name not in self.missing]

    @property
    def missing(self) -> dict[str, str]:
        """The others, each with the reason."""
        return unusable(self.profile.codecs)

    @property
    def secure(self) -> bool:
        """Over TLS: the vendor's default in `security` mode."""
        return self.profile.security and self.profile.tls


def plans(config: Config, module: Module | None = None) -> list[Plan]:
    """What a configuration registers. ConfigError where it says how it cannot."""
    if not config.sccp.enabled:
        raise ConfigError("SCCP is off", fix="`sccp`")
    if not any(card.dsp_services_dspfarm for card in config.voice_cards.values()):
        raise ConfigError("no voice card gives its DSPs to a farm", fix="`dsp services dspfarm` under `voice-card N`")
    found = [
        _plan(config, group, number, name, module)
        for group in config.sccp.groups.values()
        for number, name in group.associate_profile
    ]
    kept = [plan for plan in found if plan is not None]
    if not kept:
        raise ConfigError(
            "no dspfarm profile registers with a call manager",
            fix="`dspfarm profile N transcode security` with `associate application SCCP` and `no shutdown`, "
            "and `associate profile N register NAME` in a `sccp ccm group`",
        )
    return kept


def _plan(config: Config, group: SccpCcmGroup, number: int, name: str, module: Module | None) -> Plan | None:
    profile = config.dspfarm_profiles.get(number)
    if profile is None or profile.service != "transcode" or profile.application != "SCCP":
        return None
    where = f"dspfarm profile {number}"
    if profile.shutdown:
        raise ConfigError(f"{where} is shut down, as profiles are by default", fix="`no shutdown`")
    secure = profile.security and profile.tls
    if secure and not profile.trustpoint:
        raise ConfigError(
            f"{where} registers over TLS and presents no certificate",
            fix="`trustpoint NAME`, or `no tls` where farm and call manager are one box",
        )
    sessions = profile_sessions(profile, module)
    if not sessions:
        raise ConfigError(f"{where} has no sessions", fix="`maximum sessions N`")
    interface = config.interfaces.get(group.bind_interface or config.sccp.local_interface)
    if interface is None or not interface.address:
        raise ConfigError(f"sccp ccm group {group.number} has no address", fix="`sccp local INTERFACE`")
    known = {ccm.identifier: (ccm.address, _port(ccm, secure)) for ccm in config.sccp.ccms}
    vouchers = {known[ccm.identifier]: ccm.trustpoint for ccm in config.sccp.ccms}
    ranked = sorted(group.associate_ccm, key=lambda pair: pair[1])
    servers = tuple(known[identifier] for identifier, _ in ranked if identifier in known)
    if not servers:
        raise ConfigError(f"sccp ccm group {group.number} has no call manager", fix="`associate ccm N priority 1`")
    return Plan(name, profile, sessions, interface.address, servers, group, vouchers)


def _port(ccm: SccpCcm, secure: bool) -> int:
    """The vendor's configurations name the clear port, or none, for both."""
    return SECURE_PORT if secure and ccm.port == SccpCcm.port else ccm.port


def settings_of(plan: Plan) -> FarmSettings:
    group = plan.group
    return FarmSettings(
        plan.name,
        plan.address,
        plan.sessions,
        capabilities(plan.codecs),
        keepalive_retries=group.keepalive_retries,
        switchover=Method(group.switchover or "graceful"),
        switchback=Method(group.switchback) if group.switchback in ("graceful", "immediate") else Method.GUARD,
    )
