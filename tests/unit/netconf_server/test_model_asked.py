"""When the model is asked about a whole configuration: where what an edit changes may concern the rest."""

from __future__ import annotations

import pytest

from netconf_server.datastores import CANDIDATE, RUNNING, Datastores
from rui.netconf.errors import RpcError
from rui.schema.schema import Document
from tests.integration.netconf_server_rig import toy_schema
from tests.unit.netconf_server.test_datastores import NC, config, value

BEFORE = "<mtu>100</mtu><secret>old</secret><timers><hold>5</hold><max>50</max></timers>"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Document]:
    """The configurations that the model was asked about as a whole."""
    schema, found = toy_schema(), list[Document]()
    check = schema.check_config

    def check_config(data: Document, source: str = "configuration") -> None:
        found.append(data)
        check(data, source)

    monkeypatch.setattr(schema, "check_config", check_config)
    return found


def stores() -> Datastores:
    return Datastores(toy_schema(), config(BEFORE))


async def test_not_where_leafs_that_stand_alone_get_other_values(asked: list[Document]) -> None:
    both = stores()
    await both.edit(RUNNING, config("<mtu>200</mtu><secret>old</secret>"))
    await both.edit(RUNNING, config("<mtu>200</mtu>"))
    assert value(both.running, "mtu") == "200"
    assert not asked


@pytest.mark.parametrize(
    "inner",
    [
        "<mtu>200</mtu><timers><hold>6</hold></timers>",
        "<mtu>200</mtu><timers><max>60</max></timers>",
        "<tag>new</tag>",
        f"<secret {NC} nc:operation='delete'/>",
        f"<mtu {NC} nc:operation='replace'>200</mtu><tint>blue</tint>",
    ],
)
async def test_where_constraints_may_look_at_it_or_nodes_come(asked: list[Document], inner: str) -> None:
    both = stores()
    await both.edit(RUNNING, config(inner))
    assert asked == [both.running]


@pytest.mark.parametrize(
    ("inner", "tag", "path"),
    [
        ("<mtu>9</mtu>", "invalid-value", "/toy:system/toy:mtu"),
        (
            "<mtu>200</mtu><timers><max>4</max></timers>",
            "operation-failed",
            "/toy:system/toy:timers/toy:hold",
        ),
    ],
)
async def test_what_is_wrong_is_refused_by_the_whole(
    asked: list[Document], inner: str, tag: str, path: str
) -> None:
    both = stores()
    with pytest.raises(RpcError) as refused:
        await both.edit(RUNNING, config(inner))
    assert (refused.value.tag, refused.value.path) == (tag, path)
    assert asked
    assert value(both.running, "mtu") == "100"


async def test_always_of_a_candidate_which_may_have_been_wrong_before(asked: list[Document]) -> None:
    both = stores()
    await both.edit(CANDIDATE, config("<timers><max>4</max></timers>"))
    with pytest.raises(RpcError):
        await both.edit(CANDIDATE, config("<mtu>200</mtu>"), validate=True)
    assert asked
