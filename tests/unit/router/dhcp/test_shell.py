"""The shell over loopback UDP: real sockets, no privileges."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import IPv4Address

import pytest

from router.dhcp.packet import Code, MessageType, parse
from router.dhcp.relay import Relay
from router.dhcp.shell import RelayShell, SubscriberEvent
from router.dhcp.transport import (
    InterfaceTransport,
    LoopbackTransport,
    TransportError,
    UdpPorts,
    choose_transport,
)
from router.dhcp.values import AccessPort, HeldLease, SubscriberOffline, SubscriberOnline
from tests.unit.router.dhcp.conversation import ADDRESS, GIADDR, PORT, TRUSTED, Table, answer, config, request

LOCALHOST = IPv4Address("127.0.0.1")


class Peer:
    """A UDP socket that speaks for a client or a server."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind((str(LOCALHOST), 0))
        self.port: int = self._socket.getsockname()[1]

    def send(self, packet: bytes, to: tuple[str, int]) -> None:
        self._socket.sendto(packet, to)

    async def receive(self) -> bytes:
        async with asyncio.timeout(30):
            return await asyncio.get_running_loop().sock_recv(self._socket, 65535)

    def close(self) -> None:
        self._socket.close()


class World:
    """A shell with its table, one server and one client."""

    def __init__(self) -> None:
        self.client, self.server = Peer(), Peer()
        self.table = Table()
        self.events: asyncio.Queue[SubscriberEvent] = asyncio.Queue()
        settings = config(servers=(LOCALHOST,))
        self.transport = LoopbackTransport(
            settings.ports, LOCALHOST, UdpPorts(listen=0, server=self.server.port)
        )
        self.shell = RelayShell(Relay(settings, self.table), self.transport, self._take)

    def _take(self, event: SubscriberEvent) -> None:
        if isinstance(event, SubscriberOffline):
            del self.table[event.key]
        else:
            self.table[event.key] = HeldLease(event.facts.ipv4, event.facts.expiry)
        self.events.put_nowait(event)

    async def get_online(self, lease_time: int = 3600) -> SubscriberOnline:
        access = self.transport.addresses[PORT.interface]
        self.client.send(request(MessageType.REQUEST, asks_for=ADDRESS), access)
        asked = await self.server.receive()
        back = access
        self.server.send(answer(asked, MessageType.ACK, lease_time=lease_time, server=LOCALHOST), back)
        event = await self.next_event()
        assert isinstance(event, SubscriberOnline)
        return event

    async def next_event(self) -> SubscriberEvent:
        async with asyncio.timeout(30):
            return await self.events.get()


@asynccontextmanager
async def running() -> AsyncIterator[World]:
    world = World()
    await world.shell.start()
    try:
        yield world
    finally:
        await world.shell.close()
        world.client.close()
        world.server.close()


async def test_a_client_gets_its_ack_when_the_caller_lets_it_go() -> None:
    async with running() as world:
        online = await world.get_online()
        waiting = asyncio.create_task(world.client.receive())
        await asyncio.sleep(0)
        assert not waiting.done()

        world.shell.send_reply(online.reply)

        packet = parse(await waiting)
        assert packet.message_type() == MessageType.ACK
        assert packet.get(Code.SERVER_IDENTIFIER) == GIADDR.packed


async def test_a_lease_runs_out_by_the_shells_own_timer() -> None:
    async with running() as world:
        online = await world.get_online(lease_time=1)

        assert await world.next_event() == SubscriberOffline(online.key, "expired")


async def test_packets_on_each_access_port_are_told_apart() -> None:
    async with running() as world:
        world.client.send(request(MessageType.DISCOVER), world.transport.addresses[TRUSTED.interface])

        asked = parse(await world.server.receive())

        assert b"port-2" in (asked.get(Code.AGENT_INFORMATION) or b"")


async def test_garbage_is_counted_and_the_relay_lives() -> None:
    async with running() as world:
        access = world.transport.addresses[PORT.interface]
        for length in range(0, 240, 3):
            world.client.send(request(MessageType.DISCOVER)[:length], access)
        world.client.send(request(MessageType.DISCOVER), access)

        assert parse(await world.server.receive()).message_type() == MessageType.DISCOVER
        assert world.shell.relay.drops["malformed"] == 80


async def test_a_reply_after_the_end_is_dropped() -> None:
    async with running() as world:
        online = await world.get_online()
    world.shell.send_reply(online.reply)

    assert not world.shell.send_errors


async def test_an_interface_that_does_not_exist_is_named() -> None:
    settings = config(ports=(AccessPort("no-such-port", "p"),))
    shell = RelayShell(Relay(settings, Table()), InterfaceTransport(settings), lambda event: None)

    with pytest.raises(TransportError, match="there is no access interface 'no-such-port'"):
        await shell.start()


async def test_a_port_in_use_is_named() -> None:
    taken = Peer()
    transport = LoopbackTransport((PORT,), LOCALHOST, UdpPorts(listen=taken.port))
    try:
        with pytest.raises(TransportError, match=f"cannot listen on UDP 127.0.0.1:{taken.port}"):
            await RelayShell(Relay(config(), Table()), transport, lambda event: None).start()
    finally:
        taken.close()


@pytest.mark.parametrize(
    ("listen", "kind"), [("127.0.0.1", LoopbackTransport), ("0.0.0.0", InterfaceTransport)]
)
def test_the_listen_address_decides_whether_privileges_are_needed(listen: str, kind: type) -> None:
    assert isinstance(choose_transport(config(), IPv4Address(listen), UdpPorts()), kind)
