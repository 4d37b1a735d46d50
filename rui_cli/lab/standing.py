"""`rui lab up`, `status`, `break`, `heal`, `down`: a lab that goes on running."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

from rich.console import Console
from rich.table import Table

from rui_cli.errors import CliError, ExitCode
from rui_cli.lab import remains, requirements, runtime
from rui_cli.lab.keeper import READY
from rui_cli.lab.wires import Shape

_ANSWER_SECONDS = 120.0
_END_SECONDS = 90.0
_WORDS_SHOWN = 2000


def up(*, subscribers: int, as_json: bool) -> ExitCode:
    """Start a lab and leave it running. Raises CliError where one runs already, or it does not come up."""
    requirements.check(programs=requirements.CONTINUITY)
    lock = runtime.take_lock()
    try:
        if removed := remains.sweep():
            sys.stderr.write(f"removed what a killed lab had left: {_said(removed)}\n")
        runtime.clear()
        _start(subscribers, lock)
    finally:
        os.close(lock)
    standing = runtime.read()
    if standing is None:
        raise CliError("the lab has ended again", remedy=f"see {runtime.keeper_log()}")
    sys.stderr.write(f"the lab is up; its files and logs are in {standing.folder}\n")
    _print(asdict(standing), as_json=as_json)
    return ExitCode.OK


def _start(subscribers: int, lock: int) -> None:
    """Start the keeper, which inherits the lock, and wait until its lab is up."""
    words = [sys.executable, "-m", "rui_cli.lab.keeper", str(subscribers)]
    with runtime.keeper_log().open("wb") as log:
        keeper = subprocess.Popen(  # noqa: S603 - our own process
            words,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            pass_fds=(lock,),
            start_new_session=True,
            text=True,
        )
    ready = False
    try:
        for line in keeper.stdout or ():
            ready = line.strip() == READY
            if ready:
                return
            sys.stderr.write(line)
    finally:
        if not ready:
            _end(keeper.pid)
            keeper.wait()
    said = runtime.keeper_log().read_text()[-_WORDS_SHOWN:].strip()
    raise CliError(f"the lab does not come up: {said or 'its process has ended'}")


def status(*, as_json: bool) -> ExitCode:
    """Show devices, links and subscribers of the lab that is up."""
    found = _ask({"do": "status"})
    _print(found, as_json=as_json)
    if as_json:
        return ExitCode.OK
    console = Console(soft_wrap=True, highlight=False, markup=False)
    for table in _tables(found):
        console.print(table)
    users = cast("Mapping[str, object]", found["subscribers"])
    outage = cast("Mapping[str, float]", users["outage_ms"])
    console.print(
        f"subscribers: {users['reached']} of {users['count']} reach the server, {users['streaming']} keep "
        f"their TCP connection; the longest outage since the last break is {outage['max']:g} ms"
    )
    return ExitCode.OK


def break_(what: str, *, freeze: bool, shape: Shape | None, as_json: bool) -> ExitCode:
    """Break a link or a process of the lab that is up. Raises CliError where it is none, or cannot be."""
    how = {"freeze": freeze, "shape": None if shape is None else asdict(shape)}
    _print(_ask({"do": "break", "what": what, **how}), as_json=as_json)
    return ExitCode.OK


def heal(what: str, *, as_json: bool) -> ExitCode:
    """Heal a link or a process of the lab that is up, or all. Raises CliError."""
    _print(_ask({"do": "heal", "what": what}), as_json=as_json)
    return ExitCode.OK


def down(*, as_json: bool) -> ExitCode:
    """End the lab that is up, and remove what it, or a killed lab, has left."""
    requirements.check(programs={"ip": "iproute2"})
    standing = runtime.read()
    try:
        os.close(runtime.take_lock())
    except CliError:
        if standing is None:
            raise CliError("a lab is just coming up", remedy="try again in a moment") from None
        _end(standing.pid)
    removed = remains.sweep()
    if standing is not None:
        # Else its keeper was killed
        shutil.rmtree(standing.folder, ignore_errors=True)
        runtime.clear()
        sys.stderr.write("the lab is down\n")
    if removed:
        sys.stderr.write(f"removed what a killed lab had left: {_said(removed)}\n")
    elif standing is None:
        sys.stderr.write("no lab is up, and none has left anything\n")
    _print({"ended": standing is not None, "removed": asdict(removed)}, as_json=as_json)
    return ExitCode.OK


def _end(pid: int) -> None:
    """End a keeper and wait until it has removed its lab; one that does not end is killed."""
    for number, seconds in ((signal.SIGTERM, _END_SECONDS), (signal.SIGKILL, 5.0)):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            return
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if remains.is_gone(pid):
                return
            time.sleep(0.05)


def _ask(request: Mapping[str, object]) -> dict[str, object]:
    requirements.check(programs={})
    try:
        with socket.socket(socket.AF_UNIX) as control:
            control.settimeout(_ANSWER_SECONDS)
            control.connect(str(runtime.control_socket()))
            control.sendall(json.dumps(request).encode() + b"\n")
            line = control.makefile("rb").readline()
    except (FileNotFoundError, ConnectionRefusedError):
        raise CliError("no lab is up", remedy="rui lab up") from None
    except TimeoutError:
        raise CliError(
            f"the lab did not answer within {_ANSWER_SECONDS:g} s", remedy="rui lab down"
        ) from None
    answer = json.loads(line or b'{"error": "the lab has ended", "remedy": "rui lab down"}')
    if "error" in answer:
        raise CliError(answer["error"], remedy=answer["remedy"])
    return cast("dict[str, object]", answer)


def _tables(found: Mapping[str, object]) -> list[Table]:
    devices = Table("device", "process", "role", "users")
    for device in cast("list[dict[str, object]]", found["devices"]):
        users = "" if device["users"] is None else str(device["users"])
        devices.add_row(str(device["name"]), str(device["process"]), str(device["role"]), users)
    links = Table("link", "state", "delay ms", "loss %", "rate Mbit/s")
    for link in cast("list[dict[str, object]]", found["links"]):
        amounts = [link["delay_ms"], link["loss_percent"], link["rate_mbit"]]
        links.add_row(str(link["name"]), str(link["state"]), *(f"{one:g}" if one else "" for one in amounts))
    return [devices, links]


def _print(facts: Mapping[str, object], *, as_json: bool) -> None:
    """Write a command's result, for programs alone."""
    if as_json:
        sys.stdout.write(json.dumps(facts, indent=2) + "\n")


def _said(removed: remains.Removed) -> str:
    return f"{removed.namespaces} namespaces, {removed.processes} processes, {removed.folders} folders"
