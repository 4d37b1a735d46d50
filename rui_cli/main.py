"""The ``rui`` command."""

import typer

app = typer.Typer(no_args_is_help=True, help="Subscriber redundancy for broadband routers through a cloud device.")


def main() -> None:
    """Run the ``rui`` command line."""
    app()
