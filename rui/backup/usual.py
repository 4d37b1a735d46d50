"""Changes of the usual shape: read out of a message and held to the model in one pass over its bytes.

One expression matches a change as ``encode_batch`` writes it, with a record of the form that the schema
allows (:mod:`rui.schema.acceptor`) and of the key that the change names. It runs over a whole batch at once,
without a step of Python for each record. Changes of another shape are left to who judges them one by one.
"""

from __future__ import annotations

import re

from rui.backup.messages import Change
from rui.backup.version import Epoch, Version
from rui.backup.wire import changes_of_entries
from rui.netconf.bulk import Bulk
from rui.schema import UsualForm

_NUMBER = "0|[1-9][0-9]{0,18}"
_VERSION = f"</key><version>((?:{_NUMBER})@[A-Za-z0-9][A-Za-z0-9._-]{{0,62}}+)/({_NUMBER})</version>"
_ANY = "((?:[^<]++|<(?!/change>))*+)"
# What a match holds beside its groups.
_AROUND_ANY = len("<change></change>")
_AROUND_USUAL = len("<key></key><version>/</version><record></record>")


class UsualChanges:
    """Reads the entries of bulk messages."""

    def __init__(self, form: UsualForm) -> None:
        """`form` is that of records; a change's key is the text of the key of its record."""
        usual = form.behind_its_key(f"{_VERSION}<record>", "</record>")
        self._change = re.compile(f"<change>(?:<key>{usual}|{_ANY})</change>".encode("ascii"))

    def read(self, bulk: Bulk) -> tuple[tuple[Change, ...], list[int]] | None:
        """Return the changes of a message, and the places of those that are not held to the model yet.

        None where the message does not consist of changes from end to end, as ``encode_batch`` writes.
        """
        found = self._change.findall(bulk.message, bulk.begin, bulk.end)
        if not found:
            return None
        columns = list(zip(*found, strict=True))
        keys, (epochs, seqs, records, contents) = columns[0], columns[-4:]
        unusual = keys.count(b"")
        octets = len(found) * _AROUND_ANY + (len(found) - unusual) * _AROUND_USUAL
        if octets + sum(sum(map(len, column)) for column in (keys, *columns[-4:])) != bulk.end - bulk.begin:
            return None  # Something stands between the changes
        known = {epoch: Epoch.parse(epoch.decode()) for epoch in set(epochs)}
        if not unusual:
            versions = map(Version, map(known.__getitem__, epochs), map(int, seqs))
            return tuple(map(Change, keys, versions, records)), []
        unchecked = [place for place, key in enumerate(keys) if not key]
        read = changes_of_entries(contents[place] for place in unchecked)
        if read is None:
            return None
        rest = iter(read)
        changes = (
            Change(key, Version(known[epoch], int(seq)), record) if key else next(rest)
            for key, epoch, seq, record in zip(keys, epochs, seqs, records, strict=True)
        )
        return tuple(changes), unchecked
