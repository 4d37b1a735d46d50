"""Row ``stages``: processor time a user of each step of the hot path, in one process.

Each step is taken alone, over the same batches and several times, and the least counts: so the figures say
what the code costs, also on a machine that others use. Left out are SSH, the event loop and threads.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from lxml import etree

from manager.store.sqlite.file import StoreFile
from manager.store.sqlite.jobs import ApplyJob
from manager.store.sqlite.transaction import GroupState, Transaction
from router.journal.segment import SegmentWriter, encode_block, log_path
from rui.backup import wire
from rui.backup.inspection import Inspector
from rui.backup.journal import Frame
from rui.backup.messages import Batch, Change, Position, Stream
from rui.backup.table import Slice, Table
from rui.backup.version import ZERO, Epoch, Version
from rui.netconf import names
from rui.netconf.bulk import Bulk
from rui.netconf.encoding import ChunkedEncoder
from rui.netconf.framing import ChunkedDecoder
from rui.netconf.messages import MessageParser
from rui.schema import Schema
from rui_cli.bench.arena import GROUP
from rui_cli.bench.samples import sample_records

_BATCH = 1000
_EPOCH = Epoch(7, "bras-a")
_TIMES = 9
_READ = 64 * 1024
_RPC = b'<rpc xmlns="%s" message-id="1">' % names.BASE.encode()

_SENDING = ("read_us", "encode_us", "frame_us")
_RECEIVING = ("unframe_us", "parse_us", "inspect_us")
_KEEPING = ("journal_us", "table_us", "count_us")


async def measure(
    users: int,
    *,
    keep: bool = False,  # noqa: ARG001 - one signature for all
) -> tuple[dict[str, float], float]:
    """Return microseconds a user of each step and, summed up, of each device; others' cores are left at 0.

    ``primary_us`` is table, journal, digest and sending, ``secondary_us`` receiving, journal, table and
    digest, ``cloud_us`` receiving, the store's transaction and sending.
    """
    batches = _batches(users)
    # As in the processes, the collector need not go through what lives on.
    gc.freeze()
    try:
        figures = _on_the_wire(batches) | _kept(batches)
    finally:
        gc.unfreeze()
    for device, steps in (
        ("primary", (*_KEEPING, *_SENDING)),
        ("cloud", (*_RECEIVING, "store_us", *_SENDING[1:])),
        ("secondary", (*_RECEIVING, *_KEEPING)),
    ):
        figures[f"{device}_us"] = sum(figures[step] for step in steps)
    return figures, 0.0


async def beside(users: int) -> dict[str, float]:
    """Lay the same records end to end and look for an octet that is not there: each is touched twice."""
    records = [record for _, record in sample_records(users)]
    least = _least(lambda: b"".join(records).find(b"\0"), users)
    return dict.fromkeys(("primary_us", "cloud_us", "secondary_us"), least)


def _batches(users: int) -> list[Batch]:
    changes = [
        Change(key, Version(_EPOCH, number), record)
        for number, (key, record) in enumerate(sample_records(users), 1)
    ]
    batches = []
    last = ZERO
    for first in range(0, users, _BATCH):
        some = tuple(changes[first : first + _BATCH])
        batches.append(Batch(GROUP, _EPOCH, Stream(last, some[-1].version), some))
        last = some[-1].version
    return batches


def _on_the_wire(batches: Sequence[Batch]) -> dict[str, float]:
    users = sum(len(batch.changes) for batch in batches)
    schema = Schema.load(["rui-user-info", "rui-backup"])
    inspector, parser, encoder = Inspector(schema), MessageParser({wire.DELIVER}), ChunkedEncoder()
    bodies = [wire.encode_batch(batch, wire.DELIVER) for batch in batches]
    messages = [[_RPC, *body, b"</rpc>"] for body in bodies]
    framed = [encoder.message(message) for message in messages]
    whole = [b"".join(message) for message in messages]
    read = [(raw, *parser.read(raw)) for raw in whole]
    return {
        "encode_us": _least(lambda: [wire.encode_batch(batch, wire.DELIVER) for batch in batches], users),
        "frame_us": _least(lambda: [encoder.message(message) for message in messages], users),
        "unframe_us": _least(lambda: [_unframe(octets) for octets in framed], users),
        "parse_us": _least(lambda: _check(schema, parser, whole), users),
        "inspect_us": _least(lambda: [_inspect(inspector, *message) for message in read], users),
    }


def _unframe(octets: bytes) -> bytes | None:
    decoder = ChunkedDecoder()
    for start in range(0, len(octets), _READ):
        decoder.feed(octets[start : start + _READ])
    return decoder.next_message()


def _check(schema: Schema, parser: MessageParser, messages: Sequence[bytes]) -> None:
    for raw in messages:
        schema.check_rpc(parser.read(raw)[0][0])


def _inspect(inspector: Inspector, raw: bytes, root: etree._Element, bulk: Bulk | None) -> object:
    return inspector.refused(inspector.read(root[0], raw, bulk))


def _kept(batches: Sequence[Batch]) -> dict[str, float]:
    users = sum(len(batch.changes) for batch in batches)
    table = _filled(batches)
    uncounted = iter([_filled(batches) for _ in range(_TIMES)])
    with tempfile.TemporaryDirectory(prefix="rui-bench-") as name:
        folder = Path(name)
        segment = SegmentWriter.create(log_path(folder, 1))
        try:
            journal = _least(lambda: _append(segment, batches), users)
        finally:
            segment.close()
        numbers = iter(range(_TIMES))
        store = _least(lambda: _store(folder / f"{next(numbers)}.sqlite", batches), users)
    return {
        "table_us": _least(lambda: _filled(batches), users),
        "count_us": _least(lambda: next(uncounted).count(users), users),
        "read_us": _least(lambda: [_following(table, batch) for batch in batches], users),
        "journal_us": journal,
        "store_us": store,
    }


def _filled(batches: Sequence[Batch]) -> Table:
    table = Table()
    for batch in batches:
        table.apply_all(batch.changes)
    return table


def _following(table: Table, batch: Batch) -> Slice:
    before = batch.part.prev if isinstance(batch.part, Stream) else ZERO
    return table.since(before, _BATCH, table.head)


def _append(segment: SegmentWriter, batches: Sequence[Batch]) -> None:
    for batch in batches:
        segment.append(encode_block([Frame(Position(), batch.changes)]), sync=True)


def _store(path: Path, batches: Sequence[Batch]) -> None:
    """Store the batches in a new file, a transaction each."""
    file = StoreFile(path)
    try:
        connection = file.connect()
        groups: dict[str, GroupState] = {}
        for batch in batches:
            transaction = Transaction(connection, groups, keep=_BATCH)
            ApplyJob.prepare(batch, (), watched=False).run(transaction)
            transaction.commit()
            groups |= transaction.changed
        connection.close()
    finally:
        file.release()


def _least(work: Callable[[], object], users: int) -> float:
    """Return the least processor time of this thread for the work, in microseconds a user."""
    least = float("inf")
    for _ in range(_TIMES):
        begun = time.thread_time()
        work()
        least = min(least, time.thread_time() - begun)
    return least / users * 1e6
