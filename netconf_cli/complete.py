"""What may come next in a line that is being written."""

from __future__ import annotations

from dataclasses import dataclass

from netconf_cli.calls import ENTER, Candidate, Menu, offers
from netconf_cli.context import Context
from netconf_cli.pipes import PIPES, argument_of, pipe_name
from netconf_cli.words import Line, LineError, Word, quoted, read_line

PIPE = Candidate("|", "Choose or form the output")


@dataclass(frozen=True)
class Completion:
    """The word under way, from column `start` on, and what it may become; `problem` says why nothing."""

    start: int
    word: str
    candidates: tuple[Candidate, ...]
    problem: str = ""

    @property
    def insertion(self) -> str:
        """What can be written in place of the word: as far as all candidates agree."""
        texts = [quoted(candidate.text) for candidate in self.candidates if not candidate.hint]
        if not texts:
            return self.word
        if len(texts) == 1:
            return f"{texts[0]} "
        short, long = min(texts), max(texts)
        agreed = next((at for at, (a, b) in enumerate(zip(short, long, strict=False)) if a != b), len(short))
        return short[:agreed]


async def complete(menu: Menu, context: Context, text: str) -> Completion:
    """Say what may come at the end of `text`."""
    line = read_line(text, unfinished=True)
    words = line.parts[-1]
    done, current = (words, None) if line.ended else (words[:-1], words[-1])
    start = current.start if current is not None else len(text)
    word = current.text if current is not None else ""
    try:
        found = _pipes(done) if line.pipes else await _command(menu, context, line, done)
    except LineError as error:
        return Completion(start, word, (), str(error))
    fits = tuple(item for item in found if item.hint or item.text.startswith(word))
    if word and any(not item.hint for item in fits):
        fits = tuple(item for item in fits if not item.hint)
    elif word:
        fits = tuple(item for item in fits if item is not ENTER)
    return Completion(start, word, fits, "" if fits else f"nothing begins with {word!r} here")


async def _command(menu: Menu, context: Context, line: Line, done: tuple[Word, ...]) -> list[Candidate]:
    found = await offers(menu, done, context)
    return [*found, PIPE] if ENTER in found and line.ended else found


def _pipes(done: tuple[Word, ...]) -> list[Candidate]:
    if not done:
        return [Candidate(name, text) for name, text in PIPES.items()]
    takes = argument_of(pipe_name(done[0]))
    if len(done) == 1 and takes:
        return [Candidate(f"<{takes}>", "", hint=True)]
    return [ENTER, PIPE]
