"""A changed configuration becomes effective: devices, accounts, profiles, and who may call home."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import structlog
from lxml import etree

from manager.config import DeviceConfig, ManagerConfig, read_config
from manager.service import Service
from netconf_client import CallHomeListener, ClientSession, ConnectFailed, PinnedKey, Target
from netconf_server import AccountError, Accounts, Change, Datastores
from rui.netconf.errors import RpcError
from rui.schema import Schema
from rui.schema.leaves import ConfigError

log = structlog.get_logger()


def check_homes(config: ManagerConfig) -> None:
    """Raise ConfigError if a device that calls home could not be told from the others."""
    seen: dict[str, str] = {}
    for device in _callers(config):
        key = device.target.host_key if isinstance(device.target, Target) else None
        where = f"/rui-cloud:cloud/device[device-id='{device.device}']"
        if not isinstance(key, PinnedKey):
            raise ConfigError(f"{where}: a device that calls home is known by its key: give it host-key")
        text = " ".join(key.text.split()[:2])
        if text in seen:
            raise ConfigError(f"{where}/host-key: {seen[text]} calls home with the same key")
        seen[text] = device.device


class Homes:
    """Listens for devices that call home (RFC 8071)."""

    def __init__(
        self, on_session: Callable[[str, ClientSession], Awaitable[None]], config: ManagerConfig
    ) -> None:
        callers = _callers(config)
        self._listener = CallHomeListener(
            on_session,
            keepalive_interval=min((device.target.keepalive_interval for device in callers), default=1.0),
            keepalive_count=min((device.target.keepalive_count for device in callers), default=3),
        )
        self._expected: dict[str, DeviceConfig] = {}
        self.expect(config)

    def expect(self, config: ManagerConfig) -> None:
        """Expect the devices of this configuration and no others."""
        callers = {device.device: device for device in _callers(config)}
        for name in self._expected.keys() - callers.keys():
            self._listener.remove_device(name)
        for name, device in callers.items():
            if self._expected.get(name) != device and isinstance(device.target, Target):
                self._listener.add_device(name, device.target, device.driver)
        self._expected = callers

    async def listen(self, address: str, port: int) -> int:
        """Listen; return the port. Raises OSError."""
        return await self._listener.listen(address, port)

    async def close(self) -> None:
        """Stop to listen."""
        await self._listener.close()


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


def _callers(config: ManagerConfig) -> list[DeviceConfig]:
    return [device for device in config.devices.values() if device.call_home and device.enabled]
