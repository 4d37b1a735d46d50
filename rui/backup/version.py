"""Versions that order every change of a backup group without a wall clock.

A version is (epoch, seq). An epoch is (counter, device-id), so two writers never share one, and every
start as primary takes a new epoch. The text forms are those of the YANG typedefs in ``rui-types``.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_EPOCH = re.compile(r"(0|[1-9][0-9]{0,18})@([A-Za-z0-9][A-Za-z0-9._-]{0,62})")
_VERSION = re.compile(_EPOCH.pattern + r"/(0|[1-9][0-9]{0,18})")


class VersionError(ValueError):
    """A text that is not an epoch or a version; the message says which form was expected."""


class Epoch(NamedTuple):
    """One term of one writer; compares by counter, then by device-id."""

    counter: int
    device: str

    def __str__(self) -> str:
        return f"{self.counter}@{self.device}" if self.counter else ""

    @classmethod
    def parse(cls, text: str) -> Epoch:
        """Read ``COUNTER@DEVICE-ID``; the empty text is :data:`NO_EPOCH`.

        Raises VersionError for any other form.
        """
        if not text:
            return NO_EPOCH
        match = _EPOCH.fullmatch(text)
        if match is None:
            raise VersionError(f"{text!r} is not an epoch: write COUNTER@DEVICE-ID, such as 7@bras-a")
        return cls(int(match[1]), match[2])


class Version(NamedTuple):
    """The position of one change: ``seq`` counts from 1 within its epoch."""

    epoch: Epoch
    seq: int

    def __str__(self) -> str:
        # Once for every change of a batch, so without a call for the epoch.
        counter, device = self.epoch
        return f"{counter}@{device}/{self.seq}" if counter else ""

    @classmethod
    def parse(cls, text: str) -> Version:
        """Read ``COUNTER@DEVICE-ID/SEQ``; the empty text is :data:`ZERO`, "I hold nothing".

        Raises VersionError for any other form.
        """
        if not text:
            return ZERO
        match = _VERSION.fullmatch(text)
        if match is None:
            raise VersionError(
                f"{text!r} is not a version: write COUNTER@DEVICE-ID/SEQ, for example 7@bras-a/1024"
            )
        return cls(Epoch(int(match[1]), match[2]), int(match[3]))


NO_EPOCH = Epoch(0, "")
"""Older than every epoch that was ever claimed."""

ZERO = Version(NO_EPOCH, 0)
"""The cursor of a replica that holds nothing."""
