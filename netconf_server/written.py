"""Elements as byte pieces, large ones child by child; and the pace at which a long reply is made."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from functools import partial
from itertools import islice

from lxml import etree

from netconf_server.beside import Beside
from netconf_server.xmltree import attributes, scope, to_bytes

# An element with so many inside is written child by child: as a whole it takes some 10 ms, and a tenth of the
# time that its parts take.
_LARGE = 100_000
_IS_LARGE = etree.XPath(f"boolean(descendant::*[{_LARGE}])")
# Children that hold at most so many, and these too, go on together.
_WIDE = 32
_HOLDS_WIDE = etree.XPath(f"boolean(*[*[{_WIDE + 1}] or *[*[{_WIDE + 1}]]])")
_TOGETHER = 32
_DECLARATION = re.compile(rb' (xmlns(?::[^\s="]+)?="[^"]*")')
_FRONT = re.compile(rb'(<[^\s/>]+)(?: xmlns(?::[^\s="]+)?="[^"]*")+')
_NOTHING = (b"", b"")
# Bytes and seconds after which other sessions have their turn.
_SLICE_BYTES = 64 * 1024
_SLICE_SECONDS = 0.005
_ENTRIES_PER_LOOK = 32


def written(element: etree._Element) -> Iterator[bytes]:
    """The element in one piece, or in some if it is large: then child by child."""
    if not _IS_LARGE(element):
        yield to_bytes(element)
        return
    start, end = tags_of(element)
    yield start
    declared = frozenset(_DECLARATION.findall(start))
    # Asked once of all, in C: most lists hold entries of leafs only.
    if _HOLDS_WIDE(element):
        for child in element.iterchildren(etree.Element):
            yield from written(child) if _IS_LARGE(child) else _without([to_bytes(child)], declared)
    else:
        children = element.iterchildren(etree.Element)
        while pieces := [to_bytes(child) for child in islice(children, _TOGETHER)]:
            yield from _without(pieces, declared)
    yield end


def _without(pieces: list[bytes], declared: frozenset[bytes]) -> Iterator[bytes]:
    """Elements without what each says again of what the start tag around all of them has said."""
    front, name = _repeated(pieces[0], declared)
    joined = b"".join(pieces)
    alike = front and all(piece.startswith(front) for piece in pieces)
    # Further inside, the same words would say something else again.
    if alike and joined.count(front) == len(pieces):
        yield joined.replace(front, name)
        return
    for piece in pieces:
        front, name = _repeated(piece, declared)
        yield name + piece[len(front) :]


def _repeated(piece: bytes, declared: frozenset[bytes]) -> tuple[bytes, bytes]:
    """The front of an element that declares only what is declared around it, and the same without that;
    nothing where it declares anything else.
    """
    match = _FRONT.match(piece)
    if match is None or not declared.issuperset(_DECLARATION.findall(match[0])):
        return _NOTHING
    return match[0], match[1]


def tags_of(element: etree._Element) -> tuple[bytes, bytes]:
    """The start and end tag of an element, with attributes and every prefix in scope."""
    empty = etree.tostring(etree.Element(element.tag, attrib=attributes(element), nsmap=scope(element)))
    name = empty[1:-2].split(b" ", 1)[0]
    return empty[:-2] + b">", b"</" + name + b">"


def wrapped(start: bytes, inner: Iterable[bytes], end: bytes, *, always: bool) -> Iterator[bytes]:
    """`inner` between two tags; nothing at all when it is empty, unless `always`."""
    opened = False
    for piece in inner:
        if not opened:
            opened = True
            yield start
        yield piece
    if opened:
        yield end
    elif always:
        yield start + end


async def paced_beside(pieces: Iterator[bytes], beside: Beside) -> AsyncIterator[bytes]:
    """As `paced`, with what makes the pieces beside the event loop: it looks at nothing that is changed."""
    more = True
    while more:
        joined, more = await beside.do(partial(_next_slice, pieces))
        for start in range(0, len(joined), _SLICE_BYTES):
            yield joined[start : start + _SLICE_BYTES]


def _next_slice(pieces: Iterator[bytes]) -> tuple[bytes, bool]:
    """Some ten kilobytes, and whether there may be more."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= _SLICE_BYTES:
            return b"".join(held), True
    return b"".join(held), False


async def paced(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Join pieces to slices of some ten kilobytes, and let the loop run between slices, at latest after 5
    ms.
    """
    held: list[bytes] = []
    size = 0
    started = time.monotonic()
    for count, piece in enumerate(pieces):
        held.append(piece)
        size += len(piece)
        late = count % _ENTRIES_PER_LOOK == 0 and time.monotonic() - started > _SLICE_SECONDS
        if size >= _SLICE_BYTES or late:
            slices = b"".join(held)
            held, size = [], 0
            for start in range(0, len(slices), _SLICE_BYTES):
                yield slices[start : start + _SLICE_BYTES]
                await asyncio.sleep(0)
            started = time.monotonic()
    yield b"".join(held)
