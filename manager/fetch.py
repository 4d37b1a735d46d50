"""Download (S504): what a secondary is given that fetches by itself, page by page.

Each fetch states the secondary's position, and that alone decides the answer: nothing is kept between two of
them but how far back an empty replica needs no deletes.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from manager.store import NeedsSnapshot, Store
from rui.backup.messages import Batch, Stream
from rui.backup.requests import Fetch, Fetched
from rui.backup.source import Source, SourceOptions, WantPage
from rui.backup.version import ZERO, Version


class Fetcher:
    """Answers fetches from the store."""

    def __init__(self, store: Store, *, now: Callable[[], float] = time.monotonic) -> None:
        self._store = store
        self._now = now
        self._known_floors: dict[tuple[str, str], Version] = {}

    async def fetch(self, request: Fetch) -> Fetched:
        """Return what comes behind the position that the request states; an empty batch if nothing does.

        Raises StoreError, and LookupError where nobody has ever claimed to write the group.
        """
        head = await self._store.head(request.group)
        writer, newest = head.position.writer, head.position.cursor
        if not writer.counter:
            raise LookupError(f"group {request.group} has no primary yet")
        position = replace(request.position, writer=writer)
        known = self._known_floor(request, head.floor)
        source = Source(request.group, SourceOptions(batch_records=request.max_records))
        lineage = head.position.lineage
        source.connect(position, writer, newest, ZERO if known else head.floor, lineage)
        source.known_floor = max(source.known_floor, known)
        batch, floor = await self._next(source, newest, head.floor)
        if batch is None and floor > head.floor:
            # Deletes were forgotten since: whole buckets.
            source.connect(position, writer, newest, floor, lineage)
            batch, floor = await self._next(source, newest, floor)
        if batch is None:
            live = request.position.live
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
        found = await self._store.since(source.group, want.after, want.limit, known_floor=source.known_floor)
        if isinstance(found, NeedsSnapshot):
            return None, max(floor, found.floor)
        return source.take(found, now), floor

    def _known_floor(self, request: Fetch, floor: Version) -> Version:
        """Return up to where this secondary needs no deletes, since it was empty when it began to fetch."""
        place = (request.group, request.device)
        if request.position.live == ZERO:
            self._known_floors[place] = floor
            return ZERO
        known = self._known_floors.get(place, ZERO)
        if known < floor or request.position.live >= floor:
            self._known_floors.pop(place, None)
            return ZERO
        return known
