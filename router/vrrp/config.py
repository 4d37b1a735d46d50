"""From a group's ``vrrp`` container to values; what fails only together is refused here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

from lxml import etree

from router.vrrp.interface import InterfaceConfig, InterfaceTransport
from router.vrrp.transport import Transport
from router.vrrp.unicast import UnicastConfig, UnicastTransport
from rui.schema.leaves import ConfigError, child, children, text
from rui.vrrp.values import OptionsError, Source, VrrpOptions

NAMESPACE = "urn:rui-cloud:yang:vrrp"
_SILENT_INTERVALS = 4
"""Any Master_Down_Interval is shorter: three intervals and less than one of skew."""


@dataclass(frozen=True, slots=True)
class VrrpConfig:
    """One group's virtual router and its link."""

    group: str
    options: VrrpOptions
    link: InterfaceConfig | UnicastConfig
    tracks: Mapping[str, int] = field(default_factory=dict)
    """BFD sessions by name, and what the priority loses while one is not up."""

    def yielding(self) -> VrrpConfig:
        """Return it for a group whose primary yields [0245]. Raises ConfigError where the priority cannot."""
        try:
            return replace(self, options=replace(self.options, yield_needs_grant=True))
        except OptionsError as error:
            raise ConfigError(f"{_place(self.group)}/priority: {error}") from error

    @property
    def virtual_interface(self) -> str:
        """Name of the interface that has the virtual MAC and addresses; empty where there is none."""
        link = self.link
        return link.virtual_name if isinstance(link, InterfaceConfig) and link.virtual_mac else ""

    def transport(self) -> Transport:
        """Make the link, not yet open."""
        if isinstance(self.link, UnicastConfig):
            return UnicastTransport(self.link)
        return InterfaceTransport(self.link)


def read_vrrp(group: etree._Element) -> VrrpConfig | None:
    """Read a ``group`` entry that the model has checked and completed; None where VRRP does not decide.

    Raises ConfigError.
    """
    vrrp = group.find(f"{{{NAMESPACE}}}vrrp")
    if vrrp is None:
        return None
    name = group.findtext(f"{{{etree.QName(group).namespace}}}id") or ""
    preempt = child(vrrp, "preempt")
    try:
        options = VrrpOptions(
            vrid=int(text(vrrp, "vrid")),
            addresses=tuple(ip_address(entry.text or "") for entry in children(vrrp, "virtual-address")),
            priority=int(text(vrrp, "priority")),
            interval=int(text(vrrp, "advertise-interval-centi-sec")),
            version=2 if text(vrrp, "version") == "vrrp-v2" else 3,
            compatible=text(vrrp, "v2-compatible") == "true",
            preempt=text(preempt, "enabled") == "true",
            preempt_delay=float(text(preempt, "hold-time")),
        )
    except OptionsError as error:
        raise ConfigError(f"{_place(name)}: {error}") from error
    unicast = vrrp.find(f"{{{NAMESPACE}}}unicast")
    link = _interface(vrrp, options) if unicast is None else _unicast(unicast, name, options)
    tracks = {
        text(entry, "session"): int(text(entry, "priority-decrement"))
        for entry in children(vrrp, "track-session")
    }
    return VrrpConfig(name, options, link, tracks)


def _interface(vrrp: etree._Element, options: VrrpOptions) -> InterfaceConfig:
    return InterfaceConfig(
        interface=text(vrrp, "interface"),
        vrid=options.vrid,
        addresses=options.addresses,
        carried=tuple(ip_address(entry.text or "") for entry in children(vrrp, "carried-address")),
        # An owner's addresses are its own: RFC 9568 section 6.1
        accept_mode=text(vrrp, "accept-mode") == "true" or options.owner,
        virtual_mac=text(vrrp, "virtual-mac") == "true",
        pseudo_header=text(vrrp, "ipv4-pseudo-header") == "true",
        silence=_SILENT_INTERVALS * options.interval / 100,
    )


def _unicast(unicast: etree._Element, group: str, options: VrrpOptions) -> UnicastConfig:
    local = Source(ip_address(text(unicast, "local-address")), int(text(unicast, "local-port")))
    peers = tuple(
        Source(ip_address(text(peer, "address")), int(text(peer, "port")))
        for peer in children(unicast, "peer")
    )
    for end in (local, *peers):
        if end.address.version != options.family:
            raise ConfigError(
                f"{_place(group)}/unicast: {end.address} is not of the virtual addresses' family; "
                f"give an IPv{options.family} address, or move those to carried-address"
            )
    if local in peers:
        raise ConfigError(
            f"{_place(group)}/unicast/peer: {local.address} port {local.port} is this router itself"
        )
    return UnicastConfig(local, peers)


def _place(group: str) -> str:
    return f"/rui-device:device/group[id='{group}']/rui-vrrp:vrrp"
