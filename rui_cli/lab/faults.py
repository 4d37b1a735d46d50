"""What may be broken in a running lab, by name: links and processes."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping

from rui_cli.errors import CliError
from rui_cli.lab.pair import PAIR
from rui_cli.lab.wires import BUNDLES, WIRES, Shape, Wires
from rui_cli.launch import Fleet
from rui_cli.site import MANAGER

PROCESSES: Mapping[str, str] = {**{name: name for name in PAIR}, "manager": MANAGER}
"""What the processes are called here, since `cloud` is a link; and their names in the fleet."""
LINKS = (*WIRES, *BUNDLES)
THINGS = (*LINKS, *PROCESSES)
ALL = "all"


class Faults:
    """Breaks and heals; healing what is whole does nothing."""

    def __init__(self, wires: Wires, fleet: Fleet) -> None:
        self._wires = wires
        self._fleet = fleet
        self._frozen: set[str] = set()

    async def break_(self, what: str, *, freeze: bool = False, shape: Shape | None = None) -> None:
        """Cut a link, or give it a ``shape``; kill a process, or ``freeze`` it. Raises CliError."""
        if what in PROCESSES:
            if shape is not None:
                raise CliError(f"{what} is a process: it is killed, or frozen", remedy="leave the shape out")
            await self._break_process(PROCESSES[what], freeze=freeze)
        elif what in LINKS:
            if freeze:
                raise CliError(f"{what} is a link: it is cut, or made worse", remedy="leave --freeze out")
            if shape is None:
                self._wires.cut(what)
            else:
                self._wires.shape(what, shape)
        else:
            raise CliError(f"there is no {what} to break", remedy=f"one of {', '.join(THINGS)}")

    async def heal(self, what: str) -> None:
        """Mend a link, let a process go on, or start it again; or ``all``. Raises CliError, LaunchError."""
        if what == ALL:
            for name in WIRES:
                self._wires.mend(name)
            for name in PROCESSES.values():
                await self._heal_process(name)
        elif what in PROCESSES:
            await self._heal_process(PROCESSES[what])
        elif what in LINKS:
            self._wires.mend(what)
        else:
            raise CliError(f"there is no {what} to heal", remedy=f"one of {', '.join((*THINGS, ALL))}")

    def links(self) -> list[dict[str, object]]:
        """Return every link and how it is."""
        return self._wires.state()

    def process(self, name: str) -> str:
        """Return how a device's process is: running, frozen, or ended."""
        if not self._fleet.members[name].running:
            return "ended"
        return "frozen" if name in self._frozen else "running"

    def thaw(self, name: str) -> None:
        """Let a device's process go on, if it stands still."""
        pid = self._fleet.members[name].pid
        if name in self._frozen and pid is not None:
            os.kill(pid, signal.SIGCONT)
        self._frozen.discard(name)

    async def _break_process(self, name: str, *, freeze: bool) -> None:
        member = self._fleet.members[name]
        pid = member.pid
        if pid is None:
            raise CliError(f"{name} does not run", remedy="heal it first")
        if freeze:
            os.kill(pid, signal.SIGSTOP)
            self._frozen.add(name)
        else:
            self._frozen.discard(name)
            await member.kill()

    async def _heal_process(self, name: str) -> None:
        member = self._fleet.members[name]
        if member.running:
            self.thaw(name)
        else:
            await member.start()
