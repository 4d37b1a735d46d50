"""Row ``failover``: how soon local backup is active, how old changes get on the way back, catch-up on RBS."""

import asyncio
from collections.abc import Mapping

from rui.backup.trace import Milestone
from rui_cli.bench.arena import MANAGER, PRIMARY, SECONDARY, Arena, arena, until_connected
from rui_cli.bench.machine import Meter
from rui_cli.site import Content

LINK_TIMEOUT = 3.0
_ARRIVALS = 200
_WITHIN = 60.0
_SLOWEST = 500.0
_TIMERS: Mapping[str, Content] = {
    "timers": {"link-timeout": f"{LINK_TIMEOUT * 1000:.0f}", "hold-time": "1000", "query-timeout": "500"},
    # What is measured is the way from one path to the other, not how a busy machine answers probes
    "degraded": {"enter-rtt": "60000", "leave-rtt": "59999", "enter-loss": "100", "leave-loss": "99"},
}


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Kill the cloud under 200 arrivals a second, start it again; then let ``users`` catch up on RBS alone.

    Returns the figures, and others' cores while users caught up. The link timeout is taken off: what is left
    is what the procedures cost.
    """
    figures = {"local_ms_after_timeout": await _lost(keep), **await _returned(keep)}
    figures["immediate_ms_after_timeout"] = await _lost(keep, **{"fault-policy": "immediate"})
    caught_up, others = await _caught_up(users, keep)
    return {**figures, **caught_up}, others


async def _lost(keep: bool, **leaves: Content) -> float:
    """Return the milliseconds from the link timeout to local backup being active."""
    async with arena(keep, {**_TIMERS, **leaves}, arrivals=str(_ARRIVALS)) as running:
        await _on_cloud_path(running)
        at = await running.crash(MANAGER)
        return await _until_local(running, at)


async def _returned(keep: bool) -> dict[str, float]:
    """Return how old an unacknowledged change got while the cloud path was taken up again."""
    async with arena(keep, _TIMERS, arrivals=str(_ARRIVALS)) as running:
        await _on_cloud_path(running)
        await _until_local(running, await running.crash(MANAGER))
        begin = running.marks(PRIMARY, Milestone.TAKEN).count_at()
        await running.start(MANAGER)
        await running.until_event(PRIMARY, "path", _WITHIN, old="cloud-and-local", new="cloud")
        await asyncio.sleep(1.0)
        await running.change_source(arrivals="0")
        end = running.marks(PRIMARY, Milestone.TAKEN).count_at()
        await running.until(MANAGER, Milestone.DURABLE, end, _WITHIN)
        await running.compare()
        taken = running.marks(PRIMARY, Milestone.TAKEN)
        copies = [running.marks(name, Milestone.DURABLE) for name in (MANAGER, SECONDARY)]
        ages = [
            min(reached for copy in copies if (reached := copy.reached(version)) is not None) - at
            for version, at in zip(taken.versions, taken.times, strict=True)
            if begin < version.seq <= end
        ]
    return {"return_oldest_ms": max(ages) / 1e6}


async def _caught_up(users: int, keep: bool) -> tuple[dict[str, float], float]:
    """Let an empty secondary catch up over the RBS channel; there never was a cloud."""
    within = _WITHIN + users / _SLOWEST
    population = {"initial_population": str(users), "max_population": str(users)}
    async with arena(keep, _TIMERS, **population) as running:
        await running.start(PRIMARY)
        await running.until(PRIMARY, Milestone.DURABLE, users, within)
        await running.start(SECONDARY)
        meter = Meter(running.pids)
        begun = await running.until_event(PRIMARY, "start-local-backup", within)
        done = await running.until(SECONDARY, Milestone.DURABLE, users, within) / 1e9
        usage = meter.read()
    figures = {"users_per_s": users / (done - begun), "seconds": done - begun}
    figures |= usage.per_user(users, {PRIMARY: "primary", SECONDARY: "secondary"})
    return figures, usage.others


async def _on_cloud_path(running: Arena) -> None:
    await running.start()
    await until_connected(running)
    await running.until_event(PRIMARY, "link", _WITHIN, far_end="cloud", new="up")
    await running.until_event(PRIMARY, "link", _WITHIN, far_end=SECONDARY, new="up")
    await running.until(MANAGER, Milestone.DELIVERED, _ARRIVALS, _WITHIN)


async def _until_local(running: Arena, at: float) -> float:
    local = await running.until_event(PRIMARY, "path", _WITHIN, after=at, new="local")
    return (local - at - LINK_TIMEOUT) * 1000


__all__ = ["measure"]
