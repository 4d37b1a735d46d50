"""A changed configuration becomes effective: devices, accounts, profiles, and who may call home."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import structlog
from lxml import etree

from manager.config import ManagerConfig, read_config
from manager.homes import Homes, check_homes
from manager.service import Service
from netconf_client import ConnectFailed
from netconf_server import AccountError, Accounts, Change, Datastores
from rui.netconf.errors import RpcError
from rui.schema import Schema
from rui.schema.leaves import ConfigError

log = structlog.get_logger()


class Follower:
    """Checks a change of running before it is made and carries it out afterwards.

    ``folders`` are that of the startup file and that of the data.
    """

    def __init__(
        self,
        schema: Schema,
        folders: tuple[Path, Path],
        accounts: Accounts,
        service: Service,
        homes: Homes,
    ) -> None:
        self._schema = schema
        self._folders = folders
        self._accounts = accounts
        self._service = service
        self._homes = homes

    def follow(self, datastores: Datastores) -> None:
        """Follow these datastores from now on."""
        datastores.on_commit(self._verify, self._apply)

    def _verify(self, change: Change) -> None:
        try:
            config = self._read(change.new)
            Accounts(config.server.accounts)
            check_homes(config)
        except (ConfigError, AccountError) as error:
            raise RpcError.operation_failed(str(error)) from error

    async def _apply(self, change: Change) -> None:
        config = self._read(change.new)
        old = self._service.config.server
        if replace(old, accounts=()) != replace(config.server, accounts=()):
            log.warning("restart-needed", reason="addresses, keys and limits change at the next start")
        self._accounts.replace(config.server.accounts)
        await self._service.reconfigure(config)
        try:
            self._homes.expect(config)
        except (ValueError, ConnectFailed) as error:
            log.error("call-home-not-followed", reason=str(error))

    def _read(self, running: etree._Element) -> ManagerConfig:
        return read_config(self._schema, running, *self._folders)
