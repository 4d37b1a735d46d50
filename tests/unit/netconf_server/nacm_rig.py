"""A guarded model, policies for it, and what users may do under them."""

from __future__ import annotations

import functools
from pathlib import Path

from lxml import etree

from netconf_server import load_schema
from netconf_server.nacmaccess import Access, Marks
from netconf_server.nacmrules import NAMESPACE, read_policy
from rui.netconf import names
from rui.schema import Schema

GUARDED = "urn:example:guarded"
YANG = Path(__file__).parents[2] / "data" / "yang"


@functools.cache
def schema() -> Schema:
    """The guarded model with access control, compiled once a test run."""
    return load_schema(["guarded", "ietf-netconf-acm"], [YANG])


@functools.cache
def marks() -> Marks:
    """What the model closes."""
    return Marks(schema())


def rule(action: str, **leaves: str) -> str:
    """One rule; underscores in names stand for hyphens."""
    content = "".join(
        f"<{name.replace('_', '-')}>{text}</{name.replace('_', '-')}>" for name, text in leaves.items()
    )
    return f"{content}<action>{action}</action>"


def permit(**leaves: str) -> str:
    """A rule that permits."""
    return rule("permit", **leaves)


def deny(**leaves: str) -> str:
    """A rule that denies."""
    return rule("deny", **leaves)


def nacm(*rules: str, groups: str = "", leaves: str = "", group: str = "staff") -> str:
    """A policy whose only list holds for one group, of which `ann` is a member."""
    entries = "".join(f"<rule><name>r{i}</name>{text}</rule>" for i, text in enumerate(rules))
    return (
        f'<nacm xmlns="{NAMESPACE}" xmlns:g="{GUARDED}">{leaves}'
        f"<groups><group><name>staff</name><user-name>ann</user-name></group>{groups}</groups>"
        f"<rule-list><name>l</name><group>{group}</group>{entries}</rule-list></nacm>"
    )


def config(text: str) -> etree._Element:
    """A datastore's tree; the guarded model's prefix is the default namespace of its content."""
    return etree.fromstring(f'<config xmlns="{names.BASE}">{text}</config>')


def house(text: str) -> str:
    """The container `house` with this content."""
    return f'<house xmlns="{GUARDED}">{text}</house>'


def room(name: str, text: str = "") -> str:
    """An entry of the list `room`."""
    return f"<room><name>{name}</name>{text}</room>"


def access(policy: str, user: str = "ann", *, unlimited: bool = False) -> Access:
    """What a user may do under a policy."""
    return Access(user, read_policy(schema(), config(policy)), marks(), unlimited=unlimited)
