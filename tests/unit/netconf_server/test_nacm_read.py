"""What a user may not read is left out of configuration, trees and large lists (RFC 8341 3.2.4)."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from lxml import etree

from netconf_server import Entry
from netconf_server.nacmread import Readable
from netconf_server.query import Read
from tests.unit.netconf_server.nacm_rig import (
    GUARDED,
    access,
    config,
    deny,
    house,
    nacm,
    permit,
    room,
    schema,
)

HOUSE = house("<name>n</name><code>c</code>" + room("ann", "<owner>o</owner>") + room("hall"))
NAME, ROOM_NAME, OWNER = "house/name", "house/room/name", "house/room/owner"
BY_KEY = "/g:house/g:room[g:name=$USER]"


def view(policy: str) -> Readable:
    return Readable(access(policy), schema().tree.data)


def shown(policy: str, tree: str = HOUSE) -> list[str]:
    """The leaves that are left, as their names or, for those of a room, its name before."""
    found = view(policy).tree(config(tree))
    return [
        "/".join(etree.QName(part).localname for part in (*reversed(list(leaf.iterancestors())[:-1]), leaf))
        for leaf in found.iter(etree.Element)
        if len(leaf) == 0 and leaf is not found
    ]


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("", [NAME, ROOM_NAME, OWNER, ROOM_NAME]),
        (nacm(permit()), [NAME, "house/code", ROOM_NAME, OWNER, ROOM_NAME]),
        (nacm(deny(path="/g:house/g:room")), [NAME]),
        (nacm(deny(path=BY_KEY)), [NAME, ROOM_NAME]),
        (nacm(deny(path=BY_KEY + "/g:owner")), [NAME, ROOM_NAME, ROOM_NAME]),
        (nacm(permit(path=BY_KEY), deny(path="/g:house/g:room")), [NAME, ROOM_NAME, OWNER]),
        (nacm(deny(path="/g:house")), []),
        # A permit for what is inside opens nothing while what is around it is closed.
        (nacm(permit(path="/g:house/g:name"), leaves="<read-default>deny</read-default>"), []),
    ],
)  # fmt: skip
def test_a_tree(policy: str, left: list[str]) -> None:
    assert shown(policy) == left


def test_what_may_be_read_whole_is_not_copied() -> None:
    tree = config(HOUSE)
    assert view(nacm(permit())).tree(tree) is tree


def test_prefixes_of_values_are_kept() -> None:
    tree = config(f'<house xmlns="{GUARDED}"><name xmlns:p="urn:p">p:x</name><code>c</code></house>')
    (name,) = view("").tree(tree).iter(f"{{{GUARDED}}}name")
    assert (name.text, name.nsmap["p"]) == ("p:x", "urn:p")


def test_what_no_module_defines_goes_by_the_default() -> None:
    other = etree.fromstring('<other xmlns="urn:other"/>')
    assert view("").element(other, None) is other
    assert view(nacm(leaves="<read-default>deny</read-default>")).element(other, None) is None
    assert view(nacm(deny(module_name="*"))).element(other, None) is None


METER = [
    schema().node(path)
    for path in ("/guarded:meters", "/guarded:meters/floor", "/guarded:meters/floor/meter")
]


def reads() -> Iterator[Read]:
    for level in ("1", "2"):
        for serial in "ab":
            xml = f'<meter xmlns="{GUARDED}"><serial>{serial}</serial><secret>s</secret></meter>'
            yield {}, Entry(({"level": level},), xml.encode())


def entries(policy: str) -> list[str]:
    """What is left of the meters: floor, serial and whether the secret is shown."""
    found = []
    for _, entry in view(policy).entries(METER, reads()):
        element = etree.fromstring(entry.xml)
        secret = "+" if element.find(f"{{{GUARDED}}}secret") is not None else "-"
        found.append(f"{entry.parents[0]['level']}{element.findtext(f'{{{GUARDED}}}serial')}{secret}")
    return found


@pytest.mark.parametrize(
    ("policy", "left"),
    [
        ("", "1a+ 1b+ 2a+ 2b+"),
        (nacm(deny(path="/g:meters/g:floor/g:meter/g:secret")), "1a- 1b- 2a- 2b-"),
        (nacm(deny(path="/g:meters/g:floor[g:level='1']")), "2a+ 2b+"),
        (nacm(deny(path="/g:meters/g:floor[g:level='01']")), "2a+ 2b+"),  # the same number
        (nacm(deny(path="/g:meters/g:floor/g:meter[g:serial='a']")), "1b+ 2b+"),
        (nacm(deny(path="/g:meters/g:floor[g:level='1']/g:meter[g:serial='a']")), "1b+ 2a+ 2b+"),
        (nacm(deny(path="/g:meters/g:floor[g:level='1']/g:meter/g:secret")), "1a- 1b- 2a+ 2b+"),
        (nacm(deny(path="/g:meters")), ""),
        (nacm(deny(path="/g:meters/g:floor")), ""),
    ],
)
def test_entries_of_a_large_list(policy: str, left: str) -> None:
    assert entries(policy) == left.split()


def test_an_open_list_costs_an_entry_nothing() -> None:
    given = reads()
    assert view(nacm(permit(), deny(path="/g:house"))).entries(METER, given) is given
    assert view("").entries(METER, given) is given


def test_keys_of_an_outer_list_are_decided_for_all_of_its_entries() -> None:
    given = list(reads())
    left = view(nacm(deny(path="/g:meters/g:floor[g:level='1']"))).entries(METER, iter(given))
    # Not read, not copied: the entries themselves.
    assert [id(entry) for _, entry in left] == [id(entry) for _, entry in given[2:]]
