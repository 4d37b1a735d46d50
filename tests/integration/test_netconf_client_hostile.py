"""Silent, slow and broken servers: the native driver gives up in bounded time and says why."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import asyncssh
import pytest

from netconf_client import ConnectFailed, PinnedKey, ReplyTimeout, SessionClosed, Target, connect
from netconf_client.dialling import connect_native
from rui.netconf import names
from rui.netconf.session import Limits
from tests.integration.netconf_client_links import HELLO, Proxy, scripted, silent_after_hello
from tests.integration.netconf_server_rig import PASSWORD, USER, Rig, serving

GET = f'<get xmlns="{names.BASE}"/>'.encode()


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path) as running:
        yield running


@pytest.fixture
def target(rig: Rig, tmp_path: Path) -> Target:
    host_key = asyncssh.read_private_key(tmp_path / "host_key").export_public_key().decode()
    return Target("127.0.0.1", USER, PinnedKey(host_key), port=rig.port, password=PASSWORD)


async def test_a_frozen_link_is_found_by_keepalive(rig: Rig, target: Target) -> None:
    async with Proxy.to(rig.port) as proxy:
        through = replace(target, port=proxy.port, keepalive_interval=0.2, keepalive_count=2)
        session = await connect(through)
        under_way = asyncio.create_task(session.rpc(GET, timeout=60))
        await asyncio.wait_for(under_way, 30)
        proxy.freeze()
        lost = asyncio.create_task(session.rpc(GET, timeout=60))
        reason = await asyncio.wait_for(session.wait_closed(), 30)
        assert "transport lost" in reason
        assert "keepalive" in reason
        with pytest.raises(SessionClosed, match="keepalive"):
            await lost
        await session.close()


async def test_a_frozen_link_does_not_hold_up_the_close(rig: Rig, target: Target) -> None:
    async with Proxy.to(rig.port) as proxy:
        session = await connect_native(replace(target, port=proxy.port), limits=Limits(close_timeout=0.3))
        proxy.freeze()
        await asyncio.wait_for(session.close(), 30)
        assert session.closed_reason == "not closed within 0.3 s"


@pytest.mark.parametrize("driver", ["native", "vendor"])
async def test_a_frozen_link_does_not_hold_up_the_connecting(rig: Rig, target: Target, driver: str) -> None:
    async with Proxy.to(rig.port) as proxy:
        proxy.freeze()
        with pytest.raises(ConnectFailed, match="no session in time"):
            await asyncio.wait_for(
                connect(replace(target, port=proxy.port), driver=driver, timeout=0.5),  # type: ignore[arg-type]
                30,
            )


async def test_a_server_that_never_says_hello_is_given_up() -> None:
    async with scripted(lambda channel, data: None) as target:
        with pytest.raises(ConnectFailed, match=r"no hello within 0\.3 s"):
            await connect_native(target, limits=Limits(hello_timeout=0.3))
        with pytest.raises(ConnectFailed, match="no session in time"):
            await connect(target, timeout=0.3)


async def test_a_server_that_says_something_else_is_given_up() -> None:
    def script(channel: asyncssh.SSHServerChannel[bytes], data: bytes) -> None:
        if not data:
            channel.write(b"Welcome!]]>]]>")

    async with scripted(script) as target:
        with pytest.raises(ConnectFailed, match="bad hello"):
            await connect(target)


async def test_a_server_that_hangs_up_is_given_up() -> None:
    async with scripted(lambda channel, data: channel.exit(1)) as target:
        with pytest.raises(ConnectFailed, match=r"ended the transport|not open for sending"):
            await connect(target)


async def test_a_server_without_netconf_is_named(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")

    class Open(asyncssh.SSHServer):
        def begin_auth(self, username: str) -> bool:
            return False

    async with await asyncssh.listen("127.0.0.1", 0, server_factory=Open, server_host_keys=[key]) as listener:
        pinned = PinnedKey(key.export_public_key().decode())
        target = Target("127.0.0.1", "anybody", pinned, port=listener.get_port())
        with pytest.raises(ConnectFailed, match="no subsystem netconf"):
            await connect(target)


async def test_a_reply_in_wrong_framing_ends_the_session_and_the_rpc() -> None:
    def script(channel: asyncssh.SSHServerChannel[bytes], data: bytes) -> None:
        channel.write(HELLO if not data else b"")
        if b"<get" in data:
            channel.write(b"\n#0\n")

    async with scripted(script) as target:
        session = await connect(target)
        with pytest.raises(SessionClosed, match="leading zero"):
            await session.rpc(GET)


async def test_a_reply_larger_than_the_bound_ends_the_session_before_it_is_read() -> None:
    def script(channel: asyncssh.SSHServerChannel[bytes], data: bytes) -> None:
        channel.write(HELLO if not data else b"")
        if b"<get" in data:
            channel.write(b"\n#4000000000\n")

    async with scripted(script) as target:
        session = await connect(replace(target, max_message=1_000_000))
        with pytest.raises(SessionClosed, match="larger than 1000000 octets"):
            await session.rpc(GET)


async def test_a_server_that_answers_nothing_is_given_up_after_as_many_rpcs_as_may_be_under_way() -> None:
    async with scripted(silent_after_hello) as target:
        session = await connect_native(target, limits=Limits(max_outstanding=3))
        results = await asyncio.gather(
            *(session.rpc(GET, timeout=0.2 + number / 100) for number in range(3)), return_exceptions=True
        )
        assert [type(result) for result in results] == [ReplyTimeout] * 3
        assert "3 rpcs in a row were never answered" in await asyncio.wait_for(session.wait_closed(), 30)
        with pytest.raises(SessionClosed):
            await session.rpc(GET)


async def test_rpcs_beyond_the_bound_wait_their_turn() -> None:
    asked: list[bytes] = []

    def script(channel: asyncssh.SSHServerChannel[bytes], data: bytes) -> None:
        silent_after_hello(channel, data)
        asked.extend([data] * data.count(b"<get"))

    async with scripted(script) as target:
        session = await connect_native(target, limits=Limits(max_outstanding=2, close_timeout=0.2))
        under_way = [asyncio.create_task(session.rpc(GET)) for _ in range(2)]
        waiting = [asyncio.create_task(session.rpc(GET, timeout=0.2)) for _ in range(3)]
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, ReplyTimeout)
        assert len(asked) == 2
        assert session.closed_reason is None
        await session.close()
        for result in await asyncio.gather(*under_way, return_exceptions=True):
            assert isinstance(result, SessionClosed)


async def test_a_server_that_takes_nothing_holds_up_the_writer_and_not_the_memory() -> None:
    def script(channel: asyncssh.SSHServerChannel[bytes], data: bytes) -> None:
        silent_after_hello(channel, data)
        if data:
            channel.pause_reading()

    async with scripted(script) as target:
        session = await connect_native(target, limits=Limits(max_outstanding=50, close_timeout=0.2))
        large = b'<get xmlns="%b">%b</get>' % (names.BASE.encode(), b"x" * 1_000_000)
        sending = [asyncio.create_task(session.rpc(large, timeout=1)) for _ in range(50)]
        results = await asyncio.gather(*sending, return_exceptions=True)
        assert all(isinstance(result, ReplyTimeout) for result in results)
        assert session._core.outstanding < 10
        await session.close()


async def test_a_cancelled_rpc_leaves_nothing_behind() -> None:
    async with scripted(silent_after_hello) as target:
        session = await connect_native(target, limits=Limits(close_timeout=0.2))
        task = asyncio.create_task(session.rpc(GET))
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert session._replies == {}
        await session.close()


@pytest.mark.usefixtures("rig")
async def test_requests_leave_in_the_order_of_the_calls_when_the_transport_was_full(target: Target) -> None:
    session = await connect_native(target)
    ids: list[str] = []

    async def ask(name: str) -> None:
        await session.rpc(GET)
        ids.append(name)

    session.pause_writing()
    waiting = [asyncio.create_task(ask(f"first {number}")) for number in range(3)]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    session.resume_writing()
    # Those that waited have been woken but have not run yet; this one runs at once.
    await ask("late")
    await asyncio.gather(*waiting)
    assert ids == ["first 0", "first 1", "first 2", "late"]
    await session.close()
