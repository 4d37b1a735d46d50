"""The subscribers of a lab of continuity, as few real clients or as a crowd, in one form for both."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import TypedDict

from rui_cli.lab.clients import INTERFACE, Udhcpc
from rui_cli.lab.namespaces import Link, Namespaces
from rui_cli.lab.pair import VIRTUAL

PING_RANGE = {"net.ipv4.ping_group_range": "0 0"}
"""Lets root ping by a socket that the kernel hands only the answers to."""


class Place(TypedDict):
    """Where the probe opens the sockets of one subscriber."""

    name: str
    namespace: str
    device: str
    address: str


class Subscribers(ABC):
    """All subscribers of a lab; `build`, then `login`, then, when all are bound, `settle`."""

    def __init__(self, count: int) -> None:
        self.count = count

    @abstractmethod
    def build(self) -> None:
        """Make their namespaces and interfaces."""

    @abstractmethod
    def login(self) -> None:
        """Have all of them ask for an address."""

    @abstractmethod
    def renew(self) -> None:
        """Have all of them renew before it is due."""

    @abstractmethod
    def given(self) -> Sequence[Sequence[IPv4Address]]:
        """Return what each was given so far, oldest first; a renewal counts anew."""

    @abstractmethod
    def settle(self) -> list[Place]:
        """Let them reach the server, and return where each is."""

    @abstractmethod
    def close(self) -> None:
        """Ask for nothing any more; the namespaces' owner removes the rest."""

    def bound(self) -> int:
        """Return how many have an address."""
        return sum(bool(addresses) for addresses in self.given())

    def kept(self) -> bool:
        """Whether nobody was ever given another address."""
        return all(len(set(addresses)) == 1 for addresses in self.given())


class Households(Subscribers):
    """BusyBox's DHCP client for each, in a namespace of its own."""

    def __init__(self, namespaces: Namespaces, folder: Path, count: int) -> None:
        super().__init__(count)
        self._namespaces = namespaces
        numbers = range(1, count + 1)
        self._clients = [
            Udhcpc(namespaces, f"sub{number}", f"02:00:00:00:00:{number:02x}", folder) for number in numbers
        ]

    def build(self) -> None:
        """Make their namespaces and interfaces."""
        for client in self._clients:
            self._namespaces.add(client.name)
            self._namespaces.set(client.name, PING_RANGE)
            self._namespaces.plug(Link(client.name, INTERFACE, mac=client.mac), "access")

    def login(self) -> None:
        """Have all of them ask for an address."""
        for client in self._clients:
            client.start()

    def renew(self) -> None:
        """Have all of them renew before it is due."""
        for client in self._clients:
            client.renew()

    def given(self) -> Sequence[Sequence[IPv4Address]]:
        """Return what each was given so far, oldest first; a renewal counts anew."""
        return [[binding.ipv4 for binding in client.bindings()] for client in self._clients]

    def settle(self) -> list[Place]:
        """Let them reach the server, and return where each is."""
        places: list[Place] = []
        for client, addresses in zip(self._clients, self.given(), strict=True):
            self._namespaces.ip(client.name, "route", "replace", "default", "via", str(VIRTUAL))
            place: Place = {
                "name": client.name,
                "namespace": self._namespaces.file(client.name),
                "device": INTERFACE,
                "address": str(addresses[-1]),
            }
            places.append(place)
        return places

    def close(self) -> None:
        """Do nothing: the clients are processes of the namespaces' owner."""
