"""``rui password``: the hash of a password, for an account in a startup file."""

import json
import sys
from getpass import getpass
from typing import Annotated

import typer

from netconf_server.accounts import hash_password
from rui_cli.errors import CliError, ExitCode

app = typer.Typer(add_completion=False)


@app.callback(invoke_without_command=True)
def password(
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Print the hash of a password, for <password-hash> in a startup file.

    The password is asked for twice at a terminal, else it is the first line of standard input.
    """
    chosen = _asked() if sys.stdin.isatty() else sys.stdin.readline().rstrip("\r\n")
    if not chosen:
        raise CliError("the password is empty", remedy="give one", exit_code=ExitCode.USAGE)
    hashed = hash_password(chosen)
    sys.stdout.write((json.dumps({"password-hash": hashed}) if as_json else hashed) + "\n")


def _asked() -> str:
    first = getpass("Password: ")
    if getpass("Again: ") != first:
        raise CliError("the two passwords differ", remedy="type the same twice", exit_code=ExitCode.USAGE)
    return first
