"""What a replica looks at before it takes a batch: are its records such as the model allows?"""

from __future__ import annotations

from rui.backup.messages import Batch, Quarantined
from rui.schema import RecordChecker, Schema

USER_PATH = "/rui-user-info:user-info/group/user"


class Inspector:
    """Finds the poisoned records of a batch; the rest of it goes on."""

    def __init__(self, schema: Schema) -> None:
        self._checker: RecordChecker = schema.records(USER_PATH)

    def refused(self, batch: Batch) -> tuple[Quarantined, ...]:
        """Return which records the model refuses, and why."""
        puts = [change for change in batch.changes if change.record is not None]
        issues = self._checker.check(
            (batch.group,), [change.record or b"" for change in puts], [change.key for change in puts]
        )
        return tuple(
            Quarantined(puts[issue.index].key, puts[issue.index].version, str(issue)) for issue in issues
        )
