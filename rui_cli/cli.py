"""``rui cli``: the command line for any NETCONF server, over a session of its own."""

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import sys
import tempfile
import termios
import tty
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import structlog
import typer

from netconf_cli import Cli
from netconf_client import NetconfClientError, Target, TrustOnFirstUse, connect
from rui.netconf.errors import RpcError
from rui.schema import SchemaError
from rui.views import VIEWS
from rui_cli.errors import CliError, ExitCode
from rui_cli.remote import RemoteSession, read_schema


def command(
    host: Annotated[str, typer.Argument(help="Name or address of the NETCONF server.")],
    commands: Annotated[str, typer.Argument(help="Commands to carry out, `;` between them.")] = "",
    *,
    port: Annotated[int, typer.Option(help="Its port.")] = 830,
    user: Annotated[str, typer.Option(help="Who logs in.")] = os.environ.get("USER", "operator"),
    password_file: Annotated[Path | None, typer.Option(help="Its first line is the password.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key to log in with.")] = None,
    known_hosts: Annotated[
        Path, typer.Option(help="Host keys; the one that is seen first is kept there.")
    ] = Path("~/.config/rui/known_hosts"),
) -> None:
    """Open the command line of a NETCONF server of any make."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    hosts = known_hosts.expanduser()
    hosts.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target = Target(
        host,
        user,
        TrustOnFirstUse(hosts),
        port=port,
        password=None if key is not None else _password(user, host, password_file),
        client_keys=() if key is None else (key,),
    )
    try:
        status = asyncio.run(_serve(target, commands))
    except (NetconfClientError, RpcError) as error:
        raise CliError(
            f"{target.where}: {error}", remedy="check address, user, password and host key"
        ) from error
    except SchemaError as error:
        raise CliError(
            f"the model of {target.where} does not compile:\n{error}", remedy="correct it there"
        ) from error
    raise typer.Exit(ExitCode.CHECK_FAILED if status else ExitCode.OK)


def _password(user: str, host: str, file: Path | None) -> str:
    if file is None:
        return str(typer.prompt(f"Password of {user} at {host}", hide_input=True))
    try:
        return file.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError) as error:
        raise CliError(f"{file}: no password can be read", remedy="put it in the first line") from error


async def _serve(target: Target, commands: str) -> int:
    session = await connect(target)
    try:
        with tempfile.TemporaryDirectory(prefix="rui-cli-") as folder:
            schema = await read_schema(session, Path(folder))
        remote = RemoteSession(session, target.username)
        made = Cli(target.host, schema, lambda _user, _peer: remote, views=VIEWS)
        return await _talk(made, target, commands)
    finally:
        await session.close()


async def _talk(made: Cli, target: Target, commands: str) -> int:
    """Serve this process's terminal, or a script, until it ends; return the exit status."""
    interactive = not commands and sys.stdin.isatty()
    columns, rows = shutil.get_terminal_size()
    terminal = _Terminal(os.environ.get("TERM", "dumb"), columns, rows) if interactive else None
    channel = _OwnTerminal()
    shell = made.open_shell(channel, _Request(target.username, target.where, terminal, commands or None))
    if shell is None:
        raise CliError("no command line could be opened", remedy="try again")
    loop = asyncio.get_running_loop()
    with _raw() if interactive else contextlib.nullcontext():
        channel.listen(lambda data: shell.receive(data) if data else shell.receive_eof())
        loop.add_signal_handler(signal.SIGWINCH, lambda: shell.resize(*shutil.get_terminal_size()))
        try:
            shell.start()
            return await channel.status
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
            channel.pause_reading()
            shell.lost("the terminal is gone")


@contextlib.contextmanager
def _raw() -> Iterator[None]:
    """Have the terminal hand over keys as they are typed."""
    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    tty.setraw(number)
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSADRAIN, before)


@dataclass(frozen=True)
class _Terminal:
    kind: str
    width: int
    height: int


@dataclass(frozen=True)
class _Request:
    user: str
    peer: str
    terminal: _Terminal | None
    command: str | None


class _OwnTerminal:
    """This process's standard streams as a shell's channel."""

    def __init__(self) -> None:
        self.status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._take: Callable[[bytes], None] = lambda _: None
        self._file = False

    def listen(self, take: Callable[[bytes], None]) -> None:
        """Hand what is typed to `take`, nothing at its end."""
        self._take = take
        self.resume_reading()

    def write(self, data: bytes) -> None:
        """Write to standard output."""
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()

    def write_error(self, data: bytes) -> None:
        """Write to standard error."""
        sys.stderr.buffer.write(data)
        sys.stderr.buffer.flush()

    def pause_reading(self) -> None:
        """Leave what is typed in the terminal."""
        if not self._file:
            asyncio.get_running_loop().remove_reader(sys.stdin.fileno())

    def resume_reading(self) -> None:
        """Take what is typed again."""
        loop = asyncio.get_running_loop()
        try:
            loop.add_reader(sys.stdin.fileno(), self._read)
        except PermissionError:
            # A plain file is always ready, so the loop does not watch it
            self._file = True
            loop.call_soon(self._read)

    def _read(self) -> None:
        data = os.read(sys.stdin.fileno(), 4096)
        self._take(data)
        if not data:
            self.pause_reading()
        elif self._file:
            asyncio.get_running_loop().call_soon(self._read)

    def exit(self, status: int) -> None:
        """The shell is over."""
        if not self.status.done():
            self.status.set_result(status)

    def close(self) -> None:
        """The shell is over without a word."""
        self.exit(0)

    def abort(self) -> None:
        """The terminal takes nothing."""
        self.exit(1)
