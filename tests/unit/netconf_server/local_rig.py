"""A server for the toy model without sockets: operations go to it through sessions within the process."""

from __future__ import annotations

import functools
from pathlib import Path

from lxml import etree

from netconf_server import Account, Accounts, Datastores, LocalSession, NetconfServer
from netconf_server.capabilities import load_schema
from rui.netconf import names
from rui.schema import Schema
from tests.integration.netconf_server_rig import HASH, TOY, USER, YANG

NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
DS = 'xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores"'


@functools.cache
def full_schema() -> Schema:
    """The toy model with the features of ietf-netconf that are off by default, compiled once a test run."""
    return load_schema(["toy"], [YANG], features={"ietf-netconf": ["startup", "url"]})


class LocalRig:
    """A server and one session in it."""

    def __init__(self, schema: Schema, folder: Path, running: str = "", **options: Path | None) -> None:
        tree = etree.fromstring(f'<config xmlns="{names.BASE}">{running}</config>')
        self.datastores = Datastores(schema, tree, file=options.get("file"))
        self.server = NetconfServer(
            schema,
            self.datastores,
            Accounts([Account(USER, HASH)]),
            host_key_file=folder / "host_key",
            url_folder=options.get("url_folder"),
        )
        self.session = self.open()

    def open(self) -> LocalSession:
        """Another session."""
        session = self.server.local_session(USER, "test:1")
        assert session is not None
        return session

    async def rpc(self, operation: str, session: LocalSession | None = None) -> etree._Element:
        """Carry out an operation of the base namespace; return what is inside the reply, in `<reply>`."""
        text = f'<x xmlns="{names.BASE}" xmlns:t="{TOY}" {DS}>{operation}</x>'
        element = etree.fromstring(text)[0]
        pieces = [piece async for piece in (session or self.session).call(element)]
        return etree.fromstring(b"<reply>" + b"".join(pieces) + b"</reply>")

    async def system(self, source: str) -> str:
        """The toy's /system in a datastore, as text without namespace; empty when there is none."""
        reply = await self.rpc(f"<get-config><source><{source}/></source></get-config>")
        found = reply.find(f".//{{{TOY}}}system")
        return "" if found is None else plain(found)


def plain(element: etree._Element) -> str:
    """An element's text without the toy's namespace and the prefixes that came with it."""
    text = etree.tostring(element).decode().replace(f' xmlns="{TOY}"', "")
    for declaration in (f' xmlns:t="{TOY}"', f' xmlns="{names.BASE}"', f" {DS}", f' xmlns="{NMDA}"'):
        text = text.replace(declaration, "")
    return text
