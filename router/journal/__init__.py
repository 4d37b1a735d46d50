"""A router's journal on disk: one folder per group, segments of frames, one writer thread per group.

==============  ======================================================================================
``base-N``      the whole table as it was when segment N began; written beside the running router
``log-N``       what came after it, and after it ``log-N+1``, … until the next base replaces them all
``*.tmp``       a base that was not finished; removed at the next start
==============  ======================================================================================

A segment is :data:`rui.backup.journal.MAGIC` and then blocks. One block is what one durable write held:
its frames (``rui.backup.journal``) behind a mark and their length. The next block is only written once the
one before it is on the disk, so a bad block at the end is a crash's doing and is cut off, but a bad block
that a good one follows is damage.
"""

from router.journal.compaction import Compactor
from router.journal.counting import Counting, counted
from router.journal.directory import DataDirectory
from router.journal.errors import DataDirectoryError
from router.journal.quota import Quota
from router.journal.recovery import Cut, Recovered, recover
from router.journal.upkeep import Upkeep
from router.journal.writer import GroupJournal

__all__ = [
    "Compactor",
    "Counting",
    "Cut",
    "DataDirectory",
    "DataDirectoryError",
    "GroupJournal",
    "Quota",
    "Recovered",
    "Upkeep",
    "counted",
    "recover",
]
