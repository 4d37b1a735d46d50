"""What can be wrong with the store. Every message names the file and what to do.

StoreError
├── StoreLockedError     another process has it open
├── StoreCorruptError    its bytes are damaged, or are no store of ours
├── StoreVersionError    it was made by another release
├── StoreIOError         the disk is full, read-only, missing or failing
└── StoreClosedError     it was closed
"""

from __future__ import annotations


class StoreError(Exception):
    """The store could not do what was asked of it; nothing was half done."""


class StoreLockedError(StoreError):
    """Another process has the store open."""


class StoreCorruptError(StoreError):
    """The store's bytes are damaged, or the file is no store of ours."""


class StoreVersionError(StoreError):
    """The store was made by another release of this program."""


class StoreIOError(StoreError):
    """The disk is full, read-only, missing or failing."""


class StoreClosedError(StoreError):
    """The store was closed."""
