"""Download (S504): what a secondary is given that fetches by itself, page by page.

Each fetch states the secondary's position, and that alone decides the answer: nothing is kept between two.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from manager.store import NeedsSnapshot, Store
from rui.backup.lineage import written_by
from rui.backup.messages import Batch, Stream
from rui.backup.requests import Fetch, Fetched
from rui.backup.source import Source, SourceOptions, WantPage
from rui.backup.version import Version


class Fetcher:
    """Answers fetches from the store."""

    def __init__(self, store: Store, *, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._now = now

    async def fetch(self, request: Fetch) -> Fetched:
        """Return what comes behind the position that the request states; an empty batch if nothing does.

        Raises StoreError, and LookupError where nobody has ever claimed to write the group.
        """
        head = await self._store.head(request.group)
        writer, newest = head.position.writer, head.position.cursor
        if not writer.counter:
            raise LookupError(f"group {request.group} has no primary yet")
        position = replace(request.position, writer=writer)
        source = Source(request.group, SourceOptions(batch_records=request.max_records))
        lineage, live = head.position.lineage, request.position.live
        if not written_by(lineage, writer):
            # The new primary has not told its history yet
            return Fetched(Batch(request.group, writer, Stream(live, live), ()), more=False)
        if newest < head.floor:
            # It has not filled up what is held of it: who asks may have to offer what it lacks
            return Fetched(Batch(request.group, writer, Stream(live, live), (), lineage), more=False)
        source.connect(position, writer, newest, head.floor, lineage)
        batch, floor = await self._next(source, newest, head.floor)
        if batch is None and floor > head.floor:
            # Deletes were forgotten since: whole buckets.
            source.connect(position, writer, newest, floor, lineage)
            batch, floor = await self._next(source, newest, floor)
        if batch is None:
            return Fetched(Batch(request.group, writer, Stream(live, live), ()), more=False)
        return Fetched(batch, more=source.want(newest, floor, self._now()) is not None)

    async def _next(self, source: Source, newest: Version, floor: Version) -> tuple[Batch | None, Version]:
        """Return the next batch if there is one, and the floor that holds now."""
        now = self._now()
        want = source.want(newest, floor, now)
        if want is None:
            return None, floor
        if isinstance(want, WantPage):
            return source.take(await self._store.page(source.group, want.first, want.limit), now), floor
        found = await self._store.since(source.group, want.after, want.limit)
        if isinstance(found, NeedsSnapshot):
            return None, max(floor, found.floor)
        return source.take(found, now), floor
