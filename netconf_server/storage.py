"""The file behind running or startup, as the datastores use it: beside the event loop, with faults as
rpc-errors.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from pathlib import Path

import structlog
from lxml import etree

from netconf_server.persist import before_file, read_config, remove_file, write_config
from rui.netconf.errors import RpcError
from rui.schema import Schema

log = structlog.get_logger(__name__)


class ConfigFile:
    """The file, or none: then nothing is kept. Raises RpcError `resource-denied` where the disk refuses."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    async def save(self, tree: etree._Element) -> None:
        """Make a configuration its content, durably."""
        if self._path is not None:
            await on_disk(asyncio.to_thread(write_config, self._path, tree))

    async def remove(self) -> None:
        """Remove it, durably."""
        if self._path is not None:
            await on_disk(asyncio.to_thread(remove_file, self._path))


async def on_disk(work: Awaitable[None]) -> None:
    """Await work on the disk. Raises RpcError `resource-denied` where the disk refuses it."""
    try:
        await work
    except OSError as error:
        log.error("config-not-written", file=error.filename, reason=error.strerror)
        message = f"it cannot be written to disk ({error.strerror}); nothing was changed, try again"
        raise RpcError.resource_denied(message) from error


def take_back_unconfirmed(file: Path, schema: Schema) -> None:
    """At the start: bring back what was before a commit that waited for its confirmation when the process
    ended (RFC 6241 8.4.1). Raises StartupError, OSError.
    """
    before = before_file(file)
    if before.exists():
        write_config(file, read_config(before, schema))
        remove_file(before)
        log.warning("unconfirmed-commit-taken-back", file=str(file))
