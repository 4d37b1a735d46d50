"""`monitor`: something that `show` shows again and again, or events as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from netconf_cli import requests
from netconf_cli.calls import Candidate, Plain, begin, find, offers
from netconf_cli.context import Context
from netconf_cli.render import harmless
from netconf_cli.show import show_menu
from netconf_cli.words import LineError, Word

NEW_PAGE = "\f"
"""A line that stands for a fresh screen."""

_INTERVAL = 2.0


class Monitor(Plain):
    """`monitor events`, `monitor WHAT [interval SECONDS]`: WHAT as behind `show`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._words: list[Word] = []
        self._menu = show_menu(context)

    @property
    def pages(self) -> bool:
        """It never ends."""
        return False

    def feed(self, word: Word) -> None:
        """Keep the word; it is read as `show` would."""
        self._words.append(word)
        if word.text != "events" and len(self._words) == 1:
            find(self._menu, self._words)

    def finish(self, end: int) -> None:
        """Check the whole."""
        if not self._words:
            raise LineError(end, f"a word is missing: events, {', '.join(self._menu.entries)}")
        if not self._events:
            self._interval()
            begin(self._menu, self._shown(), self.context, end)

    @property
    def _events(self) -> bool:
        return len(self._words) == 1 and self._words[0].text == "events"

    async def candidates(self) -> list[Candidate]:
        """What `show` would offer, and the interval."""
        if not self._words:
            entries = self._menu.entries.items()
            return [Candidate("events", "Events as they come"), *(Candidate(k, v.help) for k, v in entries)]
        if self._events:
            return await super().candidates()
        found = await offers(self._menu, self._words, self.context)
        return [*found, Candidate("interval", "Seconds from one time to the next")]

    def _shown(self) -> list[Word]:
        return self._words[:-2] if self._has_interval() else self._words

    def _has_interval(self) -> bool:
        return len(self._words) > 2 and self._words[-2].text == "interval"

    def _interval(self) -> float:
        if not self._has_interval():
            return _INTERVAL
        text = self._words[-1].text
        if not text.isdigit() or not 1 <= int(text) <= 3600:
            raise LineError(self._words[-1].start, f"{text!r} is no number of seconds from 1 to 3600")
        return float(text)

    async def run(self, form: str) -> AsyncIterator[str]:
        """Go on until it is broken off."""
        if self._events:
            async for line in self._stream(form):
                yield line
            return
        while True:
            yield NEW_PAGE
            call = begin(self._menu, self._shown(), self.context, 0)
            async for line in call.run(form):
                yield line
            await asyncio.sleep(self._interval())

    async def _stream(self, form: str) -> AsyncIterator[str]:
        context = self.context
        if not context.subscribed:
            context.session.on_notification(lambda time, content: _keep(context.notified, time, content))
            await context.small(requests.subscribe("NETCONF"))
            context.subscribed = "NETCONF"
        while not context.notified.empty():
            context.notified.get_nowait()
        yield "Events as they come; Ctrl-C ends"
        while True:
            time, content = await context.notified.get()
            yield f"{harmless(time)}:"
            async for line in context.written(_one(content), form, context.schema.tree.notifications):
                yield line


def _keep(queue: asyncio.Queue[tuple[str, bytes]], time: str, content: bytes) -> None:
    """Queue an event; when nobody reads them the oldest go."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait((time, content))


async def _one(content: bytes) -> AsyncIterator[bytes]:
    yield content
