"""Reading a large configuration: made beside the event loop, and the same as without."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import beside
from tests.integration.netconf_server_rig import TOY, toy, toy_schema
from tests.unit.netconf_server.local_rig import NMDA, LocalRig

USERS = "".join(f"<user><name>u{i}</name><uid>{i}</uid></user>" for i in range(40))
RUNNING = (
    f'<system xmlns="{TOY}"><name>n</name>{USERS}<timers><hold>5</hold></timers></system>'
    f'<palette xmlns="{TOY}"><hue>red</hue></palette>'
)
TXID = 'xmlns:x="urn:ietf:params:xml:ns:netconf:txid:1.0"'
DEFAULTS = (
    '<with-defaults xmlns="urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults">report-all</with-defaults>'
)
ONE = f'<system xmlns="{TOY}"><user><name>u7</name></user></system>'


GET_CONFIG = "<get-config><source><running/></source>{}</get-config>"


def get_data(store: str, rest: str) -> str:
    return f'<get-data xmlns="{NMDA}"><datastore>ds:{store}</datastore>{rest}</get-data>'


READS = {
    "get-data": get_data("running", ""),
    "get-data, defaults, a key": get_data(
        "running", f"<subtree-filter>{ONE}</subtree-filter><with-defaults>report-all</with-defaults>"
    ),
    "get-data, depth": get_data("running", "<max-depth>2</max-depth>"),
    "get-data, operational": get_data("operational", "<with-origin/>"),
    "get-data, operational, a path": get_data(
        "operational", "<xpath-filter>/t:system/t:user[t:uid='8']</xpath-filter>"
    ),
    "get-data, operational, depth": get_data(
        "operational", f"<subtree-filter>{ONE}</subtree-filter><max-depth>2</max-depth>"
    ),
    "get-data, tags": get_data("running", "").replace(">", f' {TXID} x:etag="?">', 1),
    "get-config": GET_CONFIG.format(""),
    "get-config, a key, defaults": GET_CONFIG.format(f'<filter type="subtree">{ONE}</filter>{DEFAULTS}'),
    "get-config, tags": GET_CONFIG.format("").replace(">", f' {TXID} x:etag="?">', 1),
    "get": "<get/>",
    "get, a key": f'<get><filter type="subtree">{ONE}</filter></get>',
    "get, defaults": f"<get>{DEFAULTS}</get>",
    "get, a path": "<get><filter type=\"xpath\" select=\"/t:system/t:user[t:uid='9']\"/></get>",
}  # fmt: skip


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LocalRig:
    monkeypatch.setattr(beside, "_IS_LARGE", etree.XPath("boolean(descendant::*[100])"))
    return LocalRig(toy_schema(), tmp_path, RUNNING)


def canonical(reply: etree._Element) -> bytes:
    for changing in list(reply.iter("{*}statistics", "{*}sessions")):
        parent = changing.getparent()
        assert parent is not None
        parent.remove(changing)
    return etree.tostring(reply, method="c14n")


@pytest.mark.parametrize("operation", READS.values(), ids=READS)
async def test_what_is_read_is_the_same(
    rig: LocalRig, operation: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: set[int] = set()
    worked_out = beside.worked_out

    async def noted(work: object, *, large: bool) -> object:
        threads.add(large)
        return await worked_out(work, large=large)  # type: ignore[arg-type]

    monkeypatch.setattr(beside, "worked_out", noted)
    found = canonical(await rig.rpc(operation))
    assert threads == {True}
    monkeypatch.setattr(beside, "_IS_LARGE", lambda _: False)
    threads.clear()
    assert canonical(await rig.rpc(operation)) == found
    assert not threads


async def test_who_wants_nothing_of_it_waits_for_nobody(
    rig: LocalRig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(beside, "worked_out")
    wanted = f'<inventory xmlns="{TOY}"/><palette xmlns="urn:example:none"/>'
    assert (await rig.rpc(f'<get><filter type="subtree">{wanted}</filter></get>')).find("{*}data") is not None


class Held:
    """Makes the completion by defaults wait until the test lets it go on."""

    def __init__(self, rig: LocalRig, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = asyncio.Event()
        self.go_on = threading.Event()
        schema, loop = rig.server.schema, asyncio.get_running_loop()
        complete = schema.with_defaults

        def wait_and_complete(*arguments: object) -> list[etree._Element]:
            loop.call_soon_threadsafe(self.begun.set)
            if not self.go_on.wait(10):
                raise AssertionError("nothing else went on meanwhile")
            return complete(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(schema, "with_defaults", wait_and_complete)


@pytest.mark.parametrize("name", ["get-data, defaults, a key", "get-data, operational", "get, defaults"])
async def test_others_are_answered_meanwhile(
    rig: LocalRig, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = Held(rig, monkeypatch)
    reading = asyncio.create_task(rig.rpc(READS[name]))
    await held.begun.wait()
    other = rig.open()
    reply = await rig.rpc("<get-config><source><running/></source><filter/></get-config>", other)
    assert reply.find("{*}data") is not None
    held.go_on.set()
    assert (await reading).find(f".//{toy('user')}") is not None
