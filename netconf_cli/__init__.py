"""A command line for any YANG model, on a terminal or by script."""

from netconf_cli.archive import Archive
from netconf_cli.cli import Cli
from netconf_cli.context import CommandError, Context
from netconf_cli.engine import Engine, Output
from netconf_cli.serving import serve_cli
from netconf_cli.session import Session

__all__ = ["Archive", "Cli", "CommandError", "Context", "Engine", "Output", "Session", "serve_cli"]
