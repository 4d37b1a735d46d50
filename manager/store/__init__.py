"""The cloud's durable store: one interface, engines behind it; the embedded one is SQLite."""

from manager.store.errors import (
    StoreClosedError,
    StoreCorruptError,
    StoreError,
    StoreIOError,
    StoreLockedError,
    StoreVersionError,
)
from manager.store.interface import Head, NeedsSnapshot, Store, TableDigest
from manager.store.sqlite.engine import SqliteOptions, SqliteStore, open_sqlite

__all__ = [
    "Head",
    "NeedsSnapshot",
    "SqliteOptions",
    "SqliteStore",
    "Store",
    "StoreClosedError",
    "StoreCorruptError",
    "StoreError",
    "StoreIOError",
    "StoreLockedError",
    "StoreVersionError",
    "TableDigest",
    "open_sqlite",
]
