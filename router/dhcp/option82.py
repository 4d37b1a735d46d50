"""The option 82 that the relay sends to the servers: the client side's own kept, or ours alone [0134]."""

from __future__ import annotations

from router.dhcp import agent_information
from router.dhcp.agent_information import Sub
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
        sub_options = [
            (Sub.CIRCUIT_ID, config.identifier(config.circuit_id, port, mac)),
            (Sub.REMOTE_ID, config.identifier(config.remote_id, port, mac)),
        ]
    if downstream and agent_information.value(sub_options, Sub.LINK_SELECTION) is None:
        # The giaddr is ours from here on, so the server learns the user's link this way (RFC 3527)
        sub_options.append((Sub.LINK_SELECTION, downstream.to_bytes(4, "big")))
    sub_options.append((Sub.SERVER_ID_OVERRIDE, config.identity.packed))
    return agent_information.build(sub_options)
