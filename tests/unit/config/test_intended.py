"""What is intended against what runs: only what is named counts, but of a list's entry the whole."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from rui.config import overlay, path_text, plan
from rui.schema import Schema

MODULE = """module m { yang-version 1.1; namespace "urn:m"; prefix m;
  container top { leaf a { type string; default "d"; } leaf b { type string; }
    list item { key "n"; leaf n { type string; } leaf v { type string; } leaf w { type string; } } } }"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder: Path = tmp_path_factory.mktemp("yang")
    (folder / "m.yang").write_text(MODULE)
    return Schema.load(["m"], [folder])


def config(inner: str) -> etree._Element:
    top = f'<top xmlns="urn:m">{inner}</top>' if inner else ""
    return etree.fromstring(f'<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">{top}</config>')


def item(name: str, leafs: str = "") -> str:
    return f"<item><n>{name}</n>{leafs}</item>"


@pytest.mark.parametrize(
    ("running", "intended", "differs"),
    [
        ("<b>mine</b>", "", []),
        ("<b>mine</b>" + item("x"), item("x"), []),
        (item("x", "<v>1</v>") + item("y"), item("x"), ["/m:top/item[x]/v"]),
        ("", item("x", "<v>1</v>"), ["/m:top"]),
        (item("y"), item("x", "<v>1</v>"), ["/m:top/item[x]"]),
        ("<b>1</b>", "<b>2</b>", ["/m:top/b"]),
        ("", "<a>d</a>", []),  # a server may leave a default value out
        ("<a>e</a>", "<a>d</a>", ["/m:top/a"]),
    ],
)
def test_what_counts_as_a_difference(schema: Schema, running: str, intended: str, differs: list[str]) -> None:
    made = plan(config(running), config(intended), schema.tree.data)
    assert [path_text(found.path) for found in made.differences] == differs
    assert (made.edit is None) == (not differs)


def test_what_is_ones_own_stands_over_what_is_common(schema: Schema) -> None:
    common = config("<b>all</b>" + item("x", "<v>1</v><w>1</w>"))
    own = config("<b>me</b>" + item("x", "<w>2</w>") + item("y"))
    joined = overlay((common, own), schema.tree.data)
    expected = config("<b>me</b>" + item("x", "<v>1</v><w>2</w>") + item("y"))
    assert not plan(joined, expected, schema.tree.data).differences
    assert not plan(expected, joined, schema.tree.data).differences
    assert common.findtext(".//{urn:m}w") == "1"
