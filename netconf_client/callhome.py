"""Call Home (RFC 8071): devices dial us, and we are the SSH and NETCONF client on the connection they open.

A device is known by the host key it shows. A device of the vendor driver is known by its address as well,
because ncclient wants the user's name before it has seen a key; the key is checked then all the same.
"""

import socket
from dataclasses import dataclass
from typing import Final, Literal

import asyncssh

from netconf_client.accepting import CallListener, SessionCallback
from netconf_client.api import ClientSession, Target
from netconf_client.dialling import limits_of, open_session, run_client
from netconf_client.errors import ConnectFailed, HostKeyRejected
from netconf_client.hostkeys import ALGORITHMS, PinnedKey, fingerprint
from netconf_client.sshclient import CheckingClient, Credentials, load_credentials, ssh_options

PORT: Final = 4334
"""The port that IANA assigned to NETCONF Call Home over SSH."""

Driver = Literal["native", "vendor"]


@dataclass(frozen=True, slots=True)
class _Device:
    name: str
    target: Target
    driver: Driver
    key: asyncssh.SSHKey
    credentials: Credentials


class CallHomeListener(CallListener):
    """Listens for devices that call home over SSH; `add_device` says which."""

    def __init__(
        self,
        on_session: SessionCallback,
        *,
        max_pending: int = 64,
        backlog: int = 512,
        timeout: float = 15.0,
        keepalive_interval: float = 10.0,
        keepalive_count: int = 3,
    ) -> None:
        super().__init__(on_session, max_pending=max_pending, backlog=backlog, timeout=timeout)
        self._keepalive = (keepalive_interval, keepalive_count)
        self._devices: dict[str, _Device] = {}

    def add_device(self, name: str, target: Target, driver: Driver = "native") -> None:
        """Expect device `name`, or change what is known of it; its `target.host` matters for vendor only.

        Raises ValueError when the host key is not pinned or is another device's; ConnectFailed when a key
        file of the target cannot be read.
        """
        if not isinstance(target.host_key, PinnedKey):
            raise ValueError(f"device {name}: to call home it needs a pinned host key, which tells who it is")
        key = target.host_key.load()
        for other in self._devices.values():
            if other.key == key and other.name != name:
                raise ValueError(f"devices {name} and {other.name} have the same host key {fingerprint(key)}")
        self._devices[name] = _Device(name, target, driver, key, load_credentials(target))

    def remove_device(self, name: str) -> None:
        """Expect device `name` no longer; its session, if any, stays."""
        self._devices.pop(name, None)

    async def listen(self, host: str, port: int = PORT) -> int:
        """Start to listen; return the port (of use with port 0). Raises OSError."""
        return await super().listen(host, port)

    async def _open(self, sock: socket.socket, address: str, where: str) -> tuple[str, ClientSession]:
        vendors = (device for device in self._devices.values() if device.driver == "vendor")
        by_address = next((device for device in vendors if device.target.host == address), None)
        if by_address is not None:
            # only whoever has a vendor's device waits for paramiko to load
            from netconf_client.vendor import connect_vendor  # noqa: PLC0415

            return by_address.name, await connect_vendor(by_address.target, timeout=self._timeout, sock=sock)
        check = _DeviceCheck(where, self._devices)
        client = CheckingClient(check)
        interval, count = self._keepalive
        options = ssh_options(client, ALGORITHMS, interval, count, self._timeout)
        connection = await run_client(sock, client, options, where)
        if check.device is None:
            connection.abort()
            raise ConnectFailed(where, "no host key was checked")
        return check.device.name, await open_session(connection, where, limits_of(check.device.target))


class _DeviceCheck:
    """Finds the device by the host key that it shows."""

    def __init__(self, where: str, devices: dict[str, _Device]) -> None:
        self._where = where
        self._devices = devices
        self.device: _Device | None = None

    def check(self, key: asyncssh.SSHKey) -> Credentials:
        """Return the device's credentials. Raises HostKeyRejected when no device has this key."""
        for device in self._devices.values():
            if device.key == key and device.driver == "native":
                self.device = device
                return device.credentials
        raise HostKeyRejected(self._where, f"no device is configured with host key {fingerprint(key)}")
