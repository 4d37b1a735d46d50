"""YANG push on change for large lists whose provider says what changes (RFC 8641), seen by a client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import Entry, Keys, Told, push_lists
from tests.integration.netconf_server_rig import TOY, Rig, errors
from tests.integration.subscriptions_rig import (
    SN,
    YP,
    Client,
    edits_of,
    on_change,
    on_id,
    rig_and_client,
    subtree,
    text,
    to_datastore,
)

INVENTORY = subtree(f'<inventory xmlns="{TOY}"/>')
NO_SYNC = "<sync-on-start>false</sync-on-start>"


class Shelf:
    """The parts of the toy's inventory, changed by the test; tells of every change."""

    def __init__(self) -> None:
        self.parts: dict[tuple[str, str], str] = {}
        self.listeners: list[Told] = []
        self.broken = False

    def read(self, keys: Keys) -> Iterator[Entry]:
        if self.broken:
            raise OSError("the disk is gone")
        wanted = (keys.get("site", {}).get("name"), keys.get("part", {}).get("serial"))
        for (site, serial), model in sorted(self.parts.items()):
            if wanted[0] in (None, site) and wanted[1] in (None, serial):
                yield Entry(({"name": site},), self._xml(serial, model))

    def watch(self, told: Told) -> Callable[[], None]:
        self.listeners.append(told)
        return lambda: self.listeners.remove(told)

    def put(self, site: str, serial: str, model: str | None) -> None:
        """Keep a part, or take it away (None)."""
        before = self.parts.pop((site, serial), None)
        if model is not None:
            self.parts[site, serial] = model
        keys = {"site": {"name": site}, "part": {"serial": serial, "slot": "1"}}
        for told in self.listeners:
            told(keys, None if before is None else self._xml(serial, before))

    def _xml(self, serial: str, model: str) -> bytes:
        text = f'<part xmlns="{TOY}"><serial>{serial}</serial><slot>1</slot><model>{model}</model></part>'
        return text.encode()


def shelf_of(rig: Rig) -> Shelf:
    """A server's inventory that tells of its changes, in place of the rig's own."""
    shelf = Shelf()
    (branch,) = rig.server._providers.lists
    rig.server._providers.lists.clear()
    rig.server.register_list(branch.nodes[-1].path, shelf)
    return shelf


def edits(update: etree._Element) -> list[list[str | None]]:
    return [[text(edit, name) for name in ("operation", "target", "model")] for edit in edits_of(update)]


async def test_what_comes_changes_and_goes_is_told_as_a_patch(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, client):
        shelf = shelf_of(rig)
        shelf.put("s1", "a", "m1")
        await client.establish(to_datastore("operational", on_change(), INVENTORY))
        first = await client.event()
        assert [text(first, "serial"), text(first, "model")] == ["a", "m1"]
        shelf.put("s1", "b/1", "m2")
        shelf.put("s1", "a", "m3")
        shelf.put("s2", "c", "m4")
        patch = await client.event()
        rig.server.schema.check_notification(patch)
        assert edits(patch) == [
            ["replace", "inventory/site=s1/part=a,1/model", "m3"],
            ["create", "inventory/site=s1/part=b%2F1,1", "m2"],
            ["create", "inventory/site=s2/part=c,1", "m4"],
        ]
        shelf.put("s1", "a", None)
        assert edits(await client.event()) == [["delete", "inventory/site=s1/part=a,1", None]]
        # What came and went meanwhile, and what is as it was, is not told.
        shelf.put("s1", "x", "m")
        shelf.put("s1", "x", None)
        shelf.put("s2", "c", "m9")
        shelf.put("s2", "c", "m4")
        shelf.put("s2", "d", "m")
        assert edits(await client.event()) == [["create", "inventory/site=s2/part=d,1", "m"]]


async def test_only_what_the_filter_selects_is_told(tmp_path: Path) -> None:
    part = "<site><name>s1</name><part><model>good</model><serial/></part></site>"
    chosen = subtree(f'<inventory xmlns="{TOY}">{part}</inventory>')
    expression = "/t:inventory/t:site[t:name='s2']/t:part</datastore-xpath-filter>"
    by_path = f'<datastore-xpath-filter xmlns="{YP}" xmlns:t="{TOY}">' + expression
    async with rig_and_client(tmp_path) as (rig, client):
        shelf = shelf_of(rig)
        one = await client.establish(to_datastore("operational", on_change(NO_SYNC), chosen))
        shelf.put("s2", "a", "good")
        shelf.put("s1", "a", "bad")
        shelf.put("s1", "b", "good")
        assert edits(await client.event()) == [["create", "inventory/site=s1/part=b,1", "good"]]
        shelf.put("s1", "b", "bad")
        assert edits(await client.event()) == [["delete", "inventory/site=s1/part=b,1", None]]
        assert not errors(await client.ask(on_id("delete-subscription", one)))
        assert shelf.listeners == []
        await client.establish(to_datastore("operational", on_change(NO_SYNC), by_path))
        shelf.put("s1", "b", None)
        shelf.put("s2", "a", "m2")
        assert edits(await client.event()) == [["replace", "inventory/site=s2/part=a,1/model", "m2"]]


async def test_what_waits_too_long_makes_the_next_update_incomplete(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(push_lists, "MAX_WAITING", 3)
    async with rig_and_client(tmp_path) as (rig, client):
        shelf = shelf_of(rig)
        number = await client.establish(to_datastore("operational", on_change(NO_SYNC), INVENTORY))
        for serial in "abcde":
            shelf.put("s1", serial, "m")
        patch = await client.event()
        rig.server.schema.check_notification(patch)
        assert next(patch.iter(f"{{{YP}}}incomplete-update"), None) is not None
        assert not errors(await client.ask(on_id("resync-subscription", number, namespace=YP)))
        whole = await client.event()
        assert etree.QName(whole).localname == "push-update"
        assert [part.text for part in whole.iter(f"{{{TOY}}}serial")] == list("abcde")
        shelf.put("s1", "f", "m")
        patch = await client.event()
        assert next(patch.iter(f"{{{YP}}}incomplete-update"), None) is None
        assert edits(patch) == [["create", "inventory/site=s1/part=f,1", "m"]]


async def test_excluded_changes_and_the_dampening_period(tmp_path: Path) -> None:
    terms = f"<dampening-period>20</dampening-period>{NO_SYNC}<excluded-change>delete</excluded-change>"
    async with rig_and_client(tmp_path) as (rig, client):
        shelf = shelf_of(rig)
        await client.establish(to_datastore("operational", on_change(terms), INVENTORY))
        shelf.put("s1", "a", "m1")
        assert edits(await client.event()) == [["create", "inventory/site=s1/part=a,1", "m1"]]
        # These fall into one dampening period, and are told together when it ends.
        for model in ("m2", "m3", None):
            shelf.put("s1", "a", model)
        shelf.put("s1", "b", "m1")
        assert edits(await client.event()) == [["create", "inventory/site=s1/part=b,1", "m1"]]
        reply = await client.ask(f'<get><filter><subscriptions xmlns="{SN}"/></filter></get>')
        assert text(reply, "excluded-event-records") == "1"


async def test_a_selection_too_big_to_begin_with_is_told_from_now_on(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, client):
        shelf = shelf_of(rig)
        for number in range(5):
            shelf.put("s1", str(number), "x" * 1_000_000)
        (error,) = errors(await client.ask(to_datastore("operational", on_change(), INVENTORY)))
        assert (error["tag"], error["app-tag"]) == ("too-big", "ietf-yang-push:sync-too-big")
        assert "sync-on-start false" in error["message"]
        number = await client.establish(to_datastore("operational", on_change(NO_SYNC), INVENTORY))
        (error,) = errors(await client.ask(on_id("resync-subscription", number, namespace=YP)))
        assert error["app-tag"] == "ietf-yang-push:sync-too-big"
        shelf.put("s1", "new", "m")
        assert edits(await client.event()) == [["create", "inventory/site=s1/part=new,1", "m"]]


@pytest.mark.parametrize(
    "chosen",
    [
        subtree(f'<inventory xmlns="{TOY}"><site><city>X</city><part/></site></inventory>'),
        subtree(f'<inventory xmlns="{TOY}"><total>1</total><site/></inventory>'),
        *(
            f'<datastore-xpath-filter xmlns="{YP}" xmlns:t="{TOY}">{path}</datastore-xpath-filter>'
            for path in (
                "/t:inventory/t:site[t:name='s1']/t:part[2]",
                "/t:inventory/t:site[t:part/t:model='m']/t:part",
                "//t:part",
            )
        ),
    ],
)
async def test_a_filter_that_looks_beyond_the_entry_is_refused(tmp_path: Path, chosen: str) -> None:
    async with rig_and_client(tmp_path) as (rig, client):
        shelf_of(rig)
        (error,) = errors(await client.ask(to_datastore("operational", on_change(), chosen)))
        assert error["app-tag"] == "ietf-yang-push:filter-unsupported" or error["app-tag"].endswith(
            "subscribed-notifications:filter-unsupported"
        )


async def test_a_list_that_cannot_be_read_ends_the_subscription_with_a_word(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, client):
        shelf = shelf_of(rig)
        await client.establish(to_datastore("operational", on_change(NO_SYNC), INVENTORY))
        shelf.broken = True
        shelf.put("s1", "a", "m")
        assert await client.named(1) == ["subscription-terminated"]
        assert shelf.listeners == []


async def test_a_session_that_ends_leaves_nobody_listening(tmp_path: Path) -> None:
    async with rig_and_client(tmp_path) as (rig, _), rig.raw() as raw:
        shelf, other = shelf_of(rig), Client(raw)
        await other.establish(to_datastore("operational", on_change(NO_SYNC), INVENTORY))
        assert len(shelf.listeners) == 1
        await other.ask("<close-session/>")
        await raw.closed()
        assert shelf.listeners == []
