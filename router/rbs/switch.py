"""All channels and all groups' failovers of one router, and who is told what."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import structlog

from router.config import RouterConfig
from router.group import Group
from router.rbs.channel import Channel
from router.rbs.failover import GroupFailover
from rui.backup import rbs
from rui.backup.inspection import Inspector
from rui.backup.links import Link
from rui.backup.wire import WireError
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived

log = structlog.get_logger(__name__)


class Switch:
    """The failover of one router. All methods belong to the loop's thread."""

    def __init__(
        self,
        config: RouterConfig,
        groups: Mapping[str, Group],
        inspector: Inspector,
        now: Callable[[], float],
        changed: Callable[[str, Link, str], None],
    ) -> None:
        self.device = config.device
        self._now = now
        rng = random.Random()  # noqa: S311 - spreads retries, guards no secret
        self.channels = {
            channel.peer: Channel(channel, rng, self._told, self._changed) for channel in config.channels
        }
        self.groups: dict[str, GroupFailover] = {}
        self._dialling: set[asyncio.Task[None]] = set()
        for name, group in groups.items():
            if not set(group.config.members) & set(self.channels):
                continue
            self.groups[name] = GroupFailover(
                group,
                group.config.failover,
                config.device,
                self.channels,
                inspector,
                now,
                changed,
            )

            self.groups[name].initiative.dial = self._dial

    def _dial(self) -> None:
        task = asyncio.get_running_loop().create_task(self.redial(), name="rbs-redial")
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def start(self) -> None:
        """Dial the peers of which this end is the initiator for some group."""
        for name, channel in self.channels.items():
            if any(name in group.peers and group.peers[name].decider for group in self.groups.values()):
                channel.start()

    async def redial(self) -> None:
        """Dial whom this end is the initiator for now, and hang up where it is no more."""
        for name, channel in self.channels.items():
            if any(name in group.peers and group.peers[name].decider for group in self.groups.values()):
                channel.start()
            else:
                await channel.close()

    async def close(self) -> None:
        """Hang up."""
        for task in self._dialling:
            task.cancel()
        await asyncio.gather(*self._dialling, return_exceptions=True)
        for channel in self.channels.values():
            await channel.close()
        for group in self.groups.values():
            await group.close()

    def group(self, name: str) -> GroupFailover:
        """Return a group's failover; raises RpcError where it has none."""
        found = self.groups.get(name)
        if found is None:
            raise RpcError.invalid_value(f"{self.device} has no RBS channel for group {name!r}")
        return found

    def links(self) -> dict[str, Link]:
        """Return the links by far end, each as the group with the shortest timeout sees it."""
        groups = sorted(self.groups.values(), key=lambda group: group.config.link.timeout)
        found: dict[str, Link] = {}
        for group in groups:
            found.setdefault("cloud", group.cloud)
            for name, peer in group.peers.items():
                found.setdefault(name, peer.link)
        return found

    def wall(self, at: float) -> datetime:
        """Return the wall-clock time of a moment of the loop's clock, for people."""
        return datetime.now(UTC) - timedelta(seconds=self._now() - at)

    def cloud_heard(self, probe: rbs.Probe | None = None) -> None:
        """A sign of life of the cloud, for all groups."""
        for group in self.groups.values():
            group.cloud_heard(probe)

    def cloud_alive(self) -> None:
        """The cloud has sent something: a sign of life that probes behind it need not give."""
        now = self._now()
        for group in self.groups.values():
            group.cloud.heard(now)

    def cloud_cut(self) -> None:
        """The last session of the cloud is gone."""
        for group in self.groups.values():
            group.cloud_cut()

    def probed(self, peer: str, probe: rbs.Probe) -> None:
        """A probe of a peer came over its session."""
        for group in self.groups.values():
            group.probed(peer, probe)

    def _changed(self, peer: str) -> None:
        for group in self.groups.values():
            group.channel_changed(peer)

    def _told(self, peer: str, notification: NotificationReceived) -> None:
        content = notification.content
        try:
            name = next(child.text or "" for child in content if child.tag.endswith("}group-id"))
            self.group(name).notified(peer, notification)
        except (StopIteration, RpcError, WireError) as error:
            log.warning("peer-message-refused", peer=peer, what=content.tag, reason=str(error))
