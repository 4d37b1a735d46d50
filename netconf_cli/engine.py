"""Lines in, output out: the command line without any terminal."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Protocol

from lxml import etree

from netconf_cli.calls import Menu, begin
from netconf_cli.complete import Completion, complete
from netconf_cli.configuration import configuration
from netconf_cli.context import CommandError, Context
from netconf_cli.monitor import NEW_PAGE
from netconf_cli.operational import operational
from netconf_cli.pipes import Pipes, read_pipes
from netconf_cli.render import harmless
from netconf_cli.words import LineError, read_line
from rui.netconf.errors import RpcError


class Output(Protocol):
    """Where lines go."""

    async def begin(self, *, pages: bool) -> None:
        """The output of a command follows."""

    async def line(self, text: str) -> bool:
        """Show a line; False once nobody wants more."""

    async def error(self, text: str) -> None:
        """Show what went wrong."""

    async def new_page(self) -> None:
        """Start over on a fresh screen."""


class Engine:
    """Runs the commands of one session."""

    def __init__(self, context: Context) -> None:
        self.context = context
        self._operational = operational(context)
        self._configuration = configuration()

    @property
    def menu(self) -> Menu:
        """The commands of the mode that the session is in."""
        return self._operational if self.context.edit is None else self._configuration

    async def complete(self, text: str) -> Completion:
        """What may come at the end of `text`."""
        try:
            return await complete(self.menu, self.context, text)
        except (LineError, RpcError, ConnectionError) as error:
            return Completion(len(text), "", (), str(error))

    async def run(self, text: str, out: Output, *, caret: bool = False) -> bool:
        """Carry out one line; say whether it worked. With `caret` the line stands above its output.

        Raises ConnectionError once the session is over.
        """
        try:
            line = read_line(text)
            if not line.words and not line.pipes:
                return True
            pipes = read_pipes(line.pipes, line.length)
            call = begin(self.menu, line.words, self.context, line.length)
        except LineError as error:
            if caret:
                await out.error(" " * (len(self.context.prompt) + error.position) + "^")
            await out.error(f"syntax error: {harmless(str(error))}")
            return False
        try:
            await out.begin(pages=call.pages and pipes.more)
            await _show(call.run(pipes.format), pipes, out)
        except CommandError as error:
            await out.error(f"error: {harmless(str(error))}")
        except RpcError as error:
            for part in error.all:
                await out.error(f"error: {harmless(error_text(part))}")
        except etree.XMLSyntaxError as error:
            await out.error(f"error: the device's answer is no XML: {harmless(str(error))}")
        else:
            return True
        return False


async def _show(lines: AsyncIterator[str], pipes: Pipes, out: Output) -> None:
    stages = pipes.apply(lines)
    try:
        async for line in stages:
            if line == NEW_PAGE:
                await out.new_page()
            elif not await out.line(harmless(line)):
                break
    finally:
        for generator in (stages, lines):
            with contextlib.suppress(RuntimeError):
                await generator.aclose()  # type: ignore[attr-defined]


def error_text(error: RpcError) -> str:
    """An rpc-error for people: what, where, and the tag that says of what kind."""
    where = f"\n  at {error.path}" if error.path else ""
    return f"{error.message or 'refused'} ({error.tag}){where}"
