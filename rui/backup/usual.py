"""Changes of the usual shape: held to the model in one pass over the bytes of their message.

One expression matches a change as ``encode_batch`` writes it, with a record of the form that the schema
allows (:mod:`rui.schema.acceptor`) and of the key that the change names. It runs over a whole batch at once
(:mod:`rui.schema.runs`). Changes of another shape are left to who judges them one by one.
"""

from __future__ import annotations

from rui.netconf.bulk import Bulk
from rui.schema import Runs, UsualForm

_NUMBER = "0|[1-9][0-9]{0,18}"
_VERSION = f"</key><version>(?:{_NUMBER})@[A-Za-z0-9][A-Za-z0-9._-]{{0,62}}+/(?:{_NUMBER})</version>"
_AROUND = len("<change></change>")


class UsualChanges:
    """Tells the usual entries of bulk messages from others."""

    def __init__(self, form: UsualForm) -> None:
        """`form` is that of records; a change's key is the text of the key of its record."""
        usual = form.behind_its_key(f"{_VERSION}<record>", "</record>")
        self._run = Runs(f"<change><key>{usual}</change>")

    def others(self, bulk: Bulk) -> list[int]:
        """Return the places of those changes that are not held to the model yet, counted from 0.

        The message consists of changes from end to end.
        """
        message, place = bulk.message, self._run.end(bulk.message, bulk.begin, bulk.end)
        if place == bulk.end:
            return []
        # Where each change ends: from here on by their lengths, as a record may hold tags of the same name
        found: list[int] = []
        at = bulk.begin
        for number, entry in enumerate(bulk.entries()):
            if at == place:
                found.append(number)
                place = self._run.end(message, at + len(entry) + _AROUND, bulk.end)
            at += len(entry) + _AROUND
        return found
