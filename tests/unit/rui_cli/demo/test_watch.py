"""Looking at devices from outside: their logs, and waiting for what becomes true."""

from pathlib import Path

import pytest

from rui.backup.version import Version
from rui_cli.demo.watch import LogTail, Watcher
from rui_cli.tables import Holding


def test_only_whole_new_lines_of_the_log_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    tail = LogTail("a", path)
    assert list(tail.read()) == []
    path.write_text('{"event": "session-opened", "level": "info", "device": "b"}\nnot json\n{"event": "ha')
    assert [event.text for event in tail.read()] == ["session-opened device=b"]
    with path.open("a") as log:
        log.write('lf", "level": "warning"}\n[1]\n')
    assert [(event.text, event.level) for event in tail.read()] == [("half", "warning")]
    assert list(tail.read()) == []


async def test_waiting_ends_with_what_was_waited_for(tmp_path: Path) -> None:
    watcher = Watcher("g", {}, {"a": tmp_path / "a.log"})
    async with watcher:
        with pytest.raises(TimeoutError, match="three users: not within"):
            await watcher.until(lambda: False, 0.05, "three users")


async def test_waiting_returns_when_an_update_makes_it_true(tmp_path: Path) -> None:
    from rui_cli.demo.watch import View

    watcher = Watcher("g", {}, {})
    view = watcher.views["a"] = View("a")
    async with watcher:
        view.holding = Holding(Version.parse("1@a/5"), 3, 0, "")
        await watcher._update(view, up=True)
        await watcher.until(lambda: view.up and view.cursor >= Version.parse("1@a/5"), 1.0, "the update")
