"""What every command of one session works with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field

from lxml import etree

from netconf_cli import requests
from netconf_cli.archive import Archive
from netconf_cli.places import TOP, Builder, Place
from netconf_cli.render import Braces, Format, Json, SetLines, Xml
from netconf_cli.session import Session, done
from netconf_cli.views import BoundView
from netconf_cli.walk import Item, lead
from rui.netconf import names
from rui.schema import Kind, Node, Schema

# A completion that looks for list entries stops here, whatever there is
_INSTANCES = 60
_LOOK_SECONDS = 0.03


class CommandError(Exception):
    """A command that was understood and cannot be carried out; the text says why."""


@dataclass
class Context:
    """One session's state. `edit` is the place of configuration mode, None in operational mode."""

    device: str
    schema: Schema
    session: Session
    views: list[BoundView]
    archive: Archive | None = None
    edit: Place | None = None
    places: list[Place] = field(default_factory=list)
    """Where `exit` leads back to."""
    locked: bool = False
    confirming: bool = False
    leaving: bool = False
    notified: asyncio.Queue[tuple[str, bytes]] = field(default_factory=lambda: asyncio.Queue(1000))
    subscribed: str = ""

    def __post_init__(self) -> None:
        self.build = Builder(self.schema)

    @property
    def top(self) -> Mapping[str, Node]:
        """The top-level data nodes."""
        return self.schema.tree.data

    @property
    def prompt(self) -> str:
        """What stands before a command."""
        sign = ">" if self.edit is None else "#"
        return f"{self.session.user}@{self.device}{sign} "

    @property
    def banner(self) -> str:
        """The line above the prompt: the place in configuration mode."""
        return "" if self.edit is None else f"[{' '.join(filter(None, ('edit', str(self.edit))))}]"

    async def small(self, operation: etree._Element) -> bytes:
        """Carry out an operation whose reply is small."""
        return await done(self.session.call(operation))

    async def config(self, datastore: str, *wanted: etree._Element) -> etree._Element:
        """The configuration in a datastore, as a `data` element."""
        text = await self.small(requests.get_config(datastore, *wanted))
        return etree.fromstring(text) if text else etree.Element(names.DATA)

    async def both(self) -> tuple[etree._Element, etree._Element]:
        """The running configuration and the candidate, as far as the user may read them."""
        return await self.config(requests.RUNNING), await self.config(requests.CANDIDATE)

    def data(self, operation: etree._Element, form: str, place: Place = TOP) -> AsyncIterator[str]:
        """The lines of what an operation replies, from `place` on, in one of the forms."""
        return self.written(self.session.call(operation), form, self.top, place)

    async def written(
        self, pieces: AsyncIterator[bytes], form: str, top: Mapping[str, Node], place: Place = TOP
    ) -> AsyncIterator[str]:
        """The lines of a reply's body whose outermost nodes are in `top`."""
        whole: Json | Xml | None = Json() if form == "json" else Xml() if form == "xml" else None
        lines: Format = whole or (SetLines(_prefix(place)) if form == "set" else Braces())
        visitor = Below(lines, place) if whole is None and place.steps else lines
        async for line in lead(visitor, pieces, top):
            yield line
        if whole is not None:
            for line in whole.end():
                yield line

    async def instances(self, place: Place) -> list[str]:
        """The values that the next key of the list at the end of `place` has, as far as quickly found."""
        outer, inner = self.build.build(place)
        step = place.steps[-1]
        for name in step.node.keys[len(step.keys) :]:
            key = step.node.child(name)
            if key is not None:
                etree.SubElement(inner, key.tag)
        if step.node.config:
            operation = requests.get_config("candidate" if self.edit is not None else "running", outer)
        else:
            operation = requests.get(outer)
        found: dict[str, None] = {}
        ends = asyncio.get_running_loop().time() + _LOOK_SECONDS
        async for keys in lead(_Keys(step.node), self.session.call(operation), self.top):
            if keys[: len(step.keys)] == step.keys and len(keys) > len(step.keys):
                found[keys[len(step.keys)]] = None
            if len(found) >= _INSTANCES or asyncio.get_running_loop().time() > ends:
                break
        return list(found)


def _prefix(place: Place) -> str:
    return " ".join(("set", *filter(None, (str(_shown_from(place)),))))


def _shown_from(place: Place) -> Place:
    """The place whose content is shown: a leaf, or a list without keys, is shown as part of its parent."""
    last = place.steps[-1] if place.steps else None
    if last is None or (last.node.kind in (Kind.CONTAINER, Kind.LIST) and last.whole):
        return place
    return place.up


class Below:
    """Hands on only what is below a place: the way to it is known."""

    def __init__(self, inner: Format, place: Place) -> None:
        self._inner = inner
        self._hidden = len(_shown_from(place).steps)
        self._depth = 0

    def open(self, item: Item) -> Iterator[str]:
        """Hand on what is deep enough."""
        self._depth += 1
        if self._depth > self._hidden:
            yield from self._inner.open(item)

    def whole(self, item: Item, parents: tuple[Item, ...]) -> Iterator[str]:
        """Hand on, of what begins above the place, the parts below it."""
        yield from self._part(item, parents, self._depth + 1)

    def _part(self, item: Item, parents: tuple[Item, ...], depth: int) -> Iterator[str]:
        if depth > self._hidden:
            yield from self._inner.whole(item, parents)
            return
        for child in item.children():
            if not item.has_key(child):
                yield from self._part(child, (*parents, item), depth + 1)

    def close(self, item: Item) -> Iterator[str]:
        """Hand on what is deep enough."""
        if self._depth > self._hidden:
            yield from self._inner.close(item)
        self._depth -= 1


class _Keys:
    """Gives the keys of each entry of one list."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def open(self, item: Item) -> Iterator[tuple[str, ...]]:
        """An entry with lists inside."""
        if item.node is self._node:
            yield item.keys

    def whole(self, item: Item, _parents: tuple[Item, ...]) -> Iterator[tuple[str, ...]]:
        """An entry, or something that may hold entries."""
        if item.node is self._node:
            yield item.keys
        elif item.inner:
            for child in item.children():
                yield from self.whole(child, ())

    def close(self, _item: Item) -> Iterator[tuple[str, ...]]:
        """Nothing."""
        return iter(())
