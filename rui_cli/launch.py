"""Real `rui` processes started, watched, killed and stopped; for the demo, the benchmarks and tests.

A started process says that it serves by one line on its standard output, `READY_LINE` followed by a JSON
object (its name and listening ports); the launcher waits for that line, never for a time. Everything that it
prints goes to its log file. Each process is a session of its own, so that Ctrl-C at the terminal reaches only
the launcher, which then stops what it started, by process id.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from rui_cli.errors import CliError

READY_LINE = "ready "
# A line on standard output longer than this is no line of ours; the process is ended rather than buffered.
_LONGEST_LINE = 64 * 1024
_LOG_TAIL_LINES = 12
# Seconds to take what an ended process had still written.
_LAST_WORDS = 2.0


class LaunchError(CliError):
    """A process that did not come up, or ended unasked; carries the end of its log."""


def announce_ready(facts: Mapping[str, object]) -> None:
    """Print the line that a launcher waits for: this process now serves, with these facts (name, ports)."""
    sys.stdout.write(f"{READY_LINE}{json.dumps(dict(facts))}\n")
    sys.stdout.flush()


def free_ports(count: int, host: str = "127.0.0.1") -> list[int]:
    """Return `count` different TCP ports that nothing listens on at this moment.

    All are held open until the last is known, so no two are equal; another program may take one afterwards.
    """
    with contextlib.ExitStack() as held:
        ports = []
        for _ in range(count):
            listener = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            listener.bind((host, 0))
            ports.append(int(listener.getsockname()[1]))
        return ports


class Launched:
    """One `rui` sub-command as a process that can be started, killed and started again.

    `words` are the words after `rui`; `log` collects standard output and standard error of all its starts;
    `environment` is added to this process's own. `prefix` is a command that becomes the given one (by exec),
    such as `ip netns exec NAME`.
    """

    def __init__(
        self,
        name: str,
        words: Sequence[str],
        log: Path,
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.log = log
        self.starts = 0
        self._command = (*prefix, sys.executable, "-m", "rui_cli", *words)
        self._environment = dict(environment or {})
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ready: asyncio.Future[dict[str, object]] | None = None

    @property
    def pid(self) -> int | None:
        """The process id while it runs, else None."""
        return self._process.pid if self._process is not None and self.running else None

    @property
    def running(self) -> bool:
        """Whether the process was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self, within: float = 30.0) -> dict[str, object]:
        """Start the process and return the facts of its ready line.

        Raises LaunchError when it ends before, or is not ready after `within` seconds (it is then killed).
        """
        if self.running:
            raise LaunchError(f"{self.name} runs already as process {self.pid}", remedy="stop it first")
        self.starts += 1
        self._ready = asyncio.get_running_loop().create_future()
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                limit=_LONGEST_LINE,
                env={**os.environ, **self._environment},
                start_new_session=True,
            )
        self._reader = asyncio.create_task(self._read(self._process, self._ready))
        try:
            return await asyncio.wait_for(asyncio.shield(self._ready), within)
        except TimeoutError:
            await self.kill()
            raise self._failure(f"was not ready within {within:g} s") from None
        except asyncio.CancelledError:
            await self.kill()
            raise

    async def kill(self) -> None:
        """End it at once with SIGKILL, as a crash would, and wait until it is gone."""
        await self._end(signal.SIGKILL)

    async def stop(self, grace: float = 5.0) -> None:
        """Ask it to end (SIGTERM), wait up to `grace` seconds, then kill it; nothing when it does not run."""
        try:
            await asyncio.wait_for(self._end(signal.SIGTERM), grace)
        except TimeoutError:
            await self.kill()

    async def wait_ended(self) -> int:
        """Wait until the process ends by itself; return its exit code."""
        if self._process is None:
            raise LaunchError(f"{self.name} was never started", remedy="start it first")
        return await self._process.wait()

    async def _end(self, number: signal.Signals) -> None:
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(number)
        await process.wait()
        if self._reader is not None:
            # A child of the process may hold its standard output open; that is not waited for.
            await asyncio.wait({self._reader}, timeout=_LAST_WORDS)
            self._reader.cancel()

    async def _read(
        self, process: asyncio.subprocess.Process, ready: asyncio.Future[dict[str, object]]
    ) -> None:
        """Copy standard output to the log, and settle `ready` by the ready line or by the end."""
        stdout = process.stdout
        if stdout is None:
            raise RuntimeError(f"{self.name} was started without a pipe on its standard output")
        with self.log.open("ab") as log:
            try:
                while line := await stdout.readline():
                    self._take_line(line, log, ready)
            except ValueError:  # a line over the limit
                log.write(b"a line on standard output is longer than the launcher takes; process ended\n")
                process.kill()
                # Until its pipe is read to the end, the process does not count as ended.
                while await stdout.read(_LONGEST_LINE):
                    pass
        code = await process.wait()
        if not ready.done():
            ready.set_exception(self._failure(f"ended with exit code {code} before it was ready"))
            ready.exception()  # whoever waits gets it; nobody may be left to wait

    @staticmethod
    def _take_line(line: bytes, log: IO[bytes], ready: asyncio.Future[dict[str, object]]) -> None:
        prefix = READY_LINE.encode()
        if not ready.done() and line.startswith(prefix):
            with contextlib.suppress(json.JSONDecodeError):
                ready.set_result(json.loads(line[len(prefix) :]))
        log.write(line)
        log.flush()

    def _failure(self, what: str) -> LaunchError:
        tail = (
            self.log.read_text(errors="replace").splitlines()[-_LOG_TAIL_LINES:] if self.log.exists() else []
        )
        shown = "\n".join(f"    {line}" for line in tail) or "    (nothing)"
        return LaunchError(f"{self.name} {what}; the end of its log:\n{shown}", remedy=f"see {self.log}")


class Fleet:
    """Several launched processes that are all stopped on leaving the `async with`, whatever happened."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.members: dict[str, Launched] = {}

    def add(
        self,
        name: str,
        words: Sequence[str],
        *,
        environment: Mapping[str, str] | None = None,
        prefix: Sequence[str] = (),
    ) -> Launched:
        """Add a process by name and the words after `rui`; its log is NAME.log in the fleet's folder."""
        log = self.folder / f"{name}.log"
        self.members[name] = Launched(name, words, log, environment=environment, prefix=prefix)
        return self.members[name]

    async def start(self, names: Iterable[str] | None = None, within: float = 30.0) -> None:
        """Start these (default: all) at once and wait until each is ready; raises the first LaunchError."""
        chosen = [self.members[name] for name in (names if names is not None else self.members)]
        results = await asyncio.gather(*(member.start(within) for member in chosen), return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(member.stop() for member in self.members.values()), return_exceptions=True)
