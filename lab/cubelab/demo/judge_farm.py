"""The claims about the DSP farm, from the capture of port 2000 and from what the phones know. Pure, as all judging.

Keys are compared here and shown nowhere.
"""

from __future__ import annotations

from collections.abc import Callable

from cubelab.demo.evidence import ABOUT_FARM, Outcome, about, join
from cubelab.demo.observations import Lines, Observations
from cubelab.eavesdropper.sccp import Channel

NOT_CONFIGURED = "Transcoder Not Configured"
CAUSE = "Q.850;cause=16"
CORE_STREAMS = 1  # of a call: what goes to the core is in the clear


def registered(seen: Observations) -> Outcome | None:
    farm = seen.farm
    if farm is None or farm.sccp is None:
        return None
    sccp = farm.sccp
    trouble = [farm.trouble] if farm.trouble else []
    words = [*trouble, *about(farm.complaints, *ABOUT_FARM, who="farm"), *about(seen.complaints, *ABOUT_FARM)]
    if not sccp.farm:
        return False, join([f"{sccp.capture}: no farm has asked to register", *words])
    if sccp.version is None:
        refusal = f'refused: "{sccp.refusal}"' if sccp.refusal else "not answered"
        return False, join([f"{sccp.capture}: {sccp.farm} {refusal}", *words])
    kinds = len(sccp.messages)
    parts = [
        f"{sccp.capture}: {sccp.farm} with {sccp.sessions} sessions and {sccp.codecs} codecs, protocol {sccp.version}",
        f"{sccp.total} messages of {kinds} kinds, {len(sccp.unreadable)} unreadable",
        *sccp.unreadable[:2],
    ]
    good = farm.started and sccp.sessions > 0 and sccp.codecs > 0 and not sccp.unreadable
    return good, join(parts if farm.started else [*parts, "the farm knows nothing of it"])


def keys(seen: Observations) -> Outcome | None:
    farm = seen.farm
    if farm is None or farm.sccp is None or not seen.lines:
        return None
    channels = farm.sccp.channels
    opened, started = ([one for one in channels if one.opens is opens] for opens in (True, False))
    found = [_of_phone(line, opened, started) for line in seen.lines]
    equal, wanted = sum(map(sum, found)), 2 * len(seen.lines)
    secure = [one for one in channels if one.key is not None]
    clear = [sum(one.key is None for one in side) for side in (opened, started)]
    good = equal == wanted == len(secure) and clear == [CORE_STREAMS * len(seen.lines)] * 2
    parts = [
        f"{equal} of {wanted} keys equal",
        *(_in_words(line, *one) for line, one in zip(seen.lines, found, strict=True)),
        f"{sum(clear)} of {len(channels)} messages without a key",
    ]
    if len(secure) != wanted:
        parts.append(f"{len(secure)} messages with a key")
    return good, join(parts)


def _of_phone(line: Lines, opened: list[Channel], started: list[Channel]) -> tuple[bool, bool]:
    """Whether a stream of the farm opens with the phone's key, and whether one transmits with the proxy's: the same
    stream, where both are there."""
    streams = {(one.conference, one.party) for one in opened if one.key == line.own}
    sending = {(one.conference, one.party) for one in started if one.key == line.far}
    return bool(streams), bool(sending & streams if streams else sending)


def _in_words(line: Lines, receives: bool, sends: bool) -> str:
    phone = "has the phone's" if receives else "has NOT the phone's"
    proxy = "has the proxy's" if sends else "has NOT the proxy's"
    return f"{line.number} {line.own.suite.value}: OpenReceiveChannel {phone}, StartMediaTransmission {proxy}"


def stopped(seen: Observations) -> Outcome | None:
    farm = seen.farm
    if farm is None or farm.refusal is None or farm.sccp is None:
        return None
    refusal = farm.refusal
    parts = [
        f"SIGTERM: exit {farm.stopped}{', unregistered' if farm.sccp.unregistered else ', not unregistered'}",
        f"the next call: {refusal.text}",
        *([f"Warning: {refusal.warning}"] if refusal.warning else []),
        *([f"Reason: {refusal.reason}"] if refusal.reason else []),
    ]
    said = refusal.status == 500 and refusal.warning.startswith("399 ") and f'"{NOT_CONFIGURED}"' in refusal.warning
    good = said and refusal.reason == CAUSE and farm.stopped == 0 and farm.sccp.unregistered
    return good, join(parts)


JUDGES: dict[str, Callable[[Observations], Outcome | None]] = {
    "farm.registered": registered,
    "farm.keys": keys,
    "farm.stopped": stopped,
}
