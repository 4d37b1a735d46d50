"""Changes of the usual shape: read out of a message and held to the model in two passes over its bytes.

One expression matches a change as ``encode_batch`` writes it, with a record of the form that the schema
allows (:mod:`rui.schema.acceptor`) and of the key that the change names. It runs over a whole batch at once
(:mod:`rui.schema.runs`); what it has matched from end to end is then cut at its tags alone. Changes of
another shape are left to who judges them one by one.
"""

from __future__ import annotations

from collections.abc import Iterator

from rui.backup.messages import Change
from rui.backup.version import NO_EPOCH, Epoch, Version
from rui.backup.wire import changes_of_entries
from rui.netconf.bulk import Bulk
from rui.schema import Runs, UsualForm

_NUMBER = "0|[1-9][0-9]{0,18}"
_VERSION_FORM = f"</key><version>(?:{_NUMBER})@[A-Za-z0-9][A-Za-z0-9._-]{{0,62}}+/(?:{_NUMBER})</version>"
_AROUND = len("<change></change>")
# A record's leaves stand between the tags of its entry, so no two of these follow each other in a record
_START, _END = b"<change><key>", b"</record></change>"
_BETWEEN = _END + _START
_RECORD = b"</version><record>"
_VERSION = b"</key><version>"


class UsualChanges:
    """Reads the entries of bulk messages."""

    def __init__(self, form: UsualForm) -> None:
        """`form` is that of records; a change's key is the text of the key of its record."""
        usual = form.behind_its_key(f"{_VERSION_FORM}<record>", "</record>")
        self._run = Runs(f"<change><key>{usual}</change>")

    def read(self, bulk: Bulk) -> tuple[tuple[Change, ...], list[int]] | None:
        """Return the changes of a message, and the places of those that are not held to the model yet.

        None where the message does not consist of changes from end to end, as ``encode_batch`` writes.
        """
        place = self._run.end(bulk.message, bulk.begin, bulk.end)
        if place == bulk.end:
            run = bulk.message[bulk.begin + len(_START) : bulk.end - len(_END)]
            return tuple(_cut(run)), []
        read = changes_of_entries(bulk.entries())
        return None if read is None else (tuple(read), self._others(bulk, place))

    def _others(self, bulk: Bulk, place: int | None) -> list[int]:
        """Return which changes are not usual; the first of them stands at `place`.

        None where that cannot be said: then none is usual from there on, because to look for the next run
        again and again could take for ever.
        """
        # Where each change ends its length says: a record may hold tags of the same name
        found: list[int] = []
        at = bulk.begin
        for number, entry in enumerate(bulk.entries()):
            past = at + len(entry) + _AROUND
            if place is None:
                found.append(number)
            elif at == place:
                found.append(number)
                place = self._run.end(bulk.message, past, bulk.end)
            at = past
        return found


def _cut(run: bytes) -> Iterator[Change]:
    """Take usual changes apart, without the first one's start and the last one's end."""
    # What the named tuples do themselves, less a call of Python for each: this is done to every change
    new = tuple.__new__
    # Mostly all are of one epoch
    between, epoch = b"", NO_EPOCH
    for entry in run.split(_BETWEEN):
        head, _, record = entry.partition(_RECORD)
        key, found, seq = head.partition(between) if between else (head, b"", b"")
        if not found:
            key, _, version = head.partition(_VERSION)
            text, _, seq = version.rpartition(b"/")
            between, epoch = b"%b%b/" % (_VERSION, text), Epoch.parse(text.decode())
        yield new(Change, (key, new(Version, (epoch, int(seq))), record))
