"""A router that dials its manager (RFC 8071), and dials again when the connection is gone."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from lxml import etree

from netconf_client import CallHomeListener, ClientSession, ConnectFailed, SessionClosed, connect_tls
from rui.backup.identity import Role
from rui_cli.site import DEVICE_NAMESPACE, MANAGER, Site
from tests.integration.router_rig import (
    PRIMARY,
    Cloud,
    make_site,
    manager_target,
    process,
    running,
)
from tests.integration.tls_rig import WITHIN, Certificates, certificates, configured
from tests.replica import Replica


def call_home(site: Site, port: int, unused: int) -> None:
    """Have the router call this port instead of listening, behind one that does not answer."""
    path = site.startup(PRIMARY)
    tree = etree.parse(path)
    listen = tree.find(f".//{{{DEVICE_NAMESPACE}}}listen")
    assert listen is not None
    entry = etree.fromstring(
        f'<call-home xmlns="{DEVICE_NAMESPACE}"><name>nms</name><address>127.0.0.1</address>'
        f"<port>{unused}</port><endpoint><name>second</name><address>127.0.0.1</address><port>{port}</port>"
        "</endpoint><reconnect-strategy><max-attempts>1</max-attempts></reconnect-strategy>"
        "<reconnect><first-wait>50</first-wait><longest-wait>200</longest-wait></reconnect></call-home>"
    )
    server = listen.getparent()
    assert server is not None
    server.replace(listen, entry)
    tree.write(path)


def call_home_tls(site: Site, known: Certificates, ports: tuple[int, ...]) -> None:
    """Have the router call these ports over TLS, one after the other, and listen nowhere."""
    path = site.startup(PRIMARY)
    tree = etree.parse(path)
    listen = tree.find(f".//{{{DEVICE_NAMESPACE}}}listen")
    assert listen is not None
    server = listen.getparent()
    assert server is not None
    server.remove(listen)
    # The certificate alone is what the cloud's account is known by.
    for account in server.findall(f"{{{DEVICE_NAMESPACE}}}account"):
        if account.findtext(f"{{{DEVICE_NAMESPACE}}}name") == MANAGER:
            for leaf in account.findall(f"{{{DEVICE_NAMESPACE}}}password-hash"):
                account.remove(leaf)
    endpoints = "".join(
        f"<endpoint><name>e{port}</name><address>127.0.0.1</address><port>{port}</port></endpoint>"
        for port in ports
    )
    shown = configured(known, path.parent, DEVICE_NAMESPACE, 0)
    files = "".join(etree.tostring(item).decode() for item in list(shown)[2:])
    entry = (
        f'<call-home-tls xmlns="{DEVICE_NAMESPACE}"><name>nms</name>{endpoints}{files}'
        "<reconnect-strategy><max-attempts>1</max-attempts></reconnect-strategy>"
        "<reconnect><first-wait>50</first-wait><longest-wait>200</longest-wait></reconnect></call-home-tls>"
    )
    server.append(etree.fromstring(entry))
    tree.write(path)


async def test_it_calls_over_tls(tmp_path: Path, unused_tcp_port: int) -> None:
    site = make_site(tmp_path, simulated={"initial-population": "5", "max-population": "5"})
    known = certificates(tmp_path)
    target = known.target(0, known.made(MANAGER))
    loop = asyncio.get_running_loop()
    replica = Replica()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        call_home_tls(site, known, (unused_tcp_port, listening.getsockname()[1]))
        async with running(process(site, PRIMARY)):
            # Who is not on the cloud's side of a rule gets no session; the router calls again.
            sock, _ = await loop.sock_accept(listening)
            with pytest.raises((ConnectFailed, SessionClosed)):
                await connect_tls(known.target(0, known.made("stranger")), timeout=WITHIN, sock=sock)
            for _ in range(2):
                sock, _ = await loop.sock_accept(listening)
                session = await connect_tls(target, timeout=WITHIN, sock=sock)
                cloud = Cloud(session, replica)
                await session.create_subscription("rui-backup")
                assert (await cloud.admit()).role is Role.PRIMARY
                await cloud.take_until(lambda held: len(held.table) == 5)
                await session.close()


async def test_it_calls_and_calls_again(tmp_path: Path, unused_tcp_port: int) -> None:
    site = make_site(tmp_path, simulated={"initial-population": "5", "max-population": "5"})
    sessions: asyncio.Queue[ClientSession] = asyncio.Queue()

    async def arrived(name: str, session: ClientSession) -> None:
        assert name == PRIMARY
        await sessions.put(session)

    listener = CallHomeListener(arrived)
    listener.add_device(PRIMARY, manager_target(site, PRIMARY))
    call_home(site, await listener.listen("127.0.0.1", 0), unused_tcp_port)
    replica = Replica()
    async with AsyncExitStack() as stack:
        stack.push_async_callback(listener.close)
        await stack.enter_async_context(running(process(site, PRIMARY)))
        for _ in range(2):
            session = await sessions.get()
            cloud = Cloud(session, replica)
            await session.create_subscription("rui-backup")
            assert (await cloud.admit()).role is Role.PRIMARY
            await cloud.take_until(lambda held: len(held.table) == 5)
            await session.close()
