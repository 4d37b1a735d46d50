"""What an election needs of a link: advertisements both ways, announcements, and the virtual addresses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rui.vrrp.packet import Advertisement, Fault
from rui.vrrp.values import Source


class TransportError(OSError):
    """A link that cannot be used; the message names it and says what to do."""


@dataclass(frozen=True, slots=True)
class Handlers:
    """Called in the event loop: for a good advertisement, a packet that was refused, a link gone or back."""

    heard: Callable[[Advertisement, Source], None]
    refused: Callable[[Fault, str], None]
    link: Callable[[bool], None]


class Transport(Protocol):
    """One virtual router's link; ``open`` before the rest, ``close`` after it."""

    @property
    def name(self) -> str:
        """What operators call the link."""

    async def open(self, handlers: Handlers) -> Source:
        """Open it and return what the others see as our address. Raises TransportError, with all closed."""

    def send(self, advertisement: Advertisement) -> None:
        """Send to all routers of the group. Raises OSError."""

    def announce(self) -> None:
        """Tell hosts and switches where the addresses are. Raises OSError."""

    def claim(self, seconds: float) -> None:
        """Have switches find the virtual MAC here again and again, until then or until ``release``."""

    def take(self) -> None:
        """Make the virtual addresses this router's, at once. Raises TransportError."""

    def release(self) -> None:
        """Give them up; does nothing where they are not held. Raises TransportError."""

    async def close(self) -> None:
        """Release the addresses and leave the link as it was before ``open``."""
