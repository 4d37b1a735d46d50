"""Who gets in, how often one may try, how many sessions there are, and what a change of accounts does."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from pathlib import Path

import asyncssh
import paramiko
import pytest

from netconf_server import Account, Limits
from tests.integration.netconf_server_rig import HASH, PASSWORD, USER, Rig, serving


def options(rig: Rig, **changes: object) -> dict[str, object]:
    return {
        "host": "127.0.0.1",
        "port": rig.port,
        "username": USER,
        "password": PASSWORD,
        "client_keys": None,
        "known_hosts": ([asyncssh.import_public_key(rig.server.host_key)], [], []),
        "config": None,
        **changes,
    }


async def test_the_host_key_is_kept_over_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        first = rig.server.host_key
    async with serving(tmp_path) as rig:
        assert rig.server.host_key == first
        async with asyncssh.connect(**options(rig)):
            pass


async def test_password_and_key(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ecdsa-sha2-nistp256")
    async with serving(tmp_path) as rig:
        line = key.export_public_key().decode()
        rig.accounts.replace([Account(USER, HASH), Account("keyed", None, (line,))])
        async with asyncssh.connect(**options(rig)):
            pass
        async with asyncssh.connect(**options(rig, username="keyed", password=None, client_keys=[key])):
            pass
        for changes in (
            {"password": "wrong"},
            {"username": "nobody"},
            {"username": "keyed"},
            {"password": None, "client_keys": [key]},
        ):
            with pytest.raises(asyncssh.Error):
                await asyncssh.connect(**options(rig, **changes))


async def test_wrong_passwords_end_the_connection(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(login_attempts=2)) as rig:

        def guess() -> int:
            transport = paramiko.Transport(("127.0.0.1", rig.port))
            transport.start_client(timeout=10)
            tries = 0
            try:
                while transport.is_active():
                    tries += 1
                    transport.auth_password(USER, f"guess {tries}")
            except paramiko.AuthenticationException:
                return guess_on(transport, tries)
            finally:
                transport.close()
            return tries

        def guess_on(transport: paramiko.Transport, tries: int) -> int:
            try:
                while transport.is_active() and tries < 10:
                    tries += 1
                    transport.auth_password(USER, f"guess {tries}")
            except paramiko.AuthenticationException:
                return guess_on(transport, tries)
            except (paramiko.SSHException, EOFError):
                return tries
            return tries

        assert await asyncio.to_thread(guess) == 2
        assert not rig.server.sessions


async def test_the_login_service_may_be_asked_for_before_each_try_and_not_afterwards(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:

        def log_in() -> None:
            transport = paramiko.Transport(("127.0.0.1", rig.port))
            try:
                transport.start_client(timeout=10)
                for _ in range(3):
                    with pytest.raises(paramiko.AuthenticationException):
                        transport.auth_publickey(USER, paramiko.ECDSAKey.generate())
                with pytest.raises(paramiko.AuthenticationException):
                    transport.auth_password(USER, "wrong")
                transport.auth_password(USER, PASSWORD)
                assert transport.is_authenticated()
                again = paramiko.Message()
                again.add_byte(paramiko.common.cMSG_SERVICE_REQUEST)
                again.add_string("ssh-userauth")
                transport._send_message(again)  # type: ignore[attr-defined]
                transport.join(10)
                assert not transport.is_active()
            finally:
                transport.close()

        await asyncio.to_thread(log_in)


async def test_a_connection_that_never_logs_in_is_let_go(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(login_timeout=2.0, max_pending_logins=1)) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        await reader.readuntil(b"\n")
        # One that logs in meanwhile is one too many.
        with pytest.raises((asyncssh.Error, OSError)):
            await asyncssh.connect(**options(rig))
        async with asyncio.timeout(30):
            await reader.read()
        writer.close()
        async with asyncssh.connect(**options(rig)):
            pass


async def test_a_login_that_is_not_used_is_let_go(tmp_path: Path) -> None:
    async with (
        serving(tmp_path, limits=Limits(hello_timeout=0.3)) as rig,
        asyncssh.connect(**options(rig)) as connection,
        asyncio.timeout(30),
    ):
        await connection.wait_closed()


async def test_there_is_only_netconf(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, asyncssh.connect(**options(rig)) as connection:
        for request in ({"subsystem": "sftp"}, {"command": "id"}, {}):
            with pytest.raises(asyncssh.ChannelOpenError):
                await connection.open_session(encoding=None, **request)
        with pytest.raises(asyncssh.ChannelOpenError):
            await connection.open_connection("127.0.0.1", rig.port)


async def test_sessions_are_bounded(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(max_sessions=2)) as rig, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(rig.raw())
        with pytest.raises(asyncssh.ChannelOpenError):
            async with rig.raw():
                pass
        assert len(rig.server.sessions) == 2


async def test_accounts_change_while_the_server_runs(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        rig.accounts.replace([Account("other", HASH)])
        await raw.closed()
        assert not rig.server.sessions
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(**options(rig))
        async with asyncssh.connect(**options(rig, username="other")):
            pass


async def test_the_wire_is_encrypted_by_what_is_strong(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig:
        gcm = ["aes128-gcm@openssh.com"]
        async with asyncssh.connect(**options(rig, encryption_algs=gcm)) as connection:
            assert connection.get_extra_info("send_cipher") == gcm[0]
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await asyncssh.connect(**options(rig, encryption_algs=["aes128-cbc"]))
