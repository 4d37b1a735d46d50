"""What stands behind `|`: which form the output has, and which of its lines are shown."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field

from netconf_cli.table import Title
from netconf_cli.words import LineError, Word

FORMATS = {
    "json": "Data as JSON (RFC 7951)",
    "xml": "Data as XML",
    "set": "Data as set commands",
}
PIPES = {
    "count": "Count the lines, or the rows of a table",
    "except": "Leave out the lines that fit a regular expression",
    "find": "Begin at the first line that fits a regular expression",
    **FORMATS,
    "last": "Only the last lines",
    "match": "Only the lines that fit a regular expression",
    "no-more": "Do not stop at the end of a page",
}
_TAKES = {"except": "regular expression", "find": "regular expression", "match": "regular expression"}
_LONGEST_PATTERN = 200
_MOST_LAST = 10_000
# A pattern with a group that repeats inside a repetition can take time without bound
_NESTED_REPEAT = re.compile(r"[+*}]\)?[+*{]|\([^()]*[+*}|][^()]*\)[+*{]")


@dataclass
class Pipes:
    """The pipes of one line, in order."""

    format: str = ""
    more: bool = True
    stages: list[tuple[str, re.Pattern[str] | int]] = field(default_factory=list)

    @property
    def counts(self) -> bool:
        """Whether only a number comes out."""
        return any(name == "count" for name, _ in self.stages)

    async def apply(self, lines: AsyncIterator[str]) -> AsyncIterator[str]:
        """Yield what the stages leave of the lines."""
        for name, argument in self.stages:
            lines = _stage(name, argument, lines)
        async for line in lines:
            yield line


def read_pipes(pipes: Sequence[Sequence[Word]], end: int) -> Pipes:
    """Read the pipes of a line that ends at this column. Raises LineError."""
    read = Pipes()
    for words in pipes:
        if not words:
            raise LineError(end, f"a word is missing behind |: {', '.join(PIPES)}")
        name = pipe_name(words[0])
        argument = _argument(name, words, end)
        if name in FORMATS:
            if read.format or read.stages:
                raise LineError(words[0].start, f"{name!r} has to be the first pipe, and the only form")
            read.format = name
        elif name == "no-more":
            read.more = False
        else:
            read.stages.append((name, argument))
    return read


def pipe_name(word: Word) -> str:
    """The pipe that a word or its beginning names. Raises LineError."""
    found = [name for name in PIPES if name == word.text] or [
        name for name in PIPES if name.startswith(word.text)
    ]
    if len(found) != 1:
        raise LineError(word.start, f"there is no pipe {word.text!r}, only {', '.join(PIPES)}")
    return found[0]


def argument_of(name: str) -> str:
    """What a pipe takes, empty for those that take nothing."""
    return "number of lines" if name == "last" else _TAKES.get(name, "")


def _argument(name: str, words: Sequence[Word], end: int) -> re.Pattern[str] | int:
    takes = argument_of(name)
    if len(words) > 2 or (len(words) == 2 and not takes):
        raise LineError(words[-1].start, f"{words[-1].text!r} is too much for {name!r}")
    if not takes:
        return 0
    if len(words) < 2:
        if name == "last":
            return 10
        raise LineError(end, f"{name!r} needs a {takes}")
    text = words[1].text
    if name == "last":
        if not text.isdigit() or not 0 < int(text) <= _MOST_LAST:
            raise LineError(words[1].start, f"{text!r} is no number from 1 to {_MOST_LAST}")
        return int(text)
    if len(text) > _LONGEST_PATTERN or _NESTED_REPEAT.search(text):
        raise LineError(words[1].start, "the regular expression is too long or repeats a repetition")
    try:
        return re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise LineError(words[1].start, f"{text!r} is no regular expression: {error}") from error


async def _stage(name: str, argument: re.Pattern[str] | int, lines: AsyncIterator[str]) -> AsyncIterator[str]:
    count, found = 0, False
    last: deque[str] = deque(maxlen=argument if isinstance(argument, int) and argument else 1)
    async for line in lines:
        fits = isinstance(argument, re.Pattern) and argument.search(line) is not None
        count += not isinstance(line, Title)
        found = found or fits
        if name == "last":
            last.append(line)
        elif (name == "match" and fits) or (name == "except" and not fits) or (name == "find" and found):
            yield line
    if name == "last":
        for line in last:
            yield line
    elif name == "count":
        yield f"Count: {count} lines"
