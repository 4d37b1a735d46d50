"""A router that dials its manager (RFC 8071), and dials again when the connection is gone."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

from lxml import etree

from netconf_client import CallHomeListener, ClientSession
from rui.backup.identity import Role
from rui_cli.site import DEVICE_NAMESPACE, Site
from tests.integration.router_rig import PRIMARY, Cloud, make_site, manager_target, process, running
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
