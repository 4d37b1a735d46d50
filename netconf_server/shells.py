"""The seam between an SSH channel that asks for a shell or a command and the program that serves it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from netconf_server.transport import ByteSession, Transport


@dataclass(frozen=True)
class Terminal:
    """What the client says of its terminal, unchecked: its kind (`xterm`), columns and rows."""

    kind: str
    width: int
    height: int


@dataclass(frozen=True)
class ShellRequest:
    """Who asks for a shell; `terminal` is None without one, `command` is None for an interactive shell."""

    user: str
    peer: str
    terminal: Terminal | None = None
    command: str | None = None


class ShellChannel(Transport, Protocol):
    """What a shell writes to."""

    def write_error(self, data: bytes) -> None:
        """Send bytes on the error stream."""

    def exit(self, status: int) -> None:
        """Say the exit status and end after what was written."""


class ShellSession(ByteSession, Protocol):
    """What serves a shell: fed by the channel."""

    def resize(self, width: int, height: int) -> None:
        """The client says that its terminal has another size now, unchecked."""

    def interrupt(self) -> None:
        """The client sent a break or SIGINT beside the bytes."""


OpenShell: TypeAlias = Callable[[ShellChannel, ShellRequest], "ShellSession | None"]
"""Makes the session that serves a shell; None refuses it."""
