"""``rui model``: its sub-commands."""

import typer

from rui_cli.modelcheck import check
from rui_cli.modeldiff import diff
from rui_cli.modelnew import new_augment

app = typer.Typer(no_args_is_help=True, add_completion=False)
app.command()(check)
app.command()(diff)
app.command()(new_augment)


@app.callback()
def model() -> None:
    """Check, compare and extend the YANG modules."""
