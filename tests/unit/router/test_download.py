from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import cast

from router.download import Downloader
from router.group import Group
from rui.backup.inspection import Inspector


class Counting(Downloader):
    """Fetches nothing, at once."""

    fetched = 0

    async def _fetch_all(self, group: Group) -> None:
        self.fetched += 1


async def test_an_instruction_just_after_the_last_fetch_is_followed() -> None:
    group = cast("Group", SimpleNamespace(config=SimpleNamespace(id="g1")))
    downloader = Counting([], "bras-b", cast("Inspector", None))
    for count in (1, 2, 3):
        downloader.instruct(group)
        # The task has run to its end in this very turn of the loop, and nobody has heard of it yet
        await asyncio.sleep(0)
        assert downloader.fetched == count
    await downloader.close()
