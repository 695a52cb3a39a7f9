"""Which call and leg a dialog belongs to, and what the other face calls the same call.

A peer names its own dialog with us in Refer-To and Replaces; the far peer knows another one. The
translation is what lets an attended transfer pass a B2BUA (RFC 3891, RFC 5589).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote

from cubeproxy.border.leg import DialogKey, Leg
from cubeproxy.protocols.sip.dialog import Dialog
from cubeproxy.protocols.sip.message import Request

if TYPE_CHECKING:
    from cubeproxy.border.call import Call

_IN_URI = re.compile(r"(?<=[?&])Replaces=([^&>]{1,512})", re.ASCII | re.IGNORECASE)


class Dialogs:
    """Every dialog of every call, by Call-ID, local tag and remote tag."""

    def __init__(self) -> None:
        self._places: dict[DialogKey, tuple[Call, Leg]] = {}
        self._keys: dict[Call, set[DialogKey]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def add(self, call: Call, leg: Leg, dialog: Dialog) -> None:
        self._keys.setdefault(call, set()).add(dialog.key)
        self._places[dialog.key] = (call, leg)

    def find(self, request: Request) -> tuple[Call, Leg] | None:
        """The call and leg whose dialog a request belongs to (RFC 3261 12.2.2)."""
        return self._places.get((request.call_id, request.to_tag or "", request.from_tag or ""))

    def answered(self, call: Call, leg: Leg, dialog: Dialog) -> None:
        """One fork of our INVITE answered: its other early dialogs are gone."""
        for fork in leg.forks.values():
            if fork is not dialog:
                del self._places[fork.key]
                self._keys[call].discard(fork.key)
        leg.forks = {dialog.remote_tag: dialog}
        leg.dialog = dialog

    def forget(self, call: Call) -> None:
        for key in self._keys.pop(call, ()):
            self._places.pop(key, None)

    def translate(self, request: Request, source: Leg) -> None:
        """Rewrite the dialogs that a Refer-To or a Replaces names, as the far face knows them.

        Only those that the writer on `source` can know: its own face's, and of a phone its own.
        """
        refer_to = request.headers.get("Refer-To")
        if refer_to is not None:
            request.headers.set("Refer-To", _IN_URI.sub(lambda match: self._in_uri(match, source), refer_to))
        replaces = request.headers.get("Replaces")
        if replaces is not None:
            request.headers.set("Replaces", self._other(replaces, source) or replaces)

    def _in_uri(self, match: re.Match[str], source: Leg) -> str:
        other = self._other(unquote(match[1]), source)
        return f"Replaces={quote(other, safe='')}" if other else match[0]

    def _other(self, replaces: str, source: Leg) -> str:
        """`Call-ID;to-tag=A;from-tag=B` as one face names a dialog, as the other does; "" when it is none of theirs."""
        call_id, *parameters = (part.strip() for part in replaces.split(";"))
        tags = dict(part.split("=", 1) for part in parameters if "=" in part)
        to_tag, from_tag = tags.get("to-tag", ""), tags.get("from-tag", "")
        found = self._places.get((call_id, to_tag, from_tag)) or self._places.get((call_id, from_tag, to_tag))
        if found is None:
            return ""
        call, leg = found
        if leg.side is not source.side or leg.device != source.device:
            return ""
        far = call.legs[1 - leg.index].dialog
        if leg.dialog is None or far is None:
            return ""
        swap = leg.dialog.local_tag == to_tag  # they named our tag first, so the far face's own tag stands second
        to_tag, from_tag = (far.remote_tag, far.local_tag) if swap else (far.local_tag, far.remote_tag)
        rest = "".join(f";{part}" for part in parameters if not part.startswith(("to-tag=", "from-tag=")))
        return f"{far.call_id};to-tag={to_tag};from-tag={from_tag}{rest}"
