"""The commands of configuration mode: they edit the candidate, and commit it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from netconf_cli import requests
from netconf_cli.calls import (
    Candidate,
    Command,
    Entry,
    Menu,
    OnPath,
    Options,
    Plain,
    begin,
    offers,
)
from netconf_cli.committing import Commit, Rollback, leave
from netconf_cli.compare import diff_lines
from netconf_cli.context import CommandError, Context
from netconf_cli.operational import Help, operational
from netconf_cli.places import TOP, Place, Walker
from netconf_cli.words import LineError, Word
from rui.config import differences
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Kind


def configuration() -> Menu:
    """The commands of configuration mode."""
    entries: dict[str, Entry] = {
        "commit": Command("Make the candidate the running configuration", Commit),
        "compare": Command("Show what the candidate changes", Compare),
        "delete": Command("Take something out of the candidate", Delete),
        "edit": Command("Go to a part of the configuration", Edit),
        "exit": Command("Go back, or leave configuration mode", Exit),
        "help": Command("Say how the command line works", Help),
        "quit": Command("Leave configuration mode", Quit),
        "rollback": Command("Give up changes, or bring an earlier configuration back", Rollback),
        "run": Command("Carry out a command of operational mode", Run),
        "set": Command("Set something in the candidate", Set),
        "show": Command("Show the candidate", Show),
        "top": Command("Go to the top", Top),
        "up": Command("Go up", Up),
    }
    return Menu("", entries)


def _here(context: Context) -> Place:
    return context.edit if context.edit is not None else TOP


class Set(OnPath):
    """`set PATH [LEAF VALUE]…`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, Walker(context.top, _here(context), values=True, config=True))

    def finish(self, end: int) -> None:
        """Check that there is something to set."""
        super().finish(end)
        if self.walker.place == _here(self.context):
            raise LineError(end, "what is to be set is missing")

    async def act(self) -> Sequence[str]:
        """Merge it into the candidate."""
        for place in self.walker.assigned or [self.walker.place]:
            await self.context.small(requests.edit_config(self.context.build.build(place)[0]))
        return ()


class Delete(OnPath):
    """`delete PATH`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, Walker(context.top, _here(context), config=True))

    def finish(self, end: int) -> None:
        """Check that one thing is named."""
        place = self.walker.place
        if place == _here(self.context):
            raise LineError(end, "what is to be deleted is missing")
        if not place.steps[-1].whole:
            raise LineError(end, f"a key of {place.steps[-1].node.name!r} is missing: entries go one by one")

    async def act(self) -> Sequence[str]:
        """Take it out of the candidate."""
        place = self.walker.place
        if place.steps[-1].node.kind is Kind.LEAF_LIST and place.value is None:
            raise CommandError(f"say which value of {place.steps[-1].node.name!r} is to go")
        outer, inner = self.context.build.build(place)
        inner.set(names.base("operation"), "delete")
        try:
            await self.context.small(requests.edit_config(outer))
        except RpcError as error:
            if error.tag != "data-missing":
                raise
            raise CommandError(f"there is no {place} in the candidate") from error
        return ()


class Edit(OnPath):
    """`edit PATH`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, Walker(context.top, _here(context), config=True))

    def finish(self, end: int) -> None:
        """Check that it is a place one can be at."""
        last = self.walker.place.steps[-1] if self.walker.place.steps else None
        if last is None or self.walker.place == _here(self.context):
            raise LineError(end, "where to go is missing")
        if last.node.kind not in (Kind.CONTAINER, Kind.LIST):
            raise LineError(end, f"{last.node.name!r} is a value, nothing is inside; use set")
        if not last.whole:
            raise LineError(end, f"a key of {last.node.name!r} is missing")

    async def act(self) -> Sequence[str]:
        """Change the place."""
        self.context.places.append(_here(self.context))
        self.context.edit = self.walker.place
        return ()


class Up(Options):
    """`up [LEVELS]`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, {})
        self._levels = 1

    def feed(self, word: Word) -> None:
        """Take the number of levels."""
        if not word.text.isdigit() or int(word.text) > 100:
            raise LineError(word.start, f"{word.text!r} is no number of levels")
        self._levels = int(word.text)

    async def act(self) -> Sequence[str]:
        """Change the place."""
        place = _here(self.context)
        self.context.edit = Place(place.steps[: max(0, len(place.steps) - self._levels)])
        return ()


class Top(Plain):
    """`top`."""

    async def act(self) -> Sequence[str]:
        """Change the place."""
        self.context.edit = TOP
        return ()


class Exit(Plain):
    """`exit`."""

    async def act(self) -> Sequence[str]:
        """Go back to where `edit` was said, or leave the mode."""
        if self.context.places:
            self.context.edit = self.context.places.pop()
            return ()
        return await leave(self.context)


class Quit(Plain):
    """`quit`."""

    async def act(self) -> Sequence[str]:
        """Leave the mode."""
        return await leave(self.context)


class Show(OnPath):
    """`show [PATH]`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, Walker(context.top, _here(context), config=True))

    async def run(self, form: str) -> AsyncIterator[str]:
        """Show what of the candidate the user may read."""
        place = self.walker.place
        wanted = [self.context.build.build(place)[0]] if place.steps else []
        async for line in self.context.data(requests.get_config(requests.CANDIDATE, *wanted), form, place):
            yield line


class Compare(Plain):
    """`compare`."""

    async def act(self) -> Sequence[str]:
        """Show the candidate against running."""
        running, candidate = await self.context.both()
        return list(diff_lines(differences(running, candidate, self.context.top)))


class Run(Plain):
    """`run COMMAND`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._menu = operational(context)
        self._words: list[Word] = []

    @property
    def pages(self) -> bool:
        """As the command itself."""
        return not (self._words and "monitor".startswith(self._words[0].text))

    def feed(self, word: Word) -> None:
        """Keep the word."""
        self._words.append(word)

    def finish(self, end: int) -> None:
        """Check the command."""
        if self._words and self._words[0].text in {"configure", "exit", "quit"}:
            raise LineError(self._words[0].start, f"{self._words[0].text!r} cannot be run from here")
        begin(self._menu, self._words, self.context, end)

    async def candidates(self) -> list[Candidate]:
        """What operational mode would offer."""
        return await offers(self._menu, self._words, self.context)

    def run(self, form: str) -> AsyncIterator[str]:
        """Carry it out."""
        return begin(self._menu, self._words, self.context, 0).run(form)
