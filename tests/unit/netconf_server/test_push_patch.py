"""Differences as a YANG patch: targets, kinds, places among siblings."""

from __future__ import annotations

import pytest
from lxml import etree

from netconf_server.difference import differences
from netconf_server.push_patch import add_patch, has_keyless
from tests.integration.netconf_server_rig import TOY, toy_schema

CASES = [
    ("<system/>", "<system><name>a</name></system>", ["create /toy:system/name"]),
    ("<system><name>a</name></system>", "<system/>", ["delete /toy:system/name"]),
    ("<system><mtu>1500</mtu></system>", "<system><mtu>1400</mtu></system>", ["replace /toy:system/mtu"]),
    (
        "<system><user><name>a</name><uid>1</uid></user></system>",
        "<system><user><name>a</name><uid>2</uid></user><user><name>b/,</name></user></system>",
        ["create /toy:system/user=b%2F%2C", "replace /toy:system/user=a/uid"],
    ),
    (
        "<system><server>a</server></system>",
        "<system><server>b</server><server>a</server><server>c</server></system>",
        ["insert /toy:system/server=b first", "insert /toy:system/server=c after /toy:system/server=a"],
    ),
    (
        "<system><rule><kind>x</kind><number>1</number></rule><rule><kind>y</kind><number>2</number></rule></system>",
        "<system><rule><kind>y</kind><number>2</number></rule><rule><kind>x</kind><number>1</number></rule></system>",
        ["move /toy:system/rule=y,2 first", "move /toy:system/rule=x,1 after /toy:system/rule=y,2"],
    ),
    (
        "<system><tag>a</tag></system>",
        "<system><tag>b</tag></system>",
        ["delete /toy:system/tag=a", "create /toy:system/tag=b"],
    ),
]  # fmt: skip


def tree(body: str) -> etree._Element:
    return etree.fromstring(f'<config xmlns="{TOY}">{body}</config>')


@pytest.mark.parametrize(("old", "new", "expected"), CASES)
def test_each_difference_is_an_edit(old: str, new: str, expected: list[str]) -> None:
    holder = etree.Element("{urn:p}changes")
    add_patch(holder, 4, differences(tree(old), tree(new), toy_schema().tree.data))
    edits = [
        " ".join(
            edit.findtext(f"{{urn:p}}{name}") or "" for name in ("operation", "target", "where", "point")
        ).strip()
        for edit in holder.iter("{urn:p}edit")
    ]
    assert edits == expected
    assert holder.findtext("{urn:p}yang-patch/{urn:p}patch-id") == "4"


def test_a_list_without_keys_is_seen() -> None:
    assert has_keyless(toy_schema().node("/toy:inventory"))
    assert not has_keyless(toy_schema().node("/toy:system"))
