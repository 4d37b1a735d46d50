"""The event loop of a server's process: uvloop, or asyncio's own where that is not installed."""

import asyncio
import sys

import pytest

from netconf_server.loop import run


async def _loop() -> str:
    await asyncio.sleep(0)
    return type(asyncio.get_running_loop()).__module__.partition(".")[0]


def test_a_program_runs_on_uvloop() -> None:
    pytest.importorskip("uvloop", reason="uvloop is not made for this system")
    assert run(_loop()) == "uvloop"


def test_where_there_is_no_uvloop_it_runs_on_asyncios_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "uvloop", None)
    assert run(_loop()) == "asyncio"
