"""Values out of a checked tree."""

from __future__ import annotations

import pytest
from lxml import etree

from rui.schema import leaves

SERVER = etree.fromstring(
    b'<server xmlns="urn:a"><name>x</name><empty/><wait>1500</wait>'
    b'<key>1</key><key>2</key><foreign xmlns="urn:b"/></server>'
)


def test_children_are_found_in_the_namespace_of_their_parent() -> None:
    assert [key.text for key in leaves.children(SERVER, "key")] == ["1", "2"]
    assert leaves.children(SERVER, "foreign") == []
    assert leaves.text(SERVER, "name") == "x"
    assert leaves.seconds(SERVER, "wait") == 1.5


def test_an_empty_leaf_is_not_a_missing_one() -> None:
    assert leaves.text(SERVER, "empty") == leaves.optional(SERVER, "empty") == ""
    assert leaves.optional(SERVER, "missing") is None


@pytest.mark.parametrize("read", [leaves.child, leaves.text, leaves.seconds])
def test_what_is_missing_is_named(read: object) -> None:
    assert callable(read)
    with pytest.raises(leaves.ConfigError, match="server lacks missing"):
        read(SERVER, "missing")


def test_a_tree_without_a_namespace() -> None:
    assert leaves.text(etree.fromstring(b"<a><b>c</b></a>"), "b") == "c"
