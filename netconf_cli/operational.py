"""The commands of operational mode."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence

from lxml import etree

from netconf_cli import requests
from netconf_cli.calls import (
    Candidate,
    Command,
    Entry,
    Menu,
    OnPath,
    Option,
    Options,
    Plain,
    begin,
    find,
)
from netconf_cli.context import CommandError, Context
from netconf_cli.places import TOP, Walker
from netconf_cli.render import harmless
from netconf_cli.table import Title
from netconf_cli.views import BoundView, lines
from netconf_cli.words import LineError, Word
from rui.netconf import names
from rui.schema import Node

NEW_PAGE = "\f"
"""A line that stands for a fresh screen."""

_INTERVAL = 2.0
# What the session itself is made of has commands of its own
_OWN = frozenset({names.BASE, names.NOTIFICATION})


def operational(context: Context) -> Menu:
    """The commands of operational mode for one session."""
    entries: dict[str, Entry] = {
        "configure": Command("Go to configuration mode", Configure),
        "exit": Command("End the session", Exit),
        "help": Command("Say how the command line works", Help),
        "monitor": Command("Show something again and again, or events as they come", Monitor),
        "quit": Command("End the session", Exit),
        "request": Menu("Carry out an operation of the model", _requests(context)),
        "show": show_menu(context),
    }
    return Menu("", entries)


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


def _requests(context: Context) -> dict[str, Entry]:
    rpcs = [
        node
        for node in context.schema.tree.rpcs.values()
        if node.namespace not in _OWN or node.name == "kill-session"
    ]
    return {node.name: _request(node) for node in sorted(rpcs, key=lambda node: node.name)}


def _request(node: Node) -> Command:
    sentence = " ".join(node.description.split()).partition(". ")[0]
    return Command(sentence, lambda context: Request(context, node))


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
            title = f"{bound.table.title}:" if len(self._tables) > 1 else ""
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


class Request(OnPath):
    """`request RPC [LEAF VALUE]…`."""

    def __init__(self, context: Context, node: Node) -> None:
        level = next((child.children for child in node.children.values() if child.name == "input"), {})
        super().__init__(context, Walker(level, values=True))
        self._node = node

    async def run(self, form: str) -> AsyncIterator[str]:
        """Send the operation and show its output."""
        operation = self.context.build.element(self._node)
        for place in self.walker.assigned:
            operation.append(self.context.build.build(place)[0])
        output: Mapping[str, Node] = next(
            (child.children for child in self._node.children.values() if child.name == "output"), {}
        )
        silent = True
        async for line in self.context.written(self.context.session.call(operation), form, output):
            silent = False
            yield line
        if silent:
            yield "ok"


class Configure(Options):
    """`configure [exclusive]`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, {"exclusive": Option("Lock the configuration until it is left")})

    async def act(self) -> Sequence[str]:
        """Change the mode."""
        await enter(self.context, exclusive="exclusive" in self.chosen)
        said = ["Entering configuration mode"]
        if not self.context.locked:
            running, candidate = await both(self.context)
            if etree.tostring(running, method="c14n") != etree.tostring(candidate, method="c14n"):
                said.append(
                    "warning: the candidate holds changes that are not committed: compare, rollback 0"
                )
        return said


async def enter(context: Context, *, exclusive: bool) -> None:
    """Go to configuration mode, with both locks if asked. Raises RpcError."""
    if exclusive:
        await context.small(requests.on(requests.base("lock"), "target", requests.CANDIDATE))
        context.locked = True
    context.edit = TOP
    context.places.clear()


async def both(context: Context) -> tuple[etree._Element, etree._Element]:
    """The running configuration and the candidate, as far as the user may read them."""
    return await context.config(requests.RUNNING), await context.config(requests.CANDIDATE)


class Exit(Plain):
    """`exit`, `quit`."""

    async def act(self) -> Sequence[str]:
        """End the session."""
        self.context.leaving = True
        return ()


class Help(Plain):
    """`help`."""

    async def act(self) -> Sequence[str]:
        """Say the little that one has to know."""
        return _HELP.splitlines()


_HELP = """\
?             what may come next, with descriptions
Tab           complete a word
Up, Ctrl-R    earlier commands
Ctrl-C        give up a command; q at a page's end does, too
| match …     show the lines that fit; also: except, find, last, count, json, xml, set, no-more
configure     change the configuration; commit makes the change, rollback takes it back
monitor …     show something again every 2 s (interval N), or events as they come"""


class Monitor(Plain):
    """`monitor events`, `monitor WHAT [interval SECONDS]`: WHAT as behind `show`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._words: list[Word] = []
        self._menu = show_menu(context)

    @property
    def pages(self) -> bool:
        """It never ends."""
        return False

    def feed(self, word: Word) -> None:
        """Keep the word; it is read as `show` would."""
        self._words.append(word)
        if word.text != "events" and len(self._words) == 1:
            find(self._menu, self._words)

    def finish(self, end: int) -> None:
        """Check the whole."""
        if not self._words:
            raise LineError(end, f"a word is missing: events, {', '.join(self._menu.entries)}")
        if not self._events:
            self._interval()
            begin(self._menu, self._shown(), self.context, end)

    @property
    def _events(self) -> bool:
        return len(self._words) == 1 and self._words[0].text == "events"

    async def candidates(self) -> list[Candidate]:
        """What `show` would offer, and the interval."""
        if not self._words:
            entries = self._menu.entries.items()
            return [Candidate("events", "Events as they come"), *(Candidate(k, v.help) for k, v in entries)]
        if self._events:
            return await super().candidates()
        entry, rest = find(self._menu, self._words)
        if isinstance(entry, Menu):
            return [Candidate(name, inner.help) for name, inner in entry.entries.items()]
        call = entry.start(self.context)
        for word in rest:
            call.feed(word)
        return [*(await call.candidates()), Candidate("interval", "Seconds from one time to the next")]

    def _shown(self) -> list[Word]:
        return self._words[:-2] if self._has_interval() else self._words

    def _has_interval(self) -> bool:
        return len(self._words) > 2 and self._words[-2].text == "interval"

    def _interval(self) -> float:
        if not self._has_interval():
            return _INTERVAL
        text = self._words[-1].text
        if not text.isdigit() or not 1 <= int(text) <= 3600:
            raise LineError(self._words[-1].start, f"{text!r} is no number of seconds from 1 to 3600")
        return float(text)

    async def run(self, form: str) -> AsyncIterator[str]:
        """Go on until it is broken off."""
        if self._events:
            async for line in self._stream(form):
                yield line
            return
        while True:
            yield NEW_PAGE
            call = begin(self._menu, self._shown(), self.context, 0)
            async for line in call.run(form):
                yield line
            await asyncio.sleep(self._interval())

    async def _stream(self, form: str) -> AsyncIterator[str]:
        context = self.context
        if not context.subscribed:
            context.session.on_notification(lambda time, content: _keep(context.notified, time, content))
            await context.small(requests.subscribe("NETCONF"))
            context.subscribed = "NETCONF"
        while not context.notified.empty():
            context.notified.get_nowait()
        yield "Events as they come; Ctrl-C ends"
        while True:
            time, content = await context.notified.get()
            yield f"{harmless(time)}:"
            async for line in context.written(_one(content), form, context.schema.tree.notifications):
                yield line


def _keep(queue: asyncio.Queue[tuple[str, bytes]], time: str, content: bytes) -> None:
    """Queue an event; when nobody reads them the oldest go."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait((time, content))


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content
