"""`Cli`: serves the command lines of one device, each over a session of its user."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from netconf_cli.archive import Archive
from netconf_cli.console import Console
from netconf_cli.context import Context
from netconf_cli.engine import Engine
from netconf_cli.session import Session
from netconf_cli.shell import Shell, ShellChannel
from netconf_cli.views import bind
from rui.schema import Schema
from rui.views import View

_USERS = 64


class Terminal(Protocol):
    """What a client says of its terminal."""

    @property
    def kind(self) -> str:
        """Such as `xterm`."""

    @property
    def width(self) -> int:
        """Columns."""

    @property
    def height(self) -> int:
        """Rows."""


class Request(Protocol):
    """Who asks for a command line."""

    @property
    def user(self) -> str:
        """The user's name."""

    @property
    def peer(self) -> str:
        """From where."""

    @property
    def terminal(self) -> Terminal | None:
        """The terminal, None without one."""

    @property
    def command(self) -> str | None:
        """What to carry out, None for an interactive shell."""


class Cli:
    """The command lines of one device.

    `open_session` makes a user's session, None when none may be opened; `archive` holds what was running
    before. Give `open_shell` to whatever accepts SSH channels.
    """

    def __init__(
        self,
        device: str,
        schema: Schema,
        open_session: Callable[[str, str], Session | None],
        *,
        views: Sequence[View] = (),
        archive: Archive | None = None,
    ) -> None:
        self._device = device
        self._schema = schema
        self._open_session = open_session
        self._views = bind(views, schema)
        self._archive = archive
        self._histories: OrderedDict[str, list[str]] = OrderedDict()

    def open_shell(self, channel: ShellChannel, request: Request) -> Shell | None:
        """Begin a command line; None when the user may not have one now."""
        session = self._open_session(request.user, request.peer)
        if session is None:
            return None
        terminal = request.terminal
        # A command with a terminal (ssh -t) is shown like one without: nobody waits for pages
        kind = terminal.kind if terminal is not None and request.command is None else None
        size = (terminal.width, terminal.height) if terminal is not None else (0, 0)
        return Shell(
            channel,
            Console(channel, kind, *size),
            session,
            lambda: self.engine(session),
            command=request.command,
            history=self._history(request.user),
        )

    def engine(self, session: Session) -> Engine:
        """The command line of a session, without a terminal."""
        return Engine(Context(self._device, self._schema, session, self._views, self._archive))

    def _history(self, user: str) -> list[str]:
        """A user's earlier commands; those of the users that came longest ago are forgotten."""
        history = self._histories.setdefault(user, [])
        self._histories.move_to_end(user)
        while len(self._histories) > _USERS:
            self._histories.popitem(last=False)
        return history
