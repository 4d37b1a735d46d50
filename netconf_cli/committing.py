"""What ends a change of configuration: `commit`, `rollback`, and leaving configuration mode."""

from __future__ import annotations

from collections.abc import Sequence

from netconf_cli import requests
from netconf_cli.calls import Candidate, Option, Options, Plain
from netconf_cli.context import CommandError, Context
from netconf_cli.words import LineError, Word

_CONFIRM_MINUTES = 10
_MOST_MINUTES = 1440


async def leave(context: Context) -> Sequence[str]:
    """Leave configuration mode; what is not committed stays in the candidate, unless that was locked."""
    if context.locked:
        await context.small(requests.base("discard-changes"))
        await context.small(requests.on(requests.base("unlock"), "target", requests.CANDIDATE))
        context.locked = False
    context.edit = None
    context.places.clear()
    return ("Leaving configuration mode",)


class Commit(Options):
    """`commit [check | confirmed [MINUTES] | and-quit]`."""

    def __init__(self, context: Context) -> None:
        super().__init__(
            context,
            {
                "and-quit": Option("Leave configuration mode when it is done"),
                "check": Option("Only check the candidate"),
                "confirmed": Option("Take it back unless a second commit confirms it (minutes, default 10)"),
            },
        )
        self._minutes = _CONFIRM_MINUTES

    def feed(self, word: Word) -> None:
        """Take an option, or the minutes behind `confirmed`."""
        if list(self.chosen)[-1:] == ["confirmed"] and word.text.isdigit():
            self._minutes = int(word.text)
            if not 1 <= self._minutes <= _MOST_MINUTES:
                raise LineError(word.start, f"{word.text} is no number of minutes from 1 to {_MOST_MINUTES}")
            return
        super().feed(word)
        if {"check", "confirmed"} <= self.chosen.keys() or {"check", "and-quit"} <= self.chosen.keys():
            raise LineError(word.start, "check goes alone")

    async def act(self) -> Sequence[str]:
        """Check, commit, say what follows."""
        context = self.context
        if "check" in self.chosen:
            await context.small(requests.on(requests.base("validate"), "source", requests.CANDIDATE))
            return ("configuration check succeeds",)
        seconds = self._minutes * 60 if "confirmed" in self.chosen else None
        await context.small(requests.commit(seconds))
        if seconds is None:
            said = ["commit confirmed" if context.confirming else "commit complete"]
        else:
            minutes = f"it is taken back in {self._minutes} min unless a second commit confirms it,"
            said = [f"commit complete; {minutes}", "and at once when this session ends"]
        context.confirming = seconds is not None
        return [*said, *(await leave(context))] if "and-quit" in self.chosen else said


class Rollback(Plain):
    """`rollback [NUMBER]`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._number: int | None = None

    def feed(self, word: Word) -> None:
        """Take the number."""
        if self._number is not None or not word.text.isdigit() or int(word.text) > 1000:
            raise LineError(word.start, f"{word.text!r} is no number of a configuration")
        self._number = int(word.text)

    async def candidates(self) -> list[Candidate]:
        """What is kept."""
        if self._number is not None:
            return await super().candidates()
        kept = self.context.archive.entries() if self.context.archive is not None else []
        return [
            Candidate("0", "The running configuration: give up all changes"),
            *(Candidate(str(n), f"Replaced {k.time} by {k.user}") for n, k in enumerate(kept, start=1)),
        ]

    async def act(self) -> Sequence[str]:
        """Make the candidate what was running."""
        if not self._number:
            await self.context.small(requests.base("discard-changes"))
        elif self.context.archive is None:
            raise CommandError("no archive is kept here; log in at the device itself")
        else:
            try:
                config = self.context.archive.read(self._number)
            except LookupError as error:
                raise CommandError(str(error)) from error
            await self.context.small(requests.copy_to_candidate(config))
        return ("load complete",)
