"""with-defaults (RFC 6243) on configuration, on operational trees and on the entries of large lists."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from netconf_server.capabilities import load_schema
from netconf_server.defaults import DefaultsViews
from netconf_server.edit import apply_edit
from netconf_server.providers import Entry, Keys, Providers
from netconf_server.query import Query
from netconf_server.readout import Readout
from netconf_server.subtree import SubtreeFilter
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Defaults, Schema

X = "urn:example:defaults"
MODULE = """
module defaults {
  yang-version 1.1; namespace "urn:example:defaults"; prefix d;
  container top {
    leaf kind { type string; mandatory true; }
    leaf plain { type uint8; default 7; }
    leaf target { type leafref { path "/d:top/d:item/d:name"; } }
    leaf uptime { config false; type uint8; default 1; }
    choice way { default slow;
      case fast { leaf gear { type uint8; default 5; } }
      case slow { leaf pace { type uint8; default 2; } leaf rest { type uint8; } }
    }
    container fan { when "../kind = 'hot'"; leaf speed { type uint8; default 9; } }
    list item { key name; leaf name { type string; } leaf size { type uint8; default 3; } }
  }
  container other { leaf-list word { type string; default "a"; default "b"; } }
  container state { config false;
    list box { key id; leaf id { type uint8; }
      list cell { key n; leaf n { type uint16; } leaf full { type boolean; default false; } } }
  }
}
"""


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder: Path = tmp_path_factory.mktemp("yang")
    folder.joinpath("defaults.yang").write_text(MODULE)
    return load_schema(["defaults"], [folder])


class Cells:
    """600 cells in each of two boxes."""

    def read(self, keys: Keys) -> Iterator[Entry]:
        for box in "12":
            for n in range(600):
                full = "<full>false</full>" if n == 1 else ""
                yield Entry(({"id": box},), f'<cell xmlns="{X}"><n>{n}</n>{full}</cell>'.encode())


def config(inner: str) -> etree._Element:
    return etree.fromstring(f'<config xmlns="{names.BASE}"><top xmlns="{X}">{inner}</top></config>')


def shown(pieces: Iterator[bytes]) -> etree._Element:
    return etree.fromstring(b"<data>" + b"".join(pieces) + b"</data>")


def leaves(tree: etree._Element, mark: str = "default") -> dict[str, str]:
    """The leaves by name; a value that is marked as default has a star."""
    stars = {True: "*", False: ""}
    return {
        etree.QName(leaf).localname: (leaf.text or "") + stars[any(mark in str(key) for key in leaf.attrib)]
        for leaf in tree.iter(etree.Element)
        if len(leaf) == 0 and leaf.tag != names.base("config")
    }


SET = "<kind>cold</kind><plain>7</plain><target>nowhere</target><item><name>a</name></item>"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        (Defaults.EXPLICIT, {"kind": "cold", "plain": "7", "target": "nowhere", "name": "a"}),
        (Defaults.TRIM, {"kind": "cold", "target": "nowhere", "name": "a"}),
        (
            Defaults.REPORT_ALL,
            {
                "kind": "cold", "plain": "7", "target": "nowhere", "name": "a", "size": "3", "pace": "2",
                "word": "b",
            },
        ),
        (
            Defaults.REPORT_ALL_TAGGED,
            {
                "kind": "cold", "plain": "7", "target": "nowhere", "name": "a", "size": "3*", "pace": "2*",
                "word": "b*",
            },
        ),
    ],
)  # fmt: skip
def test_the_modes_on_a_candidate_that_is_not_valid(
    schema: Schema, mode: Defaults, expected: dict[str, str]
) -> None:
    query = Query(None, DefaultsViews(schema).of(mode))
    tree = shown(Readout(schema, Providers(schema)).config(config(SET), query))
    own = [child for child in tree if child.tag in (f"{{{X}}}top", f"{{{X}}}other")]
    assert {name: value for child in own for name, value in leaves(child).items()} == expected


def test_defaults_hang_on_when_and_on_the_chosen_case(schema: Schema) -> None:
    query = Query(None, DefaultsViews(schema).of(Defaults.REPORT_ALL))
    inner = "<kind>hot</kind><gear>1</gear>"
    tree = shown(Readout(schema, Providers(schema)).config(config(inner), query))
    found = leaves(tree)
    assert (found["speed"], found["gear"]) == ("9", "1")
    assert "pace" not in found
    assert "uptime" not in found


def test_a_filter_sees_defaults(schema: Schema) -> None:
    wanted = SubtreeFilter.compile(
        etree.fromstring(f'<filter><top xmlns="{X}"><plain>7</plain></top></filter>')
    )
    query = Query(wanted, DefaultsViews(schema).of(Defaults.REPORT_ALL))
    tree = shown(Readout(schema, Providers(schema)).config(config("<kind>x</kind>"), query))
    assert leaves(tree) == {"kind": "x", "plain": "7", "pace": "2"}


@pytest.mark.parametrize(("mode", "full", "empty"), [
    (Defaults.EXPLICIT, 2, 0), (Defaults.TRIM, 0, 0), (Defaults.REPORT_ALL, 1200, 0),
    (Defaults.REPORT_ALL_TAGGED, 1200, 1198),
])  # fmt: skip
def test_the_entries_of_a_large_list(schema: Schema, mode: Defaults, full: int, empty: int) -> None:
    providers = Providers(schema)
    providers.add_list("/defaults:state/box/cell", Cells())
    query = Query(None, DefaultsViews(schema).of(mode))
    tree = shown(Readout(schema, providers).everything(config("<kind>x</kind>"), query))
    cells = tree.findall(f"{{{X}}}state/{{{X}}}box/{{{X}}}cell")
    assert [cell.findtext(f"{{{X}}}n") for cell in cells] == [str(n) for n in range(600)] * 2
    given = [leaf for cell in cells for leaf in cell.iterchildren(f"{{{X}}}full")]
    assert (len(given), sum(bool(leaf.attrib) for leaf in given)) == (full, empty)
    assert ("uptime" in leaves(tree)) is (mode in (Defaults.REPORT_ALL, Defaults.REPORT_ALL_TAGGED))


WD = 'xmlns:wd="urn:ietf:params:xml:ns:netconf:default:1.0"'


def test_what_is_sent_marked_as_default_is_not_set(schema: Schema) -> None:
    tree = config("<kind>x</kind><plain>8</plain>")
    apply_edit(schema.tree.data, tree, config(f'<plain {WD} wd:default="true">7</plain>'))
    assert leaves(tree) == {"kind": "x"}


def test_what_is_marked_as_default_has_to_be_it(schema: Schema) -> None:
    with pytest.raises(RpcError, match="not its default") as refused:
        apply_edit(schema.tree.data, config(""), config(f'<plain {WD} wd:default="1">8</plain>'))
    assert (refused.value.tag, refused.value.path) == ("invalid-value", "/defaults:top/defaults:plain")
