"""XPath filters (RFC 6241 8.9): what they select, which entries they ask a large list for, their bounds."""

from __future__ import annotations

import pytest
from lxml import etree

from netconf_server import xpathplan, xpathtokens
from netconf_server.providers import Keys, Providers
from netconf_server.query import Query
from netconf_server.readout import Readout
from netconf_server.subtree import FilterNode
from netconf_server.xpathfilter import XPathFilter
from rui.netconf import names
from rui.netconf.errors import RpcError
from tests.integration.netconf_server_rig import TOY, Parts, toy, toy_schema

NAMESPACES = {"t": TOY}
RUNNING = etree.fromstring(
    f'<config xmlns="{names.BASE}"><system xmlns="{TOY}"><name>r</name><mtu>70</mtu>'
    "<user><name>a</name><uid>1</uid></user><user><name>b</name><uid>2</uid>"
    "<address><city>x</city><street>y</street></address></user></system>"
    f'<palette xmlns="{TOY}"><hue>red</hue></palette></config>'
)


@pytest.mark.parametrize(
    ("expression", "rewritten"),
    [
        ("/t:a/t:b", "/*/ t:a / t:b"),
        ("//t:a", "/*// t:a"),
        ("/", "/*"),
        ("t:a | /t:b", "t:a | /*/ t:b"),
        ("2 * /t:a", "2 * /*/ t:a"),
        ("t:a[/t:b = 1 or /t:c]", "t:a [ /*/ t:b = 1 or /*/ t:c ]"),
        ("/t:a[. = '/t:b']", "/*/ t:a [ . = '/t:b' ]"),
        ("/*/*", "/*/ * / *"),
        ("/a[2]/@b", "/*/ *[local-name()='a'] [ 2 ] / @ b"),
        ("a and attribute::b or self::and", None),
    ],
)
def test_paths_from_the_root_go_through_the_one_root_element(expression: str, rewritten: str | None) -> None:
    if rewritten is None:
        rewritten = "*[local-name()='a'] and attribute :: b or self :: *[local-name()='and']"
    assert xpathtokens.under_one_root(xpathtokens.tokens(expression)) == rewritten


@pytest.mark.parametrize(
    ("expression", "content"),
    [
        ("/t:system/t:name", "<system><name>r</name></system>"),
        ("t:system/t:mtu", "<system><mtu>70</mtu></system>"),
        (
            "/t:system/t:user[t:name='b']/t:uid",
            "<system><user><name>b</name><uid>2</uid></user></system>",
        ),
        (
            "//t:city",
            "<system><user><name>b</name><address><city>x</city></address></user></system>",
        ),
        ("/t:system/t:user[2]/t:name/text()", "<system><user><name>b</name></user></system>"),
        ("/t:system/t:user[last()]/t:uid", "<system><user><name>b</name><uid>2</uid></user></system>"),
        ("/t:palette", "<palette><hue>red</hue></palette>"),
        (
            "/t:palette | /t:system/t:name",
            "<system><name>r</name></system><palette><hue>red</hue></palette>",
        ),
        ("/t:system/t:user[t:uid > 5]", ""),
        ("/t:system[/t:palette/t:hue = 'red']/t:name", "<system><name>r</name></system>"),
        ("/system/user[name='b']/uid", "<system><user><name>b</name><uid>2</uid></user></system>"),
        ("/t:system/@name", ""),
        ("//t:user[t:name='a']/..", None),
        ("/", None),
        ("//*", None),
    ],
)
@pytest.mark.parametrize("operation", ["get", "get-config"])
def test_the_nodes_and_the_way_to_them_are_given(
    expression: str, content: str | None, operation: str
) -> None:
    readout = Readout(toy_schema(), Providers(toy_schema()))
    query = Query(XPathFilter(expression, NAMESPACES))
    reading = (
        readout.config(RUNNING, query) if operation == "get-config" else readout.everything(RUNNING, query)
    )
    given = b"".join(reading).decode().replace(f' xmlns="{TOY}"', "")
    whole = "".join(etree.tostring(child).decode() for child in RUNNING).replace(f' xmlns="{TOY}"', "")
    if content is None:
        content = whole.partition("<palette")[0] if ".." in expression else whole
    assert given.replace(f' xmlns:nc="{names.BASE}"', "").replace(f' xmlns="{names.BASE}"', "") == content


SITE = "/t:inventory/t:site"
PART = "/t:inventory/t:site[t:name='s1']/t:part[t:serial='x1' and t:slot='1']"


@pytest.mark.parametrize(
    ("expression", "asked"),
    [
        (PART, [{"site": {"name": "s1"}, "part": {"serial": "x1", "slot": "1"}}]),
        (f"{PART}/t:model", [{"site": {"name": "s1"}, "part": {"serial": "x1", "slot": "1"}}]),
        (PART.replace(" and ", "]["), [{"site": {"name": "s1"}, "part": {"serial": "x1", "slot": "1"}}]),
        (
            f"{SITE}['s1'=t:name]/t:part[t:serial='x0'] | {SITE}[t:name='s0']/t:part[t:serial='x2'][1]",
            [
                {"site": {"name": "s1"}, "part": {"serial": "x0"}},
                {"site": {"name": "s0"}, "part": {"serial": "x2"}},
            ],
        ),
        ("/inventory/site[name='s1']/part", [{"site": {"name": "s1"}}]),
        ("/t:inventory/t:site[1]/t:part[t:serial='x1']", [{}]),  # which site is first is not for the filter
        (
            "/t:inventory/t:site/t:part[t:serial='x1'][starts-with(t:model, 'm')]",
            [{"part": {"serial": "x1"}}],
        ),
        ("/t:inventory/t:site[t:name='s1']/../t:site", [{}]),
        ("//t:part[t:serial='x1']", [{}]),
        ("/t:system", []),
    ],
)
def test_a_large_list_is_asked_by_the_keys_in_the_expression(expression: str, asked: list[Keys]) -> None:
    parts = Parts(sites=2, parts=3)
    providers = Providers(toy_schema())
    providers.add_list("/toy:inventory/site/part", parts)
    pieces = Readout(toy_schema(), providers).everything(RUNNING, Query(XPathFilter(expression, NAMESPACES)))
    given = etree.fromstring(b"<x>" + b"".join(pieces) + b"</x>")
    assert parts.asked == asked
    if expression == PART:
        assert [item.text for item in given.iter(toy("serial"))] == ["x1"]
        assert [item.text for item in given.iter(toy("name"))] == ["s1"]


def test_what_an_expression_needs_includes_what_its_predicates_look_at() -> None:
    plan = xpathplan.plan(xpathtokens.tokens("/t:a/t:b[t:c > 1]/t:d"), NAMESPACES)
    assert plan is not None
    (top,) = plan.top.others
    assert top.others == (FilterNode(TOY, "b", (), None, None, (), ()),)


@pytest.mark.parametrize(
    "expression",
    ["/t:a[", "/x:a", "foo()", "$v", "/t:a #", "a" * 5000, "|".join(["t:a"] * 300), "re:match(., 'x')"],
)
def test_an_expression_that_cannot_be_used_is_refused(expression: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        XPathFilter(expression, NAMESPACES)


@pytest.mark.parametrize("expression", ["count(//t:user)", "'x'", "1 = 1"])
def test_an_expression_that_gives_no_nodes_is_refused(expression: str) -> None:
    with pytest.raises(RpcError, match="gives no nodes") as refused:
        XPathFilter(expression, NAMESPACES).select(RUNNING)
    assert refused.value.tag == "invalid-value"


def test_work_that_grows_with_the_square_of_the_data_is_refused() -> None:
    tree = etree.Element("data")
    for _ in range(20_000):
        etree.SubElement(tree, toy("system"))
    with pytest.raises(RpcError, match="too long") as refused:
        XPathFilter("/t:system[count(../t:system) > 3]", NAMESPACES).select(tree)
    assert refused.value.tag == "too-big"
    assert XPathFilter("/t:system[t:name = 'x']", NAMESPACES).select(tree) is False


def test_more_data_than_fits_one_tree_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netconf_server.readout.MAX_TREE", 1000)
    providers = Providers(toy_schema())
    providers.add_list("/toy:inventory/site/part", Parts(sites=1, parts=1000))
    readout = Readout(toy_schema(), providers)
    with pytest.raises(RpcError, match="by their keys") as refused:
        list(readout.everything(RUNNING, Query(XPathFilter("//t:part", NAMESPACES))))
    assert refused.value.tag == "too-big"
