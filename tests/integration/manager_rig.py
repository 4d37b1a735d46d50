"""Routers for the manager to talk to: the real core of a member over a real NETCONF server, on loopback."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from lxml import etree

from manager.inbox import RECORDS
from netconf_client import ClientSession, PinnedKey, Target, connect
from netconf_server import (
    Account,
    Accounts,
    Datastores,
    NetconfServer,
    RpcCall,
    Subscription,
    hash_password,
    load_schema,
)
from rui.backup import requests, wire
from rui.backup.identity import IdentityResult, Role
from rui.backup.member import Answer, Append, Digest, Member, MemberOptions, Notify
from rui.backup.messages import Batch, Quarantined, Receipt
from rui.backup.record import UserInfo
from rui.backup.source import SourceOptions
from rui.schema import Schema

PASSWORD = "a password for tests"
HASH = hash_password(PASSWORD, salt=b"0123456789abcdef")
WITHIN = 20.0
"""Seconds that anything may take before a test gives up."""


@functools.cache
def schema() -> Schema:
    """The routers' model, compiled once a test run."""
    return load_schema(["rui-identity", "rui-user-info", "rui-backup"])


def user(number: int, *, pool: str = "pool-1") -> UserInfo:
    """The user with this number."""
    mac = "02:00:" + ":".join(f"{number >> shift & 255:02x}" for shift in (24, 16, 8, 0))
    return UserInfo(
        mac,
        100,
        0,
        ipv4_address=f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
        address_pool=pool,
        lease_time=3600,
        circuit_id=b"olt-1 eth 0/1/2:100",
    )


async def eventually(holds: Callable[[], bool], what: str, within: float = WITHIN) -> None:
    """Wait until something holds that nobody announces."""
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {within:g} s")
        await asyncio.sleep(0.01)


@dataclass
class FakeGroup:
    """One group at a fake router: the core, whose journal is memory, and what went over the wire."""

    member: Member
    identity_results: list[IdentityResult] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    delivered: list[Batch] = field(default_factory=list)
    instructed: int = 0
    refuse_delivery: str = ""


class FakeRouter:
    """A router with static roles by group; ``start`` listens, ``stop`` ends it with all its sessions."""

    def __init__(
        self, device: str, roles: dict[str, Role], folder: Path, *, source: SourceOptions | None = None
    ) -> None:
        self.device = device
        self.folder = folder
        self.port = 0
        self.cloud: Target | None = None
        self.groups = {
            name: FakeGroup(
                Member(
                    name,
                    device,
                    role,
                    address="127.0.0.1",
                    options=MemberOptions(),
                    cloud=source or SourceOptions(),
                )
            )
            for name, role in roles.items()
        }
        self.subscription: Subscription | None = None
        self._checker = schema().records(RECORDS)
        self._server: NetconfServer | None = None
        self._answers: dict[object, asyncio.Future[Receipt]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: ClientSession | None = None
        for group in self.groups.values():
            group.member.start()
            self._drain(group)

    @property
    def server(self) -> NetconfServer:
        """The server while it runs."""
        assert self._server is not None
        return self._server

    @property
    def subscribed(self) -> bool:
        """Whether a manager listens."""
        return self.subscription is not None

    def group(self, name: str = "g1") -> FakeGroup:
        """One of its groups."""
        return self.groups[name]

    def digest(self, name: str = "g1") -> Digest:
        """What it holds."""
        return self.groups[name].member.digest()

    async def start(self, *, listen: bool = True) -> None:
        """Serve, on the port that it had before."""
        accounts = Accounts([Account("cloud", HASH)])
        server = NetconfServer(
            schema(), Datastores(schema()), accounts, host_key_file=self.folder / f"{self.device}.key"
        )
        server.register_rpc(wire.IDENTITY_RESULT, self._identity_result)
        server.register_rpc(wire.ACKNOWLEDGE, self._acknowledge)
        server.register_rpc(wire.DELIVER, self._deliver, bulk=True)
        server.register_rpc(wire.DOWNLOAD, self._download)
        stream = server.stream("rui-backup")
        stream.on_subscribed(self._subscribed)
        stream.on_ended(self._ended)
        self._server = server
        if listen:
            self.port = await server.listen("127.0.0.1", self.port)

    async def stop(self) -> None:
        """End all sessions and stop listening; what it holds stays."""
        for task in self._tasks:
            task.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None
        if self._server is not None:
            await self._server.close()
            self._server = None

    def login(self, *numbers: int, group: str = "g1", pool: str = "pool-1") -> None:
        """Have users come online."""
        held = self.groups[group]
        for number in numbers:
            info = user(number, pool=pool)
            held.member.put(info.key, info.encode())
        held.member.flush()
        self._drain(held)

    def put(self, key: bytes, record: bytes, group: str = "g1") -> None:
        """Have a record come into being that no check has seen."""
        held = self.groups[group]
        held.member.put(key, record)
        held.member.flush()
        self._drain(held)

    def logout(self, *numbers: int, group: str = "g1") -> None:
        """Have users go."""
        held = self.groups[group]
        for number in numbers:
            held.member.delete(user(number).key)
        held.member.flush()
        self._drain(held)

    def send(self, content: Sequence[bytes] | etree._Element) -> None:
        """Send a notification of the caller's making to the manager."""
        assert self.subscription is not None
        self.subscription.notify(content, validate=False)

    # The manager's requests

    async def _identity_result(self, call: RpcCall) -> None:
        result = wire.decode_identity_result(call.operation)
        group = self.groups[result.group]
        group.identity_results.append(result)
        group.member.identity_result(result)
        self._drain(group)

    async def _acknowledge(self, call: RpcCall) -> None:
        receipt = wire.decode_receipt(call.operation)
        group = self.groups[receipt.group]
        group.receipts.append(receipt)
        group.member.acknowledge(receipt, time.monotonic())
        self._drain(group)

    async def _deliver(self, call: RpcCall) -> Sequence[etree._Element]:
        batch = wire.decode_batch(call.operation, call.raw)
        return wire.receipt_children(await self._receive(batch))

    async def _download(self, call: RpcCall) -> None:
        name = requests.decode_download(call.operation).group
        self.groups[name].instructed += 1
        task = asyncio.create_task(self._fetch_all(name))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _receive(self, batch: Batch) -> Receipt:
        group = self.groups[batch.group]
        group.delivered.append(batch)
        puts = [change for change in batch.changes if change.record is not None]
        records = [change.record or b"" for change in puts]
        issues = self._checker.check((batch.group,), records, [change.key for change in puts])
        bad = tuple(
            Quarantined(puts[issue.index].key, puts[issue.index].version, issue.message) for issue in issues
        )
        tag = object()
        answer = self._answers[tag] = asyncio.get_running_loop().create_future()
        group.member.receive(batch, bad, tag)
        self._drain(group)
        return await answer

    async def _fetch_all(self, name: str) -> None:
        assert self.cloud is not None
        if self._session is None or self._session.closed_reason is not None:
            self._session = await connect(self.cloud)
        member, more = self.groups[name].member, True
        while more:
            before = member.position
            question = requests.Fetch(name, self.device, member.position)
            reply = await self._session.rpc(requests.encode_fetch(question))
            fetched = requests.decode_fetched(reply.element, reply.raw)
            await self._receive(fetched.batch)
            more = fetched.more or member.position != before

    def _subscribed(self, subscription: Subscription) -> None:
        self.subscription = subscription
        for group in self.groups.values():
            group.member.cloud_up()
            self._drain(group)

    def _ended(self, subscription: Subscription) -> None:
        if self.subscription is subscription:
            self.subscription = None
            for group in self.groups.values():
                group.member.cloud_down("the session is gone")

    def _drain(self, group: FakeGroup) -> None:
        """Do what the core asks for; its journal is always durable at once."""
        member = group.member
        while outputs := member.outputs():
            for output in outputs:
                match output:
                    case Append():
                        member.stored()
                    case Notify():
                        if self.subscription is not None:
                            self.subscription.notify(wire.encode_identity(output.notification))
                    case Answer():
                        self._answers.pop(output.tag).set_result(output.receipt)
        while (batch := member.next_upload(time.monotonic())) is not None:
            if self.subscription is not None:
                self.subscription.notify(wire.encode_batch(batch), validate=False)


@asynccontextmanager
async def operator(port: int, host_key: str) -> AsyncIterator[ClientSession]:
    """An operator's session with the manager."""
    session = await connect(
        Target("127.0.0.1", "operator", PinnedKey(host_key), port=port, password=PASSWORD)
    )
    try:
        yield session
    finally:
        await session.close()
