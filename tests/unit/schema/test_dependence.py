"""Which leafs stand alone: any other value of them is right whatever else there is."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rui.schema import Schema
from rui.schema.dependence import looked_at

MODULE = """
module house {
  yang-version 1.1; namespace "urn:house"; prefix h;
  grouping later { leaf extra { type string; must "../colour"; } }
  typedef where { type leafref { path "/h:house/h:yard/h:fence"; } }
  container house {
    leaf name { type string; }
    leaf size { type uint8; must ". > 3"; }
    leaf colour { type string; }
    leaf owner { type leafref { path "/h:house/h:person/h:id"; } }
    leaf place { type union { type uint8; type instance-identifier; } }
    leaf lit { type boolean; }
    leaf-list tag { type string; }
    container yard { leaf trees { type uint8; } leaf fence { type string; } }
    container shed { leaf key { type string; } }
    list person { key id; unique "mail"; leaf id { type string; } leaf mail { type string; }
      leaf age { type uint8; } }
    must "shed or name";
  }
  augment "/h:house" { when "h:lit = 'true'"; leaf more { type string; } }
}
"""


@dataclass
class Statement:
    keyword: str
    arg: str = ""
    parent: Statement | None = None
    substmts: list[Statement] = field(default_factory=list)


def stated(text: str, on: str) -> Statement:
    """A module in which a node of this kind has a constraint."""
    module = Statement("module")
    node = Statement(on, "x", module)
    node.substmts = [Statement("must", text, node)]
    module.substmts = [node]
    return module


@pytest.mark.parametrize(
    ("constraint", "names", "values"),
    [
        ("colour = 'red'", "colour red", "colour red"),
        ("h:colour = 1 or /h:a/h:b/h:c > 1", "h colour or a b c", "colour c"),
        ("2 * number(size) > ..//trees", "number size trees", "size trees"),
        ("person[age > 1]/mail", "person age mail", "age mail"),
        ("count(person[mail]) < 9", "count person mail", "person mail"),
        ("../name and current()/../size", "name and current size", "name and size"),
    ],
)
def test_a_constraint_looks_at_what_it_names(constraint: str, names: str, values: str) -> None:
    found = looked_at([stated(constraint, "container")])
    assert found is not None
    assert (found.names, found.values) == (frozenset(names.split()), frozenset(values.split()))


@pytest.mark.parametrize(
    "constraint",
    [
        *("count(*) > 1", "not(yard/* = 'x')", "1 div * > 1", "2 * *", "../*[. = 1]", "//*"),
        *("yard/text() = 'x'", "node()", "child::name = 'x'", "yard/.. = 'x'"),
    ],
)
def test_a_constraint_that_names_nothing_may_look_at_anything(constraint: str) -> None:
    assert looked_at([stated(constraint, "leaf")]) is None


@pytest.mark.parametrize("constraint", [". = 'x'", "current() = 'x'", "not(.)", "string-length(.) > 1"])
def test_what_holds_nodes_is_all_of_them_as_a_value(constraint: str) -> None:
    assert looked_at([stated(constraint, "container")]) is None
    assert looked_at([stated(constraint, "leaf")]) is not None


def test_a_leaf_stands_alone_that_no_constraint_can_look_at(folder: Path) -> None:
    folder.joinpath("house.yang").write_text(MODULE)
    schema = Schema.load(["house"], [folder])
    walked = list(schema.node("/house:house").walk())
    alone = {node.path.removeprefix("/house:house/") for node in walked if schema.tree.stands_alone(node)}
    # Others are looked at, point at something, are a key or unique, or are inside of what is looked at.
    assert alone == {"yard/trees", "person/age", "more"}
