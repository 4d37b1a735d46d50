"""Call home (RFC 8071): our server dials, the listener makes a session of it, for many devices at once."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import asyncssh
import pytest

from netconf_client import CallHomeListener, ClientSession, ConnectFailed, PinnedKey, Target, TrustOnFirstUse
from netconf_server import Account
from tests.integration.netconf_server_rig import HASH, PASSWORD, TOY, USER, Rig, serving

Driver = Literal["native", "vendor"]
ADD = f'<add xmlns="{TOY}"><a>2</a><b>3</b></add>'.encode()


@dataclass
class Caught:
    """The sessions that the listener handed over, as they come."""

    arrived: asyncio.Queue[tuple[str, ClientSession]] = field(default_factory=asyncio.Queue)

    async def __call__(self, device: str, session: ClientSession) -> None:
        await self.arrived.put((device, session))

    async def next(self) -> tuple[str, ClientSession]:
        return await asyncio.wait_for(self.arrived.get(), 30)


@pytest.fixture
async def caught() -> Caught:
    return Caught()


@pytest.fixture
async def listener(caught: Caught) -> AsyncIterator[CallHomeListener]:
    listening = CallHomeListener(caught, timeout=5)
    yield listening
    await listening.close()


def target(folder: Path, *, username: str = USER, host: str = "any") -> Target:
    """What is known of the device whose files are in `folder`; its host key is made if it has none."""
    folder.mkdir(exist_ok=True)
    file = folder / "host_key"
    if not file.exists():
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(file)
        file.chmod(0o600)
    key = asyncssh.read_private_key(file).export_public_key().decode()
    return Target(host, username, PinnedKey(key), password=PASSWORD)


@contextlib.asynccontextmanager
async def serving_with(folder: Path, port: int, *, user: str = USER) -> AsyncIterator[Rig]:
    """A server with the host key in `folder` that calls home to `port`."""
    async with serving(folder) as rig:
        rig.accounts.replace([Account(user, HASH)])
        calling = asyncio.create_task(rig.server.call_home("127.0.0.1", port))
        try:
            yield rig
        finally:
            calling.cancel()
            await asyncio.gather(calling, return_exceptions=True)


@pytest.mark.parametrize(("driver", "address"), [("native", "127.0.0.1"), ("vendor", "::")])
async def test_a_device_is_known_and_works(
    tmp_path: Path, listener: CallHomeListener, caught: Caught, driver: Driver, address: str
) -> None:
    expected = target(tmp_path / "keys", host="127.0.0.1")
    listener.add_device("bras-a", expected, driver)
    port = await listener.listen(address, 0)
    async with serving_with(tmp_path / "keys", port):
        name, session = await caught.next()
        assert name == "bras-a"
        assert (await session.rpc(ADD)).content[0].text == "5"
        await session.close()


async def test_many_devices_are_told_apart_by_their_keys_each_with_its_own_user(
    tmp_path: Path, listener: CallHomeListener, caught: Caught
) -> None:
    port = await listener.listen("127.0.0.1", 0)
    async with contextlib.AsyncExitStack() as stack:
        for number in range(6):
            folder, user = tmp_path / f"d{number}", f"user-{number}"
            listener.add_device(f"d{number}", target(folder, username=user))
            await stack.enter_async_context(serving_with(folder, port, user=user))
        sessions = dict([await caught.next() for _ in range(6)])
        assert sorted(sessions) == [f"d{number}" for number in range(6)]
        await asyncio.gather(*(session.rpc(ADD) for session in sessions.values()))
        await asyncio.gather(*(session.close() for session in sessions.values()))


async def test_a_stranger_is_refused_and_others_still_come(
    tmp_path: Path, listener: CallHomeListener, caught: Caught, capsys: pytest.CaptureFixture[str]
) -> None:
    port = await listener.listen("127.0.0.1", 0)
    listener.add_device("gone", target(tmp_path / "gone"))
    listener.remove_device("gone")
    async with serving(tmp_path / "gone") as stranger:
        with pytest.raises((asyncssh.Error, OSError)):
            await asyncio.wait_for(stranger.server.call_home("127.0.0.1", port), 30)
    assert "no device is configured with host key" in capsys.readouterr().out
    assert caught.arrived.empty()
    listener.add_device("friend", target(tmp_path / "friend"))
    async with serving_with(tmp_path / "friend", port):
        name, session = await caught.next()
        assert name == "friend"
        await session.close()


async def test_silent_callers_hold_the_slots_for_a_bounded_time_only(tmp_path: Path, caught: Caught) -> None:
    listener = CallHomeListener(caught, max_pending=2, timeout=0.5)
    listener.add_device("bras-a", target(tmp_path / "a"))
    port = await listener.listen("127.0.0.1", 0)
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(4)]
    try:
        async with serving_with(tmp_path / "a", port):
            _, session = await caught.next()
            await session.close()
    finally:
        for sock in silent:
            sock.close()
        await listener.close()


async def test_a_callback_that_fails_closes_its_session(tmp_path: Path) -> None:
    seen: asyncio.Queue[ClientSession] = asyncio.Queue()

    async def fail(device: str, session: ClientSession) -> None:
        await seen.put(session)
        raise LookupError(device)

    listener = CallHomeListener(fail)
    listener.add_device("bras-a", target(tmp_path / "a"))
    port = await listener.listen("127.0.0.1", 0)
    async with serving_with(tmp_path / "a", port) as rig:
        session = await asyncio.wait_for(seen.get(), 30)
        assert await asyncio.wait_for(session.wait_closed(), 30)
        assert session.session_id not in rig.server.sessions
    await listener.close()


def test_a_device_must_be_told_by_a_pinned_key(tmp_path: Path) -> None:
    listener = CallHomeListener(Caught())
    with pytest.raises(ValueError, match="pinned host key"):
        listener.add_device("a", Target("x", "u", TrustOnFirstUse(tmp_path / "hosts")))
    with pytest.raises(ValueError, match="no OpenSSH public key"):
        listener.add_device("a", Target("x", "u", PinnedKey("rubbish")))
    known = target(tmp_path / "a")
    listener.add_device("a", known)
    listener.add_device("a", known)
    with pytest.raises(ValueError, match="devices b and a have the same host key"):
        listener.add_device("b", known)


def test_a_key_file_that_is_missing_is_named(tmp_path: Path) -> None:
    known = target(tmp_path / "a")
    broken = Target("x", "u", known.host_key, client_keys=(tmp_path / "absent",))
    with pytest.raises(ConnectFailed, match=str(tmp_path / "absent")):
        CallHomeListener(Caught()).add_device("a", broken)


async def test_an_address_in_use_is_an_oserror(listener: CallHomeListener) -> None:
    port = await listener.listen("127.0.0.1", 0)
    other = CallHomeListener(Caught())
    with pytest.raises(OSError, match="in use"):
        await other.listen("127.0.0.1", port)
