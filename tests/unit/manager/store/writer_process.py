"""A process that stores a known history until it is killed, and says what was acknowledged.

Run with the store's path, the number of groups and a seed; prints ``GROUP SEQ`` after each receipt.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from manager.store import SqliteOptions, Store, open_sqlite
from rui.backup.messages import Batch, Change, Stream
from rui.backup.version import ZERO, Version
from tests.unit.backup.histories import A, gone, put, version


def change_at(seq: int) -> Change:
    """The change that carries a sequence number: the same in every process."""
    number = seq * 7919 % 301
    return gone(number, seq) if seq % 5 == 0 else put(number, seq)


async def write(store: Store, group: str, chance: random.Random) -> None:
    while True:
        cursor = (await store.position(group)).cursor
        last = cursor.seq + chance.choice([1, 3, 20, 200])
        changes = tuple(change_at(seq) for seq in range(cursor.seq + 1, last + 1))
        prev = cursor if cursor.seq else ZERO
        receipt = await store.apply(Batch(group, A, Stream(prev, version(last)), changes))
        if receipt.position.cursor != Version(A, last):
            raise RuntimeError(f"unexpected receipt {receipt}")
        sys.stdout.write(f"{group} {last}\n")
        sys.stdout.flush()


async def main(path: Path, groups: int, seed: int) -> None:
    # Small bounds, so that checkpoints and forgotten deletes are under way when the end comes.
    options = SqliteOptions(tombstones=40, checkpoint_at=200_000, wal_limit=800_000)
    store = await open_sqlite(path, options)
    await asyncio.gather(*(write(store, f"g{n}", random.Random(seed + n)) for n in range(groups)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))
