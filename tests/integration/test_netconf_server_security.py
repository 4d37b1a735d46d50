"""What a NETCONF server lets no client do to it: guess, flood, confuse its parser, or speak weak SSH."""

from __future__ import annotations

import asyncio
import re
import socket
from contextlib import AsyncExitStack
from pathlib import Path

import asyncssh
import pytest
from lxml import etree
from structlog.testing import capture_logs

from netconf_server import Account, Limits
from netconf_server.ssh import CIPHERS, KEX_ALGORITHMS, MACS, SIGNATURES
from rui.netconf import names
from tests.integration.netconf_server_rig import HASH, TOY, USER, Rig, serving
from tests.integration.test_netconf_server_login import options

DOCUMENT = Path(__file__).parents[2] / "docs" / "security.md"


async def test_what_is_offered_is_what_the_document_says(tmp_path: Path) -> None:
    """Read the server's own KEXINIT (RFC 4253 7.1) and compare it with the table, in its order."""
    async with serving(tmp_path) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        assert await reader.readline() == b"SSH-2.0-netconf\r\n"
        writer.write(b"SSH-2.0-test\r\n")
        size = int.from_bytes(await reader.readexactly(4), "big")
        packet = await reader.readexactly(size)
        writer.close()
    assert packet[1] == 20
    lists, rest = [], packet[18:]
    for _ in range(10):
        length = int.from_bytes(rest[:4], "big")
        lists.append(rest[4 : 4 + length].decode().split(","))
        rest = rest[4 + length :]
    kex, host_key, cipher, _, mac, _, compression, *_ = lists
    extras = {"ext-info-s", "kex-strict-s-v00@openssh.com"}
    assert [name for name in kex if name not in extras] == list(KEX_ALGORITHMS)
    assert "kex-strict-s-v00@openssh.com" in kex
    assert host_key == ["ssh-ed25519"]
    assert cipher == list(CIPHERS)
    assert mac == list(MACS)
    assert compression == ["none"]
    for title, offered in (
        ("Key exchange", KEX_ALGORITHMS),
        ("Cipher", CIPHERS),
        ("MAC", MACS),
        ("Client key", SIGNATURES),
    ):
        rows = re.findall(rf"^\| {title} \| `([^`]+)`", DOCUMENT.read_text(), re.MULTILINE)
        assert rows == list(offered), f"docs/security.md, rows {title}"


@pytest.mark.parametrize(
    "weak",
    [
        {"encryption_algs": ["aes256-cbc"]},
        {"kex_algs": ["diffie-hellman-group14-sha1"]},
        {"kex_algs": ["diffie-hellman-group14-sha256"]},
        {"encryption_algs": ["aes128-ctr"], "mac_algs": ["hmac-sha1"]},
        {"compression_algs": ["zlib@openssh.com"]},
    ],
)
async def test_weak_algorithms_are_refused(tmp_path: Path, weak: dict[str, list[str]]) -> None:
    async with serving(tmp_path) as rig:
        with pytest.raises(asyncssh.KeyExchangeFailed):
            await asyncssh.connect(**options(rig, **weak))


async def test_a_signature_with_sha1_is_refused(tmp_path: Path) -> None:
    key = asyncssh.generate_private_key("ssh-rsa", key_size=2048)
    async with serving(tmp_path) as rig:
        rig.accounts.replace([Account(USER, None, (key.export_public_key().decode(),))])
        rsa = options(rig, password=None, client_keys=[key])
        async with asyncssh.connect(**{**rsa, "signature_algs": ["rsa-sha2-256"]}):
            pass
        with pytest.raises(asyncssh.PermissionDenied):
            await asyncssh.connect(**{**rsa, "signature_algs": ["ssh-rsa"]})


async def test_many_wrong_keys_end_the_connection(tmp_path: Path) -> None:
    keys = [asyncssh.generate_private_key("ssh-ed25519") for _ in range(6)]
    right = asyncssh.generate_private_key("ssh-ed25519")
    async with serving(tmp_path, limits=Limits(key_attempts=3)) as rig:
        rig.accounts.replace([Account(USER, HASH, (right.export_public_key().decode(),))])
        async with asyncssh.connect(**options(rig, password=None, client_keys=[*keys[:2], right])):
            pass
        with pytest.raises(asyncssh.DisconnectError, match="too many failed logins"):
            await asyncssh.connect(**options(rig, password=None, client_keys=[*keys, right]))


async def test_who_guesses_too_often_has_to_wait(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(failed_logins=2)) as rig:
        for _ in range(2):
            with pytest.raises(asyncssh.PermissionDenied):
                await asyncssh.connect(**options(rig, password="wrong"))
        with capture_logs() as events, pytest.raises((asyncssh.Error, OSError)):
            await asyncssh.connect(**options(rig))
        assert any("has to wait" in str(event.get("reason")) for event in events)


async def test_one_source_cannot_take_every_place_at_the_door(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(max_pending_per_source=2)) as rig:
        held = [socket.create_connection(("127.0.0.1", rig.port)) for _ in range(2)]
        try:
            for waiting in held:
                await asyncio.to_thread(waiting.recv, 64)
            with pytest.raises((asyncssh.Error, OSError)):
                await asyncssh.connect(**options(rig))
            reader, writer = await asyncio.open_connection("127.0.0.1", rig.port, local_addr=("127.0.0.2", 0))
            assert (await reader.readline()).startswith(b"SSH-2.0")
            writer.close()
        finally:
            for waiting in held:
                waiting.close()


@pytest.mark.parametrize("limit", ["max_sessions_per_user", "max_sessions_per_source"])
async def test_sessions_of_one_user_or_source_are_bounded(tmp_path: Path, limit: str) -> None:
    limits = Limits(**{limit: 2})
    async with serving(tmp_path, limits=limits) as rig, AsyncExitStack() as stack:
        for _ in range(2):
            await stack.enter_async_context(rig.raw())
        with pytest.raises(asyncssh.ChannelOpenError):
            async with rig.raw():
                pass


async def ended(rig: Rig, message: bytes) -> str:
    """Send a message that ends its session; return why, and see that the others go on."""
    async with rig.raw() as other:
        with capture_logs() as events:
            async with rig.raw() as raw:
                raw.send_message(message)
                await raw.closed()
        assert (await other.rpc("<get><filter/></get>")).find(names.base("data")) is not None
    return " ".join(str(event.get("reason")) for event in events if event["event"] == "session-ended")


async def test_messages_that_are_too_large_or_too_deep_are_not_taken(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(max_message_size=100_000)) as rig:
        assert "100000" in await ended(rig, b"<rpc>" + b" " * 200_000)
    bomb = b'<!DOCTYPE r [<!ENTITY a "lol"><!ENTITY b "&a;&a;">]><rpc message-id="1">&b;</rpc>'
    outside = b'<!DOCTYPE r [<!ENTITY a SYSTEM "file:///etc/hostname">]><rpc message-id="1">&a;</rpc>'
    async with serving(tmp_path) as rig:
        for wrong in (b"<a>" * 300 + b"</a>" * 300, bomb, outside):
            async with rig.raw() as raw:
                raw.send_message(wrong)
                reply = await raw.message()
                assert b"malformed-message" in reply
                assert b"lollol" not in reply
                assert socket.gethostname().encode() not in reply


async def test_every_change_is_logged_with_who_made_it(tmp_path: Path) -> None:
    async with serving(tmp_path) as rig, rig.raw() as raw:
        with capture_logs() as events:
            reply = await raw.rpc(
                "<edit-config><target><running/></target><config>"
                f'<system xmlns="{TOY}"><name>core</name></system></config></edit-config>'
            )
        assert reply.find(names.OK) is not None
        (event,) = [event for event in events if event["event"] == "config-changed"]
        (session,) = rig.server.sessions.values()
        assert (event["user"], event["session"], event["source"]) == (USER, session.id, session.peer)
        assert event["changes"] == ["created /toy:system/toy:name 'core'"]


async def test_a_subscriber_may_be_silent_and_others_not(tmp_path: Path) -> None:
    async with serving(tmp_path, limits=Limits(idle_timeout=0.5)) as rig, rig.raw() as subscriber:
        await subscriber.rpc(f'<create-subscription xmlns="{names.NOTIFICATION}"/>')
        async with rig.raw() as silent:
            await silent.closed()
        assert len(rig.server.sessions) == 1
        told = await subscriber.rpc("<get><filter/></get>")
        while told.tag == names.NOTIFICATION_MESSAGE:  # the silent one's beginning and end
            told = etree.fromstring(await subscriber.message())
        assert told.tag == names.RPC_REPLY
