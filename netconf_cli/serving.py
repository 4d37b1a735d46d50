"""A device's command line beside its NETCONF server, with an archive of what was running before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog
from lxml import etree

from netconf_cli.archive import Archive
from netconf_cli.cli import Cli, Request
from netconf_cli.session import Session
from netconf_cli.shell import Shell, ShellChannel
from rui.schema import Schema
from rui.views import View

log = structlog.get_logger(__name__)


class _Change(Protocol):
    @property
    def old(self) -> etree._Element: ...

    @property
    def session(self) -> int | None: ...


class _Info(Protocol):
    @property
    def user(self) -> str: ...


class _Datastores(Protocol):
    def on_commit(self, *, apply: Callable[[_Change], Awaitable[None]]) -> None: ...


class Server(Protocol):
    """What it needs of a NETCONF server; netconf_server.NetconfServer is one."""

    @property
    def schema(self) -> Schema:
        """Its model."""

    @property
    def datastores(self) -> _Datastores:
        """Its configuration."""

    @property
    def sessions(self) -> Mapping[int, _Info]:
        """The sessions that are open."""

    def local_session(self, user: str, peer: str) -> Session | None:
        """A session of a user within the process."""

    def serve_shells(self, open_shell: Callable[[ShellChannel, Request], Shell | None]) -> None:
        """Have shells served."""


def serve_cli(server: Server, device: str, folder: Path, views: Sequence[View]) -> None:
    """Serve command lines at a server's port; what `running` was before each change is kept in `folder`."""
    archive = Archive(folder)
    turns = asyncio.Lock()

    async def keep(change: _Change) -> None:
        info = server.sessions.get(change.session) if change.session is not None else None
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        try:
            async with turns:
                await asyncio.to_thread(archive.keep, change.old, now, info.user if info else "the program")
        except OSError as error:
            log.warning("configuration-not-archived", folder=str(folder), reason=error.strerror or str(error))

    server.datastores.on_commit(apply=keep)
    server.serve_shells(
        Cli(device, server.schema, server.local_session, views=views, archive=archive).open_shell
    )
