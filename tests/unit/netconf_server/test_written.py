"""Large elements come in pieces that say once what namespaces there are, and mean the same."""

import pytest
from lxml import etree

from netconf_server import written as module
from netconf_server.written import paced, written

ENTRIES = "".join(
    f"<entry><name>e{number}</name><kind>t:k</kind></entry>" for number in range(60)
)  # as wide as to be written in pieces
ODD = (
    '<other xmlns="urn:b">x</other>'
    '<entry xmlns:u="urn:u"><name>u</name><kind>u:k</kind></entry>'
    '<t:entry mark="1"><name xmlns="urn:t">&lt;&amp;</name></t:entry>'
    '<entry xmlns:t="urn:else"><kind>t:k</kind></entry>'
)


@pytest.fixture(autouse=True)
def small_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_IS_LARGE", etree.XPath("boolean(descendant::*[100])"))


def shape(element: etree._Element) -> object:
    """What an element means: names, attributes, texts, and the namespace of a prefix in its text."""
    text = element.text or ""
    prefix = element.nsmap.get(text.partition(":")[0]) if ":" in text else None
    attributes = {str(name): value for name, value in element.attrib.items()}
    return (element.tag, attributes, text, prefix, [shape(child) for child in element])


def test_namespaces_are_said_once() -> None:
    element = etree.fromstring(f'<list xmlns="urn:a" xmlns:t="urn:t">{ENTRIES}</list>')
    data = b"".join(written(element))
    assert data.count(b"xmlns=") == data.count(b"xmlns:t=") == 1
    assert data == etree.tostring(element)


def test_what_declares_something_else_keeps_it() -> None:
    element = etree.fromstring(f'<list xmlns="urn:a" xmlns:t="urn:t">{ENTRIES}{ODD}{ENTRIES}</list>')
    assert shape(etree.fromstring(b"".join(written(element)))) == shape(element)


def test_no_piece_is_much_larger_than_an_entry() -> None:
    group = f"<group>{ENTRIES * 20}</group>"
    holder = f"<holder><inner>{ENTRIES * 20}</inner></holder>"
    element = etree.fromstring(
        f'<list xmlns="urn:a" xmlns:t="urn:t">{ENTRIES * 20}{group}{holder}{ENTRIES}</list>'
    )
    pieces = list(written(element))
    assert max(map(len, pieces)) < 10_000
    assert shape(etree.fromstring(b"".join(pieces))) == shape(element)


def test_the_same_words_further_inside_are_left_alone() -> None:
    entry = '<entry xmlns="urn:a" xmlns:t="urn:t"><kind>t:k</kind></entry>'
    inner = f'<other xmlns="urn:z" xmlns:t="urn:b">{entry}</other>'
    entry = f"<entry>{inner}<kind>t:k</kind></entry>"
    element = etree.fromstring(f'<list xmlns="urn:a" xmlns:t="urn:t">{entry * 60}</list>')
    assert shape(etree.fromstring(b"".join(written(element)))) == shape(element)


async def test_a_whole_goes_on_in_slices() -> None:
    data = b"x" * 200_000
    pieces = [piece async for piece in paced(iter([data]))]
    assert b"".join(pieces) == data
    assert max(map(len, pieces)) <= 64 * 1024


def test_prefixes_from_further_above_come_along() -> None:
    inside = f"<list>{ENTRIES}{ODD}</list>"
    outer = etree.fromstring(
        f'<top xmlns="urn:a" xmlns:t="urn:t"><more xmlns:z="urn:z">{inside}</more></top>'
    )
    element = outer[0][0]
    assert shape(etree.fromstring(b"".join(written(element)))) == shape(element)
