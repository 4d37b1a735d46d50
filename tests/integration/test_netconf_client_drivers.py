"""Both drivers against our own server: one interface, the same results and the same exceptions."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Literal

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
    Target,
    TrustOnFirstUse,
    connect,
)
from netconf_client.hostkeys import known_hosts_name
from netconf_server import Account, RpcCall
from rui.netconf import names
from rui.netconf.errors import ErrorTag, RpcError
from rui.netconf.events import NotificationReceived
from tests.integration.netconf_server_rig import HASH, PASSWORD, TOY, USER, Parts, Rig, serving, toy

Driver = Literal["native", "vendor"]

ADD = f'<add xmlns="{TOY}"><a>2</a><b>3</b></add>'.encode()
ALARM = f'<alarm xmlns="{TOY}"><severity>minor</severity><text>%s</text></alarm>'


@pytest.fixture(params=["native", "vendor"])
def driver(request: pytest.FixtureRequest) -> Driver:
    chosen: Driver = request.param
    return chosen


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    async with serving(tmp_path, parts=Parts(sites=2, parts=50, note="caf\u00e9 " * 20)) as running:
        yield running


@pytest.fixture
def target(rig: Rig, tmp_path: Path) -> Target:
    host_key = asyncssh.read_private_key(tmp_path / "host_key").export_public_key().decode()
    return Target("127.0.0.1", USER, PinnedKey(host_key), port=rig.port, password=PASSWORD)


@pytest.fixture
async def session(target: Target, driver: Driver) -> AsyncIterator[ClientSession]:
    opened = await connect(target, driver=driver, timeout=30)
    yield opened
    await opened.close()


async def answer_with(rig: Rig, answer: Callable[[RpcCall], object]) -> None:
    """Have the server answer the toy's rpc `unserved` by `answer`."""

    async def handler(call: RpcCall) -> None:
        result = answer(call)
        if asyncio.iscoroutine(result):
            await result

    rig.server.register_rpc(toy("unserved"), handler)


async def test_learns_who_the_server_is(session: ClientSession, rig: Rig) -> None:
    assert session.session_id in rig.server.sessions
    assert names.CAP_BASE_1_1 in session.capabilities
    assert session.where == f"127.0.0.1:{rig.port}"
    assert session.closed_reason is None


@pytest.mark.parametrize("cut", [False, True])
async def test_calls_an_rpc_given_as_bytes(session: ClientSession, cut: bool) -> None:
    operation = [ADD[i : i + 7] for i in range(0, len(ADD), 7)] if cut else ADD
    reply = await session.rpc(operation)
    assert [child.text for child in reply.content] == ["5"]
    assert b"<sum" in reply.raw


async def test_edits_a_configuration_and_reads_it_back(session: ClientSession) -> None:
    config = f'<system xmlns="{TOY}"><name>r\u00e9</name></system>'.encode()
    await session.lock("candidate")
    await session.edit_config(config, default_operation="merge", test_option="test-then-set")
    await session.validate()
    await session.commit()
    await session.unlock("candidate")
    reply = await session.get_config("running", etree.Element(toy("system")))
    assert reply.data.findtext(f".//{toy('name')}") == "r\u00e9"
    await session.edit_config(config.replace(b"r\xc3\xa9", b"other"))
    await session.discard_changes()
    reply = await session.get_config("candidate")
    assert reply.data.findtext(f".//{toy('name')}") == "r\u00e9"


async def test_reads_a_list_of_some_size(session: ClientSession) -> None:
    reply = await session.get(f'<inventory xmlns="{TOY}"/>'.encode(), timeout=20)
    parts = reply.data.findall(f".//{toy('part')}")
    assert len(parts) == 100
    assert parts[99].findtext(toy("note")) == "caf\u00e9 " * 20


INVENTORY = f'<get xmlns="{names.BASE}"><filter><inventory xmlns="{TOY}"/></filter></get>'.encode()


async def test_streams_a_reply_larger_than_a_message_may_be(target: Target, driver: Driver, rig: Rig) -> None:
    rig.parts.parts, rig.parts.note = 500, "x" * 2000
    session = await connect(replace(target, max_message=100_000), driver=driver, timeout=30)
    parser = etree.XMLPullParser(events=("end",), tag=toy("part"), resolve_entities=False)
    seen = []
    async with aclosing(session.rpc_stream(INVENTORY)) as pieces:
        async for piece in pieces:
            parser.feed(piece)
            seen += [len(etree.tostring(event[1])) > 2000 for event in parser.read_events()]  # type: ignore[arg-type]
    assert seen == [True] * 1000
    # who leaves early hears nothing more of it
    async with aclosing(session.rpc_stream(INVENTORY)) as pieces:
        await anext(pieces)
    assert (await session.rpc(ADD)).content[0].text == "5"
    with pytest.raises(RpcError):
        await anext(session.rpc_stream(f'<nonsense xmlns="{TOY}"/>'.encode()))
    await session.close()
    with pytest.raises(SessionClosed):
        await anext(session.rpc_stream(INVENTORY))


async def test_gets_the_text_of_a_module(session: ClientSession) -> None:
    assert (await session.get_schema("toy")).startswith("module toy")


async def test_raises_the_servers_errors(session: ClientSession) -> None:
    with pytest.raises(RpcError) as raised:
        await session.edit_config(f'<system xmlns="{TOY}"><mtu>7</mtu></system>'.encode())
    assert raised.value.tag == ErrorTag.INVALID_VALUE
    assert raised.value.path is not None
    with pytest.raises(RpcError) as denied:
        await session.rpc(f'<nonsense xmlns="{TOY}"/>'.encode())
    assert denied.value.message


async def test_several_rpcs_are_under_way_at_once(session: ClientSession) -> None:
    sums = await asyncio.gather(
        *(
            session.rpc(f'<add xmlns="{TOY}"><a>{n}</a><b>1</b></add>'.encode(), timeout=30)
            for n in range(100)
        )
    )
    assert [reply.content[0].text for reply in sums] == [str(n + 1) for n in range(100)]


async def test_receives_notifications_in_order(session: ClientSession, rig: Rig) -> None:
    texts: list[str | None] = []
    complete = asyncio.Event()

    def take(event: NotificationReceived) -> None:
        assert event.event_time
        texts.append(event.content.findtext(toy("text")))
        if len(texts) == 20:
            complete.set()

    session.on_notification(take)
    await session.create_subscription("NETCONF")
    for number in range(20):
        rig.server.stream("NETCONF").publish((ALARM % number).encode())
    await asyncio.wait_for(complete.wait(), 30)
    assert texts == [str(number) for number in range(20)]


async def test_a_paused_reader_gets_everything_later(session: ClientSession, rig: Rig) -> None:
    seen: list[NotificationReceived] = []
    arrived = asyncio.Event()

    def take(event: NotificationReceived) -> None:
        seen.append(event)
        arrived.set()

    session.on_notification(take)
    await session.create_subscription("NETCONF")
    session.pause_reading()
    rig.server.stream("NETCONF").publish((ALARM % "late").encode())
    await asyncio.sleep(0.3)
    assert seen == []
    session.resume_reading()
    await asyncio.wait_for(arrived.wait(), 30)


async def test_a_notification_that_cannot_be_handled_ends_the_session(
    session: ClientSession, rig: Rig
) -> None:
    def fail(event: NotificationReceived) -> None:
        raise LookupError(event.event_time)

    session.on_notification(fail)
    await session.create_subscription("NETCONF")
    rig.server.stream("NETCONF").publish((ALARM % "x").encode())
    assert "could not be handled: LookupError" in await asyncio.wait_for(session.wait_closed(), 30)


async def test_a_reply_that_does_not_come_times_out_and_the_session_lives_on(
    session: ClientSession, rig: Rig
) -> None:
    release = asyncio.Event()
    await answer_with(rig, lambda call: release.wait())
    with pytest.raises(ReplyTimeout, match=r"unserved within 0\.3 s"):
        await session.rpc(f'<unserved xmlns="{TOY}"/>'.encode(), timeout=0.3)
    release.set()
    assert (await session.rpc(ADD)).content[0].text == "5"


async def test_the_end_of_the_server_ends_what_is_under_way(session: ClientSession, rig: Rig) -> None:
    await answer_with(rig, lambda call: rig.server.end_session(session.session_id, "given up"))
    with pytest.raises(SessionClosed) as raised:
        await session.rpc(f'<unserved xmlns="{TOY}"/>'.encode(), timeout=10)
    assert raised.value.where == session.where
    assert await session.wait_closed() == session.closed_reason
    with pytest.raises(SessionClosed):
        await session.rpc(ADD)


async def test_is_closed_by_close_session_once(target: Target, driver: Driver, rig: Rig) -> None:
    session = await connect(target, driver=driver)
    await asyncio.gather(session.close(), session.close())
    assert session.closed_reason == ("close-session answered" if driver == "native" else "closed")
    assert session.session_id not in rig.server.sessions


async def test_kills_another_session(session: ClientSession, target: Target) -> None:
    victim = await connect(target)
    await session.kill_session(victim.session_id)
    await asyncio.wait_for(victim.wait_closed(), 30)
    await victim.close()


class TestTrust:
    async def test_a_key_that_is_not_the_pinned_one_is_refused(self, target: Target, driver: Driver) -> None:
        for algorithm in ("ssh-ed25519", "ssh-rsa"):
            other = asyncssh.generate_private_key(algorithm).export_public_key().decode()
            with pytest.raises(HostKeyRejected):
                await connect(replace(target, host_key=PinnedKey(other)), driver=driver, timeout=10)

    async def test_a_pin_that_is_no_key_is_refused(self, target: Target, driver: Driver) -> None:
        with pytest.raises(HostKeyRejected, match="no OpenSSH public key"):
            await connect(replace(target, host_key=PinnedKey("ssh-ed25519 ???")), driver=driver)

    async def test_a_listed_key_is_trusted(self, target: Target, driver: Driver, tmp_path: Path) -> None:
        assert isinstance(target.host_key, PinnedKey)
        file = tmp_path / "known_hosts"
        file.write_text(f"{known_hosts_name(target.host, target.port)} {target.host_key.text}")
        session = await connect(replace(target, host_key=KnownHosts(file)), driver=driver)
        await session.close()

    async def test_a_key_that_is_not_listed_is_refused_with_the_line_to_add(
        self, target: Target, driver: Driver, tmp_path: Path
    ) -> None:
        file = tmp_path / "known_hosts"
        file.write_text("")
        with pytest.raises(HostKeyRejected, match="add the line") as raised:
            await connect(replace(target, host_key=KnownHosts(file)), driver=driver)
        line = str(raised.value).split("'")[1]
        file.write_text(line)
        session = await connect(replace(target, host_key=KnownHosts(file)), driver=driver)
        await session.close()

    async def test_a_file_that_is_missing_is_named(
        self, target: Target, driver: Driver, tmp_path: Path
    ) -> None:
        with pytest.raises(HostKeyRejected, match=str(tmp_path / "absent")):
            await connect(replace(target, host_key=KnownHosts(tmp_path / "absent")), driver=driver)

    async def test_the_first_key_is_remembered_and_a_change_refused(
        self, target: Target, driver: Driver, tmp_path: Path
    ) -> None:
        file = tmp_path / "trust" / "hosts"
        trusting = replace(target, host_key=TrustOnFirstUse(file))
        for _ in range(2):
            session = await connect(trusting, driver=driver)
            await session.close()
        assert len(file.read_text().splitlines()) == 1
        assert file.stat().st_mode & 0o777 == 0o600
        other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
        file.write_text(f"{known_hosts_name(target.host, target.port)} {other}")
        with pytest.raises(HostKeyRejected, match=f"(?s)has changed.*{file}.*remove the lines"):
            await connect(trusting, driver=driver)


class TestLogin:
    async def test_by_key(self, target: Target, driver: Driver, rig: Rig, tmp_path: Path) -> None:
        key = asyncssh.generate_private_key("ssh-ed25519")
        key.write_private_key(tmp_path / "key")
        rig.accounts.replace([Account("keyed", None, (key.export_public_key().decode(),))])
        # the password is wrong: the key is tried first, and the password is not taken for its passphrase
        keyed = replace(target, username="keyed", client_keys=(tmp_path / "key",), password="wrong")
        session = await connect(keyed, driver=driver)
        await session.close()

    async def test_by_password_after_a_key_that_is_refused(
        self, target: Target, driver: Driver, tmp_path: Path
    ) -> None:
        # paramiko, below the vendor driver, asks for the service "ssh-userauth" again for each try
        asyncssh.generate_private_key("ssh-ed25519").write_private_key(tmp_path / "key")
        session = await connect(replace(target, client_keys=(tmp_path / "key",)), driver=driver)
        await session.close()

    @pytest.mark.parametrize("password", ["wrong", None])
    async def test_refused(self, target: Target, driver: Driver, password: str | None) -> None:
        with pytest.raises(AuthenticationFailed, match="login refused"):
            await connect(replace(target, password=password), driver=driver)

    async def test_with_a_key_file_that_is_missing_names_it(
        self, target: Target, driver: Driver, tmp_path: Path
    ) -> None:
        with pytest.raises(ConnectFailed, match=str(tmp_path / "absent")):
            await connect(replace(target, client_keys=(tmp_path / "absent",)), driver=driver)

    def test_secrets_are_not_shown(self, target: Target) -> None:
        assert PASSWORD not in repr(target)
        assert HASH not in repr(target)


async def test_nobody_listens(target: Target, driver: Driver, unused_tcp_port: int) -> None:
    with pytest.raises(ConnectFailed, match=f"127.0.0.1:{unused_tcp_port}: cannot connect"):
        await connect(replace(target, port=unused_tcp_port), driver=driver)


async def test_somebody_else_listens(target: Target, driver: Driver) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com ESMTP\r\n")
        await reader.read()
        writer.close()
        over.set()

    over = asyncio.Event()
    server = await asyncio.start_server(greet, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ConnectFailed):
            await connect(replace(target, port=port), driver=driver, timeout=1)
        await asyncio.wait_for(over.wait(), 30)


async def test_a_device_that_ncclient_does_not_know_is_named(target: Target) -> None:
    with pytest.raises(ConnectFailed, match="no device_params 'toaster'"):
        await connect(replace(target, device_params="toaster"), driver="vendor")


async def test_no_device_of_ncclient_weakens_the_check_of_the_host_key(target: Target) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    for device in ("iosxr", "iosxe", "junos"):
        with pytest.raises(HostKeyRejected):
            await connect(replace(target, device_params=device, host_key=PinnedKey(other)), driver="vendor")
