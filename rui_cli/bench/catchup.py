"""Row ``catchup``: an empty secondary joins a group of many users and is served by the cloud."""

from rui.backup.trace import Milestone
from rui_cli.bench.arena import MANAGER, PRIMARY, SECONDARY, arena, until_connected
from rui_cli.bench.machine import Meter

_SLOWEST = 500.0


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Fill primary and cloud, restart the cloud, then start the secondary; return figures and others' cores.

    The clock runs from the cloud's subscription at the secondary (S401) to the secondary's acknowledgement of
    everything. The cloud is restarted so that it serves from its store, not from what it still remembers.
    """
    within = 60.0 + users / _SLOWEST
    async with arena(keep, initial_population=str(users), max_population=str(users)) as running:
        await running.start(MANAGER, PRIMARY)
        await running.until(MANAGER, Milestone.DURABLE, users, within)
        await running.restart(MANAGER)
        await running.start(SECONDARY)
        meter = Meter(running.pids)
        await until_connected(running, SECONDARY)
        begun = await running.until_event(SECONDARY, "cloud-subscribed", within)
        done = await running.until(MANAGER, Milestone.DELIVERED, users, within) / 1e9
        usage = meter.read()
        await running.compare(users)
    figures = {"users_per_s": users / (done - begun), "seconds": done - begun}
    figures |= usage.per_user(users, {PRIMARY: "primary", MANAGER: "cloud", SECONDARY: "secondary"})
    return figures, usage.others
