"""Replies to get-config that are given again: only while what is asked, held and allowed is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import Account
from netconf_server.datastores import CANDIDATE, RUNNING
from netconf_server.query import Query
from netconf_server.readout import Readout
from tests.integration.netconf_server_rig import HASH, TOY, USER, toy_schema
from tests.unit.netconf_server.local_rig import LocalRig
from tests.unit.netconf_server.nacm_rig import schema as guarded
from tests.unit.netconf_server.test_datastores import config

DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
SYSTEM = f'<system xmlns="{TOY}"><name>old</name>%s</system>'


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[Query]:
    """The questions for which a datastore was read."""
    found: list[Query] = []
    config_of = Readout.config

    def reading(self: Readout, tree: etree._Element, query: Query) -> Iterator[bytes]:
        found.append(query)
        return config_of(self, tree, query)

    monkeypatch.setattr(Readout, "config", reading)
    return found


def rig(folder: Path, more: str = "") -> LocalRig:
    return LocalRig(toy_schema(), folder, SYSTEM % more)


async def test_the_same_question_is_answered_from_memory(tmp_path: Path, read: list[Query]) -> None:
    both = rig(tmp_path)
    first = await both.system(RUNNING)
    assert first == await both.system(RUNNING) == "<system><name>old</name></system>"
    assert len(read) == 1


async def test_other_questions_are_not(tmp_path: Path, read: list[Query]) -> None:
    both = rig(tmp_path, "<tag>a</tag>")
    source = "<source><running/></source>"
    asked = (
        source,
        "<source><candidate/></source>",
        f"{source}<filter><t:system><t:name/></t:system></filter>",
        f"{source}<filter><t:system><t:tag/></t:system></filter>",
        f'{source}<with-defaults xmlns="{DEFAULTS}">report-all</with-defaults>',
    )
    replies = [etree.tostring(await both.rpc(f"<get-config>{one}</get-config>")) for one in asked]
    assert len(read) == len(asked)
    assert replies[0] == replies[1]
    assert len(set(replies)) == len(asked) - 1
    again = [etree.tostring(await both.rpc(f"<get-config>{one}</get-config>")) for one in asked]
    assert replies == again
    assert len(read) == len(asked)


@pytest.mark.parametrize("target", [RUNNING, CANDIDATE])
async def test_a_change_is_seen_at_once(tmp_path: Path, target: str) -> None:
    both = rig(tmp_path)
    assert "old" in await both.system(target)
    await both.datastores.edit(target, config("<name>new</name>"))
    assert "new" in await both.system(target)
    await both.datastores.discard()
    assert ("new" if target == RUNNING else "old") in await both.system(target)


async def test_other_rights_are_in_force_at_once(tmp_path: Path) -> None:
    both = LocalRig(guarded(), tmp_path)
    view = both.server.access_control.view(USER)
    assert both.server.access_control.view(USER) is view
    both.server.accounts.replace([Account(USER, HASH, recovery=True)])
    assert both.server.access_control.view(USER) is not view


async def test_large_replies_are_not_kept(tmp_path: Path, read: list[Query]) -> None:
    both = rig(tmp_path, "".join(f"<tag>{number:030}</tag>" for number in range(1000)))
    first = await both.system(RUNNING)
    assert first == await both.system(RUNNING)
    assert len(read) == 2
