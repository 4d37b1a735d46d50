"""continue-on-error (RFC 6241 7.2): what the model refuses is left out node by node, and the rest is done."""

from __future__ import annotations

import pytest
from lxml import etree

from netconf_server.capabilities import load_schema
from netconf_server.datastores import CANDIDATE, RUNNING, Datastores
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema

SPACE = "urn:example:faulty"
MODEL = """
module faulty { yang-version 1.1; namespace "urn:example:faulty"; prefix f;
  identity colour; identity red { base colour; }
  container top {
    leaf small { type uint8; }
    leaf even { type uint8; must ". mod 2 = 0" { error-app-tag "odd"; } }
    leaf most { type uint8; }
    leaf low { type uint8; must "not(../most) or . <= ../most"; }
    leaf-list few { type uint8; max-elements 2; }
    list item {
      key "id"; unique "name";
      leaf id { type uint8; }
      leaf name { type string; }
      container inner { leaf needed { type string; mandatory true; } }
    }
    list tint { key "of"; leaf of { type identityref { base colour; } } leaf depth { type uint8; } }
    leaf ref { type leafref { path "../item/id"; } }
  }
}
"""
GIVEN = "<item><id>1</id><name>a</name><inner><needed>x</needed></inner></item>"


@pytest.fixture(scope="module")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Schema:
    folder = tmp_path_factory.mktemp("faulty")
    (folder / "faulty.yang").write_text(MODEL)
    return load_schema(["faulty"], [folder])


def config(inner: str) -> etree._Element:
    return etree.fromstring(
        f'<config xmlns="{names.BASE}" xmlns:nc="{names.BASE}"><top xmlns="{SPACE}">{inner}</top></config>'
    )


async def errors_of(stores: Datastores, inner: str, target: str = RUNNING) -> list[str]:
    with pytest.raises(RpcError) as caught:
        await stores.edit(target, config(inner), continue_on_error=True)
    return [f"{error.tag} {(error.path or '').replace('faulty:', '')}" for error in caught.value.all]


def has(tree: etree._Element, path: str) -> bool:
    return bool(tree.xpath(f"boolean(/*/f:top/{path})", namespaces={"f": SPACE}))


@pytest.mark.parametrize(
    ("faulty", "error", "absent"),
    [
        ("<small>300</small>", "invalid-value /top/small", "f:small"),
        ("<even>3</even>", "operation-failed /top/even", "f:even"),
        ("<few>1</few><few>2</few><few>3</few>", "operation-failed /top/few", "f:few"),
        ("<ref>9</ref>", "data-missing /top/ref", "f:ref"),
        ("<item><id>999</id></item>", "invalid-value /top/item/id", "f:item[f:id=999]"),
        ("<item><id>2</id><name>b</name></item>", "data-missing /top/item[id='2']/inner/needed",
         "f:item[f:id=2]"),
        ("<item><id>2</id><name>a</name><inner><needed>y</needed></inner></item>",
         "operation-failed /top/item[id='2']", "f:item[f:id=2]"),
        ("<tint xmlns:q='urn:example:faulty'><of>q:red</of><depth>300</depth></tint>",
         "invalid-value /top/tint[of='red']/depth", "f:tint/f:depth"),
        ('<item><id>1</id><inner><needed nc:operation="delete"/></inner></item>',
         "data-missing /top/item[id='1']/inner/needed", "f:item[not(f:inner/f:needed)]"),
    ],
)  # fmt: skip
async def test_a_fault_that_can_be_told_is_left_out_and_the_rest_is_done(
    schema: Schema, faulty: str, error: str, absent: str
) -> None:
    stores = Datastores(schema, config(GIVEN))
    found = await errors_of(stores, f"<most>9</most>{faulty}<low>7</low>")
    assert len(found) == 1
    assert found[0].startswith(error)
    assert not has(stores.running, absent)
    assert has(stores.running, "f:most[.=9]")
    assert has(stores.running, "f:low[.=7]")
    assert has(stores.running, "f:item[f:id=1]/f:inner/f:needed")


async def test_every_fault_of_every_kind_is_told(schema: Schema) -> None:
    stores = Datastores(schema, config(GIVEN))
    edit = '<small>300</small><even>3</even><few nc:operation="delete">7</few><most>4</most><ref>9</ref>'
    assert sorted(await errors_of(stores, edit)) == [
        "data-missing /top/few[.='7']",
        "data-missing /top/ref",
        "invalid-value /top/small",
        "operation-failed /top/even",
    ]
    assert has(stores.running, "f:most[.=4]")


async def test_a_candidate_takes_what_has_its_values_right(schema: Schema) -> None:
    stores = Datastores(schema, config(GIVEN))
    found = await errors_of(stores, "<small>300</small><even>3</even><most>5</most>", CANDIDATE)
    assert found == ["invalid-value /top/small"]
    assert has(stores.candidate, "f:even[.=3]")
    assert has(stores.candidate, "f:most[.=5]")


async def test_what_no_node_of_the_edit_is_at_fault_of_refuses_all(schema: Schema) -> None:
    stores = Datastores(schema, config(GIVEN + "<ref>1</ref><low>9</low>"))
    before = stores.running
    edit = '<small>300</small><even>4</even><item nc:operation="delete"><id>1</id></item>'
    assert await errors_of(stores, edit) == ["invalid-value /top/small", "data-missing /top/ref"]
    assert await errors_of(stores, "<even>4</even><most>3</most>") == ["operation-failed /top/low"]
    assert stores.running is before


async def test_the_value_of_a_wrong_key_is_told_among_other_entries(schema: Schema) -> None:
    stores = Datastores(schema, config(GIVEN))
    with pytest.raises(RpcError) as caught:
        await stores.edit(RUNNING, config("<item><id>999</id></item>"))
    assert (caught.value.tag, caught.value.info_text("bad-value")) == ("invalid-value", "999")
