"""Reads the data plane's configuration out of a router's checked one (``rui-dataplane``)."""

from __future__ import annotations

from ipaddress import ip_network

from lxml import etree

from router.dataplane.values import DataPlaneConfig, GroupPlane, Tunnel
from rui.schema.leaves import ConfigError, child, children, optional, seconds, text

NAMESPACE = "urn:rui-cloud:yang:dataplane"
_TAG = f"{{{NAMESPACE}}}data-plane"


def read_dataplane(device: etree._Element) -> DataPlaneConfig | None:
    """Read a checked ``device`` container, defaults filled in; None where no group has a data plane.

    Raises ConfigError.
    """
    own = device.find(_TAG)
    groups = tuple(
        _group(group, plane) for group in children(device, "group") if (plane := group.find(_TAG)) is not None
    )
    if own is None or not groups:
        return None
    holders: dict[str, str] = {}
    for group in groups:
        for interface in {group.access, group.virtual_interface} - {""}:
            other = holders.setdefault(interface, group.id)
            if other != group.id:
                raise ConfigError(
                    f"{_where(group.id)}: group {other} has {interface} already: each needs its own"
                )
    return DataPlaneConfig(
        text(device, "device-id"), groups, seconds(own, "gate-timeout"), seconds(own, "withdraw-delay")
    )


def _group(group: etree._Element, plane: etree._Element) -> GroupPlane:
    name = text(group, "id")
    giaddr = optional(group, "virtual-giaddr")
    addresses = tuple(entry.text or "" for entry in children(plane, "virtual-address"))
    pools = tuple(ip_network(text(pool, "prefix"), strict=False) for pool in children(group, "address-pool"))
    if not pools:
        raise ConfigError(f"{_where(name)}: no address is forwarded for: add an address-pool to the group")
    return GroupPlane(
        id=name,
        access=text(plane, "access-interface"),
        pools=pools,
        virtual_addresses=addresses or ((giaddr,) if giaddr else ()),
        virtual_mac=optional(plane, "virtual-mac") or "",
        virtual_interface=optional(plane, "virtual-interface") or "",
        tunnel=_tunnel(plane),
    )


def _tunnel(plane: etree._Element) -> Tunnel | None:
    if plane.find(f"{{{NAMESPACE}}}tunnel") is None:
        return None
    tunnel = child(plane, "tunnel")
    return Tunnel(
        local=text(tunnel, "local-address"),
        remote=text(tunnel, "remote-address"),
        vni=int(text(tunnel, "vni")),
        port=int(text(tunnel, "port")),
    )


def _where(group: str) -> str:
    return f"/rui-device:device/group[id='{group}']/rui-dataplane:data-plane"
