"""Network namespaces, the links between them, and the processes in them."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO

from rui_cli.errors import CliError

BRIDGE = "br0"
PREFIX = "rui-"
_COMMAND_SECONDS = 20
_BATCH_SECONDS = 120
_LONGEST_DEVICE = 15
_CLONE_NEWNET = 0x40000000
_GRACE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Link:
    """An interface of a namespace, its addresses with prefix lengths, and its MAC address if it matters."""

    name: str
    device: str
    addresses: tuple[str, ...] = ()
    mac: str | None = None


class Namespaces:
    """All namespaces of one run, named ``rui-RUN-NAME``; a context manager that leaves nothing behind.

    Interfaces are moved into their namespaces as they are made, so removing those removes everything.
    """

    def __init__(self, run: str) -> None:
        self._prefix = f"{PREFIX}{run}-"
        self._names: list[str] = []
        self._processes: list[subprocess.Popen[bytes]] = []
        self._files: list[IO[bytes]] = []
        self._home: int | None = None

    def __enter__(self) -> Namespaces:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.remove()

    def full_name(self, name: str) -> str:
        """Return what `ip netns` calls a namespace."""
        return self._prefix + name

    def file(self, name: str) -> str:
        """Return the file by which a namespace is entered."""
        return f"/run/netns/{self.full_name(name)}"

    def add(self, *names: str) -> None:
        """Make namespaces with their loopback up."""
        for name in names:
            self._ip("netns", "add", self.full_name(name))
            self._names.append(name)
            self.ip(name, "link", "set", "lo", "up")

    def bridge(self, name: str) -> None:
        """Make a namespace's bridge."""
        self.ip(name, "link", "add", BRIDGE, "type", "bridge", "forward_delay", "0")
        self.ip(name, "link", "set", BRIDGE, "up")

    def plug(self, link: Link, into: str) -> None:
        """Give a namespace an interface whose other end is a port of the bridge in namespace ``into``."""
        name, device = link.name, link.device
        port = f"p-{name}"[:_LONGEST_DEVICE]
        there = ("peer", "name", device, "netns", self.full_name(name))
        self.ip(into, "link", "add", port, "type", "veth", *there)
        self.ip(into, "link", "set", port, "master", BRIDGE, "up")
        if link.mac is not None:
            self.ip(name, "link", "set", device, "address", link.mac)
        for address in link.addresses:
            self.ip(name, "addr", "add", address, "dev", device)
        self.ip(name, "link", "set", device, "up")

    def enter(self, name: str) -> None:
        """Take this thread into a namespace until ``remove``: its sockets are made there from now on.

        Python has this only from 3.12 on.
        """
        if self._home is None:
            self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        enter_namespace(self.file(name))

    @contextmanager
    def visit(self, name: str) -> Iterator[None]:
        """Take this thread into a namespace for the time of a block: sockets made there stay there."""
        here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        try:
            enter_namespace(self.file(name))
            yield
        finally:
            _set_network_namespace(here)
            os.close(here)

    def set(self, name: str, settings: Mapping[str, str]) -> None:
        """Change kernel settings of a namespace. Raises CliError with what sysctl said."""
        words = ["sysctl", "-qw", *(f"{key}={value}" for key, value in settings.items())]
        done = self.run(name, words)
        if done.returncode:
            raise CliError(f"sysctl in {name}: {done.stderr.decode().strip()}")

    def batch(self, name: str, lines: Sequence[str]) -> None:
        """Run many lines of `ip` inside a namespace at once. Raises CliError with what it said."""
        text = "\n".join(lines).encode()
        self._ip("-n", self.full_name(name), "-batch", "-", given=text, within=_BATCH_SECONDS)

    def ip(self, name: str, *arguments: str) -> None:
        """Run `ip` inside a namespace. Raises CliError with what it said."""
        self._ip("-n", self.full_name(name), *arguments)

    def command(self, name: str, arguments: Sequence[str]) -> list[str]:
        """Return the command line that runs a program inside a namespace."""
        return ["ip", "netns", "exec", self.full_name(name), *arguments]

    def run(
        self, name: str, arguments: Sequence[str], *, timeout: float = _COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[bytes]:
        """Run a program to its end. Raises CliError when it does not end in time."""
        try:
            return subprocess.run(  # noqa: S603 - the lab's own commands
                self.command(name, arguments), capture_output=True, timeout=timeout, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise CliError(f"{arguments[0]} in {name} did not end within {timeout:g} s") from error

    def start(
        self, name: str, arguments: Sequence[str], output: Path, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start a program that runs until ``stop`` or the end of the lab, its output in a file."""
        file = output.open("ab")
        self._files.append(file)
        process = subprocess.Popen(  # noqa: S603 - the lab's own commands
            self.command(name, arguments),
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        self._processes.append(process)
        return process

    def stop(self, process: subprocess.Popen[bytes]) -> None:
        """End a program: first kindly, then not."""
        self._stop_all([process])
        self._processes.remove(process)

    def remove(self) -> None:
        """End every program and remove every namespace; nothing that fails here hides what failed before."""
        if self._home is not None:
            _set_network_namespace(self._home)
            os.close(self._home)
            self._home = None
        self._stop_all(self._processes)
        self._processes.clear()
        for file in self._files:
            file.close()
        self._files.clear()
        while self._names:
            name = self._names.pop()
            subprocess.run(  # noqa: S603 - the lab's own commands
                ["ip", "netns", "del", self.full_name(name)],  # noqa: S607
                capture_output=True,
                timeout=_COMMAND_SECONDS,
                check=False,
            )

    @staticmethod
    def _stop_all(processes: Sequence[subprocess.Popen[bytes]]) -> None:
        for process in processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
        end = time.monotonic() + _GRACE_SECONDS
        for process in processes:
            try:
                process.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @staticmethod
    def _ip(*arguments: str, given: bytes = b"", within: float = _COMMAND_SECONDS) -> None:
        done = subprocess.run(  # noqa: S603 - the lab's own commands
            ["ip", *arguments],  # noqa: S607
            input=given,
            capture_output=True,
            timeout=within,
            check=False,
        )
        if done.returncode:
            raise CliError(f"ip {' '.join(arguments)}: {done.stderr.decode().strip()}")


def enter_namespace(file: str) -> None:
    """Take this thread into the namespace of that file. Raises CliError, or OSError where it is not there."""
    inside = os.open(file, os.O_RDONLY)
    try:
        _set_network_namespace(inside)
    finally:
        os.close(inside)


def _set_network_namespace(descriptor: int) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise CliError(f"the network namespace cannot be entered: {os.strerror(number)}")
