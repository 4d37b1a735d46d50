"""How far long work has come: a bar on the error stream of a terminal, and nothing anywhere else."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskProgressColumn, TextColumn
from rich.progress import TimeRemainingColumn as Remaining


class Tell(Protocol):
    """Takes how far the work has come."""

    def __call__(self, done: int, remark: str = "") -> None:
        """So much of the total is done; the remark stands behind the bar."""


@contextmanager
def progress(console: Console, what: str, total: int) -> Iterator[Tell]:
    """Show a bar while the block runs; what it gives takes how much of `total` is done, and a remark."""
    if not console.is_terminal:
        # Even a disabled Progress would end with an empty line
        yield _silent
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        MofNCompleteColumn(),
        Remaining(),
        TextColumn("{task.fields[remark]}"),
    )
    with Progress(*columns, console=console, transient=True) as shown:
        task = shown.add_task(what, total=total, remark="")

        def tell(done: int, remark: str = "") -> None:
            shown.update(task, completed=done, remark=remark)

        yield tell


def _silent(done: int, remark: str = "") -> None:
    del done, remark
