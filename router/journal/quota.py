"""How much the journals of one router may take on disk, all groups together."""

from __future__ import annotations

import sys

from router.journal.writer import GroupJournal
from rui.backup.member_outputs import JournalFullError


class Quota:
    """A bound in octets. Logoffs and copies of other routers' users are always taken; logins are not."""

    def __init__(self, limit: int = sys.maxsize) -> None:
        self.limit = limit
        self._journals: list[GroupJournal] = []

    def add(self, journal: GroupJournal) -> None:
        """Count this journal in."""
        self._journals.append(journal)

    @property
    def octets(self) -> int:
        """How much the journals hold."""
        return sum(journal.octets for journal in self._journals)

    def check(self) -> None:
        """Raise JournalFullError where a login has to be turned away."""
        octets = self.octets
        if octets >= self.limit:
            raise JournalFullError(
                f"the journals hold {octets} octets, their bound is {self.limit}: raise journal/max-size, or "
                "see in the log why they are not compacted"
            )
