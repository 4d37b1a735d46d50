"""What a receiver looks at before it takes a batch: are its records such as the model allows?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from lxml import etree

from rui.backup.messages import Batch, Change, Quarantined
from rui.backup.usual import UsualChanges
from rui.backup.wire import WireError, decode_batch
from rui.netconf.bulk import Bulk
from rui.netconf.messages import MessageError, MessageParser
from rui.schema import RecordChecker, Schema

RECORDS = "/rui-user-info:user-info/group/user"
"""Schema path of a record."""

# The form of rui-types' subscriber-key: a record that does not hold still has a key to be kept under.
_KEY = re.compile(rb"[0-9a-f]{2}(?::[0-9a-f]{2}){5}/(?:0|[1-9][0-9]{0,3})/(?:0|[1-9][0-9]{0,3})")


class Inspector:
    """Finds the poisoned records of a batch; the rest of it goes on."""

    def __init__(self, schema: Schema) -> None:
        self._checker: RecordChecker = schema.records(RECORDS)
        form = self._checker.usual
        self._usual = None if form is None else UsualChanges(form).read

    def read(self, element: etree._Element, raw: bytes, bulk: Bulk | None) -> Batch:
        """Read a batch as :func:`rui.backup.wire.decode_batch` does; most of it is then inspected already."""
        return decode_batch(element, raw, bulk, self._usual)

    def refused(self, batch: Batch) -> tuple[Quarantined, ...]:
        """Return which records the model refuses, and why.

        Raises WireError for an impossible key, and for a record that is no XML: its bytes would break
        every message that they are handed on in.
        """
        changes: Sequence[Change] = batch.changes
        if batch.unchecked is not None and self._checker.holds_parents((batch.group,)):
            changes = [changes[place] for place in batch.unchecked]
        puts = [change for change in changes if change[2] is not None]
        records = [record or b"" for _, _, record in puts]
        issues = self._checker.check((batch.group,), records, [key for key, _, _ in puts]) if puts else ()
        # The key of a record that holds has been compared with the record's own.
        if len(puts) < len(changes):
            for key in [change.key for change in changes if change.record is None]:
                _check_key(batch.group, key)
        quarantined = []
        for issue in issues:
            key, version, _ = puts[issue.index]
            _check_key(batch.group, key)
            _check_xml(batch.group, key, records[issue.index])
            quarantined.append(Quarantined(key, version, str(issue)))
        return tuple(quarantined)


def _check_key(group: str, key: bytes) -> None:
    if _KEY.fullmatch(key) is None:
        shown = key[:60].decode("ascii", "replace")
        raise WireError(f"user-info of group {group}: {shown!r} is no subscriber key MAC/OUTER/INNER")


def _check_xml(group: str, key: bytes, record: bytes) -> None:
    try:
        MessageParser().parse(record)
    except MessageError as error:
        raise WireError(f"user-info of group {group}: the record of {key.decode()} is {error}") from error
