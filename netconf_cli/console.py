"""A terminal at the other end of a channel: lines out page by page, keys in, and never more than fits."""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Callable
from typing import Protocol

_MORE = "---(more)---"
_TYPED = 32 * 1024
_CHUNK = 256
_STALL = 60.0
_BREAK = "\x03"
_DUMB = frozenset({"", "dumb", "unknown"})
_SCREEN = range(5, 201), range(20, 1001)


class Channel(Protocol):
    """What a console writes to and holds back."""

    def write(self, data: bytes) -> None:
        """Send bytes."""

    def write_error(self, data: bytes) -> None:
        """Send bytes on the error stream."""

    def pause_reading(self) -> None:
        """Take nothing more for now."""

    def resume_reading(self) -> None:
        """Take bytes again."""


class Console:
    """Text in and out of one channel.

    `kind` is the terminal's kind, None without a terminal: then nothing is paged and lines end in a plain
    newline. `asking` is set while a line is being read, `changed` whenever there may be more to read.
    """

    def __init__(self, channel: Channel, kind: str | None, width: int, height: int) -> None:
        self.terminal = kind is not None
        self.dumb = kind is None or kind in _DUMB
        self.kind = kind or ""
        self.width, self.height = 80, 24
        self.resize(width, height)
        self.typed = ""
        self.ended = False
        self.on_break: Callable[[], None] | None = None
        self.asking = False
        self.changed = asyncio.Event()
        self._channel = channel
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._reading = True
        self._writable = asyncio.Event()
        self._writable.set()
        self._pages = False
        self._rows = 0

    # --- from the channel

    def receive(self, data: bytes) -> None:
        """Take what was typed; a break outside a prompt drops what was typed before it."""
        text = self._decoder.decode(data)
        if not self.asking and self.terminal and _BREAK in text:
            self.typed, text = "", text.rpartition(_BREAK)[2]
            self.interrupt()
        self.typed += text
        self.changed.set()
        self._steer()

    def receive_eof(self) -> None:
        """Nothing more will be typed."""
        self.ended = True
        self.changed.set()

    def interrupt(self) -> None:
        """Break off what runs."""
        if self.on_break is not None:
            self.on_break()

    def resize(self, width: int, height: int) -> None:
        """Take the terminal's size; what no screen has is drawn to what one may have."""
        rows, columns = _SCREEN
        self.height = min(max(height, rows[0]), rows[-1]) if height else 24
        self.width = min(max(width, columns[0]), columns[-1]) if width else 80

    def pause_writing(self) -> None:
        """The far end takes nothing: what it types is not read either, as it would be answered."""
        self._writable.clear()
        self._steer()

    def resume_writing(self) -> None:
        """The far end takes bytes again."""
        self._writable.set()
        self.changed.set()
        self._steer()

    def _steer(self) -> None:
        wanted = self._writable.is_set() and len(self.typed) < _TYPED
        if wanted != self._reading:
            self._reading = wanted
            if wanted:
                self._channel.resume_reading()
            else:
                self._channel.pause_reading()

    # --- in

    def take(self, count: int) -> str:
        """Take up to this many typed characters."""
        text, self.typed = self.typed[:count], self.typed[count:]
        self._steer()
        return text

    def chunk(self) -> str:
        """Take what was typed up to a key that may lead elsewhere, no more than is quickly worked off."""
        size = min((at for at in map(self.typed.find, "\r\n\t?") if at >= 0), default=_CHUNK)
        return self.take(min(size + 1, _CHUNK))

    async def key(self) -> str:
        """Wait for one key; empty at the end of input."""
        while not self.typed and not self.ended:
            self.changed.clear()
            await self.changed.wait()
        return self.take(1)

    async def input_line(self) -> str | None:
        """Wait for a line of a script; None at the end of input. Raises ValueError when one is too long."""
        while "\n" not in self.typed and not self.ended:
            if len(self.typed) >= _TYPED:
                raise ValueError(f"a line is longer than {_TYPED} characters")
            self.changed.clear()
            await self.changed.wait()
        if not self.typed:
            return None
        line, newline, _ = self.typed.partition("\n")
        self.take(len(line) + len(newline))
        return line.rstrip("\r")

    # --- out

    @property
    def writable(self) -> bool:
        """Whether the far end takes what is written."""
        return self._writable.is_set()

    def write(self, text: str) -> None:
        """Write as it is."""
        self._channel.write(text.encode("utf-8", "replace"))

    async def begin(self, *, pages: bool) -> None:
        """The output of a command follows."""
        self._pages = pages and self.terminal
        self._rows = 0

    async def line(self, text: str) -> bool:
        """Show a line, after a stop where the screen is full; False when the reader has had enough."""
        rows = max(1, -(-len(text) // self.width))
        if self._pages and self._rows + rows > self.height - 1 and not await self._more():
            return False
        self._rows += rows
        self.write(f"{text}{self._newline}")
        await self._room()
        return True

    async def error(self, text: str) -> None:
        """Show what went wrong: of a script on the error stream."""
        if self.terminal:
            self.write(text.replace("\n", self._newline) + self._newline)
        else:
            self._channel.write_error(f"{text}\n".encode("utf-8", "replace"))
        await self._room()

    async def new_page(self) -> None:
        """Clear the screen, or draw a line where that cannot be."""
        self._rows = 0
        self.write(f"{'-' * 40}{self._newline}" if self.dumb else "\x1b[H\x1b[2J")

    @property
    def _newline(self) -> str:
        return "\r\n" if self.terminal else "\n"

    async def _more(self) -> bool:
        self.write(_MORE)
        try:
            key = await self.key()
        finally:
            self.write(f"\r{' ' * len(_MORE)}\r")
        if key in ("", "q", "Q", _BREAK, "\x04"):
            return False
        if key in ("G", "c"):
            self._pages = False
        self._rows = self.height - 2 if key in ("\r", "\n") else 0
        return True

    async def _room(self) -> None:
        """Wait until the far end takes bytes again. Raises TimeoutError when it does not."""
        if not self._writable.is_set():
            async with asyncio.timeout(_STALL):
                await self._writable.wait()
