"""The lab's hold on the probe, and what came of it for all subscribers together."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean, median
from typing import cast

from rui_cli.errors import CliError
from rui_cli.lab.probe import SeatReport
from rui_cli.lab.subscribers import Place

_ANSWER_SECONDS = 30.0
_LONGEST_ANSWER = 16 << 20
_REMEMBERED_SECONDS = 120
_FEWEST_REMEMBERED, _MOST_REMEMBERED = 256, 8192
_SHORTEST_PAUSE = 0.02
_PAUSE_OF_EACH = 0.00005


def pause_for(subscribers: int) -> float:
    """Return the seconds between two pings of one of so many subscribers: 20 ms, more for more than 400."""
    return max(_SHORTEST_PAUSE, _PAUSE_OF_EACH * subscribers)


@dataclass(frozen=True, slots=True)
class Felt:
    """What all subscribers felt since the mark."""

    seats: tuple[SeatReport, ...]

    @property
    def lost(self) -> int:
        """How many are not served any more."""
        return sum(not seat["served"] for seat in self.seats)

    @property
    def streaming(self) -> int:
        """How many still have the connection that they began with, and get back what they send."""
        return sum(seat["stream"] for seat in self.seats)

    @property
    def failures(self) -> list[str]:
        """Why connections ended, a few of them."""
        return [f"{seat['name']}: {seat['failure']}" for seat in self.seats if seat["failure"]][:5]

    def outages(self) -> dict[str, float]:
        """Return the times without an answer, in milliseconds."""
        return _spread([seat["outage_ms"] for seat in self.seats])

    def pauses(self) -> dict[str, float]:
        """Return the times in which nothing came back on a stream, in milliseconds."""
        return _spread([seat["stream_pause_ms"] for seat in self.seats])


class Probing:
    """Start it, join subscribers, mark, and ask what they felt; all calls come one after the other."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """The process, once it was started."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "rui_cli.lab.probe"),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LONGEST_ANSWER,
                start_new_session=True,
            )

    async def join(self, places: Sequence[Place], server: str, port: int, every: float) -> None:
        """Ping and stream from these places from now on, every so many seconds."""
        size = min(max(int(_REMEMBERED_SECONDS / every), _FEWEST_REMEMBERED), _MOST_REMEMBERED)
        await self._ask(
            {"do": "join", "server": server, "port": port, "every": every, "size": size, "seats": places}
        )

    async def mark(self) -> float:
        """Count from now on; return the time in seconds since 1970."""
        return cast("float", (await self._ask({"do": "mark"}))["at"])

    async def felt(self) -> Felt:
        """Return what was felt since the mark."""
        return Felt(tuple(cast("list[SeatReport]", (await self._ask({"do": "report"}))["seats"])))

    async def stop(self) -> None:
        """End the process."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def _ask(self, command: Mapping[str, object]) -> dict[str, object]:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise RuntimeError("the probe was not started")
        process.stdin.write(json.dumps(command).encode() + b"\n")
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                line = await process.stdout.readline()
        except TimeoutError:
            line = b""
        if not line:
            raise CliError(f"the process that pings has failed: {self._log.read_text()[-500:]}")
        answer = json.loads(line)
        if not isinstance(answer, dict):
            raise TypeError("the probe answers by objects")
        return answer


def _spread(values: list[float]) -> dict[str, float]:
    known = values or [0.0]
    return {"p50": round(median(known), 1), "mean": round(fmean(known), 1), "max": round(max(known), 1)}
