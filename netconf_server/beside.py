"""What takes long is worked out beside the event loop, so that other sessions are answered meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, TypeVar

from lxml import etree

T = TypeVar("T")

# Elements above which work on a tree takes so long that others should go on meanwhile.
_LARGE: Final = 5_000
_IS_LARGE: Final = etree.XPath(f"boolean(descendant::*[{_LARGE}])")


def is_large(tree: etree._Element) -> bool:
    """Whether work on this takes so long that others should go on meanwhile."""
    return bool(_IS_LARGE(tree))


async def worked_out(work: Callable[[], T], *, large: bool) -> T:
    """The result of `work` on trees that nobody changes; beside the event loop where it takes long.

    Who asked for it may be gone: it ends all the same before this does, so a lock around it holds till then.
    """
    return await to_its_end(asyncio.to_thread(work)) if large else work()


async def to_its_end(work: Coroutine[None, None, T]) -> T:
    """Carry `work` through even if the session that asked for it is ended meanwhile."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody is there to be told
        raise


class Beside:
    """Room for a few works at once; others wait for their turn, so that the disk never waits for them all."""

    def __init__(self, at_once: int = 3) -> None:
        self._room = asyncio.Semaphore(at_once)

    async def do(self, work: Callable[[], T]) -> T:
        """The result of `work`, which looks at nothing that is changed meanwhile."""
        async with self._room:
            return await worked_out(work, large=True)
