"""Joins what a group's VRRP, data plane and DHCP relay each say of its virtual MAC and addresses."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from router.config import DhcpSource, GroupConfig
from router.dataplane import DataPlaneConfig, GroupPlane
from router.dataplane.values import Names
from router.vrrp import VrrpConfig
from router.vrrp.frames import virtual_mac
from router.vrrp.interface import InterfaceConfig
from rui.schema.leaves import ConfigError

_SILENT_INTERVALS = 3
_CENTISECONDS = 100.0


def join_plane(plane: DataPlaneConfig, groups: Iterable[GroupConfig]) -> DataPlaneConfig:
    """Have each group's data plane use the interface that VRRP makes on the same access interface.

    Else both would make one with the same MAC. Raises ConfigError where a frozen router would forward on
    after another one has taken over.
    """
    elections = {group.id: group.vrrp for group in groups if group.vrrp is not None}
    joined = []
    for entry in plane.groups:
        vrrp = elections.get(entry.id)
        if vrrp is None:
            joined.append(entry)
            continue
        silence = _SILENT_INTERVALS * vrrp.options.interval / _CENTISECONDS
        if plane.gate_timeout > silence:
            raise ConfigError(
                f"/rui-device:device/rui-dataplane:data-plane/gate-timeout: {plane.gate_timeout:g} s is "
                f"longer than VRRP of group {entry.id} waits for a silent Master, {silence:g} s: shorten it, "
                "or raise advertise-interval-centi-sec"
            )
        joined.append(_join(entry, vrrp))
    return replace(plane, groups=tuple(joined))


def hear_virtual(group: GroupConfig, plane: DataPlaneConfig | None) -> GroupConfig:
    """Have the group's relay hear what clients send to the virtual MAC, such as renewals."""
    if not isinstance(group.source, DhcpSource):
        return group
    names = _virtual_names(group, plane)
    ports = tuple(
        replace(port, virtual_interface=names.get(port.interface, "")) for port in group.source.relay.ports
    )
    return replace(group, source=replace(group.source, relay=replace(group.source.relay, ports=ports)))


def _join(entry: GroupPlane, vrrp: VrrpConfig) -> GroupPlane:
    link = vrrp.link
    if not isinstance(link, InterfaceConfig) or link.interface != entry.access:
        return entry
    mac = virtual_mac(link.vrid, link.family).hex(":") if link.virtual_mac else ""
    return replace(entry, virtual_mac=mac, virtual_interface=vrrp.virtual_interface)


def _virtual_names(group: GroupConfig, plane: DataPlaneConfig | None) -> dict[str, str]:
    """Return the name of the virtual interface by that of the access interface below it."""
    found: dict[str, str] = {}
    if plane is not None:
        names = Names(plane)
        mine = (entry for entry in plane.groups if entry.id == group.id and entry.virtual_mac)
        found.update((entry.access, names.interface(entry)) for entry in mine)
    if group.vrrp is not None and isinstance(group.vrrp.link, InterfaceConfig):
        found[group.vrrp.link.interface] = group.vrrp.virtual_interface
    return found
