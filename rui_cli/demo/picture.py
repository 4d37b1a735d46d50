"""What the demo shows: a live picture at a terminal, plain lines anywhere else."""

import asyncio
import time
from collections.abc import Callable

from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rui_cli.demo.story import PRIMARY, Outcome, Step, Story
from rui_cli.demo.watch import View, Watcher
from rui_cli.site import MANAGER

_REFRESH = 0.25
_LINE_EVERY = 2.0
_FEWEST_EVENTS, _MOST_EVENTS = 1, 20
# Lines that are no step, device or event: frames, headings, and one below the picture.
_FURTHER_LINES = 9
_LEVEL_STYLE = {"warning": "yellow", "error": "red", "critical": "red"}


def role(view: View) -> str:
    """Return the device's role in a word."""
    return "cloud" if view.name == MANAGER else view.role or "?"


def lag(view: View, primary: View) -> str:
    """Return how far a copy is behind the primary, in changes; empty where that means nothing."""
    if view.name == primary.name or view.holding is None or primary.holding is None:
        return ""
    ours, theirs = view.holding.cursor, primary.holding.cursor
    if ours.epoch != theirs.epoch:
        return "other epoch"
    # The devices are asked one after the other, so a copy asked later can seem to be ahead.
    return str(max(0, theirs.seq - ours.seq))


class Picture:
    """The live picture; `render` can be called at any time."""

    def __init__(self, story: Story, watcher: Watcher, clock: Callable[[], float] = time.monotonic) -> None:
        self._story = story
        self._watcher = watcher
        self._clock = clock
        self._begun = clock()

    def render(self, height: int = 40) -> Group:
        """Return steps, devices and as many of the last events as fit into `height` lines."""
        taken = len(self._story.outcome.steps) + 1 + len(self._watcher.views) + _FURTHER_LINES
        events = min(max(_FEWEST_EVENTS, height - taken), _MOST_EVENTS)
        return Group(self._steps(), self._devices(), self._events(events))

    def status_line(self) -> str:
        """Return the devices in one line of text."""
        views = self._watcher.views
        parts = [
            f"{view.name} ({role(view)}) {'' if view.up else 'down, '}"
            f"{view.holding.count if view.holding else 0} users"
            + (f", lag {behind}" if (behind := lag(view, views[PRIMARY])) else "")
            for view in views.values()
        ]
        return f"{self._clock() - self._begun:5.1f} s  " + "   ".join(parts)

    def _steps(self) -> Panel:
        lines = [step_text(step) for step in self._story.outcome.steps]
        if len(lines) == 0 or self._story.outcome.steps[-1].name != self._story.current:
            lines.append(Text(f"… {self._story.current}", style="bold"))
        return Panel(
            Group(*lines), title=f"RUI Cloud demo, {self._clock() - self._begun:.0f} s", title_align="left"
        )

    def _devices(self) -> Table:
        table = Table(expand=True)
        for heading in ("device", "role", "state"):
            table.add_column(heading)
        for heading in ("users", "version", "changes behind"):
            table.add_column(heading, justify="right")
        for view in self._watcher.views.values():
            state = Text("up", style="green") if view.up else Text("down", style="bold red")
            count, version = (str(view.holding.count), str(view.cursor)) if view.holding else ("", "")
            table.add_row(
                view.name, role(view), state, count, version, lag(view, self._watcher.views[PRIMARY])
            )
        return table

    def _events(self, count: int) -> Panel:
        shown = list(self._watcher.events)[-count:]
        lines = [
            Text(
                f"{event.device:8} {event.text}",
                style=_LEVEL_STYLE.get(event.level, ""),
                no_wrap=True,
                overflow="ellipsis",
            )
            for event in shown
        ]
        lines += [Text("")] * (count - len(lines))
        return Panel(Group(*lines), title="events", title_align="left")


def step_text(step: Step) -> Text:
    """Return one finished step as a line."""
    mark, style = ("✔", "green") if step.ok else ("✘", "red")
    return Text.assemble((mark, style), f" {step.name} ", (f"{step.seconds:.1f} s", "dim"))


async def show(console: Console, story: Story, watcher: Watcher) -> None:
    """Show the story until cancelled: live at a terminal, else a line for each step and every two seconds."""
    picture = Picture(story, watcher)
    if console.is_terminal:
        with Live(
            picture.render(console.height), console=console, refresh_per_second=8, transient=True
        ) as live:
            while True:
                await asyncio.sleep(_REFRESH)
                live.update(picture.render(console.height))
    next_line = 0.0
    shown = 0
    try:
        while True:
            shown = _print_steps(console, story, shown)
            if time.monotonic() >= next_line and any(view.holding for view in watcher.views.values()):
                console.print(picture.status_line(), highlight=False)
                next_line = time.monotonic() + _LINE_EVERY
            await asyncio.sleep(_REFRESH)
    finally:
        _print_steps(console, story, shown)


def _print_steps(console: Console, story: Story, shown: int) -> int:
    """Print the steps from number `shown` on; return how many are shown now."""
    for step in story.outcome.steps[shown:]:
        console.print(step_text(step))
    return len(story.outcome.steps)


def conclude(console: Console, outcome: Outcome) -> None:
    """Print every step and the result."""
    for step in outcome.steps if console.is_terminal else ():
        console.print(step_text(step))
    table = Table("device", "digest of its table")
    for name, digest in outcome.digests.items():
        table.add_row(name, digest)
    if outcome.digests:
        console.print(table)
    verdict = "all three tables are equal" if outcome.converged else "the tables are NOT equal"
    style = "green" if outcome.good else "bold red"
    counts = f"{outcome.users} users, {outcome.lost} lost, {outcome.extra} extra: {verdict}"
    console.print(
        counts if not outcome.error else f"failed: {outcome.error}",
        style=style,
        highlight=False,
        markup=False,
    )
