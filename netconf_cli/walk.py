"""A reply read while it comes: large lists entry by entry, never the whole.

What has a list inside is opened, gone through and closed; everything else comes as one whole element and
is dropped once it was looked at.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from lxml import etree

from rui.netconf import names
from rui.schema import Kind, Node

_INNER = frozenset({Kind.CONTAINER, Kind.LIST, Kind.RPC, Kind.INPUT, Kind.OUTPUT})
_REPLY = "reply"
T = TypeVar("T")
Told_co = TypeVar("Told_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Item:
    """An element and its schema node, None where the schema does not know it."""

    element: etree._Element
    node: Node | None

    @property
    def name(self) -> str:
        """Its local name."""
        return names.split(str(self.element.tag))[1]

    @property
    def keys(self) -> tuple[str, ...]:
        """The values of a list entry's keys."""
        if self.node is None:
            return ()
        return tuple(self.text(key) for key in self.node.keys)

    def text(self, name: str) -> str:
        """The text of a leaf in the element's own namespace, empty when there is none."""
        namespace = names.split(str(self.element.tag))[0]
        return (self.element.findtext(f"{{{namespace}}}{name}") or "").strip()

    def children(self) -> Iterator[Item]:
        """The child elements."""
        for child in self.element.iterchildren(etree.Element):
            yield Item(child, self.node.children.get(str(child.tag)) if self.node is not None else None)

    def has_key(self, child: Item) -> bool:
        """Whether a child is one of this entry's keys, which are told with the entry."""
        node, leaf = self.node, child.node
        return (
            node is not None
            and leaf is not None
            and leaf.name in node.keys
            and leaf.namespace == node.namespace
        )

    @property
    def inner(self) -> bool:
        """Whether it has children rather than a value."""
        if self.node is not None:
            return self.node.kind in _INNER or len(self.element) > 0
        return len(self.element) > 0


class Visitor(Protocol[Told_co]):
    """Is led through a reply; each step may give something back."""

    def open(self, item: Item) -> Iterator[Told_co]:
        """What follows until the matching `close` is inside this node, whose keys are known."""

    def whole(self, item: Item, parents: tuple[Item, ...]) -> Iterator[Told_co]:
        """One node with all that is in it."""

    def close(self, item: Item) -> Iterator[Told_co]:
        """The end of the node that was opened last."""


class _Frame:
    __slots__ = ("item", "opened", "visited")

    def __init__(self, item: Item, *, visited: bool) -> None:
        self.item = item
        self.visited = visited
        self.opened = False


async def lead(
    visitor: Visitor[T], pieces: AsyncIterator[bytes], top: Mapping[str, Node], only: Iterable[str] = ()
) -> AsyncIterator[T]:
    """Lead a visitor through a reply's body, whose outermost nodes are in `top`; yield what it gives back.

    Who is led to nothing but elements with the tags `only` saves a look at all that is in them.
    """
    walk = _Walk(visitor, top, (*only, _REPLY, names.DATA) if only else None)
    for given in walk.feed(b"<reply>"):
        yield given
    async for piece in pieces:
        for given in walk.feed(piece):
            yield given
    for given in walk.feed(b"</reply>"):
        yield given


class _Walk(Generic[T]):
    """The open elements; those that are `visited` are gone through child by child."""

    def __init__(self, visitor: Visitor[T], top: Mapping[str, Node], only: Sequence[str] | None) -> None:
        self._frames: list[_Frame] = []
        self._visitor = visitor
        self._top = top
        self._parser = etree.XMLPullParser(
            events=("start", "end"), tag=only, resolve_entities=False, no_network=True, huge_tree=True
        )
        self._listed: dict[str, bool] = {}
        self._inside = 0

    def feed(self, piece: bytes) -> Iterator[T]:
        """Take bytes."""
        self._parser.feed(piece)
        for event, element in self._parser.read_events():
            # Most are inside an element that is looked at whole
            if event == "start" and self._inside:
                self._inside += 1
            elif self._inside > 1:
                self._inside -= 1
            elif isinstance(element, etree._Element):
                if event == "start":
                    self._start(element)
                else:
                    yield from self._end(element)

    def _start(self, element: etree._Element) -> None:
        transparent = not self._frames or (len(self._frames) == 1 and element.tag == names.DATA)
        node = None if transparent else self._level().get(str(element.tag))
        visited = transparent or (node is not None and self._has_list(node))
        frame = _Frame(Item(element, node), visited=visited)
        frame.opened = transparent
        self._frames.append(frame)
        if not visited:
            self._inside = 1

    def _level(self) -> Mapping[str, Node]:
        node = self._frames[-1].item.node
        return node.children if node is not None else self._top

    def _has_list(self, node: Node) -> bool:
        """Whether a container or list has a list at some depth."""
        known = self._listed.get(node.path)
        if known is None:
            known = node.kind in _INNER and any(
                child.kind is Kind.LIST or self._has_list(child) for child in node.children.values()
            )
            self._listed[node.path] = known
        return known

    def _end(self, element: etree._Element) -> Iterator[T]:
        self._inside = 0
        frame = self._frames.pop()
        if frame.visited:
            if frame.item.node is not None:
                yield from self._open_all(frame)
                yield from self._visitor.close(frame.item)
        elif self._frames and self._frames[-1].item.has_key(frame.item):
            return
        else:
            yield from self._open_all()
            parents = tuple(held.item for held in self._frames if held.item.node is not None)
            yield from self._visitor.whole(frame.item, parents)
        parent = element.getparent()
        if parent is not None:
            parent.remove(element)

    def _open_all(self, *more: _Frame) -> Iterator[T]:
        for frame in (*self._frames, *more):
            if not frame.opened:
                frame.opened = True
                yield from self._visitor.open(frame.item)
