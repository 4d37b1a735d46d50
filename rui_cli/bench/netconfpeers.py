"""The NETCONF servers that are measured beside each other, ours and yuma123's netconfd, as processes."""

import asyncio
import contextlib
import getpass
import os
import shutil
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncssh

from netconf_client import PinnedKey, Target
from rui.schema.files import find_modules, installed_directories
from rui_cli.bench.machine import cpu_seconds, descendants, own_memory
from rui_cli.errors import CliError, ExitCode

MODULES = ("ietf-interfaces", "iana-if-type")
_PACKAGE_MODULES = "/usr/share/yuma/modules"
_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
_START_SECONDS = 60.0
_END_SECONDS = 5.0
_POLL = 0.02


@dataclass(frozen=True, slots=True)
class Peer:
    """A running server: how to reach it, and its first processes; those that they start count as theirs."""

    name: str
    target: Target
    processes: tuple[asyncio.subprocess.Process, ...]

    @property
    def alive(self) -> bool:
        """Whether all its processes run."""
        return all(process.returncode is None for process in self.processes)

    def memory(self) -> int:
        """Return the memory of all its processes in octets; what several share is divided among them."""
        return sum(own_memory(pid) for pid in self._pids())

    def seconds(self) -> float:
        """Return the processor time that all its processes have used."""
        return sum(cpu_seconds(pid) for pid in self._pids())

    def _pids(self) -> list[int]:
        first = [process.pid for process in self.processes]
        return [*first, *(pid for parent in first for pid in descendants(parent))]


@contextlib.asynccontextmanager
async def ours(folder: Path) -> AsyncIterator[Peer]:
    """Run `python -m netconf_server` over the modules. Raises CliError when it does not start."""
    models, host_key = _prepare(folder)
    user = getpass.getuser()
    command = [
        *(sys.executable, "-m", "netconf_server", "--yang", str(models), "--module", *MODULES),
        *("--listen", "127.0.0.1:0", "--user", user, "--authorized-keys", str(folder / "user.pub")),
        *("--host-key", str(folder / "host"), "--max-sessions", "2000"),
    ]
    async with _process(folder, command, announces=True) as process:
        said = await _announced(process, folder)
        port = int(said.partition(",")[0].rpartition(":")[2])
        yield Peer("ours", _target(port, folder, host_key), (process,))


@contextlib.asynccontextmanager
async def netconfd(folder: Path) -> AsyncIterator[Peer]:
    """Run netconfd behind OpenSSH's sshd over the same modules. Raises CliError when it does not start.

    It keeps its configuration in memory only, as ours does here. Its --port has to be sshd's.
    """
    models, host_key = _prepare(folder)
    server, subsystem, sshd = (path or "" for path in map(_which, PROGRAMS))
    port, socket_file = _free_port(), folder / "ncx.sock"
    folder.joinpath("sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {folder}/host\nAuthorizedKeysFile {folder}/user.pub\n"
        f"PidFile {folder}/sshd.pid\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
        "PermitRootLogin yes\nMaxStartups 100\n"
        f'Subsystem netconf "{subsystem} --ncxserver-sockname={port}@{socket_file}"\n',
        encoding="ascii",
    )
    command = [
        *(server, "--no-startup", "--with-startup=true", "--target=running", "--log-level=error"),
        *(f"--superuser={getpass.getuser()}", f"--port={port}", f"--ncxserver-sockname={socket_file}"),
        f"--modpath={models}:{_PACKAGE_MODULES}",
        *(f"--module={name}" for name in MODULES),
    ]
    async with _process(folder, command) as first:
        await _until(socket_file.exists, first, folder)
        async with _process(folder, [sshd, "-D", "-e", "-f", str(folder / "sshd_config")]) as second:
            await _until(lambda: _listens(port), second, folder)
            yield Peer("netconfd", _target(port, folder, host_key), (first, second))


PROGRAMS = ("netconfd", "netconf-subsystem", "sshd")


def missing() -> list[str]:
    """Return which of netconfd's programs this machine lacks."""
    return [program for program in PROGRAMS if _which(program) is None]


def _which(program: str) -> str | None:
    return shutil.which(program, path=_PATH)


def _prepare(folder: Path) -> tuple[Path, str]:
    """Make keys and a folder of the modules; return that folder and the public host key."""
    models = folder / "models"
    models.mkdir()
    found = find_modules(installed_directories())
    for name in (*MODULES, "ietf-yang-types"):
        shutil.copy(found[name], models / f"{name}.yang")
    _key(folder, "user")
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd as root separates privileges
    return models, _key(folder, "host").export_public_key().decode()


def _key(folder: Path, name: str) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / name)
    (folder / name).chmod(0o600)
    key.write_public_key(folder / f"{name}.pub")
    return key


def _target(port: int, folder: Path, host_key: str) -> Target:
    return Target(
        host="127.0.0.1",
        port=port,
        username=getpass.getuser(),
        client_keys=(folder / "user",),
        host_key=PinnedKey(host_key),
        # Who sits idle is not to be woken by the client
        keepalive_interval=0.0,
    )


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@contextlib.asynccontextmanager
async def _process(
    folder: Path, command: Sequence[str], *, announces: bool = False
) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a program whose output goes to a file, with `announces` all but the standard output."""
    with _output(folder, command).open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE if announces else output,
            stderr=output,
            env={**os.environ, "HOME": str(folder)},
            cwd=folder,
        )
        try:
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), _END_SECONDS)
            except TimeoutError:
                process.kill()
                await process.wait()


def _output(folder: Path, command: Sequence[str]) -> Path:
    return folder / f"{Path(command[0]).name}.out"


async def _announced(process: asyncio.subprocess.Process, folder: Path) -> str:
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe")
    line = await asyncio.wait_for(process.stdout.readline(), _START_SECONDS)
    if not line:
        raise _not_started("netconf_server", folder)
    return line.decode()


async def _until(condition: Callable[[], bool], process: asyncio.subprocess.Process, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while not condition():
        if process.returncode is not None or time.monotonic() > deadline:
            raise _not_started("netconfd", folder)
        await asyncio.sleep(_POLL)


def _not_started(name: str, folder: Path) -> CliError:
    said = "\n".join(path.read_text(errors="replace")[-1000:] for path in folder.glob("*.out"))
    return CliError(f"{name} did not start: {said}", exit_code=ExitCode.CHECK_FAILED)
