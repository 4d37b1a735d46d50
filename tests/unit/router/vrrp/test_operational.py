"""What operators read, checked against the model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import get_args

import pytest
from lxml import etree

from router.vrrp.election import Election
from router.vrrp.operational import _EVENTS, _FAULTS, VrrpTree
from rui.schema import Schema
from rui.vrrp.packet import Fault
from rui.vrrp.states import TRANSITIONS, Event
from tests.unit.router.vrrp.links import FAST, MemoryLink, Segment, Told, election

NS = "{urn:rui-cloud:yang:vrrp}"


@pytest.fixture
async def node() -> AsyncIterator[tuple[Election, MemoryLink, Told]]:
    link, told = MemoryLink(Segment(), 1), Told()
    made = election(link, FAST, told)
    yield made, link, told
    await made.close()


def read(schema: Schema, elections: dict[str, Election]) -> dict[str, str]:
    """Return the leaves of the first instance, checked."""
    tree = VrrpTree(elections).read()
    schema.check_operational(etree.tostring(tree))
    entry = tree.find(f"{NS}vrrp-instance")
    assert entry is not None
    return {etree.QName(leaf).localname: leaf.text or "" for leaf in entry.iter() if len(leaf) == 0}


async def test_a_master(schema: Schema, node: tuple[Election, MemoryLink, Told]) -> None:
    made, link, told = node
    await made.start()
    await told.next("master")
    assert link.handlers is not None
    link.handlers.refused(Fault.TTL, "from afar")
    made.grant(asyncio.get_running_loop().time() + 5)

    leaves = read(schema, {"g1": made})
    expected = {
        "group-id": "g1",
        "vrid": "51",
        "state": "master",
        "is-owner": "false",
        "priority": "254",
        "granted": "true",
        "master-ip-address": "192.0.2.1",
        "last-event": "vrrp-event-master-timeout",
        "new-master-reason": "no-response",
        "reason": "no Master is heard",
        "master-down-interval": "36",
        "skew-time": "60938",
        "master-transitions": "1",
        "ip-ttl-errors": "1",
        "checksum-errors": "0",
    }
    assert {name: leaves.get(name) for name in expected} == expected
    assert "suspended" not in leaves


async def test_one_that_is_suspended(schema: Schema, node: tuple[Election, MemoryLink, Told]) -> None:
    made, _, told = node
    await made.start()
    await told.next("backup")
    made.suspend("link", "eth1 is down")
    leaves = read(schema, {"g1": made})
    assert (leaves["state"], leaves["suspended"]) == ("initialize", "eth1 is down")
    assert (leaves["last-event"], leaves["new-master-reason"]) == ("vrrp-event-shutdown", "not-master")
    assert "master-ip-address" not in leaves


async def test_before_the_start(schema: Schema) -> None:
    link = MemoryLink(Segment(), 1)
    owner = election(link, replace(FAST, priority=255), Told())
    leaves = read(schema, {"g1": owner})
    assert (leaves["state"], leaves["is-owner"], leaves["last-event"]) == (
        "initialize",
        "true",
        "vrrp-event-none",
    )


def test_every_event_that_changes_a_state_has_a_name() -> None:
    changing = {event for (old, event), new in TRANSITIONS.items() if old is not new}
    assert changing == set(_EVENTS)
    assert changing <= set(get_args(Event))


def test_every_fault_is_shown() -> None:
    assert set(_FAULTS.values()) == set(Fault)
