"""The cloud device's parts joined: devices, groups and the store (FIG. 4 and FIG. 5)."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence

import structlog
from lxml import etree

from manager.alarms import Alarms
from manager.config import DeviceConfig, ManagerConfig
from manager.devices import DeviceLink
from manager.group import Group
from manager.history import IdentityHistory
from manager.inbox import Inbox, MessageError, NotAllowedError
from manager.store import Store
from netconf_client import ClientSession, SessionClosed
from rui.backup.cloud import Cloud
from rui.backup.cloud_outputs import Report
from rui.backup.trace import Trace
from rui.netconf.events import NotificationReceived
from rui.schema import Schema

log = structlog.get_logger()

MAX_GROUPS = 10_000
# A device may have so much in the store's hands before its session is read no further.
_MAX_BATCHES = 64
_MAX_RECORDS = 16_000

EventSink = Callable[[str, str, str, str, int], None]
"""Takes event-id, device, group, reason and count; device and group may be empty."""

_WARNINGS = frozenset(
    {
        "group-not-allowed",
        "upload-discarded",
        "upload-refused",
        "record-quarantined",
        "identity-refused",
        "delivery-refused",
        "message-refused",
        "device-lost",
        "device-unreachable",
    }
)


class Service:
    """Owns the links and the groups. All methods belong to the event loop."""

    def __init__(
        self,
        config: ManagerConfig,
        schema: Schema,
        store: Store,
        rng: random.Random,
        tell: EventSink,
        *,
        alarms: Alarms,
        trace: Trace | None = None,
    ) -> None:
        self.config = config
        self._trace = trace
        self.store = store
        self.groups: dict[str, Group] = {}
        self.histories: dict[str, IdentityHistory] = {}
        self.links: dict[str, DeviceLink] = {}
        self._rng = rng
        self._tell = tell
        self._alarms = alarms
        self._waiting: dict[str, list[int]] = {}
        self._inbox = Inbox(schema, self.group, self._allows)

    async def start(self) -> None:
        """Take up what the store holds, then go and find the devices."""
        for entry in await self.store.entries():
            if entry.group not in self.groups:
                await self._load(entry.group)
        for group in await self.store.groups():
            if group not in self.groups:
                await self._load(group)
        for device in self.config.devices.values():
            self._start_link(device)

    async def close(self) -> None:
        """End all sessions, then the groups' work; the store stays open."""
        await asyncio.gather(*(link.close() for link in self.links.values()))
        await asyncio.gather(*(group.close() for group in self.groups.values()))

    async def reconfigure(self, config: ManagerConfig) -> None:
        """Apply a changed configuration: devices come, go and change; a new profile begins new sessions."""
        old, self.config = self.config, config
        for name, device in old.devices.items():
            if config.devices.get(name) != device:
                link = self.links.pop(name)
                await link.close()
        for name, device in config.devices.items():
            if name not in self.links:
                self._start_link(device)
        for name, group in self.groups.items():
            group.cloud.options = config.profile(name).options
            if config.profile(name) != old.profile(name):
                for served in list(group.cloud.deliveries):
                    self.give_up(served, f"the profile of group {name} has changed")

    def group(self, name: str) -> Group:
        """Return a group, beginning it where it is new. Raises MessageError when there are too many."""
        found = self.groups.get(name)
        if found is None:
            if len(self.groups) >= MAX_GROUPS:
                raise MessageError(f"group {name} is one more than the {MAX_GROUPS} that are kept")
            found = self._add(Cloud(name, self.store.store_id, options=self.config.profile(name).options))
        return found

    async def called_home(self, device: str, session: ClientSession) -> None:
        """Serve a session that a device has opened by calling home."""
        link = self.links.get(device)
        if link is None:
            await session.close()
        else:
            await link.adopt(session)

    # What groups need of the devices

    async def rpc(self, device: str, operation: etree._Element | Sequence[bytes]) -> etree._Element:
        """Send an operation to a device. Raises RpcError or NetconfClientError."""
        link = self.links.get(device)
        if link is None:
            raise SessionClosed(device, "the device is not configured any more")
        return await link.rpc(operation)

    def heard_at(self, device: str) -> float | None:
        """Return when a device was last heard of, on the loop's clock; None for never."""
        link = self.links.get(device)
        return None if link is None else link.heard_at

    def give_up(self, device: str, reason: str) -> None:
        """End the session with a device."""
        link = self.links.get(device)
        if link is not None:
            link.give_up(reason)

    def taken(self, device: str, records: int) -> None:
        """A batch of the device waits for its receipt."""
        waiting = self._waiting.setdefault(device, [0, 0])
        waiting[0] += 1
        waiting[1] += records

    def released(self, device: str, records: int) -> None:
        """A batch of the device has got its receipt."""
        waiting = self._waiting.setdefault(device, [0, 0])
        waiting[0] -= 1
        waiting[1] -= records
        link = self.links.get(device)
        if link is not None:
            link.released()

    # What devices tell

    @property
    def probe_interval(self) -> float:
        """Seconds between two probes of a session."""
        return self.config.probe_interval

    def notified(self, device: str, notification: NotificationReceived) -> None:
        """Take a notification; one that cannot be used ends the session: its sender waits for an answer.

        What a device says of a group that it is not configured for is passed over.
        """
        try:
            self._inbox.take(device, notification)
        except NotAllowedError as error:
            self._event("group-not-allowed", device, error.group, str(error))
        except MessageError as error:
            self._event("message-refused", device, "", str(error))
            self.give_up(device, f"it sent what cannot be used: {error}")

    def _allows(self, device: str, group: str) -> bool:
        known = self.config.devices.get(device)
        return known is not None and known.allows(group)

    def busy(self, device: str) -> bool:
        """Say whether enough of the device's uploads wait for the store."""
        batches, records = self._waiting.get(device, (0, 0))
        return batches >= _MAX_BATCHES or records >= _MAX_RECORDS

    def connected(self, device: str, where: str) -> None:
        """The session with a device is up."""
        self._event("device-connected", device, "", where)

    def lost(self, device: str, reason: str) -> None:
        """The session with a device is over."""
        self._event("device-lost", device, "", reason)
        # What still waits is not answered any more.
        self._waiting.pop(device, None)
        for group in self.groups.values():
            group.device_down(device, reason)

    def unreachable(self, device: str, reason: str) -> None:
        """A device cannot be reached."""
        self._event("device-unreachable", device, "", reason)

    def _start_link(self, device: DeviceConfig) -> None:
        link = DeviceLink(device, self, self._rng)
        self.links[device.device] = link
        link.start()

    async def _load(self, name: str) -> None:
        head = await self.store.head(name)
        self.histories[name] = IdentityHistory(await self.store.entries(name))
        self._add(
            Cloud(
                name,
                self.store.store_id,
                position=head.position,
                floor=head.floor,
                entries=await self.store.entries(name),
                options=self.config.profile(name).options,
            )
        )

    def _add(self, cloud: Cloud) -> Group:
        group = self.groups[cloud.group] = Group(cloud, self.store, self, self._reported, trace=self._trace)
        return group

    def _reported(self, group: str, report: Report) -> None:
        entry = self.groups[group].cloud.entries.get(report.device)
        if report.event == "identity-accepted" and entry is not None:
            history = self.histories.setdefault(group, IdentityHistory())
            history.note(entry, self.config.profile(group).history)
        if self._alarms.report(report.event, report.device, group, report.reason):
            log.debug(report.event, group=group, device=report.device, reason=report.reason)
            return
        self._event(report.event, report.device, group, report.reason, report.count)

    def _event(self, event: str, device: str, group: str, reason: str, count: int = 1) -> None:
        facts: Mapping[str, str] = {
            name: value for name, value in (("device", device), ("group", group), ("reason", reason)) if value
        }
        write = log.warning if event in _WARNINGS else log.info
        if count == 1:
            write(event, **facts)
        else:
            write(event, **facts, count=count)
        self._tell(event, device, group, reason, count)
