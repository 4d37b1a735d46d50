"""Row ``memory``: resident memory a user at each device, and how long each takes to start with them."""

import time

from rui.backup.trace import Milestone
from rui_cli.bench.arena import MANAGER, PRIMARY, SECONDARY, arena, until_connected
from rui_cli.bench.machine import Meter, resident

_SLOWEST = 500.0
_DEVICES = ((PRIMARY, "primary"), (MANAGER, "manager"), (SECONDARY, "secondary"))


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Take the memory of all devices empty, with ``users`` that came over the network, and after a restart.

    Figures: octets a user more than empty (``bytes_per_user`` is the larger of the routers'), and seconds
    from the start of each process until it serves.
    """
    async with arena(keep, max_population=str(users)) as running:
        await running.start()
        await until_connected(running)
        empty = {name: resident(pid) for name, pid in running.pids.items()}
        meter = Meter(running.pids)
        await running.change_source(arrivals="1000000")
        await running.until(MANAGER, Milestone.DELIVERED, users, 60.0 + users / _SLOWEST)
        usage = meter.read()
        filled = {name: resident(pid) for name, pid in running.pids.items()}
        await running.compare(users)
        await running.stop()
        seconds: dict[str, float] = {}
        for name, _ in _DEVICES:
            begun = time.monotonic()
            await running.start(name)
            seconds[name] = time.monotonic() - begun
        await until_connected(running)
        await running.compare(users)
        restarted = {name: resident(pid) for name, pid in running.pids.items()}
    figures: dict[str, float] = {}
    for name, short in _DEVICES:
        figures[f"{short}_bytes_per_user"] = (filled[name] - empty[name]) / users
        figures[f"{short}_restarted_bytes_per_user"] = (restarted[name] - empty[name]) / users
        figures[f"{short}_start_seconds"] = seconds[name]
    routers = ("primary", "secondary")
    figures["bytes_per_user"] = max(figures[f"{short}_bytes_per_user"] for short in routers)
    figures["start_seconds"] = max(seconds.values())
    return figures, usage.others
