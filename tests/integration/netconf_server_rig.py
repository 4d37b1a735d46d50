"""A NETCONF server for the toy model on loopback, and a bare client that sends the bytes it is told to."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
from lxml import etree

from netconf_server import (
    Account,
    Accounts,
    Datastores,
    Entry,
    Keys,
    Limits,
    NetconfServer,
    RpcCall,
    hash_password,
    load_schema,
)
from rui.netconf import names
from rui.schema import Schema

TOY = "urn:example:toy"
YANG = Path(__file__).parents[1] / "data" / "yang"
USER, PASSWORD = "admin", "correct horse"
HASH = hash_password(PASSWORD, salt=b"0123456789abcdef", log_cost=4)
BASE_11_HELLO = (
    '<hello xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><capabilities>'
    "<capability>urn:ietf:params:netconf:base:1.1</capability></capabilities></hello>]]>]]>"
)
BASE_10_HELLO = BASE_11_HELLO.replace("base:1.1", "base:1.0")


@functools.cache
def toy_schema() -> Schema:
    """The toy model, compiled once a test run."""
    return load_schema(["toy"], [YANG])


def toy(name: str) -> str:
    """A name of the toy model as lxml writes it."""
    return f"{{{TOY}}}{name}"


@dataclass
class Parts:
    """A list provider of `sites` sites with `parts` parts each, which notes what it was asked for."""

    sites: int = 2
    parts: int = 3
    note: str = ""
    asked: list[Keys] = field(default_factory=list)

    def read(self, keys: Keys) -> Iterator[Entry]:
        self.asked.append(keys)
        site, part = keys.get("site", {}).get("name"), keys.get("part", {})
        wanted = part.get("serial")
        numbers: Iterable[int] = range(self.parts)
        if wanted is not None:
            known = wanted[:1] == "x" and wanted[1:].isdigit() and int(wanted[1:]) < self.parts
            numbers = [int(wanted[1:])] if known else []
        for name in (f"s{i}" for i in range(self.sites)):
            if site in (None, name) and part.get("slot", "1") == "1":
                for number in numbers:
                    yield self._entry(name, f"x{number}")

    def _entry(self, site: str, serial: str) -> Entry:
        xml = f'<part xmlns="{TOY}"><serial>{serial}</serial><slot>1</slot><model>m</model>'
        return Entry(({"name": site},), f"{xml}<note>{self.note}</note></part>".encode())


async def add(call: RpcCall) -> list[etree._Element]:
    """Answer the toy's rpc `add`."""
    total = etree.Element(toy("sum"), nsmap=names.nsmap(TOY))
    total.text = str(
        int(call.operation.findtext(toy("a")) or 0) + int(call.operation.findtext(toy("b")) or 0)
    )
    return [total]


@dataclass
class Rig:
    """A running server and how to reach it."""

    server: NetconfServer
    port: int
    datastores: Datastores
    accounts: Accounts
    parts: Parts

    @asynccontextmanager
    async def raw(self, hello: str | None = BASE_11_HELLO) -> AsyncIterator[Raw]:
        """A bare client; with `hello` the hellos are exchanged already."""
        async with asyncssh.connect(
            "127.0.0.1",
            self.port,
            username=USER,
            password=PASSWORD,
            known_hosts=None,
            client_keys=None,
            config=None,
        ) as connection:
            writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
            raw = Raw(reader, writer, chunked=False)
            if hello is not None:
                raw.hello = await raw.message()
                raw.send(hello)
                raw.chunked = "base:1.1" in hello
            yield raw


@dataclass
class Raw:
    """Bytes to and from the netconf subsystem, in either framing."""

    reader: asyncssh.SSHReader[bytes]
    writer: asyncssh.SSHWriter[bytes]
    chunked: bool
    hello: bytes = b""

    def send(self, text: str | bytes) -> None:
        """Send bytes as they are."""
        self.writer.write(text.encode() if isinstance(text, str) else text)

    def send_message(self, text: str | bytes) -> None:
        """Send one message in the session's framing."""
        data = text.encode() if isinstance(text, str) else text
        self.send(b"\n#%d\n%s\n##\n" % (len(data), data) if self.chunked else data + b"]]>]]>")

    async def message(self) -> bytes:
        """The next whole message; raises asyncio.IncompleteReadError when the server closes."""
        if not self.chunked:
            return (await self.reader.readuntil(b"]]>]]>"))[:-6]
        pieces: list[bytes] = []
        while True:
            await self.reader.readuntil(b"\n#")
            size = (await self.reader.readuntil(b"\n"))[:-1]
            if size == b"#":
                return b"".join(pieces)
            pieces.append(await self.reader.readexactly(int(size)))

    async def rpc(self, operation: str, message_id: str = "1") -> etree._Element:
        """Send an operation, return the rpc-reply."""
        self.send_message(f'<rpc xmlns="{names.BASE}" message-id="{message_id}">{operation}</rpc>')
        return etree.fromstring(await self.message())

    async def closed(self) -> bytes:
        """Wait until the server has closed the channel; return what it still sent."""
        async with asyncio.timeout(30):
            return await self.reader.read()


@asynccontextmanager
async def serving(
    folder: Path,
    *,
    limits: Limits | None = None,
    running: str = "",
    parts: Parts | None = None,
    events: Path | None = None,
) -> AsyncIterator[Rig]:
    """Run a server for the toy model on a free port."""
    schema = toy_schema()
    tree = etree.fromstring(f'<config xmlns="{names.BASE}">{running}</config>') if running else None
    datastores = Datastores(schema, tree, file=folder / "running.xml")
    accounts = Accounts([Account(USER, HASH)])
    key = folder / "host_key"
    server = NetconfServer(schema, datastores, accounts, host_key_file=key, limits=limits, events=events)
    parts = parts or Parts()
    server.register_list("/toy:inventory/site/part", parts)
    server.register_rpc(toy("add"), add)
    port = await server.listen("127.0.0.1", 0)
    try:
        yield Rig(server, port, datastores, accounts, parts)
    finally:
        await server.close()


def errors(reply: etree._Element) -> list[dict[str, str]]:
    """The rpc-errors of a reply: tag, type, app-tag, path, message and the texts of error-info."""
    found = []
    for error in reply.iter(names.RPC_ERROR):
        texts = {names.split(str(child.tag))[1].removeprefix("error-"): child.text or "" for child in error}
        info = error.find(names.base("error-info"))
        texts.update(
            {} if info is None else {names.split(str(item.tag))[1]: item.text or "" for item in info}
        )
        found.append(texts)
    return found
