"""Changes of the usual shape: read out of a message and held to the model in a few passes over its bytes.

One expression matches a change as ``encode_batch`` writes it, with a record of the form that the schema
allows (:mod:`rui.schema.acceptor`) and of the key that the change names. It runs over a whole batch at once
(:mod:`rui.schema.runs`). What it has matched from end to end is cut into columns, without a step of Python
for each change. Changes of another shape are left to who judges them one by one.
"""

from __future__ import annotations

from functools import partial
from itertools import repeat

from rui.backup.messages import Change
from rui.backup.version import Epoch, Version
from rui.backup.wire import changes_of_entries
from rui.netconf.bulk import Bulk
from rui.schema import Runs, UsualForm

_NUMBER = "0|[1-9][0-9]{0,18}"
_VERSION = f"</key><version>(?:{_NUMBER})@[A-Za-z0-9][A-Za-z0-9._-]{{0,62}}+/(?:{_NUMBER})</version>"
_AROUND = len("<change></change>")
# A record's leaves stand between the tags of its entry, so no two of these follow each other in a record
_START, _END = b"<change><key>", b"</record></change>"
_BETWEEN = _END + _START
_RECORD = b"</version><record>"
_EPOCH = b"</key><version>"


class UsualChanges:
    """Reads the entries of bulk messages."""

    def __init__(self, form: UsualForm) -> None:
        """`form` is that of records; a change's key is the text of the key of its record."""
        usual = form.behind_its_key(f"{_VERSION}<record>", "</record>")
        self._run = Runs(f"<change><key>{usual}</change>")

    def read(self, bulk: Bulk) -> tuple[tuple[Change, ...], list[int]] | None:
        """Return the changes of a message, and the places of those that are not held to the model yet.

        None where the message does not consist of changes from end to end, as ``encode_batch`` writes.
        """
        place = self._run.end(bulk.message, bulk.begin, bulk.end)
        if place == bulk.end:
            changes = _columns(bulk.message[bulk.begin + len(_START) : bulk.end - len(_END)])
            if changes is not None:
                return changes, []
        read = changes_of_entries(bulk.entries())
        return None if read is None else (tuple(read), self._others(bulk, place))

    def _others(self, bulk: Bulk, place: int) -> list[int]:
        """Return which changes are not usual; the first of them stands at `place`."""
        # Where each change ends its length says: a record may hold tags of the same name
        found: list[int] = []
        at = bulk.begin
        for number, entry in enumerate(bulk.entries()):
            past = at + len(entry) + _AROUND
            if at == place:
                found.append(number)
                place = self._run.end(bulk.message, past, bulk.end)
            at = past
        return found


def _columns(run: bytes) -> tuple[Change, ...] | None:
    """Cut usual changes, without the first one's start and the last one's end.

    None where they are not all of one epoch, or a record's own leaves look like the tags around it.
    """
    cells = run.replace(_RECORD, _BETWEEN).split(_BETWEEN)
    heads, records = cells[0::2], cells[1::2]
    if len(cells) != 2 * (run.count(_BETWEEN) + 1):
        return None
    start = heads[0].index(_EPOCH) + len(_EPOCH)
    epoch = heads[0][start : heads[0].rindex(b"/")]
    # No key and no version holds a `<`
    cells = b"<".join(heads).replace(b"%b%b/" % (_EPOCH, epoch), b"<").split(b"<")
    if len(cells) != 2 * len(heads):
        return None
    versions = map(_VERSION_OF, zip(repeat(Epoch.parse(epoch.decode())), map(int, cells[1::2])))
    return tuple(map(_CHANGE_OF, zip(cells[0::2], versions, records, strict=True)))


# What the classes themselves do, less a call of Python for each change
_VERSION_OF = partial(tuple.__new__, Version)
_CHANGE_OF = partial(tuple.__new__, Change)
