"""edit-config as cases: what was there, what is asked for, what there is then, and the RFC that says so."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from lxml import etree

from netconf_server.edit import apply_edit, read_default_operation
from netconf_server.values import value_of_text
from rui.netconf import names
from rui.netconf.errors import RpcError
from tests.integration.netconf_server_rig import TOY, toy_schema

YANG = "urn:ietf:params:xml:ns:yang:1"


PREFIXES = f'xmlns:c="{names.BASE}" xmlns:op="{names.BASE}" xmlns:y="{YANG}" xmlns="{TOY}" xmlns:t="{TOY}"'
HUE = toy_schema().node("/toy:palette/hue")


def config(inner: str) -> etree._Element:
    """A config element with the prefixes that edit-config.txt speaks of; unprefixed names are the toy's."""
    return etree.fromstring(f"<c:config {PREFIXES}>{inner}</c:config>")


def system(inner: str) -> str:
    return f"<system>{inner}</system>" if inner else ""


def plain(tree: etree._Element) -> str:
    """The content of a tree without namespaces, for comparing."""
    for element in tree.iter(etree.Element):
        element.tag = names.split(str(element.tag))[1]
    etree.cleanup_namespaces(tree)
    return "".join(etree.tostring(child).decode() for child in tree)


@dataclass(frozen=True)
class Case:
    """One paragraph of tests/data/edit-config.txt."""

    name: str
    fields: dict[str, str]


def read_cases() -> list[Case]:
    text = (Path(__file__).parents[2] / "data" / "edit-config.txt").read_text()
    cases = []
    for part in text.split("\n== ")[1:]:
        name, *lines = part.strip().splitlines()
        cases.append(
            Case(name, {key: value.strip() for key, _, value in (line.partition(":") for line in lines)})
        )
    return cases


RULES = "".join(f"<rule><kind>k</kind><number>{n}</number></rule>" for n in (1, 2, 3))
USERS = "<user><name>a</name><uid>1</uid></user><user><name>b</name><uid>2</uid></user>"


@pytest.mark.parametrize("case", read_cases(), ids=lambda case: case.name)
def test_edit(case: Case) -> None:
    tree, edit = config(system(case.fields["old"])), config(system(case.fields["edit"]))
    default = read_default_operation(case.fields.get("default"))
    top = toy_schema().tree.data
    if "error" in case.fields:
        with pytest.raises(RpcError) as caught:
            apply_edit(top, tree, edit, default)
        assert caught.value.tag == case.fields["error"]
    else:
        assert apply_edit(top, tree, edit, default) == []
        assert plain(tree) == plain(config(system(case.fields["new"])))


@pytest.mark.parametrize(
    ("edit", "path"),
    [
        ('<user op:operation="create"><name>a</name></user>', "/toy:system/toy:user[toy:name='a']"),
        (
            '<user><name>a</name><uid op:operation="create">5</uid></user>',
            "/toy:system/toy:user[toy:name='a']/toy:uid",
        ),
        ('<tag op:operation="delete">z</tag>', "/toy:system/toy:tag[.='z']"),
        (
            """<user op:operation="delete"><name>it's</name></user>""",
            '/toy:system/toy:user[toy:name="it\'s"]',
        ),
    ],
)
def test_an_error_says_where(edit: str, path: str) -> None:
    with pytest.raises(RpcError) as caught:
        apply_edit(toy_schema().tree.data, config(system(USERS)), config(system(edit)))
    assert caught.value.path == path
    assert caught.value.path_namespaces == {"toy": TOY}


def test_a_path_with_both_quotes_is_one_xpath_string() -> None:
    edit = """<user op:operation="delete"><name>a'b"c</name></user>"""
    with pytest.raises(RpcError) as caught:
        apply_edit(toy_schema().tree.data, config(""), config(system(edit)))
    error = caught.value
    tree = config(system("""<user><name>a'b"c</name></user>"""))
    assert tree.xpath(f"count(.{error.path})", namespaces=error.path_namespaces) == 1


def test_a_missing_neighbour_has_the_models_app_tag() -> None:
    key = "[t:kind='k'][t:number='7']"
    edit = f'<rule y:insert="before" y:key="{key}"><kind>k</kind><number>9</number></rule>'
    with pytest.raises(RpcError) as caught:
        apply_edit(toy_schema().tree.data, config(system(RULES)), config(system(edit)))
    assert caught.value.app_tag == "missing-instance"


def test_continue_on_error_does_the_rest() -> None:
    tree = config(system(USERS))
    edit = (
        '<user op:operation="create"><name>a</name></user><mtu>70</mtu><nonsense/><user><name>c</name></user>'
    )
    errors = apply_edit(toy_schema().tree.data, tree, config(system(edit)), continue_on_error=True)
    assert [error.tag for error in errors] == ["data-exists", "unknown-element"]
    assert plain(tree) == plain(config(system(USERS + "<mtu>70</mtu><user><name>c</name></user>")))


def test_a_prefix_used_only_in_a_value_is_kept() -> None:
    tree = config("")
    inner = f'<system xmlns="{TOY}"><tint>q:red</tint></system>'
    edit = etree.fromstring(f'<config xmlns="{names.BASE}" xmlns:q="{TOY}">{inner}</config>')
    apply_edit(toy_schema().tree.data, tree, edit)
    tint = tree.find(f".//{{{TOY}}}tint")
    assert tint is not None
    assert (tint.text, tint.nsmap["q"]) == ("q:red", TOY)


def test_a_prefix_survives_a_move() -> None:
    inner = f'<x:hue xmlns:x="{TOY}" xmlns:q="{TOY}">q:red</x:hue>'
    tree = etree.fromstring(
        f'<c:config xmlns:c="{names.BASE}"><palette xmlns="{TOY}">{inner}</palette></c:config>'
    )
    edit = '<hue>t:blue</hue><hue y:insert="last">t:red</hue>'
    apply_edit(toy_schema().tree.data, tree, config(f"<palette>{edit}</palette>"))
    hues = tree.findall(f".//{{{TOY}}}hue")
    assert [value_of_text(hue.text or "", hue.nsmap, HUE) for hue in hues] == [(TOY, "blue"), (TOY, "red")]


@pytest.mark.parametrize(("text", "operation"), [(None, "merge"), (" none ", "none"), ("replace", "replace")])
def test_default_operation(text: str | None, operation: str) -> None:
    assert read_default_operation(text) == operation


def test_an_unknown_default_operation_is_refused() -> None:
    with pytest.raises(RpcError, match="default-operation"):
        read_default_operation("delete")


def test_ten_thousand_entries_take_one_look_over_the_list() -> None:
    many = "".join(f"<user><name>u{i}</name></user>" for i in range(10_000))
    tree = config(system(many))
    apply_edit(toy_schema().tree.data, tree, config(system(many.replace("</name>", "</name><uid>1</uid>"))))
    assert len(tree[0]) == 10_000
    assert tree[0][-1].findtext(f"{{{TOY}}}uid") == "1"
