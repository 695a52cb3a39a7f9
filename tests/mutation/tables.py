"""Every transition table of the product, and the tests that hold it.

To have a table watched, add one line to TABLES:

    Held("cubeproxy.border.call.CALL", "tests.border.test_call"),

The first word is the dotted path of a `dict[(state, input), (action, next state)]` that its machine looks up at every
step (it is changed in place; what is no callable may stand for an action too). The others are modules of tests, whose
tests are run as plain callables: see `playbooks` for what they may ask for.

A mutant that nobody can notice goes into `equivalent`, as a pattern (fnmatch) of its name with the reason why. Names
are "STATE INPUT deleted", "STATE INPUT to OTHER_STATE" and "STATE INPUT does other_action". A pattern must match
survivors only: one that also matches a mutant that a test catches is reported, and so is one that matches none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType


@dataclass(frozen=True)
class Held:
    """A table, the modules of tests that hold it, and the mutants that mean the same as the table."""

    table: str
    playbooks: tuple[str, ...]
    equivalent: Mapping[str, str] = field(default_factory=dict)

    def __init__(self, table: str, *playbooks: str, equivalent: Mapping[str, str] = MappingProxyType({})) -> None:
        object.__setattr__(self, "table", table)
        object.__setattr__(self, "playbooks", playbooks)
        object.__setattr__(self, "equivalent", equivalent)


_OVER = "the alarm has gone off: there is nothing left to stop"
_NO_ALARM = "no alarm is set in this state"
_NO_RESEND = "nothing is being sent again in this state"
_NO_RESPONSE = "no response is kept in this state: there is nothing to send again"
_LET_GO = "the call has let go of it: nobody looks at the state again"
_CLOSED = "the action ends the call, which closes it from either state"
_OTHER_WORDS = "the call ends alike; only the words for the operator differ"
_PASSES_ON = "hands on what arrived, as pass_on does, and here it has nothing to stop or to let go"

TABLES = (
    Held(
        "cubeproxy.protocols.sip.transactions.INVITE_CLIENT",
        "tests.protocols.sip.test_transactions_client",
        equivalent={
            "PROCEEDING PROVISIONAL does ring": _NO_ALARM,
            "ACCEPTED TIMER_M does absorb": _OVER,
            "COMPLETED TIMER_D does absorb": _OVER,
            "ACCEPTED TIMER_M does hold_cancel": "there is no CANCEL to hold, and nothing to stop",
            "COMPLETED TIMER_D does hold_cancel": "there is no CANCEL to hold, and nothing to stop",
            "ACCEPTED TRANSPORT_ERROR does hold_cancel": "there is no CANCEL to hold",
        },
    ),
    Held(
        "cubeproxy.protocols.sip.transactions.NON_INVITE_CLIENT",
        "tests.protocols.sip.test_transactions_client",
        equivalent={"COMPLETED TIMER_K does absorb": _OVER},
    ),
    Held(
        "cubeproxy.protocols.sip.transactions.INVITE_SERVER",
        "tests.protocols.sip.test_transactions_server",
        equivalent={
            "IDLE REQUEST does acknowledge": _PASSES_ON,
            "ACKNOWLEDGED ACK does acknowledge": _PASSES_ON,
            "PROCEEDING [AT]* does finish": _NO_ALARM,
            "PROCEEDING [AT]* does quieten": _NO_ALARM,
            "ACKNOWLEDGED [RT]* does answer*": _NO_RESPONSE,
            "ACKNOWLEDGED [RT]* does quieten": _NO_RESEND,
            "ACKNOWLEDGED TIMER_L does absorb": _OVER,
            "CONFIRMED [RT]* does answer*": _NO_RESPONSE,
            "CONFIRMED ACK does answer_again": _NO_RESPONSE,
            "CONFIRMED * does quieten": _NO_RESEND,
            "CONFIRMED TIMER_I does absorb": _OVER,
        },
    ),
    Held(
        "cubeproxy.protocols.sip.transactions.NON_INVITE_SERVER",
        "tests.protocols.sip.test_transactions_server",
        equivalent={
            "TRYING [RT]* does answer*": _NO_RESPONSE,
            "TRYING [RT]* does finish": _NO_ALARM,
            "PROCEEDING TRANSPORT_ERROR does finish": _NO_ALARM,
            "COMPLETED TIMER_J does absorb": _OVER,
        },
    ),
    Held(
        "cubeproxy.protocols.sip.dialog.DIALOG",
        "tests.protocols.sip.test_dialog",
        equivalent={
            f"TERMINATED {event} to *": "the action raises 481, and the state stays what it was"
            for event in ("REQUEST", "REFRESH", "BYE")
        },
    ),
    Held(
        "cubeproxy.protocols.telephone_event.TRANSITIONS",
        "tests.protocols.test_telephone_event",
        equivalent={
            "IDLE LOST does _update": "what is lost is the very event that is kept",
            "ACTIVE LOST does _end": "what is lost is the very event that is kept",
        },
    ),
    Held(
        "cubeproxy.protocols.tftp.sender.SENDER",
        "tests.protocols.tftp.test_sender",
        equivalent={"OFFERED ACK_OFFER does advance": "ACK 0 moves nothing: the window is sent from its beginning"},
    ),
    Held("cubeproxy.protocols.tftp.receiver.RECEIVER", "tests.protocols.tftp.test_receiver"),
    Held("cubeproxy.protocols.capf.server.SERVER", "tests.protocols.capf.test_server"),
    Held("cubeproxy.protocols.capf.client.CLIENT", "tests.protocols.capf.test_client"),
    Held("cubeproxy.protocols.sccp.farm.FARM", "tests.protocols.sccp.test_farm"),
    Held("cubeproxy.protocols.sccp.server.SERVER", "tests.protocols.sccp.test_server"),
    Held("cubeproxy.protocols.sccp.session.SESSION", "tests.protocols.sccp.test_session"),
    Held("cubeproxy.protocols.ng.client.TRANSITIONS", "tests.protocols.ng.test_client"),
    Held("cubeproxy.protocols.ng.liveness.TRANSITIONS", "tests.protocols.ng.test_liveness"),
    Held("cubeproxy.border.offer_answer.TRANSITIONS", "tests.border.test_offer_answer"),
    Held(
        "cubeproxy.border.bindings.TRANSITIONS",
        "tests.border.test_registration",
        equivalent={
            **{f"* {event} does detach": "what is forgotten is detached too" for event in ("REMOVED", "EXPIRED")},
            "NEW REFUSED does detach": "what is forgotten is detached too",
            "NEW FLOW_LOST does detach": "what is forgotten is detached too",
            "DETACHED [CR]* does detach": "it is detached already",
        },
    ),
    Held(
        "cubeproxy.border.nodes.TRANSITIONS",
        "tests.border.test_keepalive",
        "tests.border.test_hunting",
        equivalent={"RESTING RESTED does probe_later": "without keepalive there is nothing to probe"},
    ),
    Held(
        "cubeproxy.border.call.TRANSITIONS",
        "tests.border.test_call",
        "tests.border.test_setting_up",
        "tests.border.test_cancel",
        "tests.border.test_call_end",
        "tests.border.test_hunting",
        "tests.border.test_delayed_offer",
        "tests.border.test_srtp_policy",
        "tests.border.test_new_keys",
        "tests.border.test_new_keys_cross_others",
        "tests.border.test_new_keys_interrupted",
        "tests.border.test_no_new_keys",
        equivalent={
            "GIVING_UP CALLED_BYE does hang_up_unacknowledged": "media is back and the called leg's dialog has ended: "
            "nothing is left of it but the 200",
            "GIVING_UP REJECT does moved": "the call has ended, which closes the renewal in the same step",
        },
    ),
    Held(
        "cubeproxy.border.renewal.TRANSITIONS",
        "tests.border.test_new_keys",
        "tests.border.test_new_keys_cross_others",
        "tests.border.test_new_keys_interrupted",
        "tests.border.test_no_new_keys",
        equivalent={
            "* TOLD to *": _LET_GO,
            "* CLOSE to *": _LET_GO,
            "* LATE to [AW]*": _CLOSED,
            "ASKING REFUSED to ASKING": _CLOSED,
            "ASKING SILENT to ASKING": _CLOSED,
            "* LATE does give_up": _OTHER_WORDS,
            "ASKING REFUSED does late": _OTHER_WORDS,
        },
    ),
)
