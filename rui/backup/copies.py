"""What goes out of a table to a copy, and whether a copy comes to the digest that went along."""

from __future__ import annotations

from rui.backup.digest import combine
from rui.backup.messages import Batch, Position, Result, Stream
from rui.backup.source import Source, WantPage
from rui.backup.table import Table
from rui.backup.version import Version

COUNTED_AT_ONCE = 5_000
"""Records that are brought into a digest when it is due; more are waited for, since that takes a while."""


def next_batch(source: Source, table: Table, upto: Version, floor: Version, now: float) -> Batch | None:
    """Read what the source wants of the table, nothing above ``upto``; None if nothing may go out now."""
    want = source.want(upto, floor, now)
    if want is None:
        return None
    if isinstance(want, WantPage):
        return source.take(table.page(want.first, want.limit, upto), now)
    return source.take(table.since(want.after, want.limit, upto), now)


def next_compared(source: Source, table: Table, durable: Version, now: float) -> Batch | None:
    """Return the next batch, with the table's digest where that is due, all durable and little uncounted."""
    batch = next_batch(source, table, durable, table.floor, now)
    if source.audit_due and table.head <= durable and table.uncounted <= COUNTED_AT_ONCE:
        return source.mark(batch, durable, lambda: combine(table.buckets), now)
    return batch


def comes_to(batch: Batch, result: Result, position: Position, table: Table) -> bool | None:
    """Say whether a copy at ``position`` comes to the batch's digest.

    None where that is of another one, or too much would have to be counted: the next digest finds it done.
    """
    if not batch.digest or result is not Result.STORED or not isinstance(batch.part, Stream):
        return None
    if (
        table.uncounted > COUNTED_AT_ONCE
        or position.snapshot is not None
        or position.cursor != batch.part.last
    ):
        return None
    return combine(table.buckets) == batch.digest
