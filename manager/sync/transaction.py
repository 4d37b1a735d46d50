"""A change of configuration on all devices of a group, or on none.

Locked, edited and checked on each; then committed on each for a time, under an id that any session can
confirm; then, once all have committed, that fact is written to disk, and each is confirmed. Before that
moment whatever goes wrong takes all back: by cancel-commit where the device is there, by its own timer or
restart where it is not. After it nothing is taken back: who was not confirmed in time gets the change again
(`settle`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, replace

import structlog
from lxml import etree

from manager.sync.decisions import Decision, Decisions
from manager.sync.device import Device, DeviceError, Refusal

log = structlog.get_logger()

Reach = Callable[[str], AbstractAsyncContextManager[Device]]
"""Opens a device by name for the time of a transaction. Entering raises DeviceError."""


Holds = Callable[[str, etree._Element], bool]
"""Says whether what a device runs, a `data` element, is what it was to become."""


@dataclass(frozen=True)
class Outcome:
    """What became of a change: on all devices (`committed`), or on none, by whose refusal.

    `unsettled` are devices that the change is decided for and that have not confirmed it yet.
    """

    committed: bool
    refusals: tuple[Refusal, ...] = ()
    unsettled: tuple[str, ...] = ()


async def apply(
    group: str,
    edits: Mapping[str, etree._Element],
    reach: Reach,
    decisions: Decisions,
    holds: Holds,
    *,
    persist: str,
    seconds: int,
) -> Outcome:
    """Make each device's edit (a `config` element) on all of them or on none.

    `holds` looks at what each runs after its commit. `persist` is an id that nobody guesses; a device takes
    its commit back after `seconds` without confirmation. Raises OSError when the decision cannot be written,
    and then nothing has changed.
    """
    async with AsyncExitStack() as stack:
        devices: dict[str, Device] = {}
        try:
            # In the order of their names, so that two managers cannot wait for each other's locks
            for name in sorted(edits):
                devices[name] = await stack.enter_async_context(reach(name))
                await devices[name].lock()
            await _each({name: device.edit(edits[name]) for name, device in devices.items()})
            await _each({name: device.validate() for name, device in devices.items()})
            decision = Decision(persist, group, tuple(devices), decided=False)
            return await _commit(decision, devices, decisions, holds, seconds)
        except DeviceError as error:
            log.warning("sync-refused", group=group, **_facts(error.refusal))
            return Outcome(False, (error.refusal,))
        finally:
            await asyncio.gather(*(device.release() for device in devices.values()), return_exceptions=True)


async def _commit(
    decision: Decision, devices: Mapping[str, Device], decisions: Decisions, holds: Holds, seconds: int
) -> Outcome:
    persist = decision.id
    decisions.write(decision)
    try:
        await _each({name: device.commit_confirmed(persist, seconds) for name, device in devices.items()})
        await _each({name: _verify(name, device, holds) for name, device in devices.items()})
        decided = replace(decision, decided=True)
        decisions.write(decided)
    except (DeviceError, OSError):
        await asyncio.gather(*(device.cancel(persist) for device in devices.values()), return_exceptions=True)
        decisions.forget(decision)
        raise
    late = await _confirm(devices, persist)
    if not late:
        decisions.forget(decided)
    log.info("sync-committed", group=decision.group, devices=sorted(devices), unsettled=late)
    return Outcome(True, unsettled=tuple(late))


async def _verify(name: str, device: Device, holds: Holds) -> None:
    """Look whether the device runs what it has committed: there are servers that say ok and lose edits."""
    if not holds(name, await device.running()):
        raise DeviceError(Refusal(name, "verify", "it does not run what it has committed"))


async def _confirm(devices: Mapping[str, Device], persist: str) -> list[str]:
    """Confirm on each; return those that did not answer so."""
    names = list(devices)
    results = await asyncio.gather(
        *(device.confirm(persist) for device in devices.values()), return_exceptions=True
    )
    late = []
    for name, result in zip(names, results, strict=True):
        if isinstance(result, DeviceError):
            log.warning("sync-not-confirmed", **_facts(result.refusal))
            late.append(name)
        elif isinstance(result, BaseException):
            raise result
    return late


async def settle(
    decision: Decision, reach: Reach, decisions: Decisions, again: Callable[[str, Device], Awaitable[None]]
) -> bool:
    """Finish a transaction that was broken off; say whether it is finished.

    What was decided is confirmed, and where a device has taken it back by now, `again` makes the change there
    anew; what was not decided is taken back.
    """
    left = False
    for name in decision.devices:
        try:
            async with reach(name) as device:
                await (
                    _finish(decision, name, device, again) if decision.decided else _undo(decision, device)
                )
        except DeviceError as error:
            # What was not decided, a device that is away takes back by itself
            left = left or decision.decided
            log.info("sync-waits-for-device", group=decision.group, **_facts(error.refusal))
    if not left:
        decisions.forget(decision)
        log.info("sync-settled", group=decision.group, decided=decision.decided)
    return not left


async def _finish(
    decision: Decision, name: str, device: Device, again: Callable[[str, Device], Awaitable[None]]
) -> None:
    try:
        await device.confirm(decision.id)
    except DeviceError as error:
        if error.refusal.lost:
            raise
        # Nothing waits for this id: confirmed before, or taken back
        await again(name, device)


async def _undo(decision: Decision, device: Device) -> None:
    try:
        await device.cancel(decision.id)
    except DeviceError as error:
        if error.refusal.lost:
            raise


async def _each(steps: Mapping[str, Awaitable[None]]) -> None:
    """Take a step on each device at once; raise the first fault when all have ended."""
    results = await asyncio.gather(*steps.values(), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result


def _facts(refusal: Refusal) -> dict[str, str]:
    return {"device": refusal.device, "step": refusal.step, "reason": refusal.reason, "path": refusal.path}
