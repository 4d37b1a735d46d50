"""One way to connect, whatever the driver."""

from typing import Literal

from netconf_client.api import DEFAULT_TIMEOUT, ClientSession, Target
from netconf_client.dialling import connect_native


async def connect(
    target: Target, *, driver: Literal["native", "vendor"] = "native", timeout: float = DEFAULT_TIMEOUT
) -> ClientSession:
    """Dial `target`, check its host key, log in, exchange hellos; return the open session.

    `timeout` in seconds is for all of it. Raises ConnectFailed, HostKeyRejected, AuthenticationFailed.
    """
    if driver == "native":
        return await connect_native(target, timeout=timeout)
    # paramiko takes a quarter of a process's start, and most sites have no vendor's device
    from netconf_client.vendor import connect_vendor  # noqa: PLC0415

    return await connect_vendor(target, timeout=timeout)
