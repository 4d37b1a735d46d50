"""Actions (RFC 7950 7.15) without a session: where they are, what they are refused for and given."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from lxml import etree

from netconf_server.actions import ACTION, ActionCall, Actions
from netconf_server.call import Reply, RpcCall, SessionInfo
from netconf_server.capabilities import load_schema
from netconf_server.datastores import Datastores
from netconf_server.providers import Entry, Keys, Providers
from netconf_server.readout import Readout
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema, UnknownNodeError

AM = "urn:example:any-model"
YANG = Path(__file__).parents[2] / "data" / "yang" / "any"
RESET = "/any-model:plant/machine/reset"
RUNNING = (
    f'<config xmlns="{names.BASE}"><plant xmlns="{AM}"><owner>o</owner><machine><name>m1</name></machine>'
    "</plant></config>"
)


@pytest.fixture(scope="module")
def schema() -> Schema:
    return load_schema(["any-model", "any-more"], [YANG])


class Rig:
    """The actions `reset` and `measure`, which note how they were called."""

    def __init__(self, schema: Schema) -> None:
        self.calls: list[ActionCall] = []
        datastores = Datastores(schema, etree.fromstring(RUNNING))
        self.actions = Actions(datastores, Readout(schema, Providers(schema)), lambda _: ())
        self.actions.register(RESET, self._note)
        self.actions.register("/any-model:plant/measure", self._note)

    async def _note(self, call: ActionCall) -> Reply:
        self.calls.append(call)
        return None

    async def call(self, inner: str) -> Reply:
        text = f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{inner}</action>'
        info = SessionInfo(1, "u", "p:1", "netconf-ssh", datetime(2026, 11, 23, tzinfo=UTC))
        return await self.actions.answer(RpcCall(info, "1", etree.fromstring(text), b""))


def plant(inner: str) -> str:
    return f'<plant xmlns="{AM}">{inner}</plant>'


async def test_the_handler_is_told_which_instance_is_meant(schema: Schema) -> None:
    rig = Rig(schema)
    assert (
        await rig.call(plant("<machine><name>m1</name><reset><reason>x</reason></reset></machine>")) is None
    )
    (call,) = rig.calls
    assert call.keys == {"machine": {"name": "m1"}}
    assert call.input.findtext(f"{{{AM}}}reason") == "x"
    assert [node.name for node in call.nodes] == ["plant", "machine", "reset"]
    await rig.call(plant("<measure/>"))
    assert rig.calls[-1].keys == {}


@pytest.mark.parametrize(
    ("inner", "tag", "path", "info"),
    [
        ("", "missing-element", None, {"bad-element": "action"}),
        (plant(""), "missing-element", "/any-model:plant", {"bad-element": "action"}),
        (plant("<machine><name>m1</name></machine>"), "missing-element",
         "/any-model:plant/any-model:machine[any-model:name='m1']", {"bad-element": "action"}),
        (plant("<machine><reset/></machine>"), "missing-element", "/any-model:plant/any-model:machine",
         {"bad-element": "x:name"}),
        ('<x xmlns="urn:none"/>', "unknown-namespace", None,
         {"bad-element": "x", "bad-namespace": "urn:none"}),
        (plant("<nothing/>"), "unknown-element", "/any-model:plant", {"bad-element": "x:nothing"}),
        (plant("<owner/>"), "unknown-element", "/any-model:plant/any-model:owner",
         {"bad-element": "x:owner"}),
        (plant("<measure/><measure/>"), "unknown-element", "/any-model:plant", {"bad-element": "x:measure"}),
        (plant("<machine><name>m1</name><stop/></machine>"), "operation-not-supported",
         "/any-model:plant/any-model:machine[any-model:name='m1']/any-model:stop", {}),
        (plant("<machine><name>m1</name><reset/></machine>"), "missing-element",
         "/any-model:plant/any-model:machine[any-model:name='m1']/any-model:reset/any-model:reason",
         {"bad-element": "x:reason"}),
        (plant("<machine><name>m1</name><reset><delay>61</delay><reason>x</reason></reset></machine>"),
         "invalid-value",
         "/any-model:plant/any-model:machine[any-model:name='m1']/any-model:reset/any-model:delay", {}),
        (plant("<machine><name>m2</name><reset><reason>x</reason></reset></machine>"), "data-missing",
         "/any-model:plant/any-model:machine[any-model:name='m2']/any-model:reset", {}),
    ],
)  # fmt: skip
async def test_what_is_refused(
    schema: Schema, inner: str, tag: str, path: str | None, info: dict[str, str]
) -> None:
    rig = Rig(schema)
    with pytest.raises(RpcError) as refused:
        await rig.call(inner)
    error = refused.value
    assert (error.tag, error.path) == (tag, path)
    assert {name: error.info_text(name) for name in info} == info
    assert rig.calls == []


class Motors:
    """One entry of a list that a provider gives."""

    def read(self, keys: Keys) -> Iterator[Entry]:
        assert keys == {"motor": {"id": "7"}}
        yield Entry((), b'<motor xmlns="urn:example:motors"><id>7</id></motor>')


async def test_an_instance_in_a_provided_list_is_asked_for_by_its_key(tmp_path: Path) -> None:
    tmp_path.joinpath("motors.yang").write_text(
        'module motors { yang-version 1.1; namespace "urn:example:motors"; prefix m; '
        "list motor { config false; key id; leaf id { type uint8; } action halt; } }"
    )
    schema = load_schema(["motors"], [tmp_path])
    providers = Providers(schema)
    providers.add_list("/motors:motor", Motors())
    actions = Actions(Datastores(schema), Readout(schema, providers), lambda _: ())
    called: list[Keys] = []

    async def halt(call: ActionCall) -> Reply:
        called.append(call.keys)
        return None

    actions.register("/motors:motor/halt", halt)
    info = SessionInfo(1, "u", "p:1", "netconf-ssh", datetime(2026, 11, 23, tzinfo=UTC))
    operation = etree.Element(ACTION)
    operation.append(etree.fromstring('<motor xmlns="urn:example:motors"><id>7</id><halt/></motor>'))
    await actions.answer(RpcCall(info, "1", operation, b""))
    assert called == [{"motor": {"id": "7"}}]


def test_only_an_action_is_registered(schema: Schema) -> None:
    rig = Rig(schema)
    with pytest.raises(ValueError, match="no action"):
        rig.actions.register("/any-model:plant", rig._note)
    with pytest.raises(UnknownNodeError):
        rig.actions.register("/any-model:plant/nothing", rig._note)
