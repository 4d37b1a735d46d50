"""The option 82 that the relay sends to the servers: the client side's own kept, or ours alone [0134]."""

from __future__ import annotations

from router.dhcp import agent_information
from router.dhcp.agent_information import Sub, SubOption
from router.dhcp.templates import fill
from router.dhcp.values import AccessPort, Option82Policy, RelayConfig


def compose(config: RelayConfig, port: AccessPort, mac: str, theirs: bytes | None, downstream: int) -> bytes:
    """Return option 82's data for a request that came with ``theirs`` through the relay ``downstream``.

    ``theirs`` is None and ``downstream`` 0 where there was none. Raises DhcpParseError for a bad ``theirs``.
    """
    sub_options = [] if theirs is None else agent_information.parse(theirs)
    if config.option82 is Option82Policy.KEEP:
        sub_options = [sub for sub in sub_options if sub[0] != Sub.SERVER_ID_OVERRIDE]
    else:
        sub_options = []
    if not sub_options:
        sub_options = _generate(config, port, mac)
    if downstream and agent_information.value(sub_options, Sub.LINK_SELECTION) is None:
        # The giaddr is ours from here on, so the server learns the user's link this way (RFC 3527)
        sub_options.append((Sub.LINK_SELECTION, downstream.to_bytes(4, "big")))
    sub_options.append((Sub.SERVER_ID_OVERRIDE, config.giaddr.packed))
    return agent_information.build(sub_options)


def _generate(config: RelayConfig, port: AccessPort, mac: str) -> list[SubOption]:
    values = {
        "group": config.group_id,
        "logical-port": port.logical_port,
        "outer-vlan": str(port.outer_vlan),
        "inner-vlan": str(port.inner_vlan),
        "mac": mac,
    }
    return [
        (Sub.CIRCUIT_ID, fill(config.circuit_id, values).encode()[:255]),
        (Sub.REMOTE_ID, fill(config.remote_id, values).encode()[:255]),
    ]
