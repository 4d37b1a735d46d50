"""Clients of other projects at our server: netconf-console2 by each of its commands, yangcli, netconf-client.

ncclient has a file of its own, paramiko is in test_netconf_server_command.py, OpenSSL in test_netconf_tls.py.
"""

from __future__ import annotations

import asyncio
import functools
import json
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lxml import etree

from netconf_server import Account, Accounts, ActionCall, Datastores, NetconfServer, TlsOptions, load_schema
from netconf_server.certnames import CertToName, MapType
from rui.netconf import names
from rui.schema import Schema
from tests.certificates import identity
from tests.integration.netconf_client_peer import require
from tests.integration.netconf_server_rig import HASH, PASSWORD, TOY, USER, YANG, add, toy

GUARDED = "urn:example:guarded"
CONSOLE = Path(sys.executable).with_name("netconf-console2")
PEERS = Path(__file__).parents[2] / "out" / "peers"
SYSTEM = f'<system xmlns="{TOY}"><mtu>1400</mtu></system>'
HOUSE = f'<house xmlns="{GUARDED}"><room><name>hall</name></room></house>'
FILES = {
    "edit.xml": SYSTEM,
    "house.xml": HOUSE,
    "wrapped.xml": f"<any>{SYSTEM}</any>",
    "config.xml": f'<nc:config xmlns:nc="{names.BASE}">{SYSTEM}</nc:config>',
    "rpc.xml": f'<get xmlns="{names.BASE}"><filter><system xmlns="{TOY}"/></filter></get>',
    "old-style.xml": f'<rpc xmlns="{names.BASE}" message-id="1"><get-config><source><running/></source>'
    "</get-config></rpc>]]>]]>",
}


@functools.cache
def schema() -> Schema:
    """The toy with its rpc, a model with an action, and the datastore startup."""
    features = {"ietf-netconf": ["startup"]}
    return load_schema(["toy", "guarded"], [YANG], features=features)


async def knock(call: ActionCall) -> list[etree._Element]:
    """Answer the action `knock`."""
    answer = etree.Element(f"{{{GUARDED}}}answer", nsmap=names.nsmap(GUARDED))
    answer.text = f"{call.keys['room']['name']} is open"
    return [answer]


class Served:
    """A server, and a folder from which its clients are started."""

    def __init__(self, server: NetconfServer, port: int, folder: Path) -> None:
        self.server = server
        self.port = port
        self.folder = folder

    async def run(self, *command: str | Path, stdin: str = "") -> str:
        """What a program prints. It has a minute."""
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=self.folder,
            env={**os.environ, "HOME": str(self.folder)},
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            async with asyncio.timeout(60):
                output, _ = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        return output.decode(errors="replace")

    async def console(self, *arguments: str, stdin: str = "") -> str:
        """What netconf-console2 prints for these commands, run in order on one session."""
        login = ["--host=127.0.0.1", f"--port={self.port}", f"--user={USER}", f"--password={PASSWORD}"]
        spaces = ["--ns", f"t={TOY}", f"g={GUARDED}"]
        return await self.run(CONSOLE, *login, *spaces, *arguments, stdin=stdin)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    for name, text in FILES.items():
        (folder / name).write_text(text + "\n")
    datastores = Datastores(schema(), file=folder / "startup-store.xml")
    server = NetconfServer(
        schema(),
        datastores,
        Accounts([Account(USER, HASH, recovery=True)]),
        host_key_file=folder / "key",
        events=folder / "events",
    )
    server.register_rpc(toy("add"), add)
    server.register_action("/guarded:house/room/knock", knock)
    try:
        yield Served(server, await server.listen("127.0.0.1", 0), folder)
    finally:
        await server.close()


def oks(text: str) -> int:
    return len(re.findall(r"<(?:nc:)?ok\b", text))


# --- netconf-console2

EDITS = [
    "--db=candidate", "--lock", "--set", "/t:system/t:name=ada",
    "--create", "/t:system/t:user[t:name='u']",
    "--edit-config", "edit.xml", "--edit-config1", "wrapped.xml", "--validate", "candidate",
    "--commit", "--unlock",
]  # fmt: skip
REVERTS = [
    "--db=candidate", "--get-config", "/t:system/t:name", "--get", "/t:system/t:user",
    "--delete", "/t:system/t:name", "--discard-changes",
    "--edit-config", "edit.xml", "--timeout=60", "--commit", "confirmed", "--commit",
]  # fmt: skip
READS = [
    "--hello", "--get-schema", "toy", "--rpc", "rpc.xml", "--validate", "config.xml",
    "--db=running", "--copy-config", "edit.xml", "--with-defaults=report-all", "--get-config", "/t:system",
    "--edit-config", "house.xml", "--copy-running-to-startup",
    "--run-rpc", "/t:add[t:a='2'][t:b='3']",
    "--action", "/g:house/g:room[g:name='hall']/g:knock[g:times='2']",
    "--create-subscription", "NETCONF", "--sleep", "0",
]  # fmt: skip


async def test_console_edits_the_candidate(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        text = await server.console(*EDITS)
        assert oks(text) == 8, text
        text = await server.console(*REVERTS)
        assert "<name>ada</name>" in text
        assert "<name>u</name>" in text
        assert oks(text) == 5, text


async def test_console_reads_copies_and_calls(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        text = await server.console(*READS)
        assert "urn:ietf:params:netconf:capability:notification:1.0" in text
        assert "list user" in text
        assert "<rpc-reply" in text
        assert "<mtu>1400</mtu>" in text
        assert re.search(r"<(\w+:)?sum[^>]*>5</", text), text
        assert re.search(r"<(\w+:)?answer[^>]*>hall is open</", text), text
        assert oks(text) >= 4, text
        assert "<mtu>1400</mtu>" in (tmp_path / "startup-store.xml").read_text()


async def test_console_reads_from_files_and_from_a_person(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        # a flag before the file, or --ns takes it
        assert "<data" in await server.console("--huge-tree", "old-style.xml")
        text = await server.console("--interactive", stdin="lock\nunlock\nget-config /t:system\n")
        assert oks(text) == 2, text


async def test_console_kills_a_session_and_shows_what_is_refused(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        victim = server.server.local_session(USER, "127.0.0.1:1")
        assert victim is not None
        assert oks(await server.console("--kill-session", str(victim.info.id))) == 1
        assert not victim.open
        assert "no session" in await server.console("--kill-session", "4000000")


async def test_each_command_of_the_console_is_tried(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        help_ = await server.run(CONSOLE, "--help")
    commands = set(re.findall(r"^  (--[a-z0-9-]+)", help_.partition("\nCommands:")[2], re.MULTILINE))
    assert len(commands) == 22
    assert commands - {"--kill-session"} <= {*EDITS, *REVERTS, *READS}


# --- yangcli

YANGCLI = """discard-changes
create /toy:system/name value='ada'
create /toy:system/user[name='u1']
merge /toy:system/mtu value=1400
get-config source=candidate
validate source=candidate
commit
sget-config source=running /toy:system
add a=2 b=40
delete /toy:system/user[name='u1']
commit
lock target=running
unlock target=running
create-subscription
close-session
"""


@pytest.mark.peer
async def test_yangcli_reads_edits_commits_and_calls(tmp_path: Path) -> None:
    (yangcli,) = require("yangcli")
    (tmp_path / "script").write_text(YANGCLI)
    async with served(tmp_path) as server:
        output = await server.run(
            yangcli, "--server=127.0.0.1", f"--ncport={server.port}", f"--user={USER}",
            f"--password={PASSWORD}", "--batch-mode", f"--run-script={tmp_path / 'script'}",
        )  # fmt: skip
        running = etree.tostring(server.server.datastores.running).decode()
    script = output.partition("Checking Server Modules")[2]
    assert re.search(r"\bsum 42\b", script), script
    assert "canceled" not in script
    # discard-changes, three edits, validate, two commits, a delete, lock, unlock, create-subscription
    assert len(re.findall(r"RPC OK Reply|OK Reply", script)) >= 10, script
    assert re.search(r"name ['\"]?ada", script), script
    assert "<name>ada</name><mtu>1400</mtu>" in running or "<mtu>1400</mtu>" in running
    assert "u1" not in running


# --- netconf-client, whose import name is our client's: it runs in an interpreter that sees its folder first

SCRIPT = """
import json, sys
sys.path.insert(0, sys.argv[1])
from netconf_client.connect import connect_ssh, connect_tls
from netconf_client.ncclient import Manager
import netconf_client
where = dict(host="127.0.0.1", port=int(sys.argv[3]))
if sys.argv[2] == "tls":
    session = connect_tls(**where, keyfile=sys.argv[4], certfile=sys.argv[5], ca_certs=sys.argv[6])
else:
    session = connect_ssh(**where, username=sys.argv[4], password=sys.argv[5])
told = {"file": netconf_client.__file__, "mode": session.mode}
with Manager(session, timeout=30) as manager:
    edit = '<nc:config xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0">' + sys.argv[7] + '</nc:config>'
    with_lock = manager.lock(target="candidate")
    manager.edit_config(config=edit, target="candidate")
    manager.validate(source="candidate")
    manager.commit()
    manager.unlock(target="candidate")
    told["config"] = manager.get_config(source="running").data_xml.decode()
    told["data"] = manager.get_data(datastore="ds:running").data_xml.decode()
    manager.create_subscription()
    manager.edit_config(config=edit.replace("1400", "1300"), target="running")
    told["event"] = manager.take_notification(True, timeout=30).notification_xml.decode()
    replies = [session.send_rpc(('<rpc message-id="%d" xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">'
               '<get-config><source><running/></source></get-config></rpc>' % n).encode())
               for n in range(200)]
    told["pipelined"] = sum(b"1300" in reply.result(30)[0] for reply in replies)
    manager.close_session()
print(json.dumps(told))
"""


def peer(name: str) -> Path:
    """The folder of a Python program that .ci/python-peers has fetched; skips the test without it."""
    folder = PEERS / name
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there: .ci/python-peers fetches it where there is an index")
    return folder


@pytest.mark.peer
@pytest.mark.parametrize("transport", ["ssh", "tls"])
async def test_netconf_client_does_all_it_can(tmp_path: Path, transport: str) -> None:
    folder = peer("netconf-client")
    async with served(tmp_path) as server:
        login, port = [USER, PASSWORD, ""], server.port
        if transport == "tls":
            authority = identity(tmp_path, "authority", authority=True)
            own, theirs = (identity(tmp_path, name, issuer=authority) for name in ("server", USER))
            rules = (CertToName(MapType.COMMON_NAME),)
            trust = authority.certificate_file
            options = TlsOptions(own.certificate_file, own.key_file, trust, rules)
            port = await server.server.listen_tls("127.0.0.1", 0, options)
            login = [str(theirs.key_file), str(theirs.certificate_file), str(trust)]
        output = await server.run(
            sys.executable, "-I", "-c", SCRIPT, folder, transport, str(port), *login, SYSTEM
        )
    told = json.loads(output.strip().splitlines()[-1])
    assert Path(told["file"]).is_relative_to(folder)
    assert told["mode"] == "1.1"
    assert "<mtu>1400</mtu>" in told["config"]
    assert "netconf-config-change" in told["event"] or "netconf-session" in told["event"]
    assert told["pipelined"] == 200
