"""Subtree filters as cases: RFC 6241 section 6, on the data of its own examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from netconf_server import subtree
from netconf_server.subtree import FilterNode, SubtreeFilter
from tests.integration.netconf_server_rig import TOY, toy_schema

FILE = Path(__file__).parents[2] / "data" / "subtree-filter.txt"
HEAD, *PARTS = FILE.read_text().split("\n== ")
DATA = HEAD.partition("\ndata: ")[2].strip()


def read_cases() -> dict[str, tuple[str, str]]:
    """The filter and what it selects, by the name of the case."""
    cases = {}
    for part in PARTS:
        name, wanted, selected = part.strip().splitlines()
        cases[name] = (wanted.removeprefix("filter:").strip(), selected.removeprefix("selected:").strip())
    return cases


def canonical(element: etree._Element | None) -> bytes | None:
    return None if element is None else etree.tostring(element, method="c14n", exclusive=True)


@pytest.mark.parametrize(("wanted", "selected"), read_cases().values(), ids=read_cases())
def test_filter(wanted: str, selected: str) -> None:
    compiled = SubtreeFilter.compile(etree.fromstring(f"<filter>{wanted}</filter>"))
    found = canonical(compiled.apply(etree.fromstring(DATA)))
    if selected == "nothing":
        assert found is None
    else:
        assert found == canonical(etree.fromstring(DATA if selected == "all" else selected))


def inventory(inner: str) -> etree._Element:
    return etree.fromstring(f'<inventory xmlns="{TOY}">{inner}</inventory>')


def test_entries_that_are_selected_in_part_keep_their_keys() -> None:
    part = "<part><serial>x</serial><slot>1</slot><model>m</model><note>n</note></part>"
    data = etree.fromstring(
        f'<inventory xmlns="{TOY}"><site><name>s</name><city>c</city>{part}</site></inventory>'
    )
    inner = "<site><part><model/></part></site>"
    wanted = SubtreeFilter.compile(
        etree.fromstring(f'<filter><inventory xmlns="{TOY}">{inner}</inventory></filter>')
    )
    kept = "<site><name>s</name><part><serial>x</serial><slot>1</slot><model>m</model></part></site>"
    expected = etree.fromstring(f'<inventory xmlns="{TOY}">{kept}</inventory>')
    assert canonical(wanted.apply(data, toy_schema().node("/toy:inventory"))) == canonical(expected)


def test_a_filter_says_early_that_it_selects_nothing() -> None:
    wanted = SubtreeFilter.compile(etree.fromstring('<filter><top xmlns="urn:a"/></filter>'))
    assert wanted.at("{urn:b}top") == []
    assert len(wanted.at("{urn:a}top")) == 1


def many(filtered: str) -> tuple[SubtreeFilter, etree._Element]:
    """A filter inside `top`, and a `top` with more entries than are looked at one by one."""
    entries = "".join(
        f"<e><k> {i}\n</k><g>{i % 3}</g><l>a</l><l>b {i}</l></e><o><k>{i}</k></o>" for i in range(100)
    )
    wanted = etree.fromstring(f'<filter><top xmlns="urn:m" xmlns:p="urn:p">{filtered}</top></filter>')
    tree = etree.fromstring(
        f'<top xmlns="urn:m" xmlns:q="urn:p"><only/>{entries}<e at="x"><k>q:id</k></e><k>7</k></top>'
    )
    return SubtreeFilter.compile(wanted), tree


@pytest.mark.parametrize(
    ("filtered", "count"),
    [
        ("<only/>", 0),
        ("<e><k>7</k></e>", 1),
        ("<e><k>7</k><k>8</k></e>", 0),
        ("<e><k>7</k></e><e><k>8</k><g/></e>", 2),
        ("<e><g>1</g><k/></e>", 33),
        ("<e><l>b 7</l></e>", 1),
        ("<e><l>b  7</l></e>", 0),
        ("<e><k>p:id</k></e>", 1),
        ("<e><k>7</k><l>b 7</l></e><only/>", 1),
        ('<n:e xmlns:n="urn:n"><k>7</k></n:e>', 0),
        ('<e xmlns=""><k>7</k></e>', 1),
        ('<e at="x"/><o><k>3</k></o>', 1),
        ("<k>7</k><e><k>9</k></e>", 1),
        ("<k>8</k><e><k>9</k></e>", 0),
        ("<e><k>none</k></e>", 0),
    ],
)
def test_of_many_entries_the_same_are_selected(
    filtered: str, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled, tree = many(filtered)
    found = compiled.apply(tree)
    assert (0 if found is None else len(found.findall("{urn:m}e"))) == count
    monkeypatch.setattr(subtree, "_MANY", 10_000)
    assert canonical(found) == canonical(compiled.apply(tree))


def test_entries_with_other_keys_are_not_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled, tree = many("<e><k>7</k></e><o><k>8</k></o>")
    seen: list[etree._Element] = []
    matches = FilterNode.matches

    def counted(node: FilterNode, element: etree._Element) -> bool:
        seen.append(element)
        return matches(node, element)

    monkeypatch.setattr(FilterNode, "matches", counted)
    assert compiled.apply(tree) is not None
    assert len(seen) < 20
