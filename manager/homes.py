"""The devices that call home (RFC 8071), over SSH and over TLS: which ones are expected, and who is who."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from manager.config import DeviceConfig, ManagerConfig
from netconf_client import (
    CallHomeListener,
    ClientSession,
    PinnedKey,
    Target,
    TlsCallHomeListener,
    TlsTarget,
)
from netconf_server import TlsOptions
from netconf_server.certnames import CertificateNames
from rui.backup import wire
from rui.schema.leaves import ConfigError

log = structlog.get_logger()


def check_homes(config: ManagerConfig) -> None:
    """Raise ConfigError if a device that calls home could not be told from the others."""
    seen: dict[str, str] = {}
    for device in _callers(config):
        if isinstance(device.target, TlsTarget):
            continue  # rules say which device a certificate stands for
        key = device.target.host_key
        where = f"/rui-cloud:cloud/device[device-id='{device.device}']"
        if not isinstance(key, PinnedKey):
            raise ConfigError(f"{where}: a device that calls home is known by its key: give it host-key")
        text = " ".join(key.text.split()[:2])
        if text in seen:
            raise ConfigError(f"{where}/host-key: {seen[text]} calls home with the same key")
        seen[text] = device.device


class Homes:
    """Listens for devices that call home."""

    def __init__(
        self, on_session: Callable[[str, ClientSession], Awaitable[None]], config: ManagerConfig
    ) -> None:
        callers = _callers(config)
        interval = min((device.target.keepalive_interval for device in callers), default=1.0)
        count = min((device.target.keepalive_count for device in callers), default=3)
        self._over_ssh = CallHomeListener(on_session, keepalive_interval=interval, keepalive_count=count)
        self._options = config.server.call_home_tls
        self._over_tls: TlsCallHomeListener | None = None
        if self._options is not None:
            target = _target(self._options, interval, count)
            self._over_tls = TlsCallHomeListener(on_session, target, self._whose)
        self._expected: dict[str, DeviceConfig] = {}
        self.expect(config)

    def expect(self, config: ManagerConfig) -> None:
        """Expect the devices of this configuration and no others."""
        callers = {device.device: device for device in _callers(config)}
        for name in self._expected.keys() - callers.keys():
            self._over_ssh.remove_device(name)
        for name, device in callers.items():
            if not isinstance(device.target, Target):
                self._over_ssh.remove_device(name)
            elif self._expected.get(name) != device:
                self._over_ssh.add_device(name, device.target, device.driver)
        self._expected = callers

    async def listen(self, address: str, port: int) -> int:
        """Listen for calls over SSH; return the port. Raises OSError."""
        return await self._over_ssh.listen(address, port)

    async def listen_tls(self, address: str, port: int) -> int:
        """Listen for calls over TLS; return the port. Raises OSError, or ConnectFailed for a bad file."""
        if self._over_tls is None:
            raise ValueError("the configuration has no call-home-tls-listen")
        return await self._over_tls.listen(address, port)

    async def close(self) -> None:
        """Stop to listen."""
        await self._over_ssh.close()
        if self._over_tls is not None:
            await self._over_tls.close()

    def _whose(self, certificate: bytes) -> str | None:
        """The device that a verified certificate stands for, if it is one that is to call home over TLS."""
        if self._options is None:
            return None
        try:
            names = CertificateNames(self._options.names, self._options.trust.read_bytes())
        except (OSError, ValueError) as error:
            log.warning("call-home-trust-unusable", file=str(self._options.trust), reason=str(error))
            return None
        name = names.name_of(certificate)
        device = self._expected.get(name) if name is not None else None
        return device.device if device is not None and isinstance(device.target, TlsTarget) else None


def _target(options: TlsOptions, interval: float, count: int) -> TlsTarget:
    return TlsTarget(
        host="",
        certificate=options.certificate,
        private_key=options.private_key,
        trust=options.trust,
        keepalive_interval=interval,
        keepalive_count=count,
        bulk=frozenset({wire.UPLOAD}),
        check_revocation=options.check_revocation,
    )


def _callers(config: ManagerConfig) -> list[DeviceConfig]:
    return [device for device in config.devices.values() if device.call_home and device.enabled]
