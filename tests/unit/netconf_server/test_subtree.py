"""Subtree filters as cases: RFC 6241 section 6, on the data of its own examples."""

from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from netconf_server.subtree import SubtreeFilter
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
