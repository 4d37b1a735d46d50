"""Commands as a tree of words, and the arguments behind them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias

from netconf_cli.context import CommandError, Context
from netconf_cli.places import Expected, Walker
from netconf_cli.words import LineError, Word
from rui.netconf.errors import RpcError
from rui.schema import Kind, Node, TypeSpec

_LONGEST_HELP = 100


@dataclass(frozen=True)
class Candidate:
    """Something that may come next. With `hint` it says what to write, and cannot be inserted itself."""

    text: str
    help: str = ""
    hint: bool = False


ENTER = Candidate("<Enter>", "Carry out the command", hint=True)


class Call(Protocol):
    """One command being given: takes the words behind its name, then runs."""

    @property
    def pages(self) -> bool:
        """Whether its output is shown page by page."""

    def feed(self, word: Word) -> None:
        """Take the next word. Raises LineError."""

    def finish(self, end: int) -> None:
        """Check that nothing is missing; `end` is the end of the line. Raises LineError."""

    async def candidates(self) -> list[Candidate]:
        """What may come next."""

    def run(self, form: str) -> AsyncIterator[str]:
        """Carry it out; yield the lines to show, as data in `form` where it is not empty."""


@dataclass(frozen=True)
class Command:
    """A word that begins a call."""

    help: str
    start: Callable[[Context], Call]


@dataclass(frozen=True)
class Menu:
    """A word that others follow."""

    help: str
    entries: Mapping[str, Menu | Command] = field(default_factory=dict)


Entry: TypeAlias = "Menu | Command"


def find(menu: Menu, words: Sequence[Word]) -> tuple[Entry, Sequence[Word]]:
    """Follow words through the menus; return where they lead and the words that are left."""
    entry: Entry = menu
    for index, word in enumerate(words):
        if isinstance(entry, Command):
            return entry, words[index:]
        entry = entry.entries[choose(entry.entries, word)]
    return entry, ()


def choose(names: Mapping[str, object], word: Word) -> str:
    """The name that a word is, or is the beginning of. Raises LineError."""
    if word.text in names:
        return word.text
    found = [] if word.quoted else [name for name in names if name.startswith(word.text)]
    if len(found) == 1:
        return found[0]
    if found:
        raise LineError(word.start, f"{word.text!r} is ambiguous: {', '.join(found)}")
    raise LineError(word.start, f"there is no {word.text!r} here, only {', '.join(names)}")


def begin(menu: Menu, words: Sequence[Word], context: Context, end: int) -> Call:
    """Return the call that a whole line asks for, fed and checked. Raises LineError."""
    entry, rest = find(menu, words)
    if isinstance(entry, Menu):
        raise LineError(end, f"a word is missing: {', '.join(entry.entries)}")
    call = entry.start(context)
    for word in rest:
        call.feed(word)
    call.finish(end)
    return call


async def offers(menu: Menu, words: Sequence[Word], context: Context) -> list[Candidate]:
    """Return what may follow these words. Raises LineError."""
    entry, rest = find(menu, words)
    if isinstance(entry, Menu):
        return [Candidate(name, inner.help) for name, inner in entry.entries.items()]
    call = entry.start(context)
    for word in rest:
        call.feed(word)
    return await call.candidates()


class Plain:
    """A call without arguments; the base of the others. Those that show no data only `act`."""

    def __init__(self, context: Context) -> None:
        self.context = context

    @property
    def pages(self) -> bool:
        """Whether its output is shown page by page."""
        return True

    def feed(self, word: Word) -> None:
        """Take the next word."""
        raise LineError(word.start, f"nothing may follow here, not {word.text!r}")

    def finish(self, end: int) -> None:
        """Check the whole."""

    async def candidates(self) -> list[Candidate]:
        """What may come next."""
        return [ENTER]

    async def run(self, form: str) -> AsyncIterator[str]:
        """Act, and yield the lines that say what was done. Raises CommandError when asked for a form."""
        if form:
            raise CommandError(f"this output is no data, it cannot be shown as {form}")
        for line in await self.act():
            yield line

    async def act(self) -> Sequence[str]:
        """Do it; return what is to be said."""
        return ()


class OnPath(Plain):
    """A call whose words lead along the schema."""

    def __init__(self, context: Context, walker: Walker) -> None:
        super().__init__(context)
        self.walker = walker

    def feed(self, word: Word) -> None:
        """Follow the word."""
        self.walker.feed(word)

    def finish(self, end: int) -> None:
        """Check that no value is missing."""
        self.walker.finish(end)

    async def candidates(self) -> list[Candidate]:
        """The nodes, keys or values that may come next."""
        expected = self.walker.expected()
        found = await self._of(expected)
        try:
            self.walker.finish(0)
        except LineError:
            return found
        return [*found, ENTER]

    async def _of(self, expected: Expected) -> list[Candidate]:
        if expected.leaf is None:
            return [Candidate(node.name, describe(node)) for node in expected.nodes]
        found = [Candidate(f"<{expected.leaf.name}>", describe(expected.leaf), hint=True)]
        if expected.key:
            with contextlib.suppress(RpcError, ConnectionError):
                found += [Candidate(value) for value in await self.context.instances(self.walker.place)]
            return found
        return found + [Candidate(value) for value in values_of(expected.leaf.type)]


@dataclass(frozen=True)
class Option:
    """A word of an `Options` call; `takes` names the value that follows, empty for none."""

    help: str
    takes: str = ""


class Options(Plain):
    """A call with options in any order, each once."""

    options: Mapping[str, Option]

    def __init__(self, context: Context, options: Mapping[str, Option]) -> None:
        super().__init__(context)
        self.options = options
        self.chosen: dict[str, str] = {}
        self._waiting = ""

    def feed(self, word: Word) -> None:
        """Take an option or its value."""
        if self._waiting:
            self.chosen[self._waiting] = word.text
            self._waiting = ""
            return
        name = choose(self._left() or {"<Enter>": ENTER}, word)
        self.chosen[name] = ""
        self._waiting = name if self.options[name].takes else ""

    def finish(self, end: int) -> None:
        """Check that no value is missing."""
        if self._waiting:
            raise LineError(end, f"{self._waiting!r} needs a {self.options[self._waiting].takes}")

    async def candidates(self) -> list[Candidate]:
        """The options that are left, or what the last one takes."""
        if self._waiting:
            option = self.options[self._waiting]
            return [Candidate(f"<{option.takes}>", option.help, hint=True)]
        return [*(Candidate(name, option.help) for name, option in self._left().items()), ENTER]

    def _left(self) -> dict[str, Option]:
        return {name: option for name, option in self.options.items() if name not in self.chosen}


def describe(node: Node) -> str:
    """One line on a node: the first sentence of its description, its type and units."""
    sentence = " ".join(node.description.split()).partition(". ")[0].rstrip(".")
    kind = type_text(node.type, node.units) if node.kind in (Kind.LEAF, Kind.LEAF_LIST) else ""
    text = " ".join(filter(None, (sentence, f"({kind})" if kind else "", "*" if node.mandatory else "")))
    return text if len(text) <= _LONGEST_HELP else text[: _LONGEST_HELP - 1] + "…"


def type_text(kind: TypeSpec | None, units: str = "") -> str:
    """What a value looks like."""
    if kind is None or kind.base == "empty":
        return ""
    bounds = [f"{low}..{high}" if low != high else low for low, high in (*kind.ranges, *kind.lengths)]
    return " ".join(filter(None, (kind.name.rpartition(":")[2], "|".join(bounds), units)))


def values_of(kind: TypeSpec | None) -> list[str]:
    """The values of a type that has few."""
    if kind is None:
        return []
    if kind.base == "boolean":
        return ["false", "true"]
    inner = [value for member in kind.members for value in values_of(member)]
    return [*kind.enums, *(name.rpartition(":")[2] for name in kind.identities), *kind.bits, *inner]
