"""The process behind `rui lab up`: it holds a running lab, and does what it is asked to over a socket.

``python -m rui_cli.lab.keeper SUBSCRIBERS``, started by `rui_cli.lab.standing`. Until the lab is up it
says on standard output how far it has come; the last line is `READY`. A request on the socket ``control``
of the runtime folder is a JSON object in one line, and so is its answer:

=======  =====================================================  ====================================
``do``   further members                                        answer
=======  =====================================================  ====================================
status                                                          see `Lab.status`
break    what, freeze, shape (members of `Shape`, or null)      see `Lab.broken`
heal     what, or ``all``                                       the same
=======  =====================================================  ====================================

A refusal is ``{"error": …, "remedy": …}``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from netconf_client import NetconfClientError
from rui.netconf.errors import RpcError
from rui_cli import logs
from rui_cli.errors import CliError
from rui_cli.lab import remains, runtime
from rui_cli.lab.lab import Lab
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.pair import Timing
from rui_cli.lab.wires import Shape

READY = "ready"
_LONGEST_REQUEST = 64 * 1024
_WAIT_TO_RESTORE = 10
"""So that who heals a router sees it take the role back."""


class Keeper:
    """Answers one request after the other."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        self._turn = asyncio.Lock()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection."""
        with contextlib.suppress(ConnectionError, ValueError):
            while line := await reader.readline():
                async with self._turn:
                    answer = await self._answer(line)
                writer.write(json.dumps(answer).encode() + b"\n")
                await writer.drain()
        writer.close()

    async def _answer(self, line: bytes) -> Mapping[str, object]:
        try:
            return await self._do(json.loads(line))
        except CliError as error:
            return {"error": error.message, "remedy": error.remedy}
        except (NetconfClientError, RpcError, TimeoutError, KeyError, TypeError, ValueError) as error:
            return {"error": f"{type(error).__name__}: {error}", "remedy": "see the logs in its folder"}

    async def _do(self, asked: dict[str, object]) -> Mapping[str, object]:
        if asked["do"] == "status":
            return await self._lab.status()
        what = str(asked["what"])
        if asked["do"] == "heal":
            await self._lab.faults.heal(what)
            return self._lab.broken()
        shape = asked["shape"]
        await self._lab.probing.mark()
        await self._lab.faults.break_(
            what, freeze=bool(asked["freeze"]), shape=Shape(**shape) if isinstance(shape, dict) else None
        )
        return self._lab.broken()


async def keep(folder: Path, subscribers: int) -> None:
    """Run the lab until the process is told to end. Raises CancelledError then, CliError if it fails."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if task is not None:
            loop.add_signal_handler(number, task.cancel)
    with Namespaces(str(os.getpid())) as namespaces:
        timing = Timing(wait_to_restore=_WAIT_TO_RESTORE)
        async with Lab(namespaces, folder, subscribers=subscribers, timing=timing, say=_say) as lab:
            path = runtime.control_socket()
            server = await asyncio.start_unix_server(Keeper(lab).serve, path, limit=_LONGEST_REQUEST)
            path.chmod(0o600)
            await lab.probing.mark()
            _say(READY)
            async with server:
                await server.serve_forever()


def _say(line: str) -> None:
    """Tell whoever has started this; nobody listens any more once the lab is up."""
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()


def main(subscribers: str) -> None:
    """Run the process; a refusal is its last words."""
    logs.configure(quiet=True)
    folder = remains.make_folder()
    runtime.write(runtime.Standing(os.getpid(), str(folder), int(subscribers)))
    try:
        asyncio.run(keep(folder, int(subscribers)))
    except asyncio.CancelledError:
        shutil.rmtree(folder, ignore_errors=True)
    except CliError as error:
        (folder / remains.RUNNING).unlink()
        sys.stderr.write(f"{error}\n")
        sys.exit(error.exit_code)
    finally:
        runtime.clear()


if __name__ == "__main__":
    main(*sys.argv[1:])
