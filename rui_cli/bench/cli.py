"""Row ``cli``: the command line of a router with many users, over SSH at a terminal."""

import asyncio
import contextlib
import sys

from netconf_client import PinnedKey
from rui.backup.trace import Milestone
from rui_cli.bench.arena import PRIMARY, Arena, arena
from rui_cli.bench.echo import PROMPT
from rui_cli.bench.machine import Meter
from rui_cli.bench.results import percentile
from rui_cli.bench.samples import sample_addresses
from rui_cli.bench.terminal import Login, Opening, Terminal, opened

_LOGINS = 20
_LOOKS = 50
_SLOWEST = 500.0
_PEER_SECONDS = 30.0


async def measure(users: int, *, keep: bool = False) -> tuple[dict[str, float], float]:
    """Log in some times, complete a word, and look single users up by their MAC addresses.

    Returns milliseconds, the median and the worst of each, and others' cores. ``prompt`` counts from the end
    of the login; ``show_users_mac`` from the return key until the next prompt, the user's row before it.
    """
    async with arena(keep, initial_population=str(users), max_population=str(users)) as running:
        await running.start(PRIMARY)
        await running.until(PRIMARY, Milestone.DURABLE, users, 60.0 + users / _SLOWEST)
        login, prompt = _login(running)
        meter = Meter(running.pids)
        openings, completions = [], []
        for _ in range(_LOGINS):
            async with opened(login, prompt) as (terminal, opening):
                openings.append(opening)
                completions.append(await _complete(terminal))
        async with opened(login, prompt) as (terminal, _):
            numbers = range(0, users, max(1, users // _LOOKS))
            looks = [await _look(terminal, prompt, number) for number in numbers]
        usage = meter.read()
    return {
        **_spread("login", [opening.login for opening in openings]),
        **_spread("prompt", [opening.prompt for opening in openings]),
        **_spread("completion", completions),
        **_spread("show_users_mac", looks),
    }, usage.others


def _login(running: Arena) -> tuple[Login, str]:
    target = running.site.target(PRIMARY)
    if target.password is None or not isinstance(target.host_key, PinnedKey):
        raise TypeError("a site's operators log in by password, its host keys are pinned")
    login = Login(target.host, target.port, target.username, target.password, target.host_key.text)
    # The space behind it comes as a movement of the cursor
    return login, f"{target.username}@{PRIMARY}>"


async def _open(login: Login, prompt: str) -> Opening:
    async with opened(login, prompt) as (_, opening):
        return opening


async def _complete(terminal: Terminal) -> float:
    await terminal.timed("show us", "us")
    milliseconds, _ = await terminal.timed("\t", "ers")
    return milliseconds


async def _look(terminal: Terminal, prompt: str, number: int) -> float:
    """Look a user up; it is there when its address is, which is not in the command, and then the prompt."""
    mac, address = sample_addresses(number)
    await terminal.timed(f"show users mac {mac}", mac)
    milliseconds, _ = await terminal.timed("\r", address, prompt)
    return milliseconds


def _spread(name: str, values: list[float]) -> dict[str, float]:
    values.sort()
    return {f"{name}_ms": percentile(values, 0.50), f"{name}_worst_ms": values[-1]}


async def echo(users: int) -> dict[str, float]:  # noqa: ARG001 - one signature for all
    """Log in to a server of asyncssh alone that sends a prompt, and have it echo what is typed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rui_cli.bench.echo"), stdout=asyncio.subprocess.PIPE
    )
    try:
        if process.stdout is None:
            raise RuntimeError("the process was started without a pipe")
        port = int(await asyncio.wait_for(process.stdout.readline(), _PEER_SECONDS))
        login = Login("127.0.0.1", port, "anyone", "anything")
        openings = [await _open(login, PROMPT) for _ in range(_LOGINS)]
        async with opened(login, PROMPT) as (terminal, _):
            echoes = [(await terminal.timed("e", "e"))[0] for _ in range(_LOOKS)]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return {
        **_spread("login", [opening.login for opening in openings]),
        **_spread("prompt", [opening.prompt for opening in openings]),
        **_spread("echo", echoes),
    }
