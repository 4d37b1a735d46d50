"""Large edits: worked out and checked beside the event loop, where others go on and nothing gets between."""

from __future__ import annotations

import asyncio
import threading

import pytest
from lxml import etree

from netconf_server.datastores import CANDIDATE, RUNNING, Change
from netconf_server.edit import Operation
from rui.netconf.errors import RpcError
from rui.schema import Schema
from tests.unit.netconf_server.test_datastores import config, stores, value


async def test_a_large_edit_lets_others_go_on() -> None:
    both = stores()
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    users = "".join(f"<user><name>u{i}</name><uid>{i}</uid></user>" for i in range(3000))
    counting = asyncio.create_task(count())
    await both.edit(CANDIDATE, config(users))
    counting.cancel()
    assert turns > 1
    assert len(both.candidate[0]) == 3001


async def test_a_small_edit_of_much_lets_others_go_on() -> None:
    both = stores()
    users = "".join(f"<user><name>u{i}</name><uid>{i}</uid></user>" for i in range(3000))
    await both.edit(CANDIDATE, config(users))
    told: list[Change] = []
    both.on_edit(told.append)
    threads: set[int] = set()

    class Spy:
        def check_edit(self, _session: int | None, _config: etree._Element, _default: Operation) -> None:
            threads.add(threading.get_ident())

        def check_change(self, _change: Change) -> None:
            threads.add(threading.get_ident())

    both.guard = Spy()
    await both.edit(CANDIDATE, config("<user><name>u7</name><uid>70</uid></user>"))
    assert threads.isdisjoint({threading.get_ident()})
    (change,) = told
    assert [found.place.text for found in change.differences(both.schema.tree.data)] == [
        "/toy:system/toy:user[toy:name='u7']/toy:uid"
    ]


MANY = "".join(f"<user><name>u{i}</name><uid>{i}</uid></user>" for i in range(3000))


class HeldCheck:
    """Makes the schema's check of a configuration wait until the test lets it go on."""

    def __init__(self, schema: Schema, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun = asyncio.Event()
        self.go_on = threading.Event()
        loop, check = asyncio.get_running_loop(), schema.check_config

        def wait_and_check(tree: etree._Element) -> None:
            loop.call_soon_threadsafe(self.begun.set)
            if not self.go_on.wait(10):
                raise AssertionError("nothing else went on meanwhile")
            check(tree)

        monkeypatch.setattr(schema, "check_config", wait_and_check)


async def test_while_much_is_checked_gets_are_answered_and_changes_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = stores()
    held = HeldCheck(both.schema, monkeypatch)
    large = asyncio.create_task(both.edit(RUNNING, config(MANY), session=1))
    await held.begun.wait()
    assert value(both.running, "name") == "old"
    other = asyncio.create_task(both.edit(RUNNING, config("<name>x</name>"), session=2))
    lock = asyncio.create_task(both.lock(RUNNING, 3))
    await asyncio.sleep(0)
    assert not other.done()
    assert not lock.done()
    held.go_on.set()
    await asyncio.gather(large, other, lock)
    assert value(both.running, "name") == "x"
    assert len(both.running[0]) == 3001
    with pytest.raises(RpcError, match="locked by session 3"):
        await both.edit(RUNNING, config("<name>y</name>"), session=2)


async def test_a_check_that_nobody_waits_for_any_more_ends_before_the_next_change(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = stores()
    held = HeldCheck(both.schema, monkeypatch)
    large = asyncio.create_task(both.edit(RUNNING, config(MANY), session=1))
    await held.begun.wait()
    large.cancel()
    other = asyncio.create_task(both.edit(RUNNING, config("<name>x</name>"), session=2))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not other.done()
    held.go_on.set()
    await other
    assert large.cancelled()
    assert (value(both.running, "name"), len(both.running[0])) == ("x", 1)


async def test_large_configurations_are_validated_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    both = stores()
    held = HeldCheck(both.schema, monkeypatch)
    checks = [asyncio.create_task(both.validate(config(MANY))) for _ in range(2)]
    await held.begun.wait()
    held.begun.clear()
    for _ in range(5):
        await asyncio.sleep(0)
    assert not held.begun.is_set()
    await both.edit(CANDIDATE, config("<name>x</name>"))
    held.go_on.set()
    await asyncio.gather(*checks)


async def test_a_candidate_given_up_while_it_is_checked_is_not_committed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = stores()
    await both.lock(CANDIDATE, 1)
    await both.edit(CANDIDATE, config(MANY), session=1)
    held = HeldCheck(both.schema, monkeypatch)
    commit = asyncio.create_task(both.commit())
    with pytest.raises(RpcError, match="locked by session 1"):
        await commit
    commit = asyncio.create_task(both.commit(session=1))
    await held.begun.wait()
    both.session_ended(1)
    held.go_on.set()
    with pytest.raises(RpcError, match="given up"):
        await commit
    assert len(both.running[0]) == 1
    assert not both.candidate_changed


async def test_a_large_edit_is_refused_as_a_small_one() -> None:
    users = "".join(f"<user><name>u{i}</name></user>" for i in range(3000))
    for wrong, tag in (
        ("<user><name>x</name><colour/></user>", "unknown-element"),
        ("<user/>", "missing-element"),
    ):
        with pytest.raises(RpcError) as refused:
            await stores().edit(CANDIDATE, config(users + wrong))
        assert refused.value.tag == tag
