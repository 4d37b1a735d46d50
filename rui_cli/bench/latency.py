"""Row ``latency``: from a change at the primary to its being durable at the cloud and at the secondary."""

import asyncio

from rui.backup.trace import Milestone
from rui.backup.version import Version
from rui_cli.bench.arena import MANAGER, PRIMARY, SECONDARY, Arena, Marks, arena, until_connected
from rui_cli.bench.machine import Meter
from rui_cli.bench.results import percentile

CHANGES_PER_SECOND = 2000
_WARM_UP = 3.0
_MEASURED = 15.0


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Let users come and go for some seconds, 2,000 changes a second in real-time mode.

    ``users`` are online all the time: half of the changes are arrivals, half departures. Returns the figures,
    and others' cores. A change counts from the moment that the primary takes it; it is done when both the
    cloud and the secondary hold it on disk.
    """
    rate = CHANGES_PER_SECOND / 2
    async with arena(keep, initial_population=str(users), max_population=str(10 * users)) as running:
        await running.start()
        await until_connected(running)
        await running.until(MANAGER, Milestone.DELIVERED, users, 120.0)
        before = running.marks(PRIMARY, Milestone.TAKEN).count_at()
        await running.change_source(arrivals=f"{rate:.3f}", mean_hold_time=f"{users / rate:.3f}")
        await asyncio.sleep(_WARM_UP)
        begin = running.marks(PRIMARY, Milestone.TAKEN).count_at()
        meter = Meter(running.pids)
        await asyncio.sleep(_MEASURED)
        usage = meter.read()
        await running.change_source(arrivals="0", mean_hold_time="0")
        end = await _drained(running)
        await running.compare()
        taken = running.marks(PRIMARY, Milestone.TAKEN)
        figures = _figures(running, taken, max(before, begin), end)
    for name, short in ((PRIMARY, "primary"), (MANAGER, "cloud"), (SECONDARY, "secondary")):
        figures[f"{short}_cores"] = usage.seconds[name] / _MEASURED
    return figures, usage.others


async def _drained(running: Arena) -> int:
    """Wait until all that the primary has taken is acknowledged by the secondary; return the last number."""
    last = -1
    while last != (last := running.marks(PRIMARY, Milestone.TAKEN).count_at()):
        await running.until(MANAGER, Milestone.DELIVERED, last, 60.0)
        await asyncio.sleep(0.2)
    return last


def _figures(running: Arena, taken: Marks, begin: int, end: int) -> dict[str, float]:
    cloud = running.marks(MANAGER, Milestone.DURABLE)
    secondary = running.marks(SECONDARY, Milestone.DURABLE)
    to_cloud: list[float] = []
    to_secondary: list[float] = []
    to_both: list[float] = []
    for version, at in zip(taken.versions, taken.times, strict=True):
        if begin < version.seq <= end:
            waits = [_milliseconds(at, marks, version) for marks in (cloud, secondary)]
            to_cloud.append(waits[0])
            to_secondary.append(waits[1])
            to_both.append(max(waits))
    span = (taken.times[-1] - taken.times[-len(to_both)]) / 1e9
    figures = {"changes": float(len(to_both)), "changes_per_s": len(to_both) / span}
    for values, front in ((to_both, ""), (to_cloud, "cloud_"), (to_secondary, "secondary_")):
        values.sort()
        figures[f"{front}p50_ms"] = percentile(values, 0.50)
        figures[f"{front}p99_ms"] = percentile(values, 0.99)
    return figures


def _milliseconds(at: int, marks: Marks, version: Version) -> float:
    reached = marks.reached(version)
    if reached is None:
        raise RuntimeError(f"{version} was drained and is in no trace")
    return (reached - at) / 1e6
