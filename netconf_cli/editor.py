"""Reading a line at a terminal that can do nothing but print: no cursor movement, no colours."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from netconf_cli.complete import Completion
from netconf_cli.words import LONGEST_LINE

Completer = Callable[[str], Awaitable[Completion]]
Write = Callable[[str], None]

_ERASE = frozenset({"\x08", "\x7f"})
_WIDEST = 30


class Editor(Protocol):
    """Reads lines from what is fed to it."""

    async def ask(self, prompt: str) -> str | None:
        """Return the next line, an empty one when it is given up (Ctrl-C); None at its end (Ctrl-D)."""

    def feed(self, text: str) -> None:
        """Take what was typed."""

    @property
    def asking(self) -> bool:
        """Whether a line is being read."""

    def end(self) -> None:
        """Nothing more will be typed."""

    def resized(self) -> None:
        """The terminal has another size."""


def candidate_lines(completion: Completion, width: int) -> list[str]:
    """The candidates with their descriptions, as lines."""
    if not completion.candidates:
        return [completion.problem] if completion.problem else []
    room = min(max(len(item.text) for item in completion.candidates), _WIDEST)
    return [f"  {item.text.ljust(room)}  {item.help}".rstrip()[: width - 1] for item in completion.candidates]


class PlainEditor:
    """The line editor for a dumb terminal: echo, erase, `?` and Tab, nothing that moves the cursor back."""

    def __init__(self, write: Write, completer: Completer, width: Callable[[], int]) -> None:
        self._write = write
        self._completer = completer
        self._width = width
        self._prompt = ""
        self._line = ""
        self._answer: asyncio.Future[str | None] | None = None
        self._looking: asyncio.Task[None] | None = None

    @property
    def asking(self) -> bool:
        """Whether a line is being read, and no completion is looked for."""
        return self._answer is not None and not self._answer.done() and self._looking is None

    async def ask(self, prompt: str) -> str | None:
        """Read a line."""
        self._prompt, self._line = prompt, ""
        self._write(prompt)
        self._answer = asyncio.get_running_loop().create_future()
        try:
            return await self._answer
        finally:
            if self._looking is not None:
                self._looking.cancel()
                self._looking = None

    def feed(self, text: str) -> None:
        """Take keys."""
        for key in text:
            self._key(key)

    def end(self) -> None:
        """Nothing more will be typed."""
        self._settle(None)

    def resized(self) -> None:
        """Nothing is drawn anew."""

    def _settle(self, line: str | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._write("\r\n")
            self._answer.set_result(line)

    def _key(self, key: str) -> None:
        if key in ("\r", "\n"):
            self._settle(self._line)
        elif key == "\x03":
            self._write("^C\r\n" + self._prompt)
            self._line = ""
        elif key == "\x04":
            if not self._line:
                self._settle(None)
        elif key == "\x15":
            self._write("\x08 \x08" * len(self._line))
            self._line = ""
        elif key in _ERASE:
            if self._line:
                self._line = self._line[:-1]
                self._write("\x08 \x08")
        elif key == "\t" or (key == "?" and not _in_quotes(self._line)):
            self._looking = asyncio.get_running_loop().create_task(self._look(insert=key == "\t"))
        elif key.isprintable() and len(self._line) < LONGEST_LINE:
            self._line += key
            self._write(key)

    async def _look(self, *, insert: bool) -> None:
        found = await self._completer(self._line)
        head, longer = self._line[: found.start], found.insertion
        if insert and len(longer) > len(found.word):
            self._write(longer[len(found.word) :] if longer.startswith(found.word) else "")
            self._line = head + longer
        else:
            lines = candidate_lines(found, self._width())
            self._write("\r\n" + "".join(f"{line}\r\n" for line in lines) + self._prompt + self._line)
        self._looking = None


def _in_quotes(text: str) -> bool:
    return text.count('"') % 2 == 1
