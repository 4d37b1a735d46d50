"""Compares what the members of groups run with what is intended, and makes it so, on all or on none."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

import structlog

from manager.sync.config import Intended
from manager.sync.decisions import Decisions
from manager.sync.device import Device, DeviceError, Refusal
from manager.sync.transaction import Outcome, Reach, apply, settle
from netconf_cli.compare import diff_lines
from rui.config import Plan, plan
from rui.schema import Node, Schema

log = structlog.get_logger()

_AT_ONCE = 32
"""Devices that are read at the same time."""


@dataclass(frozen=True)
class Finding:
    """What a look at one member has found: a plan, or why there is none."""

    device: str
    plan: Plan | None = None
    refusal: Refusal | None = None

    @property
    def state(self) -> str:
        """In the words of the model."""
        if self.plan is None:
            return "unreachable"
        return "drifted" if self.plan.differences else "in-sync"

    @property
    def diff(self) -> str:
        """The differences as lines."""
        return "\n".join(diff_lines(self.plan.differences)) if self.plan is not None else ""


@dataclass(frozen=True)
class Result:
    """What became of a request: `verdict` in the words of the model, and what was found at each member."""

    verdict: str
    findings: tuple[Finding, ...]
    refusals: tuple[Refusal, ...] = ()


class Synchroniser:
    """Works on one group at a time for each group.

    `reach` opens a device; `model` gives the schema of the members' configuration.
    """

    def __init__(self, reach: Reach, decisions: Decisions, model: Callable[[], Awaitable[Schema]]) -> None:
        self._reach = reach
        self._decisions = decisions
        self._model = model
        self._turns: dict[str, asyncio.Lock] = {}
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def look(self, intended: Intended) -> tuple[Finding, ...]:
        """Compare each member of a group."""
        top = (await self._model()).tree.data
        return tuple(
            await asyncio.gather(*(self._look(intended, member.device, top) for member in intended.members))
        )

    async def _look(self, intended: Intended, name: str, top: Mapping[str, Node]) -> Finding:
        async with self._room:
            try:
                async with self._reach(name) as device:
                    running = await device.running()
            except DeviceError as error:
                return Finding(name, refusal=error.refusal)
        return Finding(name, plan(running, intended.of(name, top), top))

    async def sync(self, intended: Intended, *, dry_run: bool = False) -> Result:
        """Have all members run what is intended, or change none. Raises OSError when the disk is full."""
        async with self._turns.setdefault(intended.group, asyncio.Lock()):
            findings = await self.look(intended)
            away = tuple(finding.refusal for finding in findings if finding.refusal is not None)
            if away:
                return Result("refused", findings, away)
            edits = {
                finding.device: finding.plan.edit
                for finding in findings
                if finding.plan is not None and finding.plan.edit is not None
            }
            if not edits:
                return Result("in-sync", findings)
            if dry_run:
                return Result("planned", findings)
            top = (await self._model()).tree.data
            outcome: Outcome = await apply(
                intended.group,
                edits,
                self._reach,
                self._decisions,
                lambda name, data: not plan(data, intended.of(name, top), top).differences,
                persist=secrets.token_hex(16),
                seconds=intended.confirm_timeout,
            )
            return Result("committed" if outcome.committed else "refused", findings, outcome.refusals)

    async def settle(self, groups: Mapping[str, Intended]) -> bool:
        """Finish what was broken off; say whether nothing is left."""
        left = False
        for decision in self._decisions.pending():
            intended = groups.get(decision.group)

            async def again(name: str, device: Device, intended: Intended | None = intended) -> None:
                if intended is not None:
                    await self._alone(intended, name, device)

            async with self._turns.setdefault(decision.group, asyncio.Lock()):
                left = not await settle(decision, self._reach, self._decisions, again) or left
        return not left

    async def _alone(self, intended: Intended, name: str, device: Device) -> None:
        """Give one member what the others have."""
        if all(member.device != name for member in intended.members):
            return
        top = (await self._model()).tree.data

        edit = plan(await device.running(), intended.of(name, top), top).edit
        if edit is None:
            return
        await device.lock()
        try:
            await device.edit(edit)
            await device.validate()
            persist = secrets.token_hex(16)
            await device.commit_confirmed(persist, intended.confirm_timeout)
            await device.confirm(persist)
        finally:
            try:
                await device.release()
            except DeviceError as error:
                log.info("sync-not-released", device=name, reason=error.refusal.reason)
