"""The nftables rules as text: who may send and receive, and where packets to users are sent.

Each packet to a known user is marked with its group, and the mark chooses the routing table: to the user
while this router's gate for the group is open, over the tunnel while it is closed. So a change of role moves
no user, and a process that no longer refreshes the gate is no longer forwarded for, whatever else the kernel
holds.
"""

from __future__ import annotations

from collections.abc import Sequence

from router.dataplane.values import DataPlaneConfig, GroupPlane, Names


def base(config: DataPlaneConfig, names: Names) -> str:
    """Return the commands that replace whatever there is of this device's tables by empty ones."""
    gated = [names.interface(group) for group in config.groups if group.virtual_mac]
    body = [
        "set gate { type ifname; flags timeout; }",
        "set open { type mark; flags timeout; }",
        "map to4 { type ipv4_addr : mark; }",
        "map to6 { type ipv6_addr : mark; }",
        *_hooked("prerouting", "filter", "prerouting", _marking(config, names)),
        *_hooked("output", "route", "output", _marking(config, names)),
        *_hooked("forward", "filter", "forward", _forwarding(config, names), priority="filter"),
        *_hooked("postrouting", "filter", "postrouting", _unmarking(config, names)),
        *_hooked("own_in", "filter", "input", _gate("iifname", gated), priority="filter"),
        *_hooked("own_out", "filter", "output", _gate("oifname", gated), priority="filter"),
    ]
    for group in config.groups:
        body += _group(group, names)
    arp = [
        "set gate { type ifname; flags timeout; }",
        *_hooked("own_in", "filter", "input", _gate("iifname", gated), priority="filter"),
        *_hooked("own_out", "filter", "output", _gate("oifname", gated), priority="filter"),
    ]
    return removal(names) + _table("inet", names, body) + _table("arp", names, arp)


def removal(names: Names) -> str:
    """Return the commands that leave nothing of this device's tables; they need not be there."""
    return "".join(
        f"add table {family} {names.table}\ndelete table {family} {names.table}\n"
        for family in ("inet", "arp")
    )


def _table(family: str, names: Names, body: Sequence[str]) -> str:
    return f"table {family} {names.table} {{\n" + "\n".join(body) + "\n}\n"


def _hooked(name: str, kind: str, hook: str, rules: Sequence[str], *, priority: str = "mangle") -> list[str]:
    return [f"chain {name} {{", f"type {kind} hook {hook} priority {priority}; policy accept;", *rules, "}"]


def _marking(config: DataPlaneConfig, names: Names) -> list[str]:
    """Mark packets to users with their group, anew where its gate is closed and a tunnel leads on."""
    rules = ["meta mark set ip daddr map @to4", "meta mark set ip6 daddr map @to6"]
    return rules + [
        f"meta mark {names.mark(group.id):#x} meta mark != @open "
        f"meta mark set {names.closed_mark(group.id):#x}"
        for group in config.groups
        if group.tunnel is not None
    ]


def _unmarking(config: DataPlaneConfig, names: Names) -> list[str]:
    """The tunnel's own packets inherit the mark of what is in them, and would be led into the tunnel too."""
    return [f'oifname "{name}" meta mark set 0' for name in _tunnels(config, names)]


def _tunnels(config: DataPlaneConfig, names: Names) -> list[str]:
    return sorted({names.tunnel(group) for group in config.groups} - {""})


def _forwarding(config: DataPlaneConfig, names: Names) -> list[str]:
    # Two routers that both take the other for primary would send a packet to and fro until its TTL ends
    rules = [f'iifname "{name}" oifname "{name}" drop' for name in _tunnels(config, names)]
    for group in config.groups:
        number = names.number(group.id)
        for interface in sorted({group.access, names.interface(group)}):
            rules += [f'iifname "{interface}" jump from_{number}', f'oifname "{interface}" jump to_{number}']
    return rules


def _gate(direction: str, gated: Sequence[str]) -> list[str]:
    """A frozen process must not answer for the virtual MAC either: the switch would follow the answer."""
    return [f'{direction} "{name}" {direction} != @gate drop' for name in gated]


def _group(group: GroupPlane, names: Names) -> list[str]:
    number = names.number(group.id)
    return [
        f"set from4_{number} {{ type ether_addr . ipv4_addr; }}",
        f"set from6_{number} {{ type ether_addr . ipv6_addr; }}",
        f"chain from_{number} {{",
        "iifname != @gate counter drop",
        f"ether saddr . ip saddr @from4_{number} return",
        f"ether saddr . ip6 saddr @from6_{number} return",
        "counter drop",
        "}",
        f"chain to_{number} {{",
        "oifname != @gate counter drop",
        f"meta mark != {names.mark(group.id):#x} counter drop",
        "}",
    ]
