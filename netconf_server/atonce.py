"""Work that mostly waits for nothing is carried out at once, and only what is left of it becomes a task.

A task begins with the event loop's next turn, which for a small request costs as much as a good part of its
answer. (Python 3.12 has eager tasks; this is for 3.11 too.)
"""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from typing import Any


def at_once(work: Coroutine[Any, Any, None]) -> Coroutine[Any, Any, None] | None:
    """Carry `work` out until it waits for something. Return what is left of it, for a task; None when it is
    done. What it raises until then comes from here.

    It runs in no task until it has waited, so before that it must not use `asyncio.timeout`, say.
    """
    try:
        waited = work.send(None)
    except StopIteration:
        return None
    return _Left(work, waited)


class _Left(Coroutine[Any, Any, None]):
    """The rest of a coroutine that waits already: its task first gets what that is.

    It is no `async def`, of which a task that is cancelled before it begins would run nothing: the work is to
    hear of it all the same.
    """

    def __init__(self, work: Coroutine[Any, Any, None], waited: object) -> None:
        self._work = work
        self._waited: object = waited
        self._begun = False

    def send(self, value: Any) -> Any:
        """Go on."""
        if self._begun:
            return self._work.send(value)
        self._begun = True
        return self._waited

    def throw(self, *raised: Any) -> Any:
        """Go on with an exception, as of a cancellation."""
        self._begun = True
        return self._work.throw(*raised)

    def close(self) -> None:
        """Give up."""
        self._work.close()

    def __await__(self) -> Generator[Any, Any, None]:
        if not self._begun:
            self._begun = True
            yield self._waited
        yield from self._work.__await__()
