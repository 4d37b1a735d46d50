"""Confirmed commits (RFC 6241 8.4) on the datastores alone; literal sessions 1 and 2."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import persist
from netconf_server.confirmed import Confirmation, ConfirmChange, ConfirmEvent
from netconf_server.datastores import CANDIDATE, RUNNING, Change, Datastores
from netconf_server.persist import before_file
from rui.netconf import names
from rui.netconf.errors import RpcError
from tests.integration.netconf_server_rig import TOY, toy, toy_schema


def config(name: str) -> etree._Element:
    text = f'<config xmlns="{names.BASE}"><system xmlns="{TOY}"><name>{name}</name></system></config>'
    return etree.fromstring(text)


class Rig:
    """Datastores whose running has the name `old`, and the steps that they told of."""

    def __init__(self, file: Path | None = None) -> None:
        self.stores = Datastores(toy_schema(), config("old"), file=file)
        self.steps: list[ConfirmChange] = []
        self.stepped = asyncio.Event()
        self.stores.on_confirm(self._note)

    def _note(self, change: ConfirmChange) -> None:
        self.steps.append(change)
        self.stepped.set()

    @property
    def name(self) -> str | None:
        return self.stores.running.findtext(f"{toy('system')}/{toy('name')}")

    @property
    def events(self) -> list[str]:
        return [str(change.event) for change in self.steps]

    async def commit(
        self,
        name: str | None = None,
        *,
        session: int = 1,
        seconds: float | None = None,
        persist: str | None = None,
        persist_id: str | None = None,
    ) -> None:
        if name is not None:
            await self.stores.edit(CANDIDATE, config(name), session=session)
        confirm = None if seconds is None else Confirmation(seconds, persist)
        await self.stores.commit(confirm=confirm, persist_id=persist_id, session=session)

    async def next_step(self) -> None:
        async with asyncio.timeout(20):
            await self.stepped.wait()
        self.stepped.clear()


async def test_a_commit_that_is_confirmed_stays() -> None:
    rig = Rig()
    await rig.commit("new", seconds=600)
    assert rig.name == "new"
    await rig.commit()
    rig.stores.session_ended(1)
    await rig.stores.close()
    assert (rig.name, rig.events) == ("new", ["start", "complete"])
    assert rig.steps[0] == ConfirmChange(ConfirmEvent.START, 1, 600)


async def test_the_confirming_commit_takes_what_the_candidate_holds() -> None:
    rig = Rig()
    await rig.commit("new", seconds=600)
    await rig.commit("newer")
    assert rig.name == "newer"


async def test_the_timeout_brings_the_first_state_back() -> None:
    rig = Rig()
    told: list[Change] = []
    rig.stores.on_commit(apply=told.append)
    await rig.commit("new", seconds=600)
    await rig.commit("newer", seconds=0)
    rig.stepped.clear()
    await rig.next_step()
    assert (rig.name, rig.events) == ("old", ["start", "extend", "timeout"])
    assert not rig.stores.candidate_changed
    assert told[-1].session is None
    assert told[-1].new is rig.stores.running


async def test_the_end_of_the_session_brings_it_back_at_once() -> None:
    rig = Rig()
    await rig.commit("new", seconds=600)
    rig.stores.session_ended(2)
    assert rig.stores.locks.holder(RUNNING) is None
    rig.stores.session_ended(1)
    await rig.stores.close()
    assert (rig.name, rig.events) == ("old", ["start", "cancel"])


async def test_a_persistent_commit_outlasts_its_session_and_is_confirmed_by_its_id() -> None:
    rig = Rig()
    await rig.commit("new", seconds=600, persist="p1")
    rig.stores.session_ended(1)
    await rig.stores.close()
    assert rig.name == "new"
    await rig.commit(session=2, seconds=600, persist="p2", persist_id="p1")
    with pytest.raises(RpcError, match="not that of the commit") as refused:
        await rig.commit(session=2, persist_id="p1")
    assert refused.value.tag == "invalid-value"
    await rig.commit(session=2, persist_id="p2")
    assert (rig.name, rig.events) == ("new", ["start", "extend", "complete"])


async def test_cancel_commit_brings_it_back() -> None:
    rig = Rig()
    await rig.commit("new", seconds=600, persist="p")
    await rig.stores.cancel_commit(persist_id="p", session=2)
    assert (rig.name, rig.events) == ("old", ["start", "cancel"])
    with pytest.raises(RpcError, match="nothing to cancel") as refused:
        await rig.stores.cancel_commit(session=1)
    assert refused.value.tag == "operation-failed"


@pytest.mark.parametrize(
    ("waiting", "persist_id", "tag"),
    [
        (None, "p", "invalid-value"),  # nothing waits
        ("", None, "in-use"),  # another session's waits
        ("", "p", "invalid-value"),  # and it is not persistent
        ("p", None, "in-use"),  # a persistent one waits
        ("p", "q", "invalid-value"),  # by another id
    ],
)
async def test_who_may_not_confirm(waiting: str | None, persist_id: str | None, tag: str) -> None:
    rig = Rig()
    if waiting is not None:
        await rig.commit("new", seconds=600, persist=waiting or None)
    with pytest.raises(RpcError) as refused:
        await rig.commit(session=2, persist_id=persist_id)
    assert refused.value.tag == tag
    assert rig.events == ([] if waiting is None else ["start"])
    await rig.stores.close()


async def test_running_is_locked_by_nobody_else_meanwhile() -> None:
    rig = Rig()
    await rig.commit("new", seconds=600)
    with pytest.raises(RpcError) as refused:
        await rig.stores.lock(RUNNING, 2)
    assert (refused.value.tag, refused.value.info_text("session-id")) == ("lock-denied", "1")
    await rig.stores.lock(RUNNING, 1)
    await rig.stores.close()


async def test_a_process_that_ended_meanwhile_starts_as_before(tmp_path: Path) -> None:
    file = tmp_path / "running.xml"
    rig = Rig(file)
    await rig.commit("new", seconds=600, persist="p")
    await rig.stores.close()
    assert b"new" in file.read_bytes()
    again = Datastores.load(toy_schema(), None, file=file)
    assert again.running.findtext(f"{toy('system')}/{toy('name')}") == "old"
    assert b"old" in file.read_bytes()
    assert not before_file(file).exists()


async def test_what_is_confirmed_or_refused_leaves_no_file_behind(tmp_path: Path) -> None:
    file = tmp_path / "running.xml"
    rig = Rig(file)
    await rig.commit("new", seconds=600)
    assert before_file(file).exists()
    await rig.commit()
    assert not before_file(file).exists()

    def refuse(change: Change) -> None:
        raise RpcError.operation_failed("no")

    rig.stores.on_commit(verify=refuse)
    with pytest.raises(RpcError, match="no"):
        await rig.commit("newer", seconds=600)
    assert not before_file(file).exists()
    assert (rig.name, rig.events) == ("new", ["start", "complete"])


async def test_a_full_disk_does_not_stop_the_way_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "running.xml"
    rig = Rig(file)
    await rig.commit("new", seconds=600)

    def full(path: Path, tree: etree._Element) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("netconf_server.storage.write_config", full)
    await rig.stores.cancel_commit(session=1)
    assert rig.name == "old"
    monkeypatch.undo()
    assert persist.before_file(file).exists()
    again = Datastores.load(toy_schema(), None, file=file)
    assert again.running.findtext(f"{toy('system')}/{toy('name')}") == "old"
