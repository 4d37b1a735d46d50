"""Makes something inside a network namespace while this thread stays where it is."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from rui_cli.errors import CliError
from rui_cli.lab.namespaces import Namespaces

_T = TypeVar("_T")


def inside(spaces: Namespaces, name: str, make: Callable[[], _T]) -> _T:
    """Return what ``make`` returns in a thread inside a namespace; a socket stays there for its life.

    Raises CliError where nothing was made.
    """
    made: list[_T] = []

    def work() -> None:
        spaces.enter(name)
        made.append(make())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    if not made:
        raise CliError(f"nothing could be made in namespace {name}", remedy="the reason stands above")
    return made[0]
