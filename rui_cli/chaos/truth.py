"""Who is online in truth: from what the routers' journals hold, and from what their traces say users did.

A journal keeps every change that was durable, by its version; the trace says which of them were a user's own
doing (`Milestone.TAKEN`) and when. The rest are changes that a new primary has taken over from another
one, or written again to repair a copy: they prove nothing. What users did last, as far as the cloud or the
other router had stored it, must be what all copies hold in the end; so should what was on the writer's own
disk only.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from router.journal.segment import base_path, check_magic, list_segments, log_path, read_blocks
from rui.backup.messages import Change
from rui.backup.trace import Milestone
from rui.backup.version import Epoch, Version
from rui_cli.site import MANAGER
from rui_cli.trace import TraceReader


class Deed(NamedTuple):
    """A user got online, renewed or left: under which version, and when, in nanoseconds; None: not known.

    `safe` says that another device than the writer had stored it.
    """

    version: Version
    record: bytes | None
    at: int | None
    safe: bool


class Expected(NamedTuple):
    """What must be held of a user: `states` are the records that may be it, None for being offline.

    `newest` are those that are left where every change on any disk counts, whether safe or not.
    """

    states: frozenset[bytes | None]
    newest: frozenset[bytes | None]

    @property
    def online(self) -> bool:
        """Whether the user must be there."""
        return None not in self.states

    @property
    def offline(self) -> bool:
        """Whether the user must not be there."""
        return self.states == {None}

    def passed_over(self, *, there: bool) -> bool:
        """Whether the user is held otherwise than `newest` says."""
        return self.newest == {None} if there else None not in self.newest


class Truth:
    """What users did, as far as it was durable anywhere."""

    def __init__(self) -> None:
        self.violations: list[str] = []
        self._changes: dict[Version, Change] = {}
        self._newest: dict[str, Change] = {}
        self._taken: dict[Version, int] = {}
        self._traced: dict[Epoch, int] = {}
        self._safe: set[Version] = set()
        self._stored: dict[Epoch, int] = {}

    def wrote(self, device: str, changes: Iterable[Change]) -> None:
        """Take what a device's journal holds, its own changes and those of others."""
        for change in changes:
            known = self._changes.setdefault(change.version, change)
            if change.version.epoch.device != device:
                self._safe.add(change.version)
            key = change.key.decode()
            if key not in self._newest or change.version > self._newest[key].version:
                self._newest[key] = change
            if (known.key, known.record) != (change.key, change.record):
                self.violations.append(
                    f"{device} holds of {change.version} {_told(change)}, another router {_told(known)}"
                )

    def took(self, version: Version, at: int) -> None:
        """Take one line of a trace: a user's doing."""
        self._taken[version] = at
        self._traced[version.epoch] = max(version.seq, self._traced.get(version.epoch, 0))

    def stored(self, version: Version) -> None:
        """Take one line of the cloud's trace: it holds all of that writer up to this version."""
        self._stored[version.epoch] = max(version.seq, self._stored.get(version.epoch, 0))

    def expected(self) -> dict[str, Expected]:
        """Return what must be held, by user; who was never online is left out."""
        deeds: dict[str, list[Deed]] = {}
        for version in sorted(self._changes):
            change = self._changes[version]
            at = self._taken.get(version)
            # A process that is killed takes the last lines of its trace with it: then nobody knows whose
            # doing a change was
            if at is not None or version.seq > self._traced.get(version.epoch, 0):
                safe = version in self._safe or version.seq <= self._stored.get(version.epoch, 0)
                deeds.setdefault(change.key.decode(), []).append(Deed(version, change.record, at, safe))
        return {key: _expected(done) for key, done in deeds.items()}

    def newest(self, key: str) -> bytes | None:
        """Return the record of the newest change of a user that any journal holds."""
        return self._newest[key].record if key in self._newest else None


def _told(change: Change) -> str:
    return f"{change.key.decode()} {'offline' if change.record is None else 'online'}"


def _expected(deeds: list[Deed]) -> Expected:
    """Judge what users did, oldest version first.

    The newest version counts, or the newest that was safe. Where two routers served at once, and the one that
    lost had the user later by the clock, either may win: each writer's last one. So may what was possibly no
    user's doing.
    """
    known = [deed for deed in deeds if deed.at is not None]
    states = {deeds[-1].record, known[-1].record if known else deeds[-1].record}
    times = [deed.at for deed in known if deed.at is not None]
    if times != sorted(times):
        last = {deed.version.epoch.device: deed.record for deed in known}
        latest = max(known, key=lambda deed: deed.at or 0)
        states |= {*last.values(), latest.record}
    safe = next((place for place in reversed(range(len(deeds))) if deeds[place].safe), None)
    since = {deed.record for deed in deeds[safe:]} if safe is not None else {None, *(d.record for d in deeds)}
    return Expected(frozenset(states | since), frozenset(states))


def read_truth(journals: Mapping[str, Path], traces: Iterable[Path]) -> Truth:
    """Read the journal folder of each device, and all traces; the processes have ended.

    Raises OSError, and what `router.journal` raises for a damaged journal.
    """
    truth = Truth()
    for device, folder in journals.items():
        truth.wrote(device, _journalled(folder))
    for path in traces:
        for mark in TraceReader(path).read():
            if mark.milestone is Milestone.TAKEN:
                truth.took(mark.version, mark.at)
            elif mark.milestone is Milestone.DURABLE and path.name.startswith(MANAGER):
                truth.stored(mark.version)
    return truth


def _journalled(folder: Path) -> Iterable[Change]:
    listing = list_segments(folder)
    paths = [base_path(folder, number) for number in listing.bases]
    paths += [log_path(folder, number) for number in listing.logs]
    for path in paths:
        with path.open("rb") as file:
            if check_magic(file):
                for frames, _ in read_blocks(file, file.tell()):
                    for frame in frames:
                        yield from frame.changes
