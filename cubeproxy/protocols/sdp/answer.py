"""Whether an answer is one to an offer (RFC 3264 6)."""

from __future__ import annotations

from cubeproxy.protocols.errors import RemoteProtocolError
from cubeproxy.protocols.sdp.media import Media
from cubeproxy.protocols.sdp.session import SessionDescription


def check_answer(offer: SessionDescription, answer: SessionDescription) -> None:
    """RemoteProtocolError 488 unless the answer has the offer's m-lines in their order and fits each of them.

    Whether RTP/AVP may answer RTP/SAVP is a matter of policy (`srtp negotiate cisco`) and not judged here;
    formats neither, an answer may name more than the offer did.
    """
    if len(answer.media) != len(offer.media):
        raise _illegal(f"{len(answer.media)} m-lines for {len(offer.media)}")
    for place, (offered, answered) in enumerate(zip(offer.media, answer.media, strict=True)):
        if answered.kind != offered.kind or answered.is_rtp != offered.is_rtp:
            raise _illegal(f"m-line {place} is of another kind")
        if answered.port and not offered.port:
            raise _illegal(f"m-line {place} takes a stream that was not offered")
        if answered.port and not _fits(offered, offer, answered, answer):
            raise _illegal(f"m-line {place} has a direction that the offer does not allow")


def _fits(offered: Media, offer: SessionDescription, answered: Media, answer: SessionDescription) -> bool:
    """The answerer sends only what the offerer receives, and receives only what it sends (RFC 3264 6.1).

    An answer without any direction attribute is taken for what the offer leaves, not for sendrecv: the hold of
    RFC 4317 3.2 is answered like that.
    """
    ours, theirs = offered.direction(offer), answered.stated_direction(answer)
    return theirs is None or ((ours.receives or not theirs.sends) and (ours.sends or not theirs.receives))


def _illegal(text: str) -> RemoteProtocolError:
    return RemoteProtocolError(f"SDP: illegal answer: {text}", 488)
