"""Starts yuma123's netconfd behind OpenSSH's sshd on loopback, with throw-away keys and folders."""

import contextlib
import getpass
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import pytest

from netconf_client import PinnedKey, Target

_PATH = "/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"
_DEADLINE = 20.0


@dataclass(frozen=True)
class Peer:
    """A running netconfd with its sshd."""

    target: Target
    sshd: subprocess.Popen[bytes]
    netconfd: subprocess.Popen[bytes]
    folder: Path


def require(*programs: str) -> list[str]:
    """Return the programs' paths. Skips the test when one is missing; in CI that fails it."""
    found = {program: shutil.which(program, path=_PATH) for program in programs}
    missing = [program for program, path in found.items() if path is None]
    if missing:
        reason = f"not installed: {', '.join(missing)}"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    return [str(path) for path in found.values()]


def start(folder: Path, stack: contextlib.ExitStack, *more: str) -> Peer:
    """Start both programs, netconfd with `more` arguments; `stack` ends them. yuma123 wants its --port to be
    sshd's.
    """
    netconfd, subsystem, sshd = require("netconfd", "netconf-subsystem", "sshd")
    host_key = _key(folder, "host")
    _key(folder, "user").write_public_key(folder / "authorized")
    port, ncx = _free_port(), folder / "ncx.sock"
    (folder / "sshd_config").write_text(
        f"""Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host
AuthorizedKeysFile {folder}/authorized
PidFile {folder}/sshd.pid
StrictModes no
UsePAM no
PasswordAuthentication no
PermitRootLogin yes
Subsystem netconf "{subsystem} --ncxserver-sockname={port}@{ncx}"
""",
        encoding="ascii",
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where sshd as root separates privileges
    user = getpass.getuser()
    arguments = ["--no-startup", "--target=candidate", "--module=toaster", f"--superuser={user}"]
    arguments += [f"--port={port}", f"--ncxserver-sockname={ncx}", *more]
    server = _run(stack, folder, [netconfd, *arguments])
    _await(ncx.exists, server, folder)
    daemon = _run(stack, folder, [sshd, "-D", "-e", "-f", str(folder / "sshd_config")])
    _await(lambda: _listens(port), daemon, folder)
    target = Target(
        host="127.0.0.1",
        port=port,
        username=user,
        client_keys=(folder / "user",),
        host_key=PinnedKey(host_key.export_public_key().decode()),
    )
    return Peer(target, daemon, server, folder)


def _key(folder: Path, name: str) -> asyncssh.SSHKey:
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / name)
    (folder / name).chmod(0o600)
    return key


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _run(stack: contextlib.ExitStack, folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    output = stack.enter_context((folder / f"{Path(command[0]).name}.out").open("wb"))
    environment = {**os.environ, "HOME": str(folder)}
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=folder
    )
    stack.callback(_end, process)
    return process


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def _await(condition: Callable[[], bool], process: subprocess.Popen[bytes], folder: Path) -> None:
    deadline = time.monotonic() + _DEADLINE
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            said = "\n".join(path.read_text(errors="replace")[-2000:] for path in folder.glob("*.out"))
            pytest.fail(f"{process.args!r} did not start: {said}")
        time.sleep(0.02)
