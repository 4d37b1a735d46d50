"""A change of a datastore, and who looks at it before it is made and is told of it afterwards."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Protocol, TypeAlias

from lxml import etree

from netconf_server.difference import Difference, differences
from netconf_server.editdifference import edit_differences
from netconf_server.editops import Operation
from rui.schema import Node

RUNNING: Final = "running"
CANDIDATE: Final = "candidate"
STARTUP: Final = "startup"

MOST_TOLD: Final = 100
"""So many differences of one change are told by name, in the log and in notifications."""


@dataclass(frozen=True)
class Change:
    """A change of a datastore, running unless named: the trees before and after (neither may be modified),
    and the session, None for the program.

    `edit` is the small edit that alone led from one to the other, where there is one: nothing differs but
    where it speaks.
    """

    old: etree._Element
    new: etree._Element
    session: int | None
    datastore: str = RUNNING
    edit: etree._Element | None = None
    _found: list[Sequence[Difference]] = field(default_factory=list, init=False, repr=False, compare=False)

    def differences(self, top: Mapping[str, Node]) -> Sequence[Difference]:
        """The first differences, one more than MOST_TOLD at most; `top` are the schema's nodes by tag.

        They are looked for once, for all who tell of them.
        """
        if not self._found:
            self._found.append(tuple(islice(self.all_differences(top), MOST_TOLD + 1)))
        return self._found[0]

    def know(self, found: Sequence[Difference]) -> None:
        """Take note of all differences, so that nobody has to look for them."""
        self._found.append(tuple(found[: MOST_TOLD + 1]))

    def concerns(self, tag: str) -> bool:
        """Say whether top-level nodes with this tag may differ, without a look at them."""
        return self.edit is None or any(child.tag == tag for child in self.edit)

    def all_differences(self, top: Mapping[str, Node]) -> Iterator[Difference]:
        """Every difference, looked for anew."""
        if self.edit is None:
            return differences(self.old, self.new, top)
        return edit_differences(self.old, self.new, self.edit, top)


Verify: TypeAlias = Callable[[Change], "Awaitable[None] | None"]
"""Looks at a change before it is made; raises RpcError to refuse it, and then nothing has changed. Where it
waits for something it is an `async def`: the change is then carried through when its session ends meanwhile.
"""

Apply: TypeAlias = Callable[[Change], "Awaitable[None] | None"]
"""Is told of a change after it was made and written; what it raises is logged. Else as Verify."""


class Guard(Protocol):
    """Access control: looks at what sessions ask for before anything else does. Both raise RpcError."""

    def check_edit(self, session: int | None, config: etree._Element, default: Operation) -> None:
        """Look at an edit as it was asked for."""

    def check_change(self, change: Change) -> None:
        """Look at what would become of a datastore. What running is copied to needs no right (RFC 8341
        3.2.6), so nobody asks for startup.
        """
