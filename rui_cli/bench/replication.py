"""Row ``replication``: users a second from the primary through the cloud to the secondary, all durable."""

from rui.backup.trace import Milestone
from rui_cli.bench.arena import MANAGER, PRIMARY, SECONDARY, arena, until_connected
from rui_cli.bench.machine import Meter

_SLOWEST = 500.0
"""Users a second below which a run is given up."""


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Let ``users`` get online as fast as the primary takes them; return the figures, and others' cores.

    The clock runs from the first user that the primary takes to the secondary's acknowledgement of the last.
    """
    async with arena(keep, max_population=str(users)) as running:
        await running.start()
        await until_connected(running)
        meter = Meter(running.pids)
        await running.change_source(arrivals="1000000")
        within = 60.0 + users / _SLOWEST
        done = await running.until(MANAGER, Milestone.DELIVERED, users, within)
        usage = meter.read()
        first = running.marks(PRIMARY, Milestone.TAKEN).times[0]
        cloud = await running.until(MANAGER, Milestone.DURABLE, users, within)
        await running.compare(users)
    figures = {
        "users_per_s": users / (done - first) * 1e9,
        "cloud_users_per_s": users / (cloud - first) * 1e9,
        "seconds": (done - first) / 1e9,
    }
    figures |= usage.per_user(users, {PRIMARY: "primary", MANAGER: "cloud", SECONDARY: "secondary"})
    return figures, usage.others
