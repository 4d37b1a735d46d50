"""Row ``sync``: a configuration transaction over two routers, and a look for drift at many light ones."""

import time

from lxml import etree

from netconf_client import ClientSession
from rui.netconf import names
from rui_cli.bench.arena import GROUP, MANAGER, PRIMARY, SECONDARY, Arena, arena, until_connected
from rui_cli.bench.drift import CONFIG_SYNC, look
from rui_cli.bench.machine import Meter
from rui_cli.bench.results import percentile
from rui_cli.errors import CliError, ExitCode
from rui_cli.policy import ADMIN
from rui_cli.policy import NAMESPACE as NACM
from rui_cli.site import CLOUD_NAMESPACE, DEVICE_NAMESPACE, Content, configuration

_TRANSACTIONS = 20
_WITHIN = 60.0
_SYNC = f"{{{CONFIG_SYNC}}}"


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Have the manager change both routers some times, each time another value; then look at light routers.

    Here ``users`` is how many light routers there are. Returns the figures, and others' cores during the
    transactions; each of these counts from the request to its answer.
    """
    async with arena(keep) as running:
        await running.start()
        await until_connected(running)
        for name in (PRIMARY, SECONDARY):
            await _let_manager_configure(running, name)
        meter = Meter(running.pids)
        async with running.session(MANAGER) as session:
            waits = [await _transaction(session, number) for number in range(_TRANSACTIONS)]
        usage = meter.read()
    waits.sort()
    return {
        "transaction_ms": percentile(waits, 0.50),
        "transaction_worst_ms": waits[-1],
        "drift_seconds": await look(users),
    }, usage.others


async def _let_manager_configure(running: Arena, name: str) -> None:
    """Make the manager's account an administrator's, as docs/configuration-sync.md says."""
    groups: Content = {"groups": {"group": [{"name": ADMIN, "user-name": [MANAGER]}]}}
    async with running.session(name) as session:
        await session.edit_config(etree.tostring(configuration(NACM, "nacm", groups)[0]))
        await session.commit()


def _intended(lease_time: int) -> bytes:
    def device(leaves: Content) -> Content:
        return {f"{{{DEVICE_NAMESPACE}}}device": {"group": [leaves]}}

    def member(name: str, other: str, role: str) -> Content:
        peers: Content = [{"device-id": other, "address": "127.0.0.1"}]
        return {"device-id": name, "own": device({"id": GROUP, "static-role": role, "member": peers})}

    sync: Content = {
        "check-interval": "0",
        "common": device({"id": GROUP, "simulated": {"arrivals": "0", "lease-time": str(lease_time)}}),
        "member": [member(PRIMARY, SECONDARY, "primary"), member(SECONDARY, PRIMARY, "secondary")],
    }
    content: Content = {"group": [{"group-id": GROUP, f"{_SYNC}config-sync": sync}]}
    top = configuration(CLOUD_NAMESPACE, "cloud", content)[0]
    for node in top.iter(f"{_SYNC}config-sync"):
        node.set(names.base("operation"), "replace")
    return etree.tostring(top)


async def _transaction(session: ClientSession, number: int) -> float:
    """Intend something else and have it brought to both; return after how many milliseconds it was there."""
    await session.edit_config(_intended(7200 + number), target="running")
    request = etree.Element(f"{_SYNC}sync-config", nsmap=names.nsmap(CONFIG_SYNC))
    etree.SubElement(request, f"{_SYNC}group-id").text = GROUP
    begun = time.monotonic()
    reply = await session.rpc(request, timeout=_WITHIN)
    milliseconds = (time.monotonic() - begun) * 1e3
    # The manager's first work of this kind compiles the routers' model; that stands in the worst
    if reply.element.findtext(f"{_SYNC}result") != "committed":
        raise CliError(
            f"a change was not brought to both: {etree.tostring(reply.element).decode()}",
            exit_code=ExitCode.CHECK_FAILED,
        )
    return milliseconds
