"""The states of a NETCONF session, as one table for both roles.

A session is opened by both sides' hellos, which cross each other; so there is one state of waiting, not two.
Closing is its own state because a client that asks for the end (close-session) still takes the replies that
are under way.
"""

from enum import Enum
from typing import Final


class State(Enum):
    """Where a session stands."""

    NEW = "new"
    """Nothing sent yet: the transport may still be missing."""
    HELLO = "hello"
    """Our hello is sent, the peer's is awaited, and nothing else may be sent or taken (RFC 6241 8.1)."""
    OPEN = "open"
    """Versions are agreed: rpcs, replies and notifications flow."""
    CLOSING = "closing"
    """The end was asked for: nothing new starts, what is under way is completed."""
    CLOSED = "closed"
    """Over, for good. What was queued before may still be drained, nothing is read."""


class Trigger(Enum):
    """What moves a session from one state to another."""

    START = "start"
    """The transport is there."""
    HELLO_ACCEPTED = "hello-accepted"
    """The peer's hello came and a common version exists."""
    CLOSE = "close"
    """Our side wants an orderly end."""
    DONE = "done"
    """What was under way at CLOSE is complete."""
    FAIL = "fail"
    """The peer broke the protocol, or a deadline passed."""
    EOF = "eof"
    """The transport ended."""


TRANSITIONS: Final[dict[tuple[State, Trigger], State]] = {
    (State.NEW, Trigger.START): State.HELLO,
    (State.NEW, Trigger.CLOSE): State.CLOSED,
    (State.NEW, Trigger.FAIL): State.CLOSED,
    (State.NEW, Trigger.EOF): State.CLOSED,
    (State.HELLO, Trigger.HELLO_ACCEPTED): State.OPEN,
    (State.HELLO, Trigger.CLOSE): State.CLOSED,
    (State.HELLO, Trigger.FAIL): State.CLOSED,
    (State.HELLO, Trigger.EOF): State.CLOSED,
    (State.OPEN, Trigger.CLOSE): State.CLOSING,
    (State.OPEN, Trigger.FAIL): State.CLOSED,
    (State.OPEN, Trigger.EOF): State.CLOSED,
    (State.CLOSING, Trigger.DONE): State.CLOSED,
    (State.CLOSING, Trigger.FAIL): State.CLOSED,
    (State.CLOSING, Trigger.EOF): State.CLOSED,
}

IGNORED: Final[frozenset[tuple[State, Trigger]]] = frozenset(
    {
        (State.NEW, Trigger.HELLO_ACCEPTED),  # nothing is read before START
        (State.NEW, Trigger.DONE),
        (State.HELLO, Trigger.START),  # started already
        (State.HELLO, Trigger.DONE),
        (State.OPEN, Trigger.START),
        (State.OPEN, Trigger.HELLO_ACCEPTED),  # a second hello is a FAIL
        (State.OPEN, Trigger.DONE),
        (State.CLOSING, Trigger.START),
        (State.CLOSING, Trigger.HELLO_ACCEPTED),
        (State.CLOSING, Trigger.CLOSE),  # asked for already
        *((State.CLOSED, trigger) for trigger in Trigger),
    }
)
"""Pairs that change nothing, each on purpose; every other pair is in TRANSITIONS."""
