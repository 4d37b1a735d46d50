"""Histories of one group for the tests of the backup core."""

from __future__ import annotations

from hypothesis import strategies as st

from rui.backup.messages import Batch, Change, Stream
from rui.backup.table import Table
from rui.backup.version import ZERO, Epoch, Version

A = Epoch(1, "bras-a")
GROUP = "g1"


def key(number: int) -> bytes:
    return b"02:00:00:00:00:%02x/0/0" % number


def version(seq: int, epoch: Epoch = A) -> Version:
    return Version(epoch, seq)


def put(number: int, seq: int, epoch: Epoch = A) -> Change:
    return Change(key(number), version(seq, epoch), b"<user>%d at %d</user>" % (number, seq))


def gone(number: int, seq: int, epoch: Epoch = A) -> Change:
    return Change(key(number), version(seq, epoch), None)


def stream(prev: int, last: int, *changes: Change, writer: Epoch = A) -> Batch:
    return Batch(GROUP, writer, Stream(version(prev) if prev else ZERO, version(last)), changes)


def contents(table: Table) -> dict[bytes, tuple[Version, bytes | None]]:
    """What a table holds, tombstones left out."""
    return {change.key: (change.version, change.record) for change in table.live()}


@st.composite
def changes(draw: st.DrawFn, longest: int = 40, keys: int = 8) -> list[Change]:
    """A history: versions in order over up to three epochs, of puts and deletes."""
    length = draw(st.integers(1, longest))
    epoch, seq, history = A, 0, []
    for _ in range(length):
        if draw(st.integers(0, 9)) == 0:
            epoch, seq = Epoch(epoch.counter + 1, draw(st.sampled_from(["bras-a", "bras-b"]))), 0
        seq += 1
        number = draw(st.integers(0, keys - 1))
        history.append(gone(number, seq, epoch) if draw(st.integers(0, 3)) == 0 else put(number, seq, epoch))
    return history


def applied(history: list[Change]) -> Table:
    table = Table()
    for change in history:
        table.apply(change)
    return table
