"""A process that the row ``takeover`` measures: one router's data plane, in the namespace that it runs in.

Lines on standard input: ``load COUNT``, ``primary``, ``secondary``; each is answered by the milliseconds that
it took, when it is done.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from router.dataplane import DataPlane, DataPlaneConfig, GroupPlane, Subscriber
from rui_cli import logs

ACCESS = "eth1"
POOL = IPv4Network("10.64.0.0/12")
GATEWAY = POOL.network_address + 1
_FIRST = POOL.network_address + 256
_GROUP = "g1"
_MAC = "00:00:5e:00:01:51"


def address(number: int) -> IPv4Address:
    """Return the address of a user; the first is number 0."""
    return _FIRST + number


def _users(count: int) -> Iterator[tuple[bytes, Subscriber]]:
    for number in range(count):
        mac = (0x020000000000 + number).to_bytes(6, "big").hex(":")
        yield f"{mac}/0/0".encode(), Subscriber(mac, str(address(number)))


async def _refresh(plane: DataPlane) -> None:
    while True:
        plane.refresh_gate()
        await asyncio.sleep(plane.gate_interval)


async def main() -> None:
    """Run until standard input ends."""
    group = GroupPlane(_GROUP, ACCESS, (POOL,), (str(GATEWAY),), _MAC)
    plane = DataPlane(DataPlaneConfig("bench", (group,)))
    await plane.open()
    refresher = asyncio.create_task(_refresh(plane))
    try:
        while line := await asyncio.to_thread(sys.stdin.readline):
            begun = time.monotonic()
            match line.split():
                case ["load", count]:
                    await plane.load(_GROUP, _users(int(count)))
                    await plane.flush()
                case ["primary"]:
                    plane.become_primary(_GROUP)
                case ["secondary"]:
                    plane.become_secondary(_GROUP)
                    await plane.flush()
                case words:
                    raise ValueError(f"no such command: {words}")
            sys.stdout.write(json.dumps({"ms": (time.monotonic() - begun) * 1e3}) + "\n")
            sys.stdout.flush()
    finally:
        refresher.cancel()
        await plane.close()


if __name__ == "__main__":
    logs.configure(quiet=True)
    asyncio.run(main())
