"""Row ``outage``: what subscribers lose when a link or a router fails, or the role is moved on purpose."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from statistics import median

from rui_cli.bench import keaha, keepalived
from rui_cli.bench.machine import Meter
from rui_cli.bench.results import Aim, Bound
from rui_cli.errors import CliError, ExitCode
from rui_cli.lab.continuity import run_scenario
from rui_cli.lab.pair import Timing
from rui_cli.lab.requirements import find

_USUAL = Timing(bfd_interval_ms=50)
_FAST = Timing(bfd_interval_ms=10)
_PLAYED: Mapping[str, tuple[str, Timing]] = {
    "cut": ("access-link-cut", _USUAL),
    "killed": ("router-killed", _USUAL),
    "fast_cut": ("access-link-cut", _FAST),
    "fast_killed": ("router-killed", _FAST),
    "planned": ("planned-switchover", _USUAL),
}
"""What is played for each figure: scenario, and BFD at 3 x 50 or 3 x 10 ms."""
AIMS = (
    Aim("cut_p50_ms", Bound.AT_MOST, 200.0, "keepalived_cut_ms"),
    Aim("cut_max_ms", Bound.AT_MOST, 300.0, "keepalived_cut_ms"),
    Aim("killed_p50_ms", Bound.AT_MOST, 200.0, "kea_standby_ms"),
    Aim("killed_max_ms", Bound.AT_MOST, 300.0, "kea_standby_ms"),
    Aim("fast_cut_p50_ms", Bound.AT_MOST, 80.0, "keepalived_cut_ms"),
    Aim("fast_killed_p50_ms", Bound.AT_MOST, 80.0, "kea_standby_ms"),
    Aim("planned_max_ms", Bound.AT_MOST, 10.0),
)


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Play the lab's scenarios with so many subscribers; milliseconds that they had no answer.

    Returns the figures, and others' cores: all but this process, the lab's own among them. Raises CliError
    where somebody was not served in the end.
    """
    meter = Meter({})
    figures: dict[str, float] = {}
    for name, (scenario, timing) in _PLAYED.items():
        folder, good = _folder(), False
        try:
            outcome = await run_scenario(scenario, folder=folder, subscribers=users, timing=timing)
            good = outcome.good
            if not good:
                raise CliError(
                    f"{scenario}: {outcome.failure or f'{outcome.lost} of {users} are not served any more'}",
                    exit_code=ExitCode.CHECK_FAILED,
                    remedy=f"look at the logs in {folder}",
                )
            figures[f"{name}_p50_ms"] = median(outcome.outages)
            figures[f"{name}_max_ms"] = max(outcome.outages)
        finally:
            if good and not keep:
                shutil.rmtree(folder, ignore_errors=True)
    return figures, meter.read().others


def _folder() -> Path:
    made = Path(tempfile.mkdtemp(prefix="rui-bench-"))
    # Kea and the clients run as other users in some distributions
    made.chmod(0o755)
    return made


async def beside(users: int) -> dict[str, float]:  # noqa: ARG001 - one host feels what all do
    """Measure keepalived at 0.1 s, and Kea's high availability, as far as they are installed."""
    found: dict[str, float] = {}
    if os.geteuid() == 0 and all(find(program) for program in keepalived.PACKAGES):
        found |= await keepalived.outages()
    if os.geteuid() == 0 and find("kea-dhcp4") and keaha.hooks() is not None:
        found["kea_standby_ms"] = await keaha.standby_serves()
    return found


def what_is_beside() -> str:
    """Describe it."""
    return (
        "keepalived at 0.1 s adverts, whose Master's access link is cut (keepalived_cut_ms) or whose "
        "processes are killed (keepalived_killed_ms: its kernel forwards on and nothing stops it); Kea HA in "
        "hot standby, heartbeat 1 s, given up after 3 s: from the kill to the standby's first ACK "
        "(kea_standby_ms)"
    )
