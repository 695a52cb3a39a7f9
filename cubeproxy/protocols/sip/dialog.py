"""Dialogs (RFC 3261 12): one peer-to-peer relation of a call, as a table of three states.

Three rules of this file. Every transition stands in DIALOG; a missing pair is a bug of ours. A forked INVITE gives one
`Dialog` for each To tag: make a new one for each tag that has none yet. The dialog knows nothing of sessions: offers
and answers, and whether a BYE is polite now, are the user's.

An INVITE dialog's own final failures end it; those of a usage that shares it (REFER, SUBSCRIBE, NOTIFY) and of PRACK
or CANCEL do not (RFC 5057 5.1, RFC 3262 3).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import IntEnum, auto

from cubeproxy.protocols.errors import LocalProtocolError, RemoteProtocolError
from cubeproxy.protocols.sip.message import Headers, Message, Request, Response
from cubeproxy.protocols.sip.uri import NameAddr, Uri

FIRST_CSEQ = 101  # of a side that has sent nothing yet; the vendor's own habit
# Their Contact replaces the remote target (RFC 3261 12.2; RFC 3311 5.1; RFC 6665 4.4.1; RFC 3515 2.2).
TARGET_REFRESH = frozenset({"INVITE", "UPDATE", "SUBSCRIBE", "NOTIFY", "REFER"})
_SIDE_USAGES = frozenset({"CANCEL", "PRACK", "SUBSCRIBE", "NOTIFY", "REFER"})
_CHALLENGES = frozenset({401, 407})
_GONE = frozenset({408, 481})  # RFC 3261 12.2.1.2


class DialogState(IntEnum):
    EARLY = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class DialogInput(IntEnum):
    """RECEIVED and SENT are responses to the request that made the dialog, or to another of its method."""

    RECEIVED_PROVISIONAL = auto()
    RECEIVED_SUCCESS = auto()
    RECEIVED_REJECTION = auto()
    SENT_PROVISIONAL = auto()
    SENT_SUCCESS = auto()
    SENT_REJECTION = auto()
    REQUEST = auto()  # arrived, in order; no target refresh
    REFRESH = auto()  # a target refresh request arrived
    REFRESHED = auto()  # the 2xx to another target refresh request of ours
    BYE = auto()  # arrived
    BYE_ANSWERED = auto()  # ours, with a final response that is no challenge
    LOST = auto()  # 481, 408, or no answer at all


class Dialog:
    """One side's view of a dialog. `key` is unique among the dialogs of one element.

    `local_party` and `remote_party` are whole From/To values, tag included; `remote_target` is a URI; `route_set` has
    one name-addr an entry, next hop first. A peer of RFC 2543 has the tag "".
    """

    __slots__ = (
        "call_id",
        "local_contact",
        "local_cseq",
        "local_party",
        "local_tag",
        "method",
        "remote_cseq",
        "remote_party",
        "remote_tag",
        "remote_target",
        "route_set",
        "state",
    )

    def __init__(self, request: Request, local_party: str, local_tag: str, remote_party: str, remote_tag: str) -> None:
        """Use `uac` or `uas`."""
        self.method = request.method
        self.call_id = request.call_id
        self.local_party = local_party
        self.local_tag = local_tag
        self.remote_party = remote_party
        self.remote_tag = remote_tag
        self.local_contact = ""
        self.local_cseq: int | None = None  # the last that we used
        self.remote_cseq: int | None = None  # the last that they used
        self.remote_target = request.uri
        self.route_set: list[str] = []
        self.state = DialogState.EARLY

    @classmethod
    def uac(cls, request: Request, response: Response) -> Dialog:
        """From our request and a 101-299 to it (RFC 3261 12.1.2).

        A response without Contact leaves the Request-URI as the target: phones that ring so are common.
        """
        tag = response.to_tag
        if not 100 < response.status < 300 or (tag is None and response.status < 200):
            raise LocalProtocolError(f"a {response.status} without a tag makes no dialog")
        local, remote = request.headers.get("From") or "", response.headers.get("To") or ""
        dialog = cls(request, local, request.from_tag or "", remote, tag or "")
        dialog.local_cseq = request.cseq.number
        dialog.local_contact = request.headers.get("Contact") or ""
        if response.status < 200:
            dialog._learn(response)
        else:
            dialog.receive_response(request.method, response)
        return dialog

    @classmethod
    def uas(cls, request: Request, local_tag: str, local_contact: str) -> Dialog:
        """From their request; `local_tag` is the To tag of our responses (RFC 3261 12.1.1). 400: it has no Contact."""
        if not request.headers.all("Contact"):
            raise RemoteProtocolError(f"{request.method} without Contact makes no dialog")
        local = f"{request.headers.get('To') or ''};tag={local_tag}"
        remote = request.headers.get("From") or ""
        dialog = cls(request, local, local_tag, remote, request.from_tag or "")
        dialog.remote_cseq = request.cseq.number
        dialog.local_contact = local_contact
        dialog.route_set = request.headers.all("Record-Route")
        dialog._refresh(request)
        return dialog

    @property
    def key(self) -> tuple[str, str, str]:
        """Call-ID, local tag, remote tag."""
        return (self.call_id, self.local_tag, self.remote_tag)

    @property
    def next_hop(self) -> Uri:
        """Where a request goes first: the first route, or the remote target."""
        return NameAddr.parse(self.route_set[0]).uri if self.route_set else Uri.parse(self.remote_target)

    def request(
        self,
        method: str,
        *,
        contact: str | None = None,
        body: bytes = b"",
        content_type: str = "",
        headers: Iterable[tuple[str, str]] = (),
        cseq: int | None = None,
    ) -> Request:
        """The next request inside the dialog (RFC 3261 12.2.1.1), PRACK included, without Via.

        `contact` (a URI or name-addr) stands for the local contact from now on; a target refresh always has one.
        """
        if method in {"ACK", "CANCEL"}:
            raise LocalProtocolError(f"{method} has the CSeq of its INVITE: use Dialog.ack, TransactionLayer.cancel")
        if self.state == DialogState.TERMINATED:
            raise LocalProtocolError(f"{method} in a dialog that has ended")
        if cseq is None:
            cseq = FIRST_CSEQ if self.local_cseq is None else self.local_cseq + 1
        self.local_cseq = max(cseq, self.local_cseq or 0)
        if contact is not None:
            self.local_contact = contact
        request = self._build(method, cseq)
        if self.local_contact and (contact is not None or method in TARGET_REFRESH):
            own = self.local_contact
            request.headers.add("Contact", own if "<" in own else f"<{own}>")
        for name, value in headers:
            request.headers.add(name, value)
        if content_type:
            request.headers.add("Content-Type", content_type)
        request.body = body
        return request

    def ack(self, invite_cseq: int) -> Request:
        """The ACK for a 2xx to our INVITE of that CSeq, in any state: a late 2xx wants one too (13.2.2.4)."""
        return self._build("ACK", invite_cseq)

    def _build(self, method: str, cseq: int) -> Request:
        uri, routes = self._way()
        headers = Headers()
        headers.add("Max-Forwards", "70")
        for route in routes:
            headers.add("Route", route)
        headers.add("From", self.local_party)
        headers.add("To", self.remote_party)
        headers.add("Call-ID", self.call_id)
        headers.add("CSeq", f"{cseq} {method}")
        return Request(method, uri, headers)

    def _way(self) -> tuple[str, list[str]]:
        """Request-URI and Route. A first hop without `lr` is a strict router: it wants to be the Request-URI."""
        target = _request_uri(Uri.parse(self.remote_target))
        if not self.route_set:
            return target, []
        first = NameAddr.parse(self.route_set[0]).uri
        if "lr" in first.params:
            return target, self.route_set
        return _request_uri(first), [*self.route_set[1:], f"<{self.remote_target}>"]

    def receive_request(self, request: Request) -> None:
        """A request inside the dialog: order of CSeq (12.2.2), target refresh, BYE.

        RemoteProtocolError carries 481 (the dialog has ended) or 500 (CSeq not above the last one). ACK and CANCEL have
        the number of their INVITE and change nothing.
        """
        method = request.method
        if method in {"ACK", "CANCEL"}:
            return
        number, last = request.cseq.number, self.remote_cseq
        if self.state != DialogState.TERMINATED and last is not None and number <= last:
            raise RemoteProtocolError(f"CSeq {number} after {last}", 500)
        refresh = DialogInput.REFRESH if method in TARGET_REFRESH else DialogInput.REQUEST
        self._feed(DialogInput.BYE if method == "BYE" else refresh, request)
        self.remote_cseq = number

    def receive_response(self, request_method: str, response: Response) -> None:
        """A response to a request of ours inside the dialog, or to the one that made it."""
        event = self._meaning(request_method, response.status)
        if event is not None:
            self._feed(event, response)

    def responded(self, request_method: str, status: int) -> None:
        """A response of ours was sent; only those to the kind of request that made the dialog matter."""
        if request_method == self.method and status > 100:
            own = (DialogInput.SENT_PROVISIONAL, DialogInput.SENT_SUCCESS)
            self._feed(own[status // 100 - 1] if status < 300 else DialogInput.SENT_REJECTION, None)

    def lost(self) -> None:
        """No answer came to a request of ours (12.2.1.2)."""
        self._feed(DialogInput.LOST, None)

    def _meaning(self, method: str, status: int) -> DialogInput | None:
        """What a response to `method` is to this dialog; None is nothing."""
        if status in _GONE and (method == self.method or method not in _SIDE_USAGES):
            return DialogInput.LOST
        if method == "BYE":
            return DialogInput.BYE_ANSWERED if status >= 200 and status not in _CHALLENGES else None
        if method == self.method:
            received = (DialogInput.RECEIVED_PROVISIONAL, DialogInput.RECEIVED_SUCCESS)
            return received[status // 100 - 1] if status < 300 else DialogInput.RECEIVED_REJECTION
        if 200 <= status < 300 and method in TARGET_REFRESH:
            return DialogInput.REFRESHED
        return None

    def _feed(self, event: DialogInput, message: Message | None) -> None:
        row = DIALOG.get((self.state, event))
        if row is None:
            raise LocalProtocolError(f"a dialog in {self.state.name} takes no {event.name}")
        row[0](self, message)
        self.state = row[1]

    def _refresh(self, message: Message) -> None:
        """Take the Contact as the remote target, where there is one."""
        contacts = message.contacts
        if contacts:
            self.remote_target = str(contacts[0].uri)

    def _learn(self, message: Message) -> None:
        """Route set and remote target from a response: the routes stand in the other order (12.1.2, 13.2.2.4)."""
        self.route_set = message.headers.all("Record-Route")[::-1]
        self._refresh(message)

    def __repr__(self) -> str:
        return f"<Dialog {self.call_id} {self.local_tag} {self.remote_tag} {self.state.name}>"


def _request_uri(uri: Uri) -> str:
    """A URI as a Request-URI may be: without headers and method (RFC 3261 19.1.1, table 1)."""
    if uri.headers or "method" in uri.params:
        uri = uri.replace(headers="", params={name: value for name, value in uri.params.items() if name != "method"})
    return str(uri)


def keep(_dialog: Dialog, _message: Message | None) -> None:
    """Only the state may change."""


def refresh(dialog: Dialog, message: Message) -> None:
    dialog._refresh(message)


def learn(dialog: Dialog, message: Message) -> None:
    dialog._learn(message)


def refuse(_dialog: Dialog, message: Message) -> None:
    raise RemoteProtocolError("the dialog has ended", 481)


S, I = DialogState, DialogInput  # noqa: E741 - a table read by rows

DIALOG: dict[tuple[DialogState, DialogInput], tuple[Callable[..., None], DialogState]] = {
    (S.EARLY, I.RECEIVED_PROVISIONAL): (keep, S.EARLY),
    (S.EARLY, I.RECEIVED_SUCCESS): (learn, S.CONFIRMED),  # route set and target once more (13.2.2.4)
    (S.EARLY, I.RECEIVED_REJECTION): (keep, S.TERMINATED),  # 12.3
    (S.EARLY, I.SENT_PROVISIONAL): (keep, S.EARLY),
    (S.EARLY, I.SENT_SUCCESS): (keep, S.CONFIRMED),
    (S.EARLY, I.SENT_REJECTION): (keep, S.TERMINATED),
    (S.EARLY, I.REQUEST): (keep, S.EARLY),
    (S.EARLY, I.REFRESH): (refresh, S.EARLY),
    (S.EARLY, I.REFRESHED): (refresh, S.EARLY),
    (S.EARLY, I.BYE): (keep, S.TERMINATED),
    (S.EARLY, I.BYE_ANSWERED): (keep, S.TERMINATED),
    (S.EARLY, I.LOST): (keep, S.TERMINATED),
    (S.CONFIRMED, I.RECEIVED_PROVISIONAL): (keep, S.CONFIRMED),
    (S.CONFIRMED, I.RECEIVED_SUCCESS): (refresh, S.CONFIRMED),  # the route set stays (12.2)
    (S.CONFIRMED, I.RECEIVED_REJECTION): (keep, S.CONFIRMED),  # the session goes on as it was (14.1)
    (S.CONFIRMED, I.SENT_PROVISIONAL): (keep, S.CONFIRMED),
    (S.CONFIRMED, I.SENT_SUCCESS): (keep, S.CONFIRMED),
    (S.CONFIRMED, I.SENT_REJECTION): (keep, S.CONFIRMED),
    (S.CONFIRMED, I.REQUEST): (keep, S.CONFIRMED),
    (S.CONFIRMED, I.REFRESH): (refresh, S.CONFIRMED),
    (S.CONFIRMED, I.REFRESHED): (refresh, S.CONFIRMED),
    (S.CONFIRMED, I.BYE): (keep, S.TERMINATED),  # 15.1.2
    (S.CONFIRMED, I.BYE_ANSWERED): (keep, S.TERMINATED),
    (S.CONFIRMED, I.LOST): (keep, S.TERMINATED),  # 12.2.1.2
    (S.TERMINATED, I.RECEIVED_PROVISIONAL): (keep, S.TERMINATED),
    (S.TERMINATED, I.RECEIVED_SUCCESS): (keep, S.TERMINATED),
    (S.TERMINATED, I.RECEIVED_REJECTION): (keep, S.TERMINATED),
    (S.TERMINATED, I.SENT_REJECTION): (keep, S.TERMINATED),  # 487 after a BYE in the early dialog (15.1.2)
    (S.TERMINATED, I.REQUEST): (refuse, S.TERMINATED),
    (S.TERMINATED, I.REFRESH): (refuse, S.TERMINATED),
    (S.TERMINATED, I.REFRESHED): (keep, S.TERMINATED),
    (S.TERMINATED, I.BYE): (refuse, S.TERMINATED),  # 15.1.2
    (S.TERMINATED, I.BYE_ANSWERED): (keep, S.TERMINATED),
    (S.TERMINATED, I.LOST): (keep, S.TERMINATED),
}
