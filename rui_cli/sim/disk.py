"""A router's disk: what is committed stays, what is being written when the power goes is lost or torn."""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import partial

from router.journal import Recovered
from rui.backup.journal import Frame, decode, encode
from rui.backup.member import Member
from rui_cli.sim.clock import Host
from rui_cli.sim.table import WatchedTable


class Disk:
    """Keeps a group's frames. ``committed`` is called with what has just become durable.

    A write takes about ``seconds``. ``power`` is asked before and after each whether the host crashes there,
    ``full`` whether there is no room for it.
    """

    def __init__(
        self,
        host: Host,
        chance: random.Random,
        *,
        seconds: float,
        committed: Callable[[tuple[Frame, ...]], None],
        power: Callable[[], bool],
        full: Callable[[], bool],
    ) -> None:
        self.host = host
        self.slowness = 1.0
        self._chance = chance
        self._seconds = seconds
        self._full = full
        self._committed = committed
        self._power = power
        self._frames: list[Frame] = []
        self._base = False
        self._writing: tuple[Frame, ...] = ()
        self._unsaid = False

    def write(
        self, frames: tuple[Frame, ...], stored: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        """Write frames durably; one write at a time."""
        self._writing = frames
        seconds = self._seconds * self.slowness * self._chance.random() * 2
        self.host.after(seconds, partial(self._commit, frames, stored, failed))

    def _commit(
        self, frames: tuple[Frame, ...], stored: Callable[[], None], failed: Callable[[str], None]
    ) -> None:
        if self._power():
            return
        self._writing = ()
        if self._full():
            failed("no space left on device")
            return
        self._keep(frames)
        self._unsaid = True
        if not self._power():
            self._unsaid = False
            stored()

    def crash(self) -> bool:
        """The power goes; say whether the last write is there although its process never learnt of it."""
        frames, self._writing = self._writing, ()
        unsaid, self._unsaid = self._unsaid, False
        if not frames:
            return unsaid
        whole = b"".join(encode(frame) for frame in frames)
        written = self._chance.randrange(len(whole) + 1)
        torn = whole[:written]
        if self._chance.random() < 0.5:
            # The file has its new length, but not every block of it has been written
            torn = torn.ljust(len(whole), b"\0")
        found, end = [], 0
        for frame, behind in decode(torn):
            found.append(frame)
            end = behind
        # One write is one block of the journal: it is there as a whole or not at all
        if end != len(whole):
            return False
        self._keep(tuple(found))
        return True

    def compact(self, member: Member) -> None:
        """Replace the frames by what the member holds; not while something is being written."""
        if self._writing or member.waiting_for_disk:
            return
        table, bad = member.table, member.quarantined
        held = [change for key in table.held_keys() if (change := table.get(key)) is not None]
        reasons = {key.decode(): entry.reason for key, entry in bad.items()}
        beside, settled = list(member.sharing), member.sharing.settled
        facts = dict(member.facts)
        last = Frame(member.position, floor=table.floor, facts=facts, shared=beside, settled=settled)
        origins = member.origins.among(held)
        self._frames = [Frame(member.position, held, quarantined=reasons, origins=origins), last]
        self._base = True

    def recover(self) -> Recovered:
        """Read it as a router does when it starts."""
        recovered = Recovered(table=WatchedTable())
        for number, frame in enumerate(self._frames):
            recovered.replay(frame)
            if self._base and number == 1:
                recovered.table.complete_from = recovered.table.head
        return recovered

    def _keep(self, frames: tuple[Frame, ...]) -> None:
        self._frames.extend(frames)
        self._committed(frames)
