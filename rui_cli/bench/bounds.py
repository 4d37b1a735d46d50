"""Lower bounds, measured beside our figures: the same records moved and kept by as little code as can be.

None of them checks, orders, encrypts or repairs anything. They say what the machine gives at that moment.
"""

import asyncio
import contextlib
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path

from lxml import etree

from rui_cli.bench.drift import replies
from rui_cli.bench.machine import resident
from rui_cli.bench.peer import HEADER, READY
from rui_cli.bench.results import percentile
from rui_cli.bench.samples import sample_records

_BATCH = 1000
_ROUND_TRIPS = 2000
_TRANSACTIONS = 100
# Read, two locks, edit, validate, commit, read, confirm, discard, two unlocks, read; the manager's decision
# before and after the commits, and the routers' commit and its confirmation.
_STEPS = 12
_SYNCED = 4
_PEER_SECONDS = 30.0
_ANSWER_SECONDS = 60.0


async def replication(users: int) -> dict[str, float]:
    """Insert the records into SQLite (WAL, synchronous=FULL), 1000 a transaction, in one process."""
    records = sample_records(users)
    with tempfile.TemporaryDirectory(prefix="rui-bench-") as folder:
        seconds = await asyncio.to_thread(_insert, Path(folder) / "plain.sqlite", records)
    return {"users_per_s": users / seconds}


async def latency(users: int) -> dict[str, float]:  # noqa: ARG001 - one signature for all
    """Write and sync a record, send it over TCP to a process that does the same, do it again on its answer.

    Three disks in a row and two ways over the loopback, as primary, cloud and secondary have; one at a time.
    """
    _, record = sample_records(1)[0]
    with tempfile.TemporaryDirectory(prefix="rui-bench-") as folder:
        async with _peer(Path(folder) / "peer", sync=True) as (reader, writer):
            own = os.open(Path(folder) / "own", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                waits = []
                for _ in range(_ROUND_TRIPS):
                    begun = time.monotonic()
                    _write(own, record)
                    await _exchange(reader, writer, record)
                    _write(own, record)
                    waits.append((time.monotonic() - begun) * 1e3)
            finally:
                os.close(own)
    waits.sort()
    return {"p50_ms": percentile(waits, 0.50), "p99_ms": percentile(waits, 0.99)}


async def catchup(users: int) -> dict[str, float]:
    """Read the records from SQLite, 1000 at a time, and send each page to a process that syncs it."""
    records = sample_records(users)
    with tempfile.TemporaryDirectory(prefix="rui-bench-") as folder:
        path = Path(folder) / "plain.sqlite"
        await asyncio.to_thread(_insert, path, records)
        with contextlib.closing(sqlite3.connect(path)) as store:
            async with _peer(Path(folder) / "peer", sync=True) as (reader, writer):
                begun = time.monotonic()
                rows = store.execute("SELECT key, val FROM plain ORDER BY rowid")
                while page := rows.fetchmany(_BATCH):
                    await _exchange(reader, writer, b"".join(val for _, val in page))
                seconds = time.monotonic() - begun
    return {"users_per_s": users / seconds}


async def memory(users: int) -> dict[str, float]:
    """Keep the records in one dict of bytes, in a process of its own."""
    command = (sys.executable, "-m", "rui_cli.bench.peer", "hold", str(users))
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        if process.stdin is None or process.stdout is None:
            raise RuntimeError("the process was started without pipes")
        async with asyncio.timeout(_PEER_SECONDS + users / 1000):
            await process.stdout.readuntil(READY)
            empty = resident(process.pid)
            process.stdin.write(READY)
            await process.stdout.readuntil(READY)
        return {"bytes_per_user": (resident(process.pid) - empty) / users}
    finally:
        process.kill()
        await process.wait()


async def get(users: int) -> dict[str, float]:
    """Ask a process over TCP for all records as one run of octets, and for single ones."""
    size = sum(len(record) for _, record in sample_records(users))
    waits = []
    async with _peer(None, sync=False) as (reader, writer):
        for _ in range(_ROUND_TRIPS):
            begun = time.monotonic()
            await _exchange(reader, writer, b"k")
            waits.append((time.monotonic() - begun) * 1e3)
        begun = time.monotonic()
        writer.write(HEADER.pack(0, size))
        await asyncio.wait_for(reader.readexactly(size), _ANSWER_SECONDS)
        seconds = time.monotonic() - begun
    waits.sort()
    return {
        "users_per_s": users / seconds,
        "p50_ms": percentile(waits, 0.50),
        "p99_ms": percentile(waits, 0.99),
    }


async def sync(users: int) -> dict[str, float]:
    """Do a transaction's round trips and synced writes, and parse as many routers' answers, nothing else."""
    record = next(iter(replies().values()))
    waits = []
    with tempfile.TemporaryDirectory(prefix="rui-bench-") as folder:
        async with _peer(None, sync=False) as (reader, writer):
            own = os.open(Path(folder) / "own", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            try:
                for _ in range(_TRANSACTIONS):
                    begun = time.monotonic()
                    for _ in range(_STEPS):
                        await _exchange(reader, writer, record)
                    for _ in range(_SYNCED):
                        _write(own, record)
                    waits.append((time.monotonic() - begun) * 1e3)
            finally:
                os.close(own)
    begun = time.monotonic()
    for _ in range(users):
        etree.fromstring(record)
    seconds = time.monotonic() - begun
    waits.sort()
    return {"transaction_ms": percentile(waits, 0.50), "drift_seconds": seconds}


def _insert(path: Path, records: list[tuple[bytes, bytes]]) -> float:
    """Make a table of records; return the seconds that the transactions took."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as store:
        store.execute("PRAGMA journal_mode = WAL")
        store.execute("PRAGMA synchronous = FULL")
        store.execute("CREATE TABLE plain (key BLOB PRIMARY KEY, val BLOB)")
        begun = time.monotonic()
        for start in range(0, len(records), _BATCH):
            store.execute("BEGIN")
            store.executemany("INSERT INTO plain VALUES (?, ?)", records[start : start + _BATCH])
            store.execute("COMMIT")
        return time.monotonic() - begun


def _write(file: int, octets: bytes) -> None:
    os.write(file, octets)
    os.fdatasync(file)


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, octets: bytes) -> None:
    writer.write(HEADER.pack(len(octets), 1) + octets)
    await asyncio.wait_for(reader.readexactly(1), _ANSWER_SECONDS)


@contextlib.asynccontextmanager
async def _peer(
    path: Path | None, *, sync: bool
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Run the other end as a process of its own, and connect to it."""
    words = ("write", str(path)) if path is not None and sync else ("answer",)
    command = (sys.executable, "-m", "rui_cli.bench.peer", *words)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        if process.stdout is None:
            raise RuntimeError("the process was started without a pipe")
        port = int(await asyncio.wait_for(process.stdout.readline(), _PEER_SECONDS))
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            yield reader, writer
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
