"""The states of a session as one table (RFC 5880 sections 6.2 and 6.8.6)."""

from enum import Enum
from typing import Final

from rui.bfd.packet import Diagnostic, State


class Trigger(Enum):
    """What moves a session from one state to another."""

    HEARD_ADMIN_DOWN = "heard-admin-down"
    HEARD_DOWN = "heard-down"
    HEARD_INIT = "heard-init"
    HEARD_UP = "heard-up"
    EXPIRED = "expired"
    """Nothing was heard for the detection time."""
    DISABLE = "disable"
    ENABLE = "enable"


_S, _T = State, Trigger

TRANSITIONS: Final[dict[tuple[State, Trigger], State]] = {
    (_S.ADMIN_DOWN, _T.ENABLE): _S.DOWN,
    (_S.DOWN, _T.HEARD_DOWN): _S.INIT,
    (_S.DOWN, _T.HEARD_INIT): _S.UP,
    (_S.DOWN, _T.DISABLE): _S.ADMIN_DOWN,
    (_S.INIT, _T.HEARD_INIT): _S.UP,
    (_S.INIT, _T.HEARD_UP): _S.UP,
    (_S.INIT, _T.HEARD_ADMIN_DOWN): _S.DOWN,
    (_S.INIT, _T.EXPIRED): _S.DOWN,
    (_S.INIT, _T.DISABLE): _S.ADMIN_DOWN,
    (_S.UP, _T.HEARD_DOWN): _S.DOWN,
    (_S.UP, _T.HEARD_ADMIN_DOWN): _S.DOWN,
    (_S.UP, _T.EXPIRED): _S.DOWN,
    (_S.UP, _T.DISABLE): _S.ADMIN_DOWN,
}

IGNORED: Final[frozenset[tuple[State, Trigger]]] = frozenset(
    {
        *((_S.ADMIN_DOWN, trigger) for trigger in Trigger if trigger is not _T.ENABLE),
        (_S.DOWN, _T.HEARD_ADMIN_DOWN),
        (_S.DOWN, _T.HEARD_UP),  # the remote system has not noticed yet that we fell: it must fall too first
        (_S.DOWN, _T.EXPIRED),  # down already
        (_S.DOWN, _T.ENABLE),
        (_S.INIT, _T.HEARD_DOWN),  # our packet has not reached it yet
        (_S.INIT, _T.ENABLE),
        (_S.UP, _T.HEARD_INIT),  # it will come up by our packets
        (_S.UP, _T.HEARD_UP),
        (_S.UP, _T.ENABLE),
    }
)
"""Pairs that change nothing, each on purpose; every other pair is in TRANSITIONS."""

HEARD: Final[dict[State, Trigger]] = {
    _S.ADMIN_DOWN: _T.HEARD_ADMIN_DOWN,
    _S.DOWN: _T.HEARD_DOWN,
    _S.INIT: _T.HEARD_INIT,
    _S.UP: _T.HEARD_UP,
}
"""What a packet in which the remote system states its state amounts to."""

DIAGNOSTICS: Final[dict[Trigger, Diagnostic]] = {
    _T.HEARD_ADMIN_DOWN: Diagnostic.NEIGHBOR_DOWN,
    _T.HEARD_DOWN: Diagnostic.NEIGHBOR_DOWN,
    _T.EXPIRED: Diagnostic.DETECTION_EXPIRED,
    _T.DISABLE: Diagnostic.ADMIN_DOWN,
}
"""What is said of a change for the worse. It stays on the way up, so that the remote system hears it even if
packets were lost; Up clears it."""
