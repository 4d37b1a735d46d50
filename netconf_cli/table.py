"""Rows in columns, written while they come: the widths are those of the first rows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

_LOOKED_AT = 100
_WIDEST = 48


class Title(str):
    """A line that names what follows: it is not counted."""

    __slots__ = ()


async def tabulate(titles: Sequence[str], rows: AsyncIterator[Sequence[str]]) -> AsyncIterator[str]:
    """Yield the lines of a table; a later cell that is wider than its column pushes the rest aside."""
    held: list[Sequence[str]] = []
    widths: list[int] = []
    async for row in rows:
        if widths:
            yield _line(row, widths)
            continue
        held.append(row)
        if len(held) == _LOOKED_AT:
            widths = _widths(titles, held)
            yield Title(_line(titles, widths))
            for line in held:
                yield _line(line, widths)
    if not widths:
        widths = _widths(titles, held)
        if held:
            yield Title(_line(titles, widths))
        for line in held:
            yield _line(line, widths)


def _widths(titles: Sequence[str], rows: Sequence[Sequence[str]]) -> list[int]:
    columns = zip(*([titles, *rows]), strict=True)
    return [min(max(len(cell) for cell in column), _WIDEST) for column in columns]


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
