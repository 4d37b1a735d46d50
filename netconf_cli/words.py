"""A command line cut into words, pipes and commands, with where each word stands."""

from __future__ import annotations

from dataclasses import dataclass

LONGEST_LINE = 16 * 1024
_ESCAPES = {"n": "\n", "t": "\t"}


class LineError(Exception):
    """A line that cannot be carried out: `position` is the column of the fault, from 0."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(message)
        self.position = position


@dataclass(frozen=True)
class Word:
    """One word; `start` and `end` are columns in the line. A quoted word is never a keyword's beginning."""

    text: str
    start: int
    end: int
    quoted: bool = False


@dataclass(frozen=True)
class Line:
    """One command: its words, then the words of each pipe. `ended`: the last word is followed by a space."""

    parts: tuple[tuple[Word, ...], ...]
    length: int
    ended: bool

    @property
    def words(self) -> tuple[Word, ...]:
        """The command's own words."""
        return self.parts[0]

    @property
    def pipes(self) -> tuple[tuple[Word, ...], ...]:
        """The words of each pipe."""
        return self.parts[1:]


def split_commands(text: str) -> list[str]:
    """Cut a script at its line ends and unquoted semicolons; empty commands and `#` lines are left out."""
    commands: list[str] = []
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            continue
        start, quote, position = 0, "", 0
        while position < len(line):
            char = line[position]
            if quote:
                position += char == "\\" and quote == '"'
                quote = "" if char == quote else quote
            elif char in "\"'":
                quote = char
            elif char == ";":
                commands.append(line[start:position])
                start = position + 1
            position += 1
        commands.append(line[start:])
    return [command.strip() for command in commands if command.strip()]


def read_line(text: str, *, unfinished: bool = False) -> Line:
    """Cut one line; with `unfinished` an open quote ends at the end of the line. Raises LineError."""
    if len(text) > LONGEST_LINE:
        raise LineError(LONGEST_LINE, f"the line is longer than {LONGEST_LINE} characters")
    parts: list[list[Word]] = [[]]
    position = 0
    while position < len(text):
        char = text[position]
        if char.isspace():
            position += 1
        elif char == "|":
            parts.append([])
            position += 1
        else:
            word, position = _word(text, position, unfinished=unfinished)
            parts[-1].append(word)
    last = parts[-1][-1] if parts[-1] else None
    ended = last is None or last.end < len(text)
    return Line(tuple(map(tuple, parts)), len(text), ended)


def _word(text: str, start: int, *, unfinished: bool) -> tuple[Word, int]:
    """Read the word at `start`: plain up to a space or pipe, or in quotes."""
    quote = text[start] if text[start] in "\"'" else ""
    position = start + len(quote)
    out: list[str] = []
    while position < len(text):
        char = text[position]
        if char == quote or (not quote and (char.isspace() or char == "|")):
            break
        if char == "\\" and quote == '"' and position + 1 < len(text):
            position += 1
            char = _ESCAPES.get(text[position], text[position])
        out.append(char)
        position += 1
    if quote:
        if position >= len(text) and not unfinished:
            raise LineError(start, f"the quote {quote} is not closed")
        position = min(position + 1, len(text))
    return Word("".join(out), start, position, bool(quote)), position


def quoted(text: str) -> str:
    """The text as one word that reads back the same."""
    if text and not any(char.isspace() or char in "\"'|\\;{}[]#" for char in text):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t")
    return f'"{escaped}"'
