"""The ``rui`` command: a table of sub-commands, each in a module of its own.

Each module holds ``app``, a typer application. Only the module of the sub-command that was asked for is
imported: ``rui --help`` and a wrong word answer at once, and ``rui model`` needs nothing of the routers.
A sub-command without words of its own (``rui router --startup FILE``) is the callback of its ``app``:
``@app.callback(invoke_without_command=True)``; one with arguments is a function ``command``.
"""

import gc
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module

import typer

from rui_cli.errors import CliError, ExitCode


@dataclass(frozen=True)
class SubCommand:
    """One word after ``rui``: its name, the module that holds its ``app``, and its line in ``rui --help``."""

    name: str
    module: str
    help: str


SUB_COMMANDS = (
    SubCommand("router", "rui_cli.router", "Run one router from its startup file."),
    SubCommand("manager", "rui_cli.manager", "Run the cloud device from its startup file."),
    SubCommand("cli", "rui_cli.cli", "The command line of a router, the manager or any NETCONF server."),
    SubCommand("demo", "rui_cli.demo.command", "Two routers, a manager, a crash, and a proof."),
    SubCommand("lab", "rui_cli.lab", "Real DHCP clients and server in network namespaces (root)."),
    SubCommand("bench", "rui_cli.bench", "Measure replication, latency, catch-up, memory and get."),
    SubCommand("audit", "rui_cli.audit", "Compare what all holders of each group hold."),
    SubCommand("sim", "rui_cli.sim", "Run the cores in a deterministic world where everything fails."),
    SubCommand("chaos", "rui_cli.chaos", "Run real processes through faults, and show that nothing is lost."),
    SubCommand("model", "rui_cli.model", "Check, compare and extend the YANG modules."),
    SubCommand("password", "rui_cli.password", "Hash a password for an account in a startup file."),
)

EPILOG = "Exit codes: 0 done, 1 a check failed, 2 wrong usage, 3 refused, 130 interrupted."


def build(words: Sequence[str]) -> typer.Typer:
    """Return the application for the command line `words`, with the asked sub-command's module imported."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=True,
        pretty_exceptions_enable=False,  # plain tracebacks, and never locals: they may hold passwords
        help="Subscriber redundancy for broadband routers through a cloud device.",
        epilog=EPILOG,
    )
    asked = next((word for word in words if not word.startswith("-")), None)
    for command in SUB_COMMANDS:
        if command.name == asked:
            module = import_module(command.module)
            # `app` first: a package that holds a module `command` has that attribute too, once it is imported
            if hasattr(module, "app"):
                app.add_typer(module.app, name=command.name, help=command.help)
            else:
                # A typer application of its own would take an argument for the name of a sub-command
                app.command(command.name, help=command.help)(module.command)
        else:
            app.command(command.name, help=command.help)(_listed_only)
    return app


def _listed_only() -> None:
    """Stand in the help for a sub-command that was not asked for; never runs."""


def asked_words() -> list[str]:
    """Return the words after ``rui``: of this command line, or of the one that a shell has completed."""
    if "_RUI_COMPLETE" in os.environ:
        line = os.environ.get("_TYPER_COMPLETE_ARGS") or os.environ.get("COMP_WORDS", "")
        return line.split()[1:]
    return sys.argv[1:]


def main() -> None:
    """Run the ``rui`` command line; exit codes are in `rui_cli.errors`."""
    # What is imported stays: the collector would look through all of it many times and find nothing
    gc.disable()
    try:
        app = build(asked_words())
        gc.freeze()
        gc.enable()
        app(prog_name="rui")
    except CliError as error:
        sys.stderr.write(f"rui: {error}\n")
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(ExitCode.INTERRUPTED)
