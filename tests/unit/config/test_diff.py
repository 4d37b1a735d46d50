"""Configurations compared, and made out of each other."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from netconf_server.edit import apply_edit
from rui.config import Difference, differences, patch, path_text
from rui.schema import Schema

MODULE = """module m { yang-version 1.1; namespace "urn:m"; prefix m;
  container top {
    leaf a { type string; }
    leaf-list tags { type string; }
    list item { key "name"; leaf name { type string; } leaf value { type int32; }
      list sub { key "x y"; leaf x { type string; } leaf y { type string; } leaf z { type string; } } }
    list row { key "n"; ordered-by user; leaf n { type string; } leaf v { type string; } }
  } }"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder: Path = tmp_path_factory.mktemp("yang")
    (folder / "m.yang").write_text(MODULE)
    return Schema.load(["m"], [folder])


def config(inner: str) -> etree._Element:
    return etree.fromstring(
        f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><top xmlns="urn:m">{inner}</top></config>'
    )


def told(schema: Schema, old: str, new: str) -> list[str]:
    def sign(item: Difference) -> str:
        if item.moved:
            return "!"
        return "+" if item.old is None else "-" if item.new is None else "~"

    found = differences(config(old), config(new), schema.tree.data)
    return [f"{path_text(item.path)} {sign(item)}" for item in found]


def test_what_differs_is_named(schema: Schema) -> None:
    one = "<item><name>i</name><value>1</value></item>"
    two = "<item><name>i</name><value>2</value><sub><x>a</x><y>b</y></sub></item>"
    assert told(schema, one, one) == []
    assert told(schema, one, two) == ["/m:top/item[i]/value ~", "/m:top/item[i]/sub[a][b] +"]
    assert told(schema, f"<a>x</a>{one}", "<tags>t</tags>") == [
        "/m:top/a -",
        "/m:top/item[i] -",
        "/m:top/tags[t] +",
    ]


def test_order_counts_only_where_the_user_gives_it(schema: Schema) -> None:
    a, b = "<item><name>a</name></item>", "<item><name>b</name></item>"
    assert told(schema, a + b, b + a) == []
    a, b = "<row><n>a</n></row>", "<row><n>b</n></row>"
    assert told(schema, a + b, b + a) == ["/m:top/row !"]


leaf = st.sampled_from(["", "<a>1</a>", "<a>2</a>"])
tags = st.sets(st.sampled_from("xyz")).map(lambda names: "".join(f"<tags>{n}</tags>" for n in sorted(names)))
subs = st.sets(st.tuples(st.sampled_from("ab"), st.sampled_from("ab"))).map(
    lambda keys: "".join(f"<sub><x>{x}</x><y>{y}</y><z>{x}{y}</z></sub>" for x, y in sorted(keys))
)
items = st.dictionaries(st.sampled_from("pqr"), st.tuples(st.integers(0, 2), subs)).map(
    lambda found: "".join(
        f"<item><name>{name}</name><value>{value}</value>{inner}</item>"
        for name, (value, inner) in found.items()
    )
)
trees = st.tuples(leaf, tags, items).map("".join)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(old=trees, new=trees)
def test_the_patch_makes_the_new_out_of_the_old(schema: Schema, old: str, new: str) -> None:
    edit = patch(differences(config(old), config(new), schema.tree.data))
    if edit is None:
        assert told(schema, old, new) == []
        return
    changed = config(old)
    assert not apply_edit(schema.tree.data, changed, edit)
    assert not list(differences(changed, config(new), schema.tree.data))
