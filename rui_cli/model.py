"""``rui model``: its sub-commands."""

import typer

from rui_cli.modelcheck import check
from rui_cli.modeldiff import diff
from rui_cli.modelnew import new_augment

app = typer.Typer(no_args_is_help=True, add_completion=False)
for command in (check, diff, new_augment):
    app.command()(command)


@app.callback()
def model() -> None:
    """Check, compare and extend the YANG modules."""
