"""Call Home (RFC 8071): devices dial us, and we are the SSH and NETCONF client on the connection they open.

A device is known by the host key it shows. A device of the vendor driver is known by its address as well,
because ncclient wants the user's name before it has seen a key; the key is checked then all the same.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Literal

import asyncssh
import structlog

from netconf_client.api import ClientSession, Target
from netconf_client.dialling import limits_of, open_session, run_client
from netconf_client.errors import ConnectFailed, HostKeyRejected
from netconf_client.hostkeys import ALGORITHMS, PinnedKey, fingerprint
from netconf_client.sshclient import CheckingClient, Credentials, load_credentials, ssh_options

log = structlog.get_logger()

PORT: Final = 4334
"""The port that IANA assigned to NETCONF Call Home over SSH."""

Driver = Literal["native", "vendor"]
SessionCallback = Callable[[str, ClientSession], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class _Device:
    name: str
    target: Target
    driver: Driver
    key: asyncssh.SSHKey
    credentials: Credentials


class CallHomeListener:
    """Listens for devices and hands each session to `on_session(device name, session)`.

    At most `max_pending` connections are between accept and session; further ones wait in the kernel's queue
    of `backlog`. A connection has `timeout` seconds to become a session. What `on_session` raises closes its
    session.
    """

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
        self._on_session = on_session
        self._slots = asyncio.Semaphore(max_pending)
        self._backlog = backlog
        self._timeout = timeout
        self._keepalive = (keepalive_interval, keepalive_count)
        self._devices: dict[str, _Device] = {}
        self._sock: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()

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
        loop = asyncio.get_running_loop()
        found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        self._sock = socket.socket(family, kind, protocol)
        try:
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._sock.bind(address)
            self._sock.listen(self._backlog)
            self._sock.setblocking(False)
        except OSError:
            self._sock.close()
            raise
        self._accepting = asyncio.create_task(self._accept(self._sock))
        bound: int = self._sock.getsockname()[1]
        log.info("call-home-listening", host=host, port=bound)
        return bound

    async def close(self) -> None:
        """Stop listening and drop what is pending; sessions handed over stay."""
        tasks = [task for task in (self._accepting, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._slots.acquire()
            try:
                sock, address = await loop.sock_accept(listening)
            except OSError as error:
                # out of descriptors, or the caller gone already: neither ends the listening
                self._slots.release()
                log.warning("call-home-accept-failed", error=str(error))
                await asyncio.sleep(0.1)
                continue
            except asyncio.CancelledError:
                self._slots.release()
                raise
            task = asyncio.create_task(self._greet(sock, address))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _greet(self, sock: socket.socket, address: tuple[str, int]) -> None:
        where = f"{address[0]}:{address[1]}"
        try:
            async with asyncio.timeout(self._timeout):
                device, session = await self._open(sock, address[0], where)
        except (ConnectFailed, TimeoutError) as error:
            reason = error.reason if isinstance(error, ConnectFailed) else "no session in time"
            log.warning("call-home-refused", peer=where, reason=reason)
            return
        finally:
            self._slots.release()
        log.info("call-home-accepted", peer=where, device=device.name, session=session.session_id)
        try:
            await self._on_session(device.name, session)
        except Exception:
            log.exception("call-home-callback-failed", peer=where, device=device.name)
            await session.close()

    async def _open(self, sock: socket.socket, address: str, where: str) -> tuple[_Device, ClientSession]:
        """Make a session of an accepted socket, which is closed if that fails."""
        vendors = (device for device in self._devices.values() if device.driver == "vendor")
        by_address = next((device for device in vendors if device.target.host == address), None)
        if by_address is not None:
            # only whoever has a vendor's device waits for paramiko to load
            from netconf_client.vendor import connect_vendor  # noqa: PLC0415

            return by_address, await connect_vendor(by_address.target, timeout=self._timeout, sock=sock)
        check = _DeviceCheck(where, self._devices)
        client = CheckingClient(check)
        interval, count = self._keepalive
        options = ssh_options(client, ALGORITHMS, interval, count, self._timeout)
        connection = await run_client(sock, client, options, where)
        if check.device is None:
            connection.abort()
            raise ConnectFailed(where, "no host key was checked")
        return check.device, await open_session(connection, where, limits_of(check.device.target))


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
