"""The virtual router's own interface: a macvlan with the virtual MAC on top of the access interface.

It is up, and has the virtual addresses, only while this router is Master: a second interface with the same
MAC that is up elsewhere would forward what the link floods. In bridge mode the frames of another Master,
which come from the same MAC, still reach the access interface, where they are listened for.
"""

from __future__ import annotations

import contextlib
import errno
import math
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from ipaddress import ip_address
from pathlib import Path
from typing import ClassVar, Final

import structlog
from pyroute2 import AsyncIPRoute
from pyroute2.netlink.exceptions import NetlinkError

from router import rtnetlink
from router.rtnetlink import NOT_THERE, Rtnetlink
from router.vrrp.linkwatch import LinkWatch
from router.vrrp.transport import TransportError
from rui.vrrp.packet import IPAddress

log = structlog.get_logger(__name__)

_SYSCTL = Path("/proc/sys/net")
_UP = 0x1
_EXTEND_EVERY: Final = 1.0
"""Seconds between two extensions of the addresses' lives: the kernel counts in seconds."""
_OF_VIRTUAL: Final = {
    "ipv4/conf/{}/arp_ignore": "1",  # answers for its own addresses only
    "ipv4/conf/{}/rp_filter": "2",  # the hosts are routed to over the access interface
    "ipv6/conf/{}/accept_ra": "0",
    "ipv6/conf/{}/addr_gen_mode": "1",  # no link-local address of its own
    "ipv6/conf/{}/accept_dad": "0",
}
_OF_ACCESS: Final = {
    "ipv4/conf/{}/arp_ignore": "1",  # else it answers for the virtual addresses too, with its own MAC
    "ipv4/conf/{}/arp_announce": "2",  # else it asks for a host in their name, and the host believes it
}


class _AccessSettings:
    """The settings of one access interface while any virtual router is on it."""

    _held: ClassVar[dict[str, _AccessSettings]] = {}

    def __init__(self, interface: str) -> None:
        self._interface = interface
        self._former = _set(_OF_ACCESS, interface)
        self._users = 0

    @classmethod
    def acquire(cls, interface: str) -> _AccessSettings:
        """Set them, unless they are set already."""
        settings = cls._held.get(interface) or cls(interface)
        cls._held[interface] = settings
        settings._users += 1
        return settings

    def release(self) -> None:
        """Restore them behind the last user."""
        self._users -= 1
        if self._users:
            return
        self._held.pop(self._interface, None)
        for path, value in self._former.items():
            with contextlib.suppress(OSError):
                path.write_text(value)


class VirtualInterface:
    """Where the virtual addresses are. ``open`` first; every method raises TransportError.

    Without ``mac``, or where the kernel has no macvlan, the addresses are put on the access interface itself,
    and hosts have to learn its MAC from announcements.
    """

    def __init__(
        self, access: str, name: str, mac: bytes | None, addresses: Iterable[IPAddress], silence: float
    ) -> None:
        """``silence``: seconds after which the others give this router up, and then its kernel does too."""
        self.access = access
        self.mac = mac
        self.sending_mac = b""
        self.index = 0
        self._wanted_name = name
        self._addresses = tuple(addresses)
        self._holder = 0
        self._held = False
        self._lifetime = math.ceil(silence) + 1
        self._extended = 0.0
        self._settings: _AccessSettings | None = None
        self._netlink: AsyncIPRoute | None = None
        self._changes: Rtnetlink | None = None
        self._watch: LinkWatch | None = None

    @property
    def name(self) -> str:
        """The interface that holds the addresses."""
        return self.access if self.mac is None else self._wanted_name

    async def open(self, on_link: Callable[[bool], None]) -> None:
        """Make the interface, down and without addresses; remove what a killed process left.

        ``on_link`` is told whether the access interface is up, now and at each change.
        """
        self._netlink, self._changes = AsyncIPRoute(), Rtnetlink()
        try:
            with self._errors(f"use {self.access}"):
                await self._netlink.setup_endpoint()
                found = await self._netlink.link_lookup(ifname=self.access)
                if not found:
                    raise TransportError(
                        errno.ENODEV, f"there is no interface {self.access!r}: create it, or correct its name"
                    )
                self.index = self._holder = found[0]
                watch = self._watch = LinkWatch(self.access, self.index, on_link)
                await watch.open()
                (link,) = await self._netlink.link("get", index=self.index)
                self.sending_mac = bytes.fromhex(link.get_attr("IFLA_ADDRESS").replace(":", ""))
            await self._look_for_own()
            if self.mac is not None:
                await self._make_macvlan(self.mac)
            self._clear()
        except BaseException:
            await self.close()
            raise
        watch.start(link)

    async def primary_address(self, family: int) -> IPAddress:
        """Return the access interface's own address: the first for IPv4, the link-local one for IPv6."""
        for address in await self._present():
            if address.version == family and (family == 4 or address.is_link_local):
                return address
        kind = "IPv4" if family == 4 else "IPv6 link-local"
        raise TransportError(
            errno.EADDRNOTAVAIL,
            f"{self.access} has no {kind} address of its own to send VRRP from: give it one",
        )

    def take(self) -> None:
        """Put the addresses on the interface and bring it up."""
        if self._held:
            return
        self._held = True
        requests = self._additions()
        if self.mac is not None:
            requests.append(rtnetlink.link(self._holder, up=True))
        self._change(requests, f"put the virtual addresses on {self.name}")

    def extend(self) -> None:
        """Let the addresses stay: those of a process that no longer says so end by themselves."""
        now = time.monotonic()
        if self._held and now >= self._extended + _EXTEND_EVERY:
            self._change(self._additions(), f"keep the virtual addresses on {self.name}")

    def release(self) -> None:
        """Take the interface down and the addresses away."""
        if self._held:
            self._held = False
            self._clear()

    async def close(self) -> None:
        """Remove the interface and restore the settings of the access interface."""
        if self._watch is not None:
            await self._watch.close()
            self._watch = None
        if self._changes is not None:
            with contextlib.suppress(TransportError):
                self.release()
            self._changes.close()
            self._changes = None
        if self._netlink is not None:
            if self._holder not in (0, self.index):
                with contextlib.suppress(NetlinkError):
                    await self._netlink.link("del", index=self._holder)
            self._netlink.close()
            self._netlink = None
        if self._settings is not None:
            self._settings.release()
            self._settings = None

    async def _present(self) -> list[IPAddress]:
        """Return the access interface's own addresses. What we put there has the longest prefix."""
        with self._errors(f"read the addresses of {self.access}"):
            dump = await self._required().addr("dump", index=self.index)
            found = [
                (ip_address(message.get_attr("IFA_ADDRESS")), message["prefixlen"]) async for message in dump
            ]
        return [
            address
            for address, prefix in found
            if address not in self._addresses or prefix < address.max_prefixlen
        ]

    async def _look_for_own(self) -> None:
        """An owner's addresses are on the access interface already, with its MAC, and stay there."""
        own = set(await self._present()) & set(self._addresses)
        if own:
            self._addresses = tuple(address for address in self._addresses if address not in own)
            self.mac = None
            log.info("vrrp-addresses-are-own", interface=self.access, addresses=sorted(map(str, own)))

    async def _make_macvlan(self, mac: bytes) -> None:
        netlink, name = self._required(), self._wanted_name
        macvlan = {"kind": "macvlan", "macvlan_mode": "bridge", "address": mac.hex(":")}
        with self._errors(f"make {name} on {self.access}"):
            for there in await netlink.link_lookup(ifname=name):
                if await self._is_fresh(there, mac):
                    self._holder = there
                else:
                    await netlink.link("del", index=there)
            if self._holder == self.index:
                try:
                    await netlink.link("add", ifname=name, link=self.index, **macvlan)
                except NetlinkError as error:
                    if error.code != errno.EOPNOTSUPP:
                        raise
                    self.mac = None
                    log.warning(
                        "vrrp-no-virtual-mac",
                        interface=self.access,
                        why="this kernel has no macvlan",
                        remedy="load the module macvlan, or set virtual-mac false",
                    )
                    return
                self._holder = (await netlink.link_lookup(ifname=name))[0]
        self.sending_mac = mac
        _set(_OF_VIRTUAL, name)
        self._settings = _AccessSettings.acquire(self.access)

    async def _is_fresh(self, index: int, mac: bytes) -> bool:
        """Whether an interface is what this one would make: the data plane's, with the users it knows.

        What a killed process left is up, or has addresses.
        """
        netlink = self._required()
        (link,) = await netlink.link("get", index=index)
        addresses = [item async for item in await netlink.addr("dump", index=index)]
        return (
            link.get_attr("IFLA_LINK") == self.index
            and link.get_attr("IFLA_ADDRESS") == mac.hex(":")
            and not link["flags"] & _UP
            and not addresses
        )

    def _additions(self) -> list[bytes]:
        self._extended = time.monotonic()
        return [
            rtnetlink.new_address(self._holder, address, self._prefix(address), self._lifetime)
            for address in self._addresses
        ]

    def _clear(self) -> None:
        requests = [] if self.mac is None else [rtnetlink.link(self._holder, up=False)]
        requests += [
            rtnetlink.delete_address(self._holder, address, self._prefix(address))
            for address in self._addresses
        ]
        self._change(requests, f"take the virtual addresses from {self.name}", done=NOT_THERE)

    def _change(self, requests: list[bytes], what: str, *, done: Collection[int] = ()) -> None:
        if self._changes is None:
            raise TransportError(errno.ENOTCONN, f"{self.name} is closed")
        try:
            self._changes.change(requests, done=done)
        except OSError as error:
            advice = "; run as root" if error.errno == errno.EPERM else ""
            raise TransportError(
                error.errno, f"cannot {what}: {os.strerror(error.errno or 0)}{advice}"
            ) from error

    def _prefix(self, address: IPAddress) -> int:
        # Answers from a link-local address leave by its interface, which so needs the prefix's route
        routed = self.mac is not None and address.version == 6 and address.is_link_local
        return 64 if routed else address.max_prefixlen

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except NetlinkError as error:
            advice = "; run as root" if error.code in (errno.EPERM, errno.EACCES) else ""
            raise TransportError(error.code, f"cannot {what}: {error.args[-1]}{advice}") from error

    def _required(self) -> AsyncIPRoute:
        if self._netlink is None:
            raise TransportError(errno.ENOTCONN, f"{self.name} is closed")
        return self._netlink


def _set(settings: dict[str, str], interface: str) -> dict[Path, str]:
    """Write kernel settings; return what those that are there had before."""
    former: dict[Path, str] = {}
    for pattern, value in settings.items():
        path = _SYSCTL / pattern.format(interface)
        try:
            before = path.read_text().strip()
            if before != value:
                path.write_text(value)
                former[path] = before
        except OSError as error:
            # IPv6 may be switched off altogether
            log.debug("vrrp-setting-not-there", setting=str(path), why=error.strerror)
    return former
