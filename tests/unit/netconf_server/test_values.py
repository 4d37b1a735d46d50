"""Values made comparable, and libyang's paths made XPath."""

from __future__ import annotations

import pytest

from netconf_server.faults import to_rpc_error, to_xpath
from netconf_server.values import canonical, value_of_text
from rui.netconf.errors import RpcError
from rui.schema import DataError, Issue, Kind, Node, Tag, TypeSpec
from tests.integration.netconf_server_rig import TOY, toy_schema

PREFIXES = {None: TOY, "t": TOY, "o": "urn:other"}


@pytest.mark.parametrize(
    ("path", "one", "other", "same"),
    [
        ("/toy:system/mtu", "70", "070", True),
        ("/toy:system/mtu", "70", " +70 ", True),
        ("/toy:system/mtu", "70", "0x46", True),
        ("/toy:system/mtu", "8", "010", False),
        ("/toy:system/mtu", "many", "many", True),
        ("/toy:system/name", "a", " a", False),
        ("/toy:system/tint", "red", "t:red", True),
        ("/toy:system/tint", "red", "o:red", False),
        ("/toy:system/tint", "x:red", "t:red", False),
        ("/toy:system/rule/action", "allow", " allow", True),
    ],
)
def test_values_are_compared_by_what_they_mean(path: str, one: str, other: str, same: bool) -> None:
    node = toy_schema().node(path)
    assert (value_of_text(one, PREFIXES, node) == value_of_text(other, PREFIXES, node)) is same


@pytest.mark.parametrize(
    ("path", "xpath", "modules"),
    [
        ("/a:x", "/a:x", {"a"}),
        ("/a:x/y[k='1']/b:z", "/a:x/a:y[a:k='1']/b:z", {"a", "b"}),
        ("/a:x/y[k='/q[r]'][l=\"it's\"]/z", "/a:x/a:y[a:k='/q[r]'][a:l=\"it's\"]/a:z", {"a"}),
        ("/a:x/y[.='v']", "/a:x/a:y[.='v']", {"a"}),
        ("/a:x/y[k='[z=1]']/z", "/a:x/a:y[a:k='[z=1]']/a:z", {"a"}),
        ("/a:x/y[3]", "/a:x/a:y[3]", {"a"}),
        ("", "", set()),
        ("not a path", "not a path", set()),
    ],
)
def test_every_step_of_an_error_path_has_its_prefix(path: str, xpath: str, modules: set[str]) -> None:
    found, prefixes = to_xpath(path, {"a": "urn:a", "b": "urn:b"})
    assert found == xpath
    assert prefixes == {module: f"urn:{module}" for module in modules}


def test_the_first_issue_carries_the_others() -> None:
    issues = (
        Issue("/toy:system/x", "no such node", Tag.UNKNOWN_ELEMENT, element="x"),
        Issue("", "no such module", Tag.UNKNOWN_NAMESPACE, element="y", namespace="urn:y"),
        Issue("/toy:system/mtu", "too small", Tag.INVALID_VALUE, app_tag="mtu-small"),
    )
    error = to_rpc_error(DataError(issues), toy_schema())
    assert isinstance(error, RpcError)
    first, second, third = error.all
    assert (first.tag, first.path, first.info_text("bad-element")) == (
        "unknown-element",
        "/toy:system/toy:x",
        "x:x",
    )
    assert (second.path, second.info_text("bad-namespace")) == (None, "urn:y")
    assert (third.app_tag, third.error_type, third.path_namespaces) == (
        "mtu-small",
        "application",
        {"toy": TOY},
    )


@pytest.mark.parametrize(
    ("base", "text", "written"),
    [
        ("int8", "+07", "7"),
        ("uint16", "0x1F", "0x1F"),
        ("int32", "010", "10"),
        ("int32", "-0", "0"),
        ("int32", "1_0", "1_0"),
        ("int32", " 5", " 5"),
        ("int32", "five", "five"),
        ("decimal64", "1.50", "1.5"),
        ("decimal64", "100", "100.0"),
        ("decimal64", "-0.0", "-0.0"),
        ("decimal64", "x", "x"),
        ("bits", "b  a", "a b"),
        ("bits", "b z", "b z"),
        ("string", "007", "007"),
    ],
)
def test_values_as_their_type_writes_them(base: str, text: str, written: str) -> None:
    spec = TypeSpec(base, base, bits=("a", "b"))
    node = Node(Kind.LEAF, "m", "urn:m", "x", "/m:x", config=True, type=spec)
    assert canonical(text, node) == written
