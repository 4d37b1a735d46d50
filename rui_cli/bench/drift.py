"""A look for drift at many routers whose cores are light: replies as a router gives them, and no router.

The manager's own code asks, parses, compares and finds; left out are the network, SSH, and the routers' work.
Every tenth router has drifted, and has to be found.
"""

import asyncio
import tempfile
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from lxml import etree

from manager.sync.config import NAMESPACE as CONFIG_SYNC
from manager.sync.config import Intended, Member
from manager.sync.decisions import Decisions
from manager.sync.device import Device, NetconfDevice
from manager.sync.synchroniser import Synchroniser
from rui.netconf import names
from rui.schema import Schema, router_schema
from rui_cli.bench.arena import GROUP, PRIMARY, SECONDARY
from rui_cli.errors import CliError, ExitCode
from rui_cli.site import DEVICE_NAMESPACE, Content, Group, Site, configuration

_ROLES = {PRIMARY: "primary", SECONDARY: "secondary"}
_DRIFTED_EACH = 10
_LEASE_TIME = "7200"


@cache
def replies() -> dict[tuple[str, bool], bytes]:
    """Return what the two routers of a site answer to get-config, by name and whether it has drifted."""
    with tempfile.TemporaryDirectory(prefix="rui-bench-") as folder:
        leaves: Mapping[str, Content] = {"arrivals": "0", "lease-time": _LEASE_TIME}
        site = Site(Path(folder), [Group(GROUP, PRIMARY, (SECONDARY,), simulated=leaves)])
        site.write()
        startups = {name: site.startup(name).read_bytes() for name in _ROLES}
    found = {}
    for name, startup in startups.items():
        reply = etree.Element(names.base("rpc-reply"), nsmap=names.nsmap(names.BASE))
        etree.SubElement(reply, names.DATA).extend(etree.fromstring(startup))
        found[name, False] = etree.tostring(reply)
        for leaf in reply.iter(f"{{{DEVICE_NAMESPACE}}}lease-time"):
            leaf.text = "7201"
        found[name, True] = etree.tostring(reply)
    return found


def _intended(group: str) -> Intended:
    def device(content: Content) -> etree._Element:
        return configuration(DEVICE_NAMESPACE, "device", {"group": [content]})

    def member(name: str, other: str) -> Member:
        peers: Content = [{"device-id": other, "address": "127.0.0.1"}]
        own = device({"id": GROUP, "static-role": _ROLES[name], "member": peers})
        return Member(f"{group}/{name}", own, validates=True)

    common = device({"id": GROUP, "simulated": {"arrivals": "0", "lease-time": _LEASE_TIME}})
    members = (member(PRIMARY, SECONDARY), member(SECONDARY, PRIMARY))
    return Intended(group, False, 0, 60, common, members)


def has_drifted(number: int) -> bool:
    """Say whether the routers of the pair with this number run something else."""
    return number % _DRIFTED_EACH == 0


async def look(routers: int) -> float:
    """Look at so many routers, pair by pair as the manager's watch does; return the seconds it took.

    Raises CliError unless exactly those are found that have drifted.
    """
    answers = replies()
    schema = await asyncio.to_thread(router_schema)

    async def model() -> Schema:
        return schema

    @asynccontextmanager
    async def reach(device: str) -> AsyncIterator[Device]:
        number, name = device.split("/")

        async def send(operation: etree._Element) -> etree._Element:
            etree.tostring(operation)
            await asyncio.sleep(0)
            return etree.fromstring(answers[name, has_drifted(int(number))])

        yield NetconfDevice(device, send)

    groups = [_intended(str(number)) for number in range(routers // 2)]
    with tempfile.TemporaryDirectory(prefix="rui-bench-") as folder:
        work = Synchroniser(reach, Decisions(Path(folder)), model)
        begun = time.monotonic()
        found = [await work.look(group) for group in groups]
        seconds = time.monotonic() - begun
    for number, findings in enumerate(found):
        expected = "drifted" if has_drifted(number) else "in-sync"
        for finding in findings:
            if finding.state != expected:
                raise CliError(
                    f"{finding.device} is {finding.state}, not {expected}: {finding.diff}",
                    exit_code=ExitCode.CHECK_FAILED,
                )
    return seconds


__all__ = ["CONFIG_SYNC", "look", "replies"]
