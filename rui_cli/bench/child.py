"""A process of ours that a row measures: a line to it, one JSON object back."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import cast

from rui_cli.errors import CliError

_LONGEST = 1 << 16
_PATIENCE = 120.0
_ENDS_WITHIN = 10.0


class Child:
    """A running process; :func:`child` starts and ends it."""

    def __init__(self, name: str, process: asyncio.subprocess.Process) -> None:
        self._name = name
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def ask(self, line: str = "", within: float = _PATIENCE) -> Mapping[str, float]:
        """Send a line, and return the numbers that come back. Raises CliError where nothing does."""
        stdin, stdout = self._process.stdin, self._process.stdout
        if stdin is None or stdout is None:
            raise CliError(f"{self._name} has no pipes")
        stdin.write(f"{line}\n".encode())
        try:
            answer = await asyncio.wait_for(stdout.readline(), within)
        except TimeoutError as error:
            raise CliError(f"{self._name} did not answer {line!r} within {within:g} s") from error
        if not answer:
            raise CliError(f"{self._name} has ended", remedy="its complaint stands above")
        return cast("Mapping[str, float]", json.loads(answer))


@asynccontextmanager
async def child(module: str, words: Sequence[str], *, prefix: Sequence[str] = ()) -> AsyncIterator[Child]:
    """Run a module of ours, behind ``prefix`` (a command that becomes it), until the end of the block."""
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-m", module, *words),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        limit=_LONGEST,
    )
    try:
        yield Child(module.rpartition(".")[2], process)
    finally:
        if process.stdin is not None:
            process.stdin.close()
        try:
            await asyncio.wait_for(process.wait(), _ENDS_WITHIN)
        except TimeoutError:
            process.kill()
            await process.wait()
