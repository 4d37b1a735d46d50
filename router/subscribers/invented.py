"""Invented users: who they are follows from a number, so that a restarted router recognises them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address

from router.config import AddressPool, PortConfig, SimulatedSource
from rui.backup.record import UserInfo, date_and_time, subscriber_key

LIMIT = 10_000_000
"""More users than this the model does not let a group invent."""
_PREFIX_56 = 72
_SERVER = "192.0.2.67"
_START = re.compile(rb"(<lease-start>)[^<]*(</lease-start>)")
_EXPIRY = re.compile(rb"(<lease-expiry>)[^<]*(</lease-expiry>)")
_IPV6_NETWORK = int(IPv6Address("2001:db8::"))
_DELEGATED = int(IPv6Address("2001:db8:8000::"))
# 2001:db8:8000::/33 holds 2**23 prefixes of /56
_DELEGATIONS = 1 << 23


@dataclass(frozen=True, slots=True)
class Access:
    """Where an invented user is behind: VLANs and the name of the port."""

    outer_vlan: int
    inner_vlan: int
    port: str


class Inventor:
    """Makes the records of one group's invented users."""

    def __init__(
        self,
        group: str,
        source: SimulatedSource,
        ports: tuple[PortConfig, ...] = (),
        pools: tuple[AddressPool, ...] = (),
    ) -> None:
        self._group = group
        self._source = source
        self._ports = ports
        self._first = int(source.first_ipv4_address)
        self._mac = f"02:{source.seed & 0xFF:02x}"
        self._front = f"{self._mac}:".encode()
        pool = next((pool.name for pool in pools if source.first_ipv4_address in pool.network), None)
        self._pool = pool or f"{group}-pool"

    def key(self, number: int) -> bytes:
        """Return the key of user ``number``, 0 and up."""
        access = self._access(number)
        return subscriber_key(self._mac_of(number), access.outer_vlan, access.inner_vlan)

    def number(self, key: bytes) -> int | None:
        """Return the number of the user with this key, None if it is none of ours."""
        mac, _, _ = key.partition(b"/")
        if not mac.startswith(self._front):
            return None
        number = int(mac[len(self._front) :].replace(b":", b""), 16)
        return number if number < LIMIT and self.key(number) == key else None

    def record(self, number: int, now: float) -> bytes:
        """Return the record of a user who gets online ``now``, in seconds since 1970."""
        access = self._access(number)
        mac = self._mac_of(number)
        circuit = f"{self._group}/{access.port}:{access.outer_vlan}.{access.inner_vlan}".encode()
        remote = mac.encode()
        option_82 = b"\x01" + bytes((len(circuit),)) + circuit + b"\x02" + bytes((len(remote),)) + remote
        lease = self._source.lease_time
        ipv6 = self._source.ipv6
        return UserInfo(
            mac_address=mac,
            outer_vlan=access.outer_vlan,
            inner_vlan=access.inner_vlan,
            ipv4_address=str(IPv4Address((self._first + number) & 0xFFFFFFFF)),
            ipv6_address=str(IPv6Address(_IPV6_NETWORK + number + 1)) if ipv6 else "",
            ipv6_delegated_prefix=_delegated(number) if ipv6 else "",
            address_pool=self._pool,
            dhcp_server=_SERVER,
            lease_start=now,
            lease_time=lease,
            lease_expiry=now + lease,
            client_id=b"\x01" + bytes.fromhex(mac.replace(":", "")),
            option_82=option_82,
            circuit_id=circuit,
            remote_id=remote,
            logical_port=access.port,
            online_since=now,
        ).encode()

    def renewed(self, record: bytes, now: float) -> bytes:
        """Return a record with its lease begun anew ``now``; all else, augments' nodes too, stays."""
        start, expiry = date_and_time(now).encode(), date_and_time(now + self._source.lease_time).encode()
        return _EXPIRY.sub(rb"\g<1>%s\g<2>" % expiry, _START.sub(rb"\g<1>%s\g<2>" % start, record))

    def _mac_of(self, number: int) -> str:
        digits = f"{number:08x}"
        return f"{self._mac}:{digits[:2]}:{digits[2:4]}:{digits[4:6]}:{digits[6:]}"

    def _access(self, number: int) -> Access:
        if self._ports:
            port = self._ports[number % len(self._ports)]
            return Access(port.outer_vlan, port.inner_vlan, port.logical_port)
        return Access(100 + number // 4000 % 3900, 1 + number % 4000, f"port-{1 + number // 4000 % 48}")


def _delegated(number: int) -> str:
    return f"{IPv6Address(_DELEGATED + ((number % _DELEGATIONS) << _PREFIX_56))}/56"
