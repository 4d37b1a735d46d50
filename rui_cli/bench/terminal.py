"""A terminal at an SSH server: keys in, what is seen out, each wait with a bound."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import asyncssh

from rui_cli.errors import CliError, ExitCode

_ANSWER_SECONDS = 60.0
_SIZE = (200, 50)


@dataclass(frozen=True, slots=True)
class Login:
    """Where to log in and as whom; `key` is the server's host key as one line, None where any will do."""

    host: str
    port: int
    user: str
    password: str
    key: str | None = None


class Terminal:
    """Types, and waits for what comes."""

    def __init__(self, process: asyncssh.SSHClientProcess[str]) -> None:
        self._process = process
        self._seen = ""

    async def expect(self, text: str) -> str:
        """Return what comes before `text`, and take both away. Raises CliError when it does not come."""
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                while text not in self._seen:
                    piece = await self._process.stdout.read(1 << 16)
                    if not piece:
                        break
                    self._seen += piece
        except TimeoutError:
            pass
        before, found, behind = self._seen.partition(text)
        if not found:
            raise CliError(
                f"the command line did not show {text!r} but {self._seen[-200:]!r}",
                exit_code=ExitCode.CHECK_FAILED,
            )
        self._seen = behind
        return before

    async def timed(self, keys: str, *texts: str) -> tuple[float, str]:
        """Type; return after how many milliseconds `texts` had come in turn, and what came before it."""
        begun = time.monotonic()
        self._process.stdin.write(keys)
        before = ""
        for text in texts:
            before = await self.expect(text)
        return (time.monotonic() - begun) * 1e3, before


@dataclass(frozen=True, slots=True)
class Opening:
    """How long a login took, and from then the first prompt, in milliseconds."""

    login: float
    prompt: float


@contextlib.asynccontextmanager
async def opened(login: Login, prompt: str) -> AsyncIterator[tuple[Terminal, Opening]]:
    """Log in, open a terminal and wait for its prompt."""
    begun = time.monotonic()
    known = None
    if login.key is not None:
        known = asyncssh.import_known_hosts(f"* {login.key}\n")
    connection = await asyncssh.connect(
        login.host,
        login.port,
        username=login.user,
        password=login.password,
        known_hosts=known,
        client_keys=None,
        config=None,
    )
    async with connection:
        logged_in = time.monotonic()
        async with connection.create_process(term_type="xterm", term_size=_SIZE) as process:
            terminal = Terminal(process)
            await terminal.expect(prompt)
            shown = time.monotonic()
            yield terminal, Opening((logged_in - begun) * 1e3, (shown - logged_in) * 1e3)
            process.channel.abort()
