"""A throw-away site: one manager and its routers, with keys, passwords, ports and startup files.

For the demo, the benchmarks and tests, on loopback; for the labs, at the addresses of their namespaces.
Everything is made below one folder that its owner removes:

    FOLDER/<name>/startup.xml   FOLDER/<name>/data/   FOLDER/<name>/*.password

Passwords and host keys are random and never leave the folder; every client pins the host key of its server.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from lxml import etree

from netconf_client import PinnedKey, Target
from netconf_server.accounts import hash_password
from netconf_server.hostkey import load_or_create_host_key
from rui.netconf import names
from rui_cli import policy
from rui_cli.launch import free_ports

LOOPBACK = "127.0.0.1"
MANAGER = "cloud"
OPERATOR = "operator"
DEVICE_NAMESPACE = "urn:rui-cloud:yang:device"
CLOUD_NAMESPACE = "urn:rui-cloud:yang:cloud"
VRRP = "{urn:rui-cloud:yang:vrrp}vrrp"
"""The node by which VRRP decides who is primary of a group, instead of its configuration."""

# A failure on loopback shows at once, so a site looks for it, and tries again, sooner than a network would.
_KEEPALIVE: Mapping[str, "Content"] = {"interval": "1000", "max-missed": "3"}
_RECONNECT: Mapping[str, "Content"] = {"first-wait": "100", "longest-wait": "1000"}

# Nobody guesses 144 random bits, so a login need not cost tens of milliseconds of a core.
_LOG_COST = 4

Content = str | None | Mapping[str, "Content"] | Sequence["Content"]
"""What a configuration node holds: text, nothing, children by name, or these for each entry of a list."""


def configuration(namespace: str, name: str, content: Content) -> etree._Element:
    """Return a `config` element with one top-level node of this namespace, filled with `content`."""
    root = etree.Element(names.base("config"), nsmap=names.nsmap(names.BASE))
    add_configuration(root, namespace, name, content)
    return root


def add_configuration(root: etree._Element, namespace: str, name: str, content: Content) -> None:
    """Add one more top-level node to a `config` element."""
    _add(root, namespace, name, content)


def _add(parent: etree._Element, namespace: str, name: str, content: Content) -> None:
    if name.startswith("{"):
        # Of another module than the node around it
        namespace, name = name[1:].split("}")
    if isinstance(content, Sequence) and not isinstance(content, str):
        for entry in content:
            _add(parent, namespace, name, entry)
        return
    node = etree.SubElement(parent, f"{{{namespace}}}{name}", nsmap=names.nsmap(namespace))
    if isinstance(content, Mapping):
        for child, value in content.items():
            _add(node, namespace, child, value)
    else:
        node.text = content


@dataclass(frozen=True)
class Group:
    """One backup group of a site: who is primary, who are secondaries, and what to put in its configuration.

    `simulated` holds leaves of the simulated subscriber source, given to every member so that roles can
    change, or None where `router_leaves` names another source; `router_leaves` and `cloud_leaves` are added
    to the group's configuration at the routers and at the manager, `own_leaves` at the router of that name.
    Names of other modules' nodes are written `{namespace}name`.
    """

    id: str
    primary: str
    secondaries: tuple[str, ...]
    simulated: Mapping[str, Content] | None = field(default_factory=dict)
    router_leaves: Mapping[str, Content] = field(default_factory=dict)
    cloud_leaves: Mapping[str, Content] = field(default_factory=dict)
    own_leaves: Mapping[str, Mapping[str, Content]] = field(default_factory=dict)

    @property
    def members(self) -> tuple[str, ...]:
        """The routers of the group, the primary first."""
        return (self.primary, *self.secondaries)


class Site:
    """The files of one manager and of the routers of `groups`, below `folder`; `write` makes them.

    `leaves` are added to the configuration of the router of that name.

    `addresses` says where devices are, by name; those that it leaves out are on loopback. Before `write`,
    `dialled` may be given ports to dial instead of a server's own, by (client, server): what stands between.
    """

    def __init__(
        self,
        folder: Path,
        groups: Sequence[Group],
        addresses: Mapping[str, str] | None = None,
        leaves: Mapping[str, Mapping[str, Content]] | None = None,
    ) -> None:
        self.folder = folder
        self.groups = tuple(groups)
        self.routers = tuple(dict.fromkeys(name for group in groups for name in group.members))
        self.devices = (MANAGER, *self.routers)
        self._addresses = {name: (addresses or {}).get(name, LOOPBACK) for name in self.devices}
        self.ports = dict(zip(self.devices, free_ports(len(self.devices), LOOPBACK), strict=True))
        self._leaves = dict(leaves or {})
        self.dialled: dict[tuple[str, str], int] = {}

    def startup(self, name: str) -> Path:
        """The startup file of a device."""
        return self.folder / name / "startup.xml"

    def data(self, name: str) -> Path:
        """The data folder of a device."""
        return self.folder / name / "data"

    def words(self, name: str) -> tuple[str, ...]:
        """The words after `rui` that run a device."""
        kind = "manager" if name == MANAGER else "router"
        return (kind, "--startup", str(self.startup(name)), "--data-dir", str(self.data(name)))

    def target(self, name: str) -> Target:
        """How an operator reaches a device's NETCONF server."""
        return Target(
            self._addresses[name],
            OPERATOR,
            PinnedKey(self._host_keys[name]),
            port=self.ports[name],
            password=self._passwords[OPERATOR],
        )

    def write(self) -> None:
        """Make the folders, keys, password files and startup files."""
        for name in self.devices:
            self.data(name).mkdir(parents=True, exist_ok=True)
            secret = self.folder / name / "client.password"
            secret.touch(mode=0o600)
            secret.write_text(f"{self._passwords[name]}\n")
        for name in self.devices:
            tree = self._manager() if name == MANAGER else self._router(name)
            data = etree.tostring(tree, pretty_print=True, xml_declaration=True, encoding="UTF-8")
            self.startup(name).write_bytes(data)

    @cached_property
    def _passwords(self) -> dict[str, str]:
        return {name: secrets.token_urlsafe(18) for name in (*self.devices, OPERATOR)}

    @cached_property
    def _hashes(self) -> dict[str, str]:
        return {
            name: hash_password(password, log_cost=_LOG_COST) for name, password in self._passwords.items()
        }

    @cached_property
    def _host_keys(self) -> dict[str, str]:
        return {
            name: load_or_create_host_key(self.data(name) / "host-key").export_public_key().decode().strip()
            for name in self.devices
        }

    def _server(self, name: str, clients: Sequence[str]) -> dict[str, Content]:
        return {
            "listen": {"address": self._addresses[name], "port": str(self.ports[name])},
            "account": [
                {"name": client, "password-hash": self._hashes[client]} for client in (*clients, OPERATOR)
            ],
        }

    def _client(self, name: str, server: str) -> dict[str, Content]:
        return {
            "address": self._addresses[server],
            "port": str(self.dialled.get((name, server), self.ports[server])),
            "username": name,
            "password-file": str(self.folder / name / "client.password"),
            "host-key": self._host_keys[server],
            "keepalive": _KEEPALIVE,
            "reconnect": _RECONNECT,
        }

    def _router(self, name: str) -> etree._Element:
        device: dict[str, Content] = {
            "device-id": name,
            "address": self._addresses[name],
            "netconf-server": self._server(name, [MANAGER, *self._peers(name)]),
            "cloud-endpoint": [{"name": MANAGER, **self._client(name, MANAGER)}],
            "rbs-channel": [{"peer": peer, **self._client(name, peer)} for peer in self._peers(name)],
            "group": [self._group(name, group) for group in self.groups if name in group.members],
            **self._leaves.get(name, {}),
        }
        config = configuration(DEVICE_NAMESPACE, "device", device)
        access = policy.router_policy([OPERATOR], [MANAGER], self._peers(name))
        add_configuration(config, policy.NAMESPACE, "nacm", access)
        return config

    def _peers(self, name: str) -> list[str]:
        """The other routers that share a group with this one, and that it can dial."""
        return [
            other
            for other in self.routers
            if other != name
            and self.ports[other]
            and any({name, other} <= set(group.members) for group in self.groups)
        ]

    def _group(self, name: str, group: Group) -> dict[str, Content]:
        simulated: dict[str, Content] = {} if group.simulated is None else {"simulated": group.simulated}
        leaves = {**group.router_leaves, **group.own_leaves.get(name, {})}
        role: dict[str, Content] = {}
        if VRRP not in leaves:
            role = {"static-role": "primary" if name == group.primary else "secondary"}
        return {
            "id": group.id,
            **role,
            "member": [
                {"device-id": other, "address": self._addresses[other]}
                for other in group.members
                if other != name
            ],
            **leaves,
            **simulated,
        }

    def _manager(self) -> etree._Element:
        cloud: dict[str, Content] = {
            "netconf-server": self._server(MANAGER, self.routers),
            "device": [
                {
                    "device-id": router,
                    "group": [group.id for group in self.groups if router in group.members],
                    **self._client(MANAGER, router),
                }
                for router in self.routers
            ],
            "group": [{"group-id": group.id, **group.cloud_leaves} for group in self.groups],
        }
        config = configuration(CLOUD_NAMESPACE, "cloud", cloud)
        access = policy.manager_policy([OPERATOR], self.routers)
        add_configuration(config, policy.NAMESPACE, "nacm", access)
        return config
