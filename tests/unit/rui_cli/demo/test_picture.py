"""What the demo shows."""

import io
from pathlib import Path

from rich.console import Console

from rui.backup.version import Version
from rui_cli.demo.picture import Picture, conclude, lag, role
from rui_cli.demo.story import PRIMARY, SECONDARY, Options, Outcome, Step, Story, demo_group
from rui_cli.demo.watch import Event, View, Watcher
from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, Site
from rui_cli.tables import Holding


def view(name: str, cursor: str, *, up: bool = True, role: str = "") -> View:
    return View(name, up, role, Holding(Version.parse(cursor), 42, 0, "0f"))


def test_lag_is_counted_in_changes_and_never_negative() -> None:
    primary = view(PRIMARY, "1@bras-a/10")
    assert lag(view(SECONDARY, "1@bras-a/7"), primary) == "3"
    assert lag(view(SECONDARY, "1@bras-a/12"), primary) == "0"
    assert lag(view(SECONDARY, "2@bras-b/1"), primary) == "other epoch"
    assert lag(primary, primary) == ""
    assert lag(View(SECONDARY), primary) == ""


def test_roles_are_those_that_the_devices_say() -> None:
    assert role(View(MANAGER)) == "cloud"
    assert role(View(SECONDARY)) == "?"
    assert role(View(SECONDARY, role="secondary")) == "secondary"


def test_the_picture_names_devices_roles_counts_lag_steps_and_events(tmp_path: Path) -> None:
    options = Options(100, 20.0, 1)
    watcher = Watcher("access-1", {}, {})
    watcher.views = {
        MANAGER: view(MANAGER, "1@bras-a/6", up=False),
        PRIMARY: view(PRIMARY, "1@bras-a/10", role="primary"),
    }
    watcher.events.append(Event(PRIMARY, "warning", "session-lost device=cloud"))
    story = Story(options, Site(tmp_path, [demo_group(options)]), Fleet(tmp_path), watcher)
    story.outcome.steps.append(Step("start", ok=True, seconds=1.5))
    story.current = "users come and go"
    console = Console(file=io.StringIO(), width=120, record=True)
    console.print(Picture(story, watcher).render())
    shown = console.export_text()
    for wanted in (
        "start",
        "users come and go",
        "down",
        "primary",
        "42",
        "1@bras-a/10",
        "session-lost device=cloud",
    ):
        assert wanted in shown
    assert "lag 4" in Picture(story, watcher).status_line()


def test_the_picture_fits_into_the_terminal(tmp_path: Path) -> None:
    options = Options(100, 20.0, 1)
    watcher = Watcher("access-1", {}, {})
    watcher.views = {name: view(name, "1@bras-a/6") for name in (MANAGER, PRIMARY, SECONDARY)}
    watcher.events.extend(Event(PRIMARY, "info", f"event-{number}") for number in range(40))
    story = Story(options, Site(tmp_path, [demo_group(options)]), Fleet(tmp_path), watcher)
    story.current = "compare the three tables"
    for steps in range(10):
        for height in (24, 40):
            console = Console(file=io.StringIO(), width=80, height=height, record=True)
            console.print(Picture(story, watcher).render(console.height))
            shown = console.export_text().splitlines()
            assert len(shown) < height
            assert "event-39" in shown[-2]
        story.outcome.steps.append(Step(f"step {steps}", ok=True, seconds=1.0))


def test_the_conclusion_says_good_and_bad() -> None:
    good, bad = (Console(file=io.StringIO(), width=120) for _ in range(2))
    conclude(good, Outcome(users=9, converged=True, digests={PRIMARY: "0f"}))
    conclude(bad, Outcome(error="cloud ended"))
    assert isinstance(good.file, io.StringIO)
    assert isinstance(bad.file, io.StringIO)
    assert "9 users, 0 lost, 0 extra: all three tables are equal" in good.file.getvalue()
    assert "failed: cloud ended" in bad.file.getvalue()
