"""Call Home (RFC 8071): the server connects, the client that it reaches is still the client."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import asyncssh
import pytest
from lxml import etree
from ncclient import manager

from netconf_server import Limits
from tests.integration.netconf_server_rig import BASE_11_HELLO, PASSWORD, TOY, USER, Raw, serving, toy

RUNNING = f'<system xmlns="{TOY}"><name>r1</name></system>'
GET = "<get-config><source><running/></source></get-config>"


async def test_a_client_is_called_and_uses_the_server(tmp_path: Path) -> None:
    async with serving(tmp_path, running=RUNNING) as rig:
        connections: asyncio.Queue[asyncssh.SSHClientConnection] = asyncio.Queue()
        listener = await asyncssh.listen_reverse(
            "127.0.0.1",
            0,
            username=USER,
            password=PASSWORD,
            known_hosts=([asyncssh.import_public_key(rig.server.host_key)], [], []),
            client_keys=None,
            config=None,
            acceptor=connections.put_nowait,
        )
        call = asyncio.create_task(rig.server.call_home("127.0.0.1", listener.get_port()))
        connection = await connections.get()
        writer, reader, _ = await connection.open_session(subsystem="netconf", encoding=None)
        raw = Raw(reader, writer, chunked=False)
        await raw.message()
        raw.send(BASE_11_HELLO)
        raw.chunked = True
        assert (await raw.rpc(GET)).findtext(f".//{toy('name')}") == "r1"
        assert not call.done()
        connection.close()
        await call
        listener.close()


async def test_ncclient_takes_the_call(tmp_path: Path) -> None:
    def take(listener: socket.socket) -> str | None:
        accepted, _ = listener.accept()
        with manager.connect_ssh(
            host="127.0.0.1",
            sock=accepted,
            username=USER,
            password=PASSWORD,
            hostkey_verify=False,
            look_for_keys=False,
            allow_agent=False,
            timeout=20,
        ) as client:
            reply = client.get_config("running")
            return etree.fromstring(reply.xml.encode()).findtext(f".//{toy('name')}")

    async with serving(tmp_path, running=RUNNING) as rig:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            taken = asyncio.create_task(asyncio.to_thread(take, listener))
            await rig.server.call_home("127.0.0.1", listener.getsockname()[1])
            assert await taken == "r1"


async def test_nobody_there_and_nobody_who_speaks(tmp_path: Path) -> None:
    let_go = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        let_go.set()
        writer.close()

    async with serving(tmp_path, limits=Limits(login_timeout=0.3)) as rig:
        listener = await asyncio.start_server(silent, "127.0.0.1", 0)
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises((TimeoutError, asyncssh.Error)):
            await rig.server.call_home("127.0.0.1", port)
        async with asyncio.timeout(30):
            await let_go.wait()
        listener.close()
        await listener.wait_closed()
        with pytest.raises(ConnectionRefusedError):
            await rig.server.call_home("127.0.0.1", port)
