"""How far a text is one match after the other, found in machine code.

Python's own expressions step through such a text at some 8 ns an octet. Where each match is only to be held
against the schema, and not to be taken apart, PCRE2 compiles the same expression (it has the same rules of
what is tried first) and needs a tenth of that.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from typing import Protocol

import pcre2


class _Match(Protocol):
    def end(self) -> int: ...


class Runs:
    """Finds runs of one expression, which is written for Python's `re` and names its groups."""

    def __init__(self, expression: str, most: int | None = None) -> None:
        """`expression` matches bytes, `most` times at most; raises re.error where Python does not take it."""
        self._find: Callable[[bytes, int, int], _Match | None]
        repeated = f"(?:{expression}){'*' if most is None else f'{{0,{most}}}'}+"
        try:
            # PCRE2 never does `match` in machine code, so it is a search that may not leave its start.
            run = pcre2.compile(rf"\G{repeated}".encode("ascii"), jit=False)
        except pcre2.LibraryError:
            # Larger than it can be there: the schema of a record with very many leaves
            self._find = re.compile(repeated.encode("ascii")).match
            return
        # Where no machine code may be made (a hardened kernel), PCRE2 is as slow as Python.
        with contextlib.suppress(pcre2.LibraryError):
            run.jit_compile()
        self._find = run.search

    def end(self, text: bytes, begin: int, end: int) -> int | None:
        """Return where the run from `begin` ends, `end` at most, `begin` if nothing matches there.

        None for a text that somewhere takes more steps or room to match than PCRE2 gives.
        """
        try:
            found = self._find(text, begin, end)
        except pcre2.LibraryError:
            return None
        return begin if found is None else found.end()
