"""The states and inputs of a call; its transitions stand in `call`."""

from __future__ import annotations

from enum import IntEnum


class State(IntEnum):
    RESERVING = 0  # waiting for media
    CALLING = 1  # our INVITE is out
    ANSWERED = 2  # the caller has its 2xx, its ACK is awaited
    UP = 3
    GIVING_UP = 4  # the caller has its final answer, our INVITE's is awaited
    CLOSING = 5  # over before the caller's ACK: a BYE must wait for that (RFC 3261 15)
    ENDED = 6


class Input(IntEnum):
    RESERVED = 0
    REFUSED = 1
    PROVISIONAL = 2
    ANSWER = 3
    REJECT = 4  # the last answer there will be is a failure, or none came
    CANCEL = 5
    ACK = 6
    BYE = 7  # from the caller
    CALLED_BYE = 8
    NO_ACK = 9
    GONE = 10  # a peer no longer knows the dialog (481, 408)
    MEDIA_LOST = 11
    LIMIT = 12  # ringing too long, session expired, draining
    FAIL = 13  # the attempt cannot be made, with nothing out on the called leg
    GIVE_UP = 14  # what the called side said ends the attempt
    MEDIA_MOVED = 15  # another engine carries it, and what we send needs new keys
