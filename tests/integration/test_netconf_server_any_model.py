"""One model with every statement of YANG, served by the command that has never seen it, step by step."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from netconf_server import Account, Accounts, ActionCall, Datastores, NetconfServer, load_schema
from netconf_server.call import Reply, RpcCall
from rui.netconf import names
from tests.integration.netconf_server_rig import BASE_11_HELLO, HASH, PASSWORD, USER, Raw, errors

AM, MO = "urn:example:any-model", "urn:example:any-more"
YANG = Path(__file__).parents[1] / "data" / "yang" / "any"
YANG1 = "urn:ietf:params:xml:ns:yang:1"
WITH_DEFAULTS = "urn:ietf:params:xml:ns:yang:ietf-netconf-with-defaults"
DS = "urn:ietf:params:xml:ns:yang:ietf-datastores"
PREFIXES = f'xmlns:nc="{names.BASE}" xmlns:y="{YANG1}" xmlns:am="{AM}" xmlns:mo="{MO}" xmlns:ds="{DS}"'
STARTUP = (
    f'<config xmlns="{names.BASE}"><plant xmlns="{AM}"><owner>o</owner><crew>c</crew><voltage>1</voltage>'
    "</plant></config>"
)


@asynccontextmanager
async def command(folder: Path, *more: str) -> AsyncIterator[tuple[int, asyncio.subprocess.Process]]:
    """The command at work in a folder: its port and its process."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "netconf_server", "--yang", str(YANG), "--module", "any-model", "any-more",
        "--feature", "any-model:turbo", "--startup", "startup.xml", "--listen", "127.0.0.1:0", "--user", USER,
        "--password-file", "password", *more, cwd=folder, stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    async with asyncio.timeout(60):
        line = (await process.stdout.readline()).decode()
    found = re.match(r"netconf on 127\.0\.0\.1:(\d+)", line)
    assert found is not None
    try:
        yield int(found[1]), process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


@asynccontextmanager
async def client(port: int) -> AsyncIterator[Raw]:
    """A session whose hellos are exchanged."""
    async with asyncssh.connect(
        "127.0.0.1", port, username=USER, password=PASSWORD, known_hosts=None, client_keys=None, config=None
    ) as connection:
        writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
        raw = Raw(reader, writer, chunked=False)
        raw.hello = await raw.message()
        raw.send(BASE_11_HELLO)
        raw.chunked = True
        yield raw


def plain(reply: etree._Element) -> str:
    """A reply without prefixes and declarations."""
    text = re.sub(r' xmlns(:[\w.-]+)?="[^"]*"', "", etree.tostring(reply).decode())
    return re.sub(r"(</?)[\w.-]+:", r"\1", text)


async def ask(raw: Raw, operation: str) -> etree._Element:
    """Send an operation, in which the prefixes of this file may be used."""
    raw.send_message(f'<rpc xmlns="{names.BASE}" message-id="1" {PREFIXES}>{operation}</rpc>')
    async with asyncio.timeout(60):
        return etree.fromstring(await raw.message())


def edit(inner: str, datastore: str = "running") -> str:
    plant = f'<plant xmlns="{AM}">{inner}</plant>'
    return f"<edit-config><target><{datastore}/></target><config>{plant}</config></edit-config>"


def get_config(path: str, defaults: str | None = None) -> str:
    wanted = f'<filter type="xpath" select="{path}"/>'
    if defaults is not None:
        wanted += f'<with-defaults xmlns="{WITH_DEFAULTS}">{defaults}</with-defaults>'
    return f"<get-config><source><running/></source>{wanted}</get-config>"


MACHINES = (
    "<machine><name>m1</name><slot>1</slot><kind>motor</kind><speed>9</speed>"
    "<part><maker>a</maker><number>1</number></part><part><maker>b</maker><number>2</number></part></machine>"
)
FIRST = "<machine><name>m1</name>{}</machine>"


@dataclass
class Step:
    """One block of the table: what is sent and what is expected, by the keys that its head explains."""

    name: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def operation(self) -> str:
        """What is sent."""
        if "edit" in self.fields:
            return edit(self.fields["edit"])
        if "path" in self.fields:
            return get_config(self.fields["path"], self.fields.get("defaults"))
        return self.fields["rpc"].replace("{AM}", AM)


def steps() -> list[Step]:
    """The table."""
    found: list[Step] = []
    for line in (YANG.parents[1] / "any-model.txt").read_text().splitlines():
        key, _, rest = line.partition(": ")
        if line.startswith("== "):
            found.append(Step(line[3:]))
        elif line and not line.startswith("#"):
            found[-1].fields[key] = rest
    return found


def write(folder: Path) -> None:
    folder.joinpath("startup.xml").write_text(STARTUP)
    folder.joinpath("password").write_text(PASSWORD)
    folder.joinpath("urls").mkdir()


async def test_every_statement_of_a_model_and_a_process_that_is_killed(tmp_path: Path) -> None:
    write(tmp_path)
    title = get_config("/am:plant/am:title")
    async with command(tmp_path, "--url-folder", "urls") as (port, process), client(port) as watcher:
        for step in steps():
            reply = await ask(watcher, step.operation)
            tags = [error["tag"] for error in errors(reply)]
            assert tags == ([step.fields["error"]] if "error" in step.fields else []), step.name
            assert step.fields.get("holds", "") in plain(reply), step.name
        async with client(port) as raw:
            await ask(raw, edit("<title>lost</title>", "candidate"))
            await ask(raw, "<commit><confirmed/></commit>")
            assert "<title>lost</title>" in plain(await ask(watcher, title))
        async with asyncio.timeout(60):
            while "lost" in plain(await ask(watcher, title)):
                pass  # the session's end is on its way to the server
        async with client(port) as raw:
            await ask(raw, edit("<title>kept</title>", "candidate"))
            await ask(raw, "<commit><confirmed/><persist>p</persist></commit>")
        await ask(watcher, "<commit><persist-id>p</persist-id></commit>")
        assert "<title>kept</title>" in plain(await ask(watcher, title))
        await ask(watcher, edit("<title>doomed</title>", "candidate"))
        await ask(watcher, "<commit><confirmed/><persist>q</persist></commit>")
        assert "doomed" in tmp_path.joinpath("startup.xml").read_text()
        process.kill()
        await process.wait()
    async with command(tmp_path) as (port, _), client(port) as raw:
        assert "<title>kept</title>" in plain(await ask(raw, title))


class Server:
    """The same model in this process, with an rpc, an action and notifications."""

    def __init__(self, folder: Path) -> None:
        schema = load_schema(["any-model", "any-more"], [YANG])
        self.server = NetconfServer(
            schema,
            Datastores(schema, etree.fromstring(STARTUP.replace("</plant>", f"{MACHINES}</plant>"))),
            Accounts([Account(USER, HASH)]),
            host_key_file=folder / "key",
        )
        self.server.register_rpc(f"{{{AM}}}add", self._add)
        self.server.register_action("/any-model:plant/machine/reset", self._reset)

    async def _add(self, call: RpcCall) -> Reply:
        total = etree.Element(f"{{{AM}}}sum", nsmap=names.nsmap(AM))
        total.text = str(sum(int(leaf.text or 0) for leaf in call.operation))
        return [total]

    async def _reset(self, call: ActionCall) -> Reply:
        finished = etree.Element(f"{{{AM}}}finished", nsmap=names.nsmap(AM))
        finished.text = "2026-11-23T10:00:00Z"
        event = f'<plant xmlns="{AM}"><machine><name>{call.keys["machine"]["name"]}</name>'
        event += "<overheated><degrees>99</degrees></overheated></machine></plant>"
        self.server.stream("NETCONF").publish(event.encode())
        return [finished]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path)
    yield server
    await server.server.close()


async def test_rpcs_actions_and_events_among_data(server: Server) -> None:
    port = await server.server.listen("127.0.0.1", 0)
    async with client(port) as raw:
        assert "<sum>3</sum>" in plain(await ask(raw, f'<add xmlns="{AM}"><a>1</a><b>2</b></add>'))
        await ask(raw, f'<create-subscription xmlns="{names.NOTIFICATION}"/>')
        reset = '<reset><reason>r</reason><force xmlns="urn:example:any-more">true</force></reset>'
        raw.send_message(
            f'<rpc xmlns="{names.BASE}" message-id="2"><action xmlns="{YANG1}"><plant xmlns="{AM}">'
            f"{FIRST.format(reset)}</plant></action></rpc>"
        )
        async with asyncio.timeout(60):
            messages = sorted(
                [await raw.message(), await raw.message()], key=lambda text: b"eventTime" in text
            )
    assert b"2026-11-23T10:00:00Z" in messages[0]
    assert "<name>m1</name><overheated><degrees>99</degrees></overheated>" in messages[1].decode()
