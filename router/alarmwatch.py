"""Looks at a router's state once a second and says which alarms hold.

A condition is looked at, not followed by its beginnings and ends, so none of these can be missed and no
alarm can stay behind.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from router.alarms import Alarms
from router.conflicts import ConflictWatch
from router.group import Group
from router.journal import Quota
from router.rbs import Switch
from router.rbs.failover import GroupFailover
from rui.backup.alarms import AlarmType
from rui.backup.conflicts import Conflict
from rui.backup.links import LinkState
from rui.backup.member_outputs import CLOUD
from rui.backup.source import Source

log = structlog.get_logger(__name__)

_PERIOD = 1.0
_UNPROTECTED_AFTER = 5.0
_PROTECTED_BELOW = 1.0
_JOURNAL_NEARLY = 0.8

CloudHeard = Callable[[], bool]
"""Says whether any session of the cloud has subscribed; it counts where no link is judged by evidence."""


class AlarmWatch:
    """One router's; :meth:`start` it when the groups have started."""

    def __init__(
        self,
        alarms: Alarms,
        groups: Mapping[str, Group],
        switch: Switch,
        cloud_heard: CloudHeard,
        quota: Quota,
        *,
        conflicts: Mapping[str, ConflictWatch],
    ) -> None:
        self._alarms = alarms
        self._groups = groups
        self._switch = switch
        self._cloud_heard = cloud_heard
        self._quota = quota
        self._conflicts = conflicts
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Look from now on; first once every link had its time to come up."""
        self._task = asyncio.get_running_loop().create_task(self._watch(), name="alarm-watch")

    async def close(self) -> None:
        """Look no more."""
        for watch in self._conflicts.values():
            await watch.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def look(self) -> None:
        """Say of every condition whether it holds now."""
        self._cloud()
        self._journals()
        for name, group in self._groups.items():
            self._disk(name, group)
            self._protection(name, group)
            self._replicas(name, group)
            self._audits(name, group)
            if name in self._conflicts:
                self._addresses(name, self._conflicts[name].lasting())
            failover = self._switch.groups.get(name)
            if failover is not None:
                self._paths(name, failover)

    async def _watch(self) -> None:
        await asyncio.sleep(max([_PERIOD, *(group.config.link_timeout for group in self._groups.values())]))
        while True:
            try:
                self.look()
            except Exception:
                # An operator's view must not end with one thing that it could not see.
                log.exception("alarm-watch-failed")
            await asyncio.sleep(_PERIOD)

    def _cloud(self) -> None:
        link = self._switch.links().get(CLOUD)
        if link is not None:
            gone, why = link.state is LinkState.DOWN, link.reason
        else:
            gone, why = not self._cloud_heard(), "no session of the cloud has subscribed"
        text = f"the cloud cannot be reached ({why}): look at the manager and at the way to it"
        self._alarms.set(AlarmType.CLOUD_UNREACHABLE, gone, text if gone else "", peer=CLOUD)

    def _journals(self) -> None:
        octets, limit = self._quota.octets, self._quota.limit
        full = octets >= _JOURNAL_NEARLY * limit
        text = (
            f"the journals hold {octets} of {limit} octets, at which logins are refused: "
            "raise journal/max-size, or see why they are not compacted"
        )
        self._alarms.set(AlarmType.JOURNAL_NEARLY_FULL, full, text if full else "")

    def _disk(self, name: str, group: Group) -> None:
        failure = group.member.failure
        text = f"the journal cannot be written ({failure}): free disk space; it goes on by itself"
        self._alarms.set(AlarmType.JOURNAL_FAILING, bool(failure), text if failure else "", group=name)
        if (
            self._alarms.book.raised(AlarmType.JOURNAL_BEHIND_CLOUD, name, CLOUD)
            and group.member.cloud_has_all
        ):
            self._alarms.set(AlarmType.JOURNAL_BEHIND_CLOUD, False, group=name, peer=CLOUD)

    def _protection(self, name: str, group: Group) -> None:
        seconds = group.lag(group.member.protected).seconds if group.member.serving else 0.0
        raised = self._alarms.book.raised(AlarmType.UNPROTECTED_USERS, name)
        # A batch that waits for its interval, or for its receipt, is no fault.
        patience = (_PROTECTED_BELOW if raised else _UNPROTECTED_AFTER) + 3 * group.config.upload_interval
        late = seconds > patience
        text = (
            f"{group.unprotected_users()} users' changes are durable on this router only, the oldest for "
            f"{seconds:.0f} s: no replica acknowledges them"
            if late
            else ""
        )
        self._alarms.set(AlarmType.UNPROTECTED_USERS, late, text, group=name)

    def _replicas(self, name: str, group: Group) -> None:
        """What is wrong with the copies that this router serves."""
        sources: dict[str, Source] = {}
        if group.member.serving:
            sources = {CLOUD: group.member.source, **group.member.locals}
        for peer in (CLOUD, *group.config.members):
            source = sources.get(peer)
            behind = source is not None and source.snapshot_under_way
            text = f"{peer} is sent everything: {source.reason}" if behind and source else ""
            self._alarms.set(AlarmType.NEEDS_SNAPSHOT, behind, text, group=name, peer=peer)
            failing = source.failing if source else ""
            text = f"{peer} cannot store what it is sent ({failing}): free disk space there"
            active = bool(failing)
            self._alarms.set(AlarmType.STORE_FAILING, active, text if active else "", group=name, peer=peer)

    def _audits(self, name: str, group: Group) -> None:
        """A primary hears of other copies, a secondary of its own: after a switch nobody clears the last."""
        for key in self._alarms.book.raised_of(AlarmType.DIGEST_MISMATCH):
            if key.group == name and bool(key.peer) is not group.member.serving:
                why = f"this router is {group.member.role.value} now"
                self._alarms.set(AlarmType.DIGEST_MISMATCH, False, why, group=name, peer=key.peer)

    def _addresses(self, name: str, conflicts: Sequence[Conflict]) -> None:
        text = ""
        if conflicts:
            first, more = conflicts[0], len(conflicts) - 1
            text = f"{first.address} is held by {first.adopted.decode()} and by {first.other.decode()}"
            text += f", and {more} more addresses by two users each" if more else ""
            text += ": log off who is not there any more; each pair is in the log (address-conflict)"
        self._alarms.set(AlarmType.ADDRESS_CONFLICT, bool(conflicts), text, group=name)

    def _paths(self, name: str, failover: GroupFailover) -> None:
        for peer in failover.peers.values():
            reason = peer.decider.reason if peer.decider else "started by the initiator"
            text = f"user-info goes directly between this router and {peer.name}: {reason}"
            self._alarms.set(
                AlarmType.LOCAL_BACKUP_ACTIVE,
                peer.local,
                text if peer.local else "",
                group=name,
                peer=peer.name,
            )
