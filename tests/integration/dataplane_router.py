"""A process that is nothing but a data plane: told what to do a line at a time, it answers each with a line.

Run it inside a network namespace: its one argument is the configuration as a Python expression.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import sys

from router.dataplane import DataPlane, DataPlaneConfig, GroupPlane, Subscriber, Tunnel

_KNOWN = {
    "DataPlaneConfig": DataPlaneConfig,
    "GroupPlane": GroupPlane,
    "Tunnel": Tunnel,
    "IPv4Network": ipaddress.IPv4Network,
    "IPv6Network": ipaddress.IPv6Network,
}


async def carry_out(plane: DataPlane, words: list[str]) -> object:
    match words:
        case ["primary", group]:
            plane.become_primary(group)
        case ["secondary", group]:
            plane.become_secondary(group)
        case ["put", group, key, mac, ipv4, ipv6]:
            plane.put(group, key.encode(), Subscriber(mac, ipv4, ipv6))
            await plane.flush()
        case ["delete", group, key]:
            plane.delete(group, key.encode())
            await plane.flush()
        case ["load", group, first, count]:
            await plane.load(group, many(ipaddress.ip_address(first), int(count)))
            await plane.flush()
        case ["reset"]:
            for group in ("g1", "g2"):
                plane.become_secondary(group)
                await plane.load(group, ())
            await plane.flush()
        case ["forwarding"]:
            return sorted(plane.forwarding)
        case ["close"]:
            await plane.close()
        case _:
            raise ValueError(words)
    return plane.users


def many(first: ipaddress.IPv4Address | ipaddress.IPv6Address, count: int):  # type: ignore[no-untyped-def]
    for number in range(count):
        mac = (0x020000000000 + number).to_bytes(6, "big").hex(":")
        yield f"{mac}/0/0".encode(), Subscriber(mac, str(first + number))


async def refreshing(plane: DataPlane) -> None:
    while True:
        plane.refresh_gate()
        await asyncio.sleep(plane.gate_interval)


def answer(what: object) -> None:
    sys.stdout.write(f"= {json.dumps(what)}\n")
    sys.stdout.flush()


async def main() -> None:
    plane = DataPlane(eval(sys.argv[1], dict(_KNOWN)))
    await plane.open()
    refresher = asyncio.create_task(refreshing(plane))
    answer("open")
    while line := await asyncio.to_thread(sys.stdin.readline):
        answer(await carry_out(plane, json.loads(line)))
    refresher.cancel()


if __name__ == "__main__":
    asyncio.run(main())
