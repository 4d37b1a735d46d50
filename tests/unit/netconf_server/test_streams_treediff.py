"""What differs between two trees, for every kind of node."""

from __future__ import annotations

import pytest
from lxml import etree

from netconf_server.treediff import differences, instance_identifier, resource_path
from tests.integration.netconf_server_rig import TOY, toy_schema

CASES = [
    ("<system/>", "<system><name>a</name></system>", ["create /system/name"]),
    ("<system><name>a</name></system>", "<system/>", ["delete /system/name"]),
    ("<system><mtu>1500</mtu></system>", "<system><mtu>01500</mtu></system>", ["replace /system/mtu"]),
    ("<system><mtu>1500</mtu></system>", "<system><mtu>0x5dc</mtu></system>", []),
    ("", "<system><name>a</name></system>", ["create /system"]),
    (
        "<system><user><name>a</name><uid>1</uid></user><user><name>b</name></user></system>",
        "<system><user><name>b</name></user><user><name>a</name><uid>2</uid></user></system>",
        ["replace /system/user=a/uid"],
    ),
    (
        "<system><rule><kind>x</kind><number>1</number></rule><rule><kind>y</kind><number>2</number></rule></system>",
        "<system><rule><kind>y</kind><number>2</number></rule><rule><kind>x</kind><number>1</number></rule></system>",
        ["move /system/rule=y,2", "move /system/rule=x,1"],
    ),
    (
        "<system><server>a</server></system>",
        "<system><server>b</server><server>a</server></system>",
        ["insert /system/server=b"],
    ),
    ("<system><tag>a</tag></system>", "<system><tag>b</tag></system>",
     ["delete /system/tag=a", "create /system/tag=b"]),
    ("<system><blob><x/></blob></system>", "<system><blob><y/></blob></system>", ["replace /system/blob"]),
    (
        "<inventory><log><line>1</line></log></inventory>",
        "<inventory><log><line>1</line></log><log><line>2</line></log></inventory>",
        ["replace /inventory"],
    ),
]  # fmt: skip


def tree(body: str) -> etree._Element:
    return etree.fromstring(f'<config xmlns="{TOY}">{body}</config>')


@pytest.mark.parametrize(("old", "new", "expected"), CASES)
def test_each_difference_is_named_once(old: str, new: str, expected: list[str]) -> None:
    found = differences(toy_schema().tree.data, tree(old), tree(new))
    texts = [f"{item.kind} {resource_path(item.steps, {TOY: 'toy'}).replace('/toy:', '/')}" for item in found]
    assert texts == expected


def test_paths_in_both_forms() -> None:
    old = tree("<system/>")
    new = tree("<system><user><name>o'neill/x</name></user><tag>t</tag></system>")
    found = list(differences(toy_schema().tree.data, old, new))
    prefixes = {TOY: "toy"}
    assert [instance_identifier(item.steps, prefixes)[0] for item in found] == [
        '/toy:system/toy:user[toy:name="o\'neill/x"]',
        "/toy:system/toy:tag[.='t']",
    ]
    assert instance_identifier(found[0].steps, prefixes)[1] == {"toy": TOY}
    assert resource_path(found[0].steps, prefixes) == "/toy:system/user=o%27neill%2Fx"
