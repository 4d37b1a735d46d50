"""What can be wrong with a data directory."""

from __future__ import annotations


class DataDirectoryError(Exception):
    """A data directory that cannot be used: ``reason`` names file and octet, ``remedy`` what to do."""

    def __init__(self, reason: str, remedy: str) -> None:
        super().__init__(f"{reason}: {remedy}")
        self.reason = reason
        self.remedy = remedy
