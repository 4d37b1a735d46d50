"""The BFD Control packet: octets to values and back (RFC 5880 section 4.1).

Authentication is not offered: a packet with the A bit is read as far as its discriminators, so that it can be
refused by its name. Intervals are whole microseconds, as on the wire.
"""

from __future__ import annotations

import struct
from enum import Enum, IntEnum
from typing import Final, NamedTuple

VERSION: Final = 1
LENGTH: Final = 24
"""Octets of a packet without an authentication section."""
_AUTHENTICATED_LENGTH = 26
_LAYOUT = struct.Struct(">BBBBIIIII")
_POLL, _FINAL, _INDEPENDENT, _AUTHENTICATED, _DEMAND, _MULTIPOINT = 0x20, 0x10, 0x08, 0x04, 0x02, 0x01


class State(IntEnum):
    """Where a session stands; the values are those of the Sta field."""

    ADMIN_DOWN = 0
    """Held down by the operator, without end: nothing that is heard brings it up."""
    DOWN = 1
    """Nothing is known to work, or it was just found broken."""
    INIT = 2
    """The remote system is heard and does not hear us yet, as far as we know."""
    UP = 3
    """Both systems hear each other."""


class Diagnostic(IntEnum):
    """Why a session last left its state (RFC 5880 section 4.1); 9 to 31 are reserved."""

    NONE = 0
    DETECTION_EXPIRED = 1
    ECHO_FAILED = 2
    NEIGHBOR_DOWN = 3
    FORWARDING_RESET = 4
    PATH_DOWN = 5
    CONCATENATED_PATH_DOWN = 6
    ADMIN_DOWN = 7
    REVERSE_PATH_DOWN = 8


class Discard(Enum):
    """Why a packet was not taken: the rules of RFC 5880 section 6.8.6, and that of RFC 5881 section 5."""

    TTL = "ttl"
    """It came over a router, or somebody pretends: its TTL or hop limit is not 255."""
    VERSION = "version"
    LENGTH = "length"
    MULTIPLIER = "multiplier"
    MULTIPOINT = "multipoint"
    MY_DISCRIMINATOR = "my-discriminator"
    UNKNOWN_DISCRIMINATOR = "unknown-discriminator"
    STATE = "state"
    """It knows no discriminator of ours and yet claims a session that is under way."""
    UNKNOWN_SESSION = "unknown-session"
    AUTHENTICATION = "authentication"
    """It is authenticated, which no session here uses."""
    ADMIN_DOWN = "admin-down"
    """The session is held down: what was said is kept, and nothing follows from it."""


class PacketError(ValueError):
    """Octets that are not a usable Control packet; ``reason`` names the rule, the message the value."""

    def __init__(self, reason: Discard, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ControlPacket(NamedTuple):
    """One packet. Intervals are in microseconds; ``diagnostic`` may hold a value that is reserved today."""

    state: State
    multiplier: int
    my_discriminator: int
    your_discriminator: int
    desired_min_tx: int
    required_min_rx: int
    required_min_echo_rx: int = 0
    diagnostic: int = Diagnostic.NONE
    poll: bool = False
    final: bool = False
    control_plane_independent: bool = False
    authenticated: bool = False
    demand: bool = False

    def encode(self) -> bytes:
        """Return the 24 octets. ``authenticated`` is not for sending: there is no section to send with it."""
        flags = (
            self.state << 6
            | (_POLL if self.poll else 0)
            | (_FINAL if self.final else 0)
            | (_INDEPENDENT if self.control_plane_independent else 0)
            | (_DEMAND if self.demand else 0)
        )
        return _LAYOUT.pack(
            VERSION << 5 | self.diagnostic,
            flags,
            self.multiplier,
            LENGTH,
            self.my_discriminator,
            self.your_discriminator,
            self.desired_min_tx,
            self.required_min_rx,
            self.required_min_echo_rx,
        )


_STATES = tuple(State)


def decode(data: bytes) -> ControlPacket:
    """Read one UDP payload by the rules that need no session (RFC 5880 section 6.8.6); raises PacketError."""
    if len(data) < LENGTH:
        raise PacketError(Discard.LENGTH, f"{len(data)} octets are no Control packet, which has {LENGTH}")
    first, flags, multiplier, length, mine, yours, min_tx, min_rx, min_echo = _LAYOUT.unpack_from(data)
    if first >> 5 != VERSION:
        raise PacketError(Discard.VERSION, f"version {first >> 5}, and only {VERSION} is spoken here")
    shortest = _AUTHENTICATED_LENGTH if flags & _AUTHENTICATED else LENGTH
    if not shortest <= length <= len(data):
        raise PacketError(
            Discard.LENGTH, f"length {length} of {len(data)} octets; at least {shortest} needed"
        )
    if not multiplier:
        raise PacketError(Discard.MULTIPLIER, "detection multiplier 0")
    if flags & _MULTIPOINT:
        raise PacketError(Discard.MULTIPOINT, "the multipoint bit is set")
    if not mine:
        raise PacketError(Discard.MY_DISCRIMINATOR, "my discriminator 0")
    if not yours and flags >> 6 > State.DOWN:
        raise PacketError(
            Discard.STATE, f"state {flags >> 6} of a session whose discriminator it does not know"
        )
    return ControlPacket(
        _STATES[flags >> 6],
        multiplier,
        mine,
        yours,
        min_tx,
        min_rx,
        min_echo,
        first & 0x1F,
        bool(flags & _POLL),
        bool(flags & _FINAL),
        bool(flags & _INDEPENDENT),
        bool(flags & _AUTHENTICATED),
        bool(flags & _DEMAND),
    )
