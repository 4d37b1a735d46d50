"""Invented users: who they are follows from a number, so that a restarted router recognises them."""

from __future__ import annotations

import re
from binascii import b2a_base64
from socket import inet_ntoa
from typing import NamedTuple
from xml.sax.saxutils import escape

from router.config import AddressPool, PortConfig, SimulatedSource
from rui.backup.record import UserInfo, date_and_time
from rui.schema import Schema
from rui.schema.sample import sample_element

RECORDS = "/rui-user-info:user-info/group/user"
LIMIT = 10_000_000
"""More users than this the model does not let a group invent."""
_SERVER = "192.0.2.67"
_START = re.compile(rb"(<lease-start>)[^<]*(</lease-start>)")
_EXPIRY = re.compile(rb"(<lease-expiry>)[^<]*(</lease-expiry>)")
# 2001:db8:8000::/33 holds so many prefixes of /56
_DELEGATIONS = 1 << 23


class Port(NamedTuple):
    """The name of a port, as octets and as text of XML."""

    name: bytes
    text: bytes


class Access(NamedTuple):
    """Where an invented user is behind."""

    outer_vlan: int
    inner_vlan: int
    port: Port


class Inventor:
    """Makes the records of one group's invented users; ``added`` is XML that each of them holds besides."""

    def __init__(
        self,
        group: str,
        source: SimulatedSource,
        ports: tuple[PortConfig, ...] = (),
        pools: tuple[AddressPool, ...] = (),
        added: bytes = b"",
    ) -> None:
        self._name = group.encode()
        self._source = source
        self._ports = [Access(port.outer_vlan, port.inner_vlan, _port(port.logical_port)) for port in ports]
        self._first = int(source.first_ipv4_address)
        self._front = bytes((0x02, source.seed & 0xFF))
        self._mac_front = self._front.hex(":").encode()
        pool = next((pool.name for pool in pools if source.first_ipv4_address in pool.network), None)
        self._template = _template(source, pool or f"{group}-pool", added)
        self._leased = (-1.0, b"", b"")
        self._filled = b""

    def key(self, number: int) -> bytes:
        """Return the key of user ``number``, 0 and up."""
        access = self._access(number)
        return b"%s/%d/%d" % (self._mac(number), access.outer_vlan, access.inner_vlan)

    def number(self, key: bytes) -> int | None:
        """Return the number of the user with this key, None if it is none of ours."""
        mac, _, _ = key.partition(b"/")
        if not mac.startswith(self._mac_front + b":"):
            return None
        number = int(mac[len(self._mac_front) :].replace(b":", b""), 16)
        return number if number < LIMIT and self.key(number) == key else None

    def record(self, number: int, now: float) -> bytes:
        """Return the record of a user who gets online ``now``, in seconds since 1970."""
        outer, inner, port = self._access(number)
        address = self._front + number.to_bytes(4, "big")
        mac = address.hex(":").encode()
        place = b"%d.%d" % (outer, inner)
        circuit = b"%b/%b:%b" % (self._name, port.name, place)
        option_82 = b"\x01%c%b\x02%c%b" % (len(circuit), circuit, len(mac), mac)
        if now != self._leased[0]:
            self._lease(now)
        return self._filled % (
            mac,
            outer,
            inner,
            inet_ntoa((self._first + number & 0xFFFFFFFF).to_bytes(4, "big")).encode(),
            *((_ipv6(number), _delegated(number)) if self._source.ipv6 else ()),
            b2a_base64(b"\x01" + address, newline=False),
            b2a_base64(option_82, newline=False),
            b"%b/%b:%b" % (self._name, port.text, place),
            mac,
            port.text,
        )

    def renewed(self, record: bytes, now: float) -> bytes:
        """Return a record with its lease begun anew ``now``; all else, augments' nodes too, stays."""
        start, expiry = self._lease(now)
        return _EXPIRY.sub(rb"\g<1>%s\g<2>" % expiry, _START.sub(rb"\g<1>%s\g<2>" % start, record))

    def _lease(self, now: float) -> tuple[bytes, bytes]:
        """Return start and expiry of a lease; users come in bursts, so the latest is kept."""
        if now != self._leased[0]:
            term = self._source.lease_time
            self._leased = (now, date_and_time(now).encode(), date_and_time(now + term).encode())
            _, start, expiry = self._leased
            self._filled = self._template.replace(b"@start@", start).replace(b"@expiry@", expiry)
        return self._leased[1:]

    def _mac(self, number: int) -> bytes:
        return (self._front + number.to_bytes(4, "big")).hex(":").encode()

    def _access(self, number: int) -> Access:
        if self._ports:
            return self._ports[number % len(self._ports)]
        line, inner = divmod(number, 4000)
        return Access(100 + line % 3900, 1 + inner, _LINES[line % len(_LINES)])


def added_leaves(schema: Schema) -> bytes:
    """Return XML of one valid value for each leaf that another module adds to the record, so that an
    operator's module can be tried with invented users.
    """
    entry = schema.node(RECORDS)
    added = (node for node in entry.children.values() if node.module != entry.module)
    return "".join(filter(None, map(sample_element, added))).encode()


def _port(name: str) -> Port:
    return Port(name.encode(), escape(name).encode())


_LINES = [_port(f"port-{number}") for number in range(1, 49)]


def _ipv6(number: int) -> bytes:
    """Return an address of 2001:db8::/32."""
    high, low = divmod(number + 1, 1 << 16)
    return b"2001:db8::%x:%x" % (high, low) if high else b"2001:db8::%x" % low


def _delegated(number: int) -> bytes:
    """Return a prefix of 2001:db8:8000::/33."""
    high, low = divmod(number % _DELEGATIONS, 1 << 8)
    if not low:
        return b"2001:db8:%x::/56" % (0x8000 + high)
    return b"2001:db8:%x:%x::/56" % (0x8000 + high, low << 8)


def _template(source: SimulatedSource, pool: str, added: bytes) -> bytes:
    """Return a record as the one serialiser writes it, with slots for what differs between users.

    ``@start@`` and ``@expiry@`` are the lease's, the others in their order those of :meth:`Inventor.record`.
    Inventing thousands of users a second must not cost more than serving them.
    """
    outer, inner, start, expiry = 4093, 4094, 1.0, 2.0
    client, option_82 = b"the client id", b"the option 82"
    sample = UserInfo(
        mac_address="@mac@",
        outer_vlan=outer,
        inner_vlan=inner,
        ipv4_address="@ipv4@",
        ipv6_address="@ipv6@" if source.ipv6 else "",
        ipv6_delegated_prefix="@delegated@" if source.ipv6 else "",
        address_pool=pool,
        dhcp_server=_SERVER,
        lease_start=start,
        lease_time=source.lease_time,
        lease_expiry=expiry,
        client_id=client,
        option_82=option_82,
        circuit_id=b"@circuit@",
        remote_id=b"@mac@",
        logical_port="@port@",
        online_since=start,
    ).encode()
    body, _, end = sample.rpartition(b"</")
    sample = (body + added + b"</" + end).replace(b"%", b"%%")
    for text, slot in (
        (b"@mac@", b"%b"),
        (b"%d" % outer, b"%d"),
        (b"%d" % inner, b"%d"),
        (b"@ipv4@", b"%b"),
        (b"@ipv6@", b"%b"),
        (b"@delegated@", b"%b"),
        (date_and_time(start).encode(), b"@start@"),
        (date_and_time(expiry).encode(), b"@expiry@"),
        (b2a_base64(client, newline=False), b"%b"),
        (b2a_base64(option_82, newline=False), b"%b"),
        (b"@circuit@", b"%b"),
        (b"@port@", b"%b"),
    ):
        sample = sample.replace(b">%b<" % text, b">%b<" % slot)
    return sample
