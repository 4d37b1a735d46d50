"""Row ``netconf``: our server beside yuma123's netconfd, the same model, requests and client for both."""

import asyncio
import contextlib
import os
import tempfile
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from netconf_client import NetconfClientError
from rui.netconf.errors import RpcError
from rui_cli.bench import netconfpeers
from rui_cli.bench.machine import busy_seconds
from rui_cli.bench.netconfload import PARTS, Figures, Load, Part
from rui_cli.bench.netconfpeers import Peer
from rui_cli.bench.results import Aim, Bound
from rui_cli.errors import CliError

_AT_LEAST_AS_MANY = (
    "get_config_serial_per_s",
    "get_config_pipelined_per_s",
    "edit_config_serial_per_s",
    "edit_config_pipelined_per_s",
    "notifications_1_per_s",
    "notifications_100_per_s",
    "sessions_per_s",
    "large_edit_entries_per_s",
    "large_get_entries_per_s",
)
AIMS = (
    *(Aim(name, Bound.AT_LEAST, beside=name, ratio=1.0) for name in _AT_LEAST_AS_MANY),
    Aim("idle_kb_per_session", Bound.AT_MOST, beside="idle_kb_per_session", ratio=1.0),
    Aim("idle_cpu_percent", Bound.AT_MOST, 1.0, "idle_cpu_percent"),
)

# A peer that falls over or goes on for ever ends its part only.
_PART_SECONDS = 400.0
_BROKEN_OFF = (NetconfClientError, RpcError, CliError, OSError, TimeoutError)

_Start = Callable[[Path], AbstractAsyncContextManager[Peer]]


def what_is_beside() -> str:
    """Say what is measured beside ours on this machine."""
    missing = netconfpeers.missing()
    if missing:
        return f"nothing: {', '.join(missing)} not installed (Debian's netconfd and openssh-server)"
    return "yuma123's netconfd behind OpenSSH's sshd"


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:  # noqa: ARG001
    """Measure our server with so many entries in its large edit; return the figures and others' cores."""
    elapsed, busy, own = os.times().elapsed, busy_seconds(), _own_seconds()
    figures: Figures = {}
    for part in PARTS:
        await _measure(netconfpeers.ours, part, Load(users), figures)
    others = busy_seconds() - busy - (_own_seconds() - own)
    return figures, max(0.0, others / (os.times().elapsed - elapsed))


async def beside(users: int) -> dict[str, float]:
    """Measure netconfd where it is installed; what it did not finish is left out."""
    figures: Figures = {}
    if not netconfpeers.missing():
        for part in PARTS:
            # netconfd 2.13 falls over now and then; that ends the part, and the next has a new one
            with contextlib.suppress(*_BROKEN_OFF):
                await _measure(netconfpeers.netconfd, part, Load(users), figures)
    return figures


async def _measure(start: _Start, part: Part, load: Load, figures: Figures) -> None:
    """Carry out one part at a server of its own; the figures that were taken are there also if it fails."""
    with tempfile.TemporaryDirectory(prefix="rui-bench-", ignore_cleanup_errors=True) as folder:
        async with start(Path(folder)) as peer, asyncio.timeout(_PART_SECONDS):
            try:
                await part(peer, load, figures)
            except ExceptionGroup as group:
                raise group.exceptions[0] from group


def _own_seconds() -> float:
    """Processor time of this process and of those it has started and that have ended."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system
