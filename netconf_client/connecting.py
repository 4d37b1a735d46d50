"""One way to connect, whatever the driver."""

from typing import Literal

from netconf_client.api import DEFAULT_TIMEOUT, ClientSession, Target
from netconf_client.dialling import connect_native
from netconf_client.tls import TlsTarget, connect_tls


async def connect(
    target: Target | TlsTarget,
    *,
    driver: Literal["native", "vendor"] = "native",
    timeout: float = DEFAULT_TIMEOUT,
) -> ClientSession:
    """Dial `target`, check who it is, log in, exchange hellos; return the open session.

    A TlsTarget is reached over TLS, whatever the driver.
    `timeout` in seconds is for all of it. Raises ConnectFailed, HostKeyRejected, AuthenticationFailed.
    """
    if isinstance(target, TlsTarget):
        return await connect_tls(target, timeout=timeout)
    if driver == "native":
        return await connect_native(target, timeout=timeout)
    # paramiko takes a quarter of a process's start, and most sites have no vendor's device
    from netconf_client.vendor import connect_vendor  # noqa: PLC0415

    return await connect_vendor(target, timeout=timeout)
