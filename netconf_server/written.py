"""Elements as byte pieces, wide ones child by child; and the pace at which a long reply is made."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Iterable, Iterator

from lxml import etree

from netconf_server.xmltree import attributes, scope, to_bytes

# Elements with more children than this are written child by child.
_WIDE = 32
_WIDE_INSIDE = etree.XPath(f"boolean(*/*[*[{_WIDE + 1}]])")
# Narrow children go on together until they have so many bytes.
_TOGETHER = 8 * 1024
_DECLARATION = re.compile(rb' (xmlns(?::[^\s="]+)?="[^"]*")')
_FRONT = re.compile(rb'(<[^\s/>]+)(?: xmlns(?::[^\s="]+)?="[^"]*")+')
_NOTHING = (b"", b"")
# Bytes and seconds after which other sessions have their turn.
_SLICE_BYTES = 64 * 1024
_SLICE_SECONDS = 0.005
_ENTRIES_PER_LOOK = 32


def written(element: etree._Element) -> Iterator[bytes]:
    """The element in pieces of some parts each, which are never much larger than these."""
    if _is_narrow(element):
        yield to_bytes(element)
        return
    start, end = tags_of(element)
    declared = frozenset(_DECLARATION.findall(start))
    # Asked once of all, in C: most lists hold entries of leafs only.
    wide_inside = bool(_WIDE_INSIDE(element))
    held, size = [start], 0
    front, name = _NOTHING
    for child in element.iterchildren(etree.Element):
        if len(child) > _WIDE or (wide_inside and not _is_narrow(child)):
            yield b"".join(held)
            held, size = [], 0
            yield from written(child)
            continue
        piece = to_bytes(child)
        if not front or not piece.startswith(front):
            front, name = _repeated(piece, declared)
        # Alone, each says again what the start tag around all of them has said.
        held += (name, piece[len(front) :])
        size += len(piece)
        if size >= _TOGETHER:
            yield b"".join(held)
            held, size = [], 0
    held.append(end)
    yield b"".join(held)


def _is_narrow(element: etree._Element) -> bool:
    return len(element) <= _WIDE and all(len(child) <= _WIDE for child in element)


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
            yield b"".join(held)
            held, size = [], 0
            await asyncio.sleep(0)
            started = time.monotonic()
    yield b"".join(held)
