"""The kernel's interfaces and rules that stay whatever the role. Everything may be asked for twice."""

from __future__ import annotations

import contextlib
import errno
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from router.dataplane.routes import next_hop
from router.dataplane.values import ROUTE_PROTOCOL, DataPlaneError, GroupPlane, Names, Tunnel

_SYSCTL = Path("/proc/sys/net")
_FAMILIES: Final = {4: 2, 6: 10}
_PERMANENT = 0x80
_OVERHEAD, _OVERHEAD6 = 50, 70
"""Octets that VXLAN puts around a frame's contents, over IPv4 and over IPv6."""
_VIRTUAL: Final = {
    "ipv4/conf/{}/arp_ignore": "1",  # answers for its own addresses only
    "ipv4/conf/{}/arp_notify": "1",  # tells switch and hosts where the addresses are when it comes up
    "ipv4/conf/{}/rp_filter": "2",  # two groups may share a pool, so the way back may be another one
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/addr_gen_mode": "1",
    "ipv6/conf/{}/accept_dad": "0",
    "ipv6/conf/{}/ndisc_notify": "1",
}
_TUNNEL: Final = {"ipv4/conf/{}/rp_filter": "0", "ipv6/conf/{}/accept_ra": "0"}
_FORWARDING: Final = {4: "ipv4/conf/all/forwarding", 6: "ipv6/conf/all/forwarding"}
# What an operation that was done already answers
_DONE: Final = {
    "add": (errno.EEXIST,),
    "del": (errno.ENOENT, errno.ESRCH, errno.ENODEV, errno.EADDRNOTAVAIL),
}


class Kernel:
    """Needs CAP_NET_ADMIN. Every method raises DataPlaneError."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._socket: AsyncIPRoute | None = None
        self._former: dict[Path, str] = {}

    @property
    def _netlink(self) -> AsyncIPRoute:
        if self._socket is None:
            raise DataPlaneError("the data plane is closed: open it first")
        return self._socket

    async def open(self) -> None:
        """Open the netlink socket."""
        self._socket = AsyncIPRoute()
        async with self._asking("for a netlink socket"):
            await self._socket.setup_endpoint()

    def close(self) -> None:
        """Restore the settings that were changed, and close the socket."""
        for path, value in reversed(self._former.items()):
            with contextlib.suppress(OSError):
                path.write_text(value)
        self._former.clear()
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    async def clean(self) -> None:
        """Remove this device's interfaces, rules and routes, whoever left them."""
        async with self._asking("to remove what was left"):
            for message in [item async for item in await self._netlink.link("dump")]:
                alias = message.get_attr("IFLA_IFALIAS") or ""
                if alias.startswith(self._names.alias_prefix):
                    await self._once("link", "del", index=message["index"])
            for family in _FAMILIES.values():
                for message in [item async for item in await self._netlink.rule("dump", family=family)]:
                    mark = message.get_attr("FRA_FWMARK")
                    if mark is not None and self._names.owns(mark):
                        await self._once("rule", "del", family=family, **_rule(mark))
                for message in [item async for item in await self._netlink.route("dump", family=family)]:
                    if message["proto"] == ROUTE_PROTOCOL:
                        await self._remove(message, family)

    def forward(self, versions: Iterable[int]) -> None:
        """Have the kernel forward these IP versions at all."""
        for version in versions:
            self._set(_FORWARDING[version], "1")

    async def add_rules(self, marks: Iterable[int], versions: Iterable[int]) -> None:
        """Route each mark by the table of its number."""
        families = [_FAMILIES[version] for version in versions]
        async with self._asking("for routing by marks"):
            for mark in marks:
                for family in families:
                    await self._once("rule", "add", family=family, **_rule(mark))

    async def make_virtual(self, group: GroupPlane) -> None:
        """Make a group's virtual interface, down; nothing where it is there or not wanted."""
        access = await self._index(group.access, group)
        # Else the access interface answers for the virtual address too, with its own MAC
        self._set(f"ipv4/conf/{group.access}/arp_ignore", "1")
        name = self._names.interface(group)
        if name == group.access or await self._netlink.link_lookup(ifname=name):
            return
        async with self._asking(f"for {name}, a macvlan on {group.access}"):
            await self._netlink.link(
                "add",
                ifname=name,
                kind="macvlan",
                link=access,
                macvlan_mode="bridge",
                address=group.virtual_mac,
            )
            await self._claim(name, group)
        self._settle(_VIRTUAL, name)

    async def make_tunnel(self, group: GroupPlane, tunnel: Tunnel, versions: Iterable[int]) -> None:
        """Make a group's tunnel and bring it up; the MAC of either end follows from its address."""
        name = self._names.tunnel(group)
        if await self._netlink.link_lookup(ifname=name):
            return
        six = ip_address(tunnel.local).version == 6
        ends = (
            {"vxlan_local6": tunnel.local, "vxlan_group6": tunnel.remote}
            if six
            else {"vxlan_local": tunnel.local, "vxlan_group": tunnel.remote}
        )
        async with self._asking(f"for the tunnel {name} from {tunnel.local} to {tunnel.remote}"):
            await self._netlink.link(
                "add",
                ifname=name,
                kind="vxlan",
                vxlan_id=tunnel.vni,
                vxlan_port=tunnel.port,
                vxlan_learning=False,
                address=tunnel_mac(tunnel.local),
                **ends,
            )
            index = await self._claim(name, group)
            self._settle(_TUNNEL, name)
            mtu = await self._underlay_mtu(tunnel.local) - (_OVERHEAD6 if six else _OVERHEAD)
            await self._netlink.link("set", index=index, mtu=mtu, state="up")
            for version in versions:
                await self._netlink.neigh(
                    "replace",
                    dst=next_hop(version),
                    lladdr=tunnel_mac(tunnel.remote),
                    ifindex=index,
                    state=_PERMANENT,
                    family=_FAMILIES[version],
                )

    async def _remove(self, message: object, family: int) -> None:
        """Delete a route that was found."""
        get = message.get_attr  # type: ignore[attr-defined]
        length = message["dst_len"]  # type: ignore[index]
        anywhere = "0.0.0.0" if family == _FAMILIES[4] else "::"  # noqa: S104 - the default route
        destination = ip_network(f"{get('RTA_DST') or anywhere}/{length}")
        table = get("RTA_TABLE")
        await self._once(
            "route", "del", family=family, dst=str(destination), table=table, proto=ROUTE_PROTOCOL
        )

    async def _claim(self, name: str, group: GroupPlane) -> int:
        """Mark an interface that was just made as ours; return its index."""
        index = int((await self._netlink.link_lookup(ifname=name))[0])
        await self._netlink.link("set", index=index, ifalias=self._names.alias(group.id))
        return index

    async def _underlay_mtu(self, address: str) -> int:
        """Return the MTU of the interface that has an address of this router."""
        async for message in await self._netlink.addr("dump", family=_FAMILIES[ip_address(address).version]):
            if message.get_attr("IFA_ADDRESS") == address:
                (link,) = await self._netlink.link("get", index=message["index"])
                return int(link.get_attr("IFLA_MTU"))
        raise DataPlaneError(f"no interface has the address {address}, from which a tunnel is to go: add it")

    async def _once(self, what: str, command: str, **arguments: object) -> None:
        """Do what may be done already."""
        try:
            await getattr(self._netlink, what)(command, **arguments)
        except NetlinkError as error:
            if error.code not in _DONE[command]:
                raise

    async def _index(self, name: str, group: GroupPlane) -> int:
        found = await self._netlink.link_lookup(ifname=name)
        if not found:
            raise DataPlaneError(
                f"group {group.id}: there is no interface {name!r}: create it, or correct its name"
            )
        return int(found[0])

    def _settle(self, settings: dict[str, str], interface: str) -> None:
        for setting, value in settings.items():
            path = _SYSCTL / setting.format(interface)
            # A kernel without IPv6, or an older one, lacks some
            with contextlib.suppress(FileNotFoundError):
                path.write_text(value)

    def _set(self, setting: str, value: str) -> None:
        """Change a setting that is not only ours, and remember what it was."""
        path = _SYSCTL / setting
        try:
            former = path.read_text()
            if former.strip() != value:
                path.write_text(value)
                self._former.setdefault(path, former)
        except OSError as error:
            raise DataPlaneError(f"cannot set {path} to {value}: {error.strerror}; run as root") from error

    @asynccontextmanager
    async def _asking(self, what: str) -> AsyncIterator[None]:
        try:
            yield
        except NetlinkError as error:
            remedy = {
                errno.EPERM: "run as root",
                errno.EOPNOTSUPP: "this kernel lacks that kind: load its module",
            }.get(error.code, "see the kernel's log")
            raise DataPlaneError(f"the kernel refuses {what}: {error}; {remedy}") from error


def tunnel_mac(address: str) -> str:
    """Return the MAC of the end of a tunnel with this address: either end can tell the other's."""
    octets = ip_address(address).packed
    return (b"\x02\x52" + octets[-4:]).hex(":")


def _rule(mark: int) -> dict[str, int]:
    return {"fwmark": mark, "fwmask": 0xFFFFFFFF, "table": mark, "protocol": ROUTE_PROTOCOL}
