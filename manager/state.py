"""The cloud's operational state, as the trees ``/cloud-state`` and ``/identity``."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import UTC, datetime

from lxml import etree

from manager.config import NAMESPACE
from manager.group import Group
from manager.service import Service
from manager.store import StoreError
from rui.backup.delivery import Delivery
from rui.backup.digest import Digest
from rui.backup.identity import StorageEntry
from rui.backup.source import SourceState
from rui.backup.version import Version
from rui.backup.wire import IDENTITY
from rui.netconf import names

# Counting a group's records reads all of them, so what was counted a moment ago is good enough: counting may
# take up to a twentieth of the time.
_COUNT_AGE = 5.0
_COUNT_SHARE = 20


class CloudState:
    """Provider of ``/rui-cloud:cloud-state``."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._started = time.time()
        self._counts: dict[str, tuple[float, Digest]] = {}
        self._counting: asyncio.Task[None] | None = None
        self._count_age = _COUNT_AGE

    def learn(self, group: str, digest: Digest) -> None:
        """Take a digest that somebody has asked for."""
        self._counts[group] = (time.monotonic(), digest)

    def read(self) -> etree._Element:
        """Return the state as it is now; record counts may be some seconds old, of large groups more."""
        self._count()
        state = _element(NAMESPACE, "cloud-state")
        _leaves(state, ("store-id", self._service.store.store_id), ("started", _time(self._started)))
        groups = sorted(self._service.groups.items())
        self._sessions(state)
        for _, group in groups:
            for entry in _entries(group):
                self._storage_entry(state, entry)
        for _, group in groups:
            self._stored_group(state, group)
        for _, group in groups:
            for _, delivery in sorted(group.cloud.deliveries.items()):
                self._delivery(state, group, delivery)
        return state

    def _sessions(self, state: etree._Element) -> None:
        for name, link in sorted(self._service.links.items()):
            session = _child(state, "session")
            _leaves(
                session,
                ("device-id", name),
                ("state", link.state.value),
                ("since", _time(link.since)),
                ("tries", str(link.tries)),
                ("last-error", link.last_error),
            )

    def _storage_entry(self, state: etree._Element, entry: StorageEntry) -> None:
        _leaves(
            _child(state, "storage-entry"),
            ("group-id", entry.group),
            ("device-id", entry.device),
            ("role", entry.role.value),
            ("epoch", str(entry.epoch)),
            ("address", entry.address),
            ("since", _time(entry.since)),
            ("reason", entry.reason),
        )

    def _stored_group(self, state: etree._Element, group: Group) -> None:
        cloud = group.cloud
        _, digest = self._counts.get(group.name, (0.0, None))
        _leaves(
            _child(state, "stored-group"),
            ("group-id", group.name),
            ("cursor", str(cloud.position.cursor)),
            ("writer", str(cloud.position.writer)),
            ("records", str(digest.count) if digest else ""),
            ("quarantined", str(digest.quarantined) if digest else ""),
            ("discarded", str(cloud.counters.discarded_records)),
        )

    def _delivery(self, state: etree._Element, group: Group, delivery: Delivery) -> None:
        head, cursor = group.cloud.position.cursor, delivery.position.cursor
        _leaves(
            _child(state, "delivery"),
            ("group-id", group.name),
            ("device-id", delivery.device),
            ("cursor", str(cursor)),
            ("lag", str(lag(head, delivery.position.live))),
            ("state", _delivery_state(delivery, head)),
            ("reason", delivery.reason),
        )

    def _count(self) -> None:
        """Have old counts renewed for the next reader."""
        now = time.monotonic()
        old = [
            name
            for name in self._service.groups
            if now - self._counts.get(name, (float("-inf"), None))[0] > self._count_age
        ]
        if old and (self._counting is None or self._counting.done()):
            self._counting = asyncio.get_running_loop().create_task(self._renew(old))

    async def _renew(self, groups: Iterable[str]) -> None:
        started = time.monotonic()
        for name in groups:
            try:
                self.learn(name, (await self._service.store.digest(name)).digest)
            except StoreError:
                return
        self._count_age = max(_COUNT_AGE, _COUNT_SHARE * (time.monotonic() - started))


class Identities:
    """Provider of ``/rui-identity:identity``: the storage entries as the groups' members."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def read(self) -> etree._Element:
        """Return the identities that are recorded."""
        top = _element(IDENTITY, "identity")
        for name, group in sorted(self._service.groups.items()):
            entry = _child(top, "group")
            _leaves(entry, ("group-id", name), ("epoch", str(group.cloud.position.writer)))
            for held in _entries(group):
                member = _child(entry, "member")
                _leaves(member, ("device-id", held.device), ("address", held.address), *_identity(held))
            history = self._service.histories.get(name)
            for recorded in reversed(history.entries if history is not None else ()):
                past, held = _child(entry, "history"), recorded.entry
                _leaves(past, ("index", str(recorded.index)), ("device-id", held.device), *_identity(held))
        return top


def _identity(held: StorageEntry) -> tuple[tuple[str, str], ...]:
    return (
        ("role", held.role.value),
        ("epoch", str(held.epoch)),
        ("since", _time(held.since)),
        ("reason", held.reason),
        ("step", "S403"),
    )


def lag(head: Version, cursor: Version) -> int:
    """Return how many changes lie between two versions; across epochs at least those of the newest."""
    if cursor >= head:
        return 0
    return head.seq - cursor.seq if head.epoch == cursor.epoch else max(head.seq, 1)


def _delivery_state(delivery: Delivery, head: Version) -> str:
    if delivery.state in (SourceState.DISCONNECTED.value, SourceState.REFUSED.value):
        return "disconnected"
    if delivery.state == SourceState.SNAPSHOT.value:
        return "snapshot"
    return "delivering" if delivery.position.live < head else "idle"


def _entries(group: Group) -> list[StorageEntry]:
    return sorted(group.cloud.entries.values(), key=lambda entry: entry.device)


def _element(namespace: str, name: str) -> etree._Element:
    return etree.Element(f"{{{namespace}}}{name}", nsmap=names.nsmap(namespace))


def _child(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{etree.QName(parent).namespace}}}{name}")


def _leaves(parent: etree._Element, *leaves: tuple[str, str]) -> None:
    """Add leaves in the parent's namespace; those without a value are left out."""
    for name, text in leaves:
        if text:
            _child(parent, name).text = text


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
