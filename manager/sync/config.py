"""The intended configurations, read from the manager's own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from rui.config import overlay
from rui.netconf import names
from rui.schema import Node
from rui.schema.leaves import children, text

NAMESPACE = "urn:rui-cloud:yang:config-sync"
_CLOUD = "urn:rui-cloud:yang:cloud"


@dataclass(frozen=True)
class Member:
    """One member of a group: what is its own, and whether it is asked to validate."""

    device: str
    own: etree._Element
    validates: bool


@dataclass(frozen=True)
class Intended:
    """What one group's members are to run. Times in seconds, an interval of 0 is none."""

    group: str
    repairs: bool
    interval: int
    confirm_timeout: int
    common: etree._Element
    members: tuple[Member, ...]

    def of(self, device: str, top: Mapping[str, Node]) -> etree._Element:
        """What one member is to run, as a `config` element."""
        own = next(member.own for member in self.members if member.device == device)
        return overlay((self.common, own), top)


def read_intended(config: etree._Element) -> dict[str, Intended]:
    """Read the groups that are synchronised from a configuration with its defaults, a `config` element."""
    found = {}
    for group in config.iterfind(f"{{{_CLOUD}}}cloud/{{{_CLOUD}}}group"):
        sync = group.find(f"{{{NAMESPACE}}}config-sync")
        if sync is not None:
            name = text(group, "group-id")
            found[name] = Intended(
                name,
                text(sync, "policy") == "repair",
                int(text(sync, "check-interval")),
                int(text(sync, "confirm-timeout")),
                _anydata(sync, "common"),
                tuple(_member(entry) for entry in children(sync, "member")),
            )
    return found


def _member(entry: etree._Element) -> Member:
    return Member(text(entry, "device-id"), _anydata(entry, "own"), text(entry, "validate") == "true")


def _anydata(parent: etree._Element, name: str) -> etree._Element:
    found = parent.find(f"{{{NAMESPACE}}}{name}")
    return found if found is not None else etree.Element(names.base("config"))
