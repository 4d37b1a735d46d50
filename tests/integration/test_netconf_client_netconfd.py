"""The native driver against yuma123's netconfd behind OpenSSH: a server that shares no code with ours."""

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest
from lxml import etree

from netconf_client import (
    AuthenticationFailed,
    ClientSession,
    ConnectFailed,
    HostKeyRejected,
    KnownHosts,
    PinnedKey,
    ReplyTimeout,
    SessionClosed,
    TrustOnFirstUse,
    connect,
)
from netconf_client.hostkeys import known_hosts_name
from rui.netconf import names
from rui.netconf.errors import ErrorTag, ErrorType, RpcError
from rui.netconf.events import NotificationReceived
from tests.integration import netconf_client_peer
from tests.integration.netconf_client_peer import Peer

pytestmark = pytest.mark.peer

NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
GET = f'<get xmlns="{names.BASE}"/>'.encode()


def nacm(read_default: str) -> bytes:
    return f'<nacm xmlns="{NACM}"><read-default>{read_default}</read-default></nacm>'.encode()


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with contextlib.ExitStack() as stack:
        yield netconf_client_peer.start(tmp_path_factory.mktemp("yuma"), stack)


@pytest.fixture
async def session(peer: Peer) -> AsyncIterator[ClientSession]:
    opened = await connect(peer.target, timeout=30)
    yield opened
    await opened.close()


async def test_agrees_on_base_1_1_and_learns_the_session_id(session: ClientSession) -> None:
    assert names.has_capability(session.capabilities, names.CAP_BASE_1_1)
    assert session.session_id > 0
    assert session.closed_reason is None


async def test_gets_what_it_asks_for(session: ClientSession) -> None:
    reply = await session.get(
        etree.Element("{urn:ietf:params:xml:ns:yang:ietf-netconf-monitoring}netconf-state")
    )
    assert [etree.QName(child).localname for child in reply.data] == ["netconf-state"]
    assert reply.raw.startswith(b"<?xml")


async def test_edits_and_commits_through_the_candidate(session: ClientSession) -> None:
    await session.lock("candidate")
    await session.edit_config(nacm("deny"))
    await session.commit()
    await session.unlock("candidate")
    await session.edit_config(nacm("permit"))
    await session.discard_changes()
    # running alone: netconfd resets this leaf of the candidate to its default
    reply = await session.get_config("running", etree.Element(f"{{{NACM}}}nacm"))
    assert reply.data.findtext(f".//{{{NACM}}}read-default") == "deny"


async def test_validates(session: ClientSession) -> None:
    # not the candidate: netconfd forgets at its validation that it differs from running
    await session.validate("running")


async def test_gets_the_text_of_a_module(session: ClientSession) -> None:
    assert (await session.get_schema("toaster", "2009-11-20")).lstrip().startswith("module toaster")


async def test_raises_the_servers_error_with_its_place(session: ClientSession) -> None:
    with pytest.raises(RpcError) as raised:
        await session.edit_config(nacm("denied"))
    error = raised.value
    assert (error.tag, error.error_type) == (ErrorTag.INVALID_VALUE, ErrorType.PROTOCOL)
    assert error.path is not None
    assert error.path.endswith("/nacm:nacm/nacm:read-default")
    assert error.path_namespaces["nacm"] == NACM
    assert error.info_text("bad-value") == "denied"


async def test_pipelines_rpcs_on_one_session(session: ClientSession) -> None:
    replies = await asyncio.gather(*(session.rpc(GET, timeout=20) for _ in range(40)))
    assert all(reply.data is not None for reply in replies)


async def test_receives_notifications(session: ClientSession, peer: Peer) -> None:
    loop = asyncio.get_running_loop()
    arrived: asyncio.Future[NotificationReceived] = loop.create_future()

    def take(event: NotificationReceived) -> None:
        if not arrived.done():
            arrived.set_result(event)

    session.on_notification(take)
    await session.create_subscription("NETCONF")
    other = await connect(peer.target, timeout=30)
    await other.close()
    notification = await asyncio.wait_for(arrived, 30)
    assert etree.QName(notification.content).localname.startswith("netconf-session-")
    assert notification.event_time.startswith("20")


async def test_learns_that_another_session_killed_it(session: ClientSession, peer: Peer) -> None:
    victim = await connect(peer.target, timeout=30)
    await session.kill_session(victim.session_id)
    assert await asyncio.wait_for(victim.wait_closed(), 30)
    with pytest.raises(SessionClosed):
        await victim.rpc(GET)
    await victim.close()


async def test_closes_with_close_session(peer: Peer) -> None:
    session = await connect(peer.target, timeout=30)
    await session.close()
    assert session.closed_reason == "close-session answered"
    await session.close()


@pytest.mark.parametrize("policy", [KnownHosts, TrustOnFirstUse])
async def test_trusts_the_key_that_a_file_lists(
    peer: Peer, tmp_path: Path, policy: type[KnownHosts] | type[TrustOnFirstUse]
) -> None:
    assert isinstance(peer.target.host_key, PinnedKey)
    name = known_hosts_name(peer.target.host, peer.target.port)
    (tmp_path / "hosts").write_text(f"{name} {peer.target.host_key.text}")
    session = await connect(replace(peer.target, host_key=policy(tmp_path / "hosts")), timeout=30)
    await session.close()


async def test_remembers_the_first_key_and_refuses_another(peer: Peer, tmp_path: Path) -> None:
    file = tmp_path / "new" / "hosts"
    target = replace(peer.target, host_key=TrustOnFirstUse(file))
    for _ in range(2):
        session = await connect(target, timeout=30)
        await session.close()
    assert len(file.read_text().splitlines()) == 1
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    file.write_text(f"{known_hosts_name(target.host, target.port)} {other}")
    with pytest.raises(HostKeyRejected, match=r"has changed .* remove the lines of \[127.0.0.1\]") as raised:
        await connect(target, timeout=30)
    assert str(file) in str(raised.value)


async def test_refuses_a_key_that_is_not_pinned(peer: Peer) -> None:
    other = asyncssh.generate_private_key("ecdsa-sha2-nistp256").export_public_key().decode()
    with pytest.raises(HostKeyRejected, match="pinned is"):
        await connect(replace(peer.target, host_key=PinnedKey(other)), timeout=10)


async def test_says_when_the_login_is_refused(peer: Peer, tmp_path: Path) -> None:
    asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "stranger")
    target = replace(peer.target, client_keys=(tmp_path / "stranger",), password="wrong")
    with pytest.raises(AuthenticationFailed):
        await connect(target, timeout=30)


async def test_says_when_nobody_listens(peer: Peer, unused_tcp_port: int) -> None:
    with pytest.raises(ConnectFailed, match=str(unused_tcp_port)):
        await connect(replace(peer.target, port=unused_tcp_port), timeout=10)


async def test_a_frozen_server_is_given_up_in_bounded_time(peer: Peer) -> None:
    session = await connect(peer.target, timeout=30)
    os.kill(peer.netconfd.pid, signal.SIGSTOP)
    try:
        with pytest.raises(ReplyTimeout):
            await session.rpc(GET, timeout=0.3)
        await asyncio.wait_for(session.close(), 15)
    finally:
        os.kill(peer.netconfd.pid, signal.SIGCONT)
