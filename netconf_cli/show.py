"""`show`: the configuration, any state along the model, and tables."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from netconf_cli import requests
from netconf_cli.calls import Command, Entry, Menu, OnPath, Option, Options, Plain
from netconf_cli.context import CommandError, Context
from netconf_cli.places import Walker
from netconf_cli.table import Title
from netconf_cli.views import BoundView, lines


def show_menu(context: Context) -> Menu:
    """What `show` offers: the configuration, all state by the schema, and the tables."""
    entries: dict[str, Entry] = {
        "commits": Command("Configurations that were running before, for rollback", ShowCommits),
        "configuration": Command("The running configuration", ShowConfiguration),
        "state": Command("Any operational data, along the model", ShowState),
    }
    for bound in context.views:
        level = entries
        for word in bound.view.words[:-1]:
            menu = level.setdefault(word, Menu(bound.view.help, {}))
            if isinstance(menu, Menu) and isinstance(menu.entries, dict):
                level = menu.entries
        level[bound.view.words[-1]] = _table(bound)
    return Menu("Show data", dict(sorted(entries.items())))


def _table(bound: BoundView) -> Command:
    return Command(bound.view.help, lambda context: ShowTable(context, bound))


class ShowConfiguration(OnPath):
    """`show configuration [PATH]`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, Walker(context.top, config=True))

    async def run(self, form: str) -> AsyncIterator[str]:
        """Show what of it the user may read."""
        place = self.walker.place
        wanted = [self.context.build.build(place)[0]] if place.steps else []
        async for line in self.context.data(requests.get_config(requests.RUNNING, *wanted), form, place):
            yield line


class ShowState(OnPath):
    """`show state PATH`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, Walker(context.top))

    async def run(self, form: str) -> AsyncIterator[str]:
        """Show configuration and state below the path."""
        place = self.walker.place
        wanted = [self.context.build.build(place)[0]] if place.steps else []
        async for line in self.context.data(requests.get(*wanted), form, place):
            yield line


class ShowTable(Options):
    """`show users` and the like."""

    def __init__(self, context: Context, bound: BoundView) -> None:
        super().__init__(context, {name: Option(text, name) for name, (_, text) in bound.choices.items()})
        self._choices = bound.choices
        self._tables = bound.tables

    async def run(self, form: str) -> AsyncIterator[str]:
        """Show the tables, or their data in a form."""
        chosen = [(self._choices[name][0], value) for name, value in self.chosen.items()]
        if form:
            wanted = [bound.wanted(chosen) for bound in self._tables]
            async for line in self.context.data(requests.get(*wanted), form):
                yield line
            return
        for bound in self._tables:
            name = bound.table.title
            title = f"{name}:" if name and len(self._tables) > 1 else ""
            async for line in lines(self.context.session, bound, chosen, self.context.top):
                if title:
                    yield Title(title)
                    title = ""
                yield line


class ShowCommits(Plain):
    """`show commits`."""

    async def act(self) -> Sequence[str]:
        """List what `rollback` can bring back."""
        if self.context.archive is None:
            raise CommandError("no archive is kept here; log in at the device itself")
        kept = enumerate(self.context.archive.entries(), start=1)
        return [f"{number:2}  replaced {entry.time} by {entry.user}" for number, entry in kept]
