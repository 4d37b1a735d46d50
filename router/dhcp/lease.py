"""What an ACK and the request before it say about a user [0132-0134]."""

from __future__ import annotations

import math
from ipaddress import IPv4Address

from router.dhcp import agent_information
from router.dhcp.agent_information import Sub
from router.dhcp.packet import INFINITE_LEASE, Code, DhcpPacket
from router.dhcp.transactions import Transaction
from router.dhcp.values import LeaseFacts


def read_lease(
    ack: DhcpPacket, transaction: Transaction, server: IPv4Address, pool: str, now: float
) -> LeaseFacts:
    """Return the facts of a lease that starts ``now``. Raises DhcpParseError for a bad lease time."""
    port = transaction.source.port
    lease_time = ack.number(Code.LEASE_TIME, 4) or 0
    sub_options = agent_information.parse(transaction.option_82)
    return LeaseFacts(
        mac=ack.chaddr.hex(":"),
        outer_vlan=port.outer_vlan,
        inner_vlan=port.inner_vlan,
        ipv4=IPv4Address(ack.yiaddr),
        start=now,
        lease_time=lease_time,
        expiry=math.inf if lease_time == INFINITE_LEASE else now + lease_time,
        client_id=transaction.client_id,
        option_82=transaction.option_82,
        circuit_id=agent_information.value(sub_options, Sub.CIRCUIT_ID) or b"",
        remote_id=agent_information.value(sub_options, Sub.REMOTE_ID) or b"",
        interface=port.interface,
        logical_port=port.logical_port,
        pool=pool,
        server=server,
    )
