"""Edits of nothing but values: done as any other edit would be, or left to that with nothing done."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable

import pytest
from lxml import etree

from netconf_server.difference import Difference, differences
from netconf_server.edit import apply_edit
from netconf_server.editvalues import set_values
from rui.netconf.errors import RpcError
from tests.integration.netconf_server_rig import TOY, toy_schema
from tests.unit.netconf_server.test_datastores import NC, config

TOP = toy_schema().tree.data
BEFORE = (
    "<name>n</name><mtu>100</mtu><secret/><tint>red</tint><tag>a</tag>"
    "<debug><level>1</level></debug><timers><hold>5</hold></timers>"
    "<user><name>ann</name><uid>1</uid><address><city>c</city></address></user>"
    "<user><name>bob</name><uid>2</uid></user>"
    "<rule><kind>k</kind><number>1</number><action>deny</action></rule><unix>/x</unix>"
)


def told(found: Iterable[Difference]) -> list[tuple[str, ...]]:
    return sorted(
        (
            item.happened,
            item.place.text,
            str(getattr(item.old, "text", "")),
            str(getattr(item.new, "text", "")),
        )
        for item in found
    )


def same_as_any_edit(inner: str) -> bool:
    """Whether an edit was done; it is checked that it is what it always was, or that nothing was done."""
    before, edit = config(BEFORE), config(inner)
    tree, expected = copy.deepcopy(before), copy.deepcopy(before)
    found = set_values(TOP, tree, edit)
    if found is None:
        assert etree.tostring(tree) == etree.tostring(before)
        return False
    apply_edit(TOP, expected, edit)
    assert etree.tostring(tree) == etree.tostring(expected)
    assert told(found) == told(differences(before, expected, TOP))
    return True


VALUES = [
    "<name>other</name>",
    "<name>n</name>",
    "<name/>",
    "<mtu>0200</mtu>",
    "<mtu>+100</mtu>",
    "<mtu>much</mtu>",
    "<secret>s</secret>",
    "<tint>blue</tint>",
    "<debug><level>2</level></debug>",
    "<timers><hold>6</hold></timers>",
    "<user><name>bob</name><uid>3</uid></user>",
    "<user><uid>3</uid><name>ann</name><address><city>d</city></address></user>",
    "<user><name>ann</name></user>",
]
OTHERS = [
    f'<tint xmlns:t="{TOY}">t:red</tint>',
    "<mtu>7</mtu><mtu>8</mtu>",
    "<uptime>1</uptime>",
    "<nothing>1</nothing>",
    "text<mtu>200</mtu>",
    "<mtu><x/></mtu>",
    f'<mtu {NC} nc:operation="merge">200</mtu>',
    f'<mtu {NC} nc:operation="delete"/>',
    "<tag>b</tag>",
    "<server>s</server>",
    "<unix>/y</unix>",
    "<tcp-port>1</tcp-port>",
    "<blob><x/></blob>",
    "<timers><max>7</max></timers>",
    "<timers/>",
    "<timers>text<hold>6</hold></timers>",
    "<user><name>new</name><uid>3</uid></user>",
    "<user><uid>3</uid></user>",
    "<user><name>bob</name><group>g</group></user>",
    "<user><name>bob</name><name>bob</name></user>",
    "<user><name>bob<x/></name></user>",
    "<user><name>bob</name><uid>3</uid></user><user><name>bob</name><uid>4</uid></user>",
    # its key is a number, of which several texts are one
    "<rule><kind>k</kind><number>01</number><action>allow</action></rule>",
]


@pytest.mark.parametrize("inner", VALUES)
def test_values_of_leafs_that_are_there_are_set(inner: str) -> None:
    assert same_as_any_edit(inner)


@pytest.mark.parametrize("inner", OTHERS)
def test_anything_else_is_left_alone(inner: str) -> None:
    assert not same_as_any_edit(inner)


def test_any_of_them_together() -> None:
    done = 0
    for pair in itertools.permutations([*VALUES, *OTHERS], 2):
        try:
            done += same_as_any_edit("".join(pair))
        except RpcError as error:
            pytest.fail(f"{pair}: {error}")
    assert 40 < done < 200


def test_an_identity_of_another_module_is_left_alone() -> None:
    assert not same_as_any_edit('<tint xmlns:o="urn:other">o:red</tint>')
