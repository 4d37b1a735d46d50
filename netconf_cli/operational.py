"""The commands of operational mode."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence

from lxml import etree

from netconf_cli import requests
from netconf_cli.calls import (
    Command,
    Entry,
    Menu,
    OnPath,
    Option,
    Options,
    Plain,
)
from netconf_cli.context import Context
from netconf_cli.monitor import Monitor
from netconf_cli.places import TOP, Walker
from netconf_cli.show import show_menu
from rui.netconf import names
from rui.schema import Node

# What the session itself is made of has commands of its own
_OWN = frozenset({names.BASE, names.NOTIFICATION})


def operational(context: Context) -> Menu:
    """The commands of operational mode for one session."""
    entries: dict[str, Entry] = {
        "configure": Command("Go to configuration mode", Configure),
        "exit": Command("End the session", Exit),
        "help": Command("Say how the command line works", Help),
        "monitor": Command("Show something again and again, or events as they come", Monitor),
        "quit": Command("End the session", Exit),
        "request": Menu("Carry out an operation of the model", _requests(context)),
        "show": show_menu(context),
    }
    return Menu("", entries)


def _requests(context: Context) -> dict[str, Entry]:
    rpcs = [
        node
        for node in context.schema.tree.rpcs.values()
        if node.namespace not in _OWN or node.name == "kill-session"
    ]
    return {node.name: _request(node) for node in sorted(rpcs, key=lambda node: node.name)}


def _request(node: Node) -> Command:
    sentence = " ".join(node.description.split()).partition(". ")[0]
    return Command(sentence, lambda context: Request(context, node))


class Request(OnPath):
    """`request RPC [LEAF VALUE]…`."""

    def __init__(self, context: Context, node: Node) -> None:
        level = next((child.children for child in node.children.values() if child.name == "input"), {})
        super().__init__(context, Walker(level, values=True))
        self._node = node

    async def run(self, form: str) -> AsyncIterator[str]:
        """Send the operation and show its output."""
        operation = self.context.build.element(self._node)
        for place in self.walker.assigned:
            operation.append(self.context.build.build(place)[0])
        output: Mapping[str, Node] = next(
            (child.children for child in self._node.children.values() if child.name == "output"), {}
        )
        silent = True
        async for line in self.context.written(self.context.session.call(operation), form, output):
            silent = False
            yield line
        if silent:
            yield "ok"


class Configure(Options):
    """`configure [exclusive]`."""

    def __init__(self, context: Context) -> None:
        super().__init__(context, {"exclusive": Option("Lock the configuration until it is left")})

    async def act(self) -> Sequence[str]:
        """Change the mode."""
        await enter(self.context, exclusive="exclusive" in self.chosen)
        said = ["Entering configuration mode"]
        if not self.context.locked:
            running, candidate = await self.context.both()
            if etree.tostring(running, method="c14n") != etree.tostring(candidate, method="c14n"):
                said.append(
                    "warning: the candidate holds changes that are not committed: compare, rollback 0"
                )
        return said


async def enter(context: Context, *, exclusive: bool) -> None:
    """Go to configuration mode, with both locks if asked. Raises RpcError."""
    if exclusive:
        await context.small(requests.on(requests.base("lock"), "target", requests.CANDIDATE))
        context.locked = True
    context.edit = TOP
    context.places.clear()


class Exit(Plain):
    """`exit`, `quit`."""

    async def act(self) -> Sequence[str]:
        """End the session."""
        self.context.leaving = True
        return ()


class Help(Plain):
    """`help`."""

    async def act(self) -> Sequence[str]:
        """Say the little that one has to know."""
        return _HELP.splitlines()


_HELP = """\
?             what may come next, with descriptions
Tab           complete a word
Up, Ctrl-R    earlier commands
Ctrl-C        give up a command; q at a page's end does, too
| match …     show the lines that fit; also: except, find, last, count, json, xml, set, no-more
configure     change the configuration; commit makes the change, rollback takes it back
monitor …     show something again every 2 s (interval N), or events as they come"""
