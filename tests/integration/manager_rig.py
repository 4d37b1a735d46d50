"""Routers for the manager to talk to: the real core of a member over a real NETCONF server, on loopback."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lxml import etree

from manager.process import run
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
from netconf_server.hostkey import load_or_create_host_key
from rui.backup import requests, wire
from rui.backup.digest import Digest
from rui.backup.identity import IdentityResult, Role
from rui.backup.inspection import RECORDS
from rui.backup.member import Member
from rui.backup.member_outputs import Answer, Append, MemberOptions, Notify
from rui.backup.messages import Batch, Quarantined, Receipt
from rui.backup.record import UserInfo
from rui.backup.source import SourceOptions
from rui.netconf import names
from rui.schema import Schema
from rui_cli.policy import NAMESPACE, manager_policy
from rui_cli.site import configuration

PASSWORD = "a password for tests"
HASH = hash_password(PASSWORD, salt=b"0123456789abcdef", log_cost=4)
WITHIN = 40.0
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
    timer: asyncio.TimerHandle | None = None


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
        for group in self.groups.values():
            self._arm(group)

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
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self._answers[tag] = answer
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
        self._arm(group)

    def _arm(self, group: FakeGroup) -> None:
        """Call the core when it wants to be called."""
        if group.timer is not None:
            group.timer.cancel()
            group.timer = None
        due = group.member.next_deadline()
        if due is not None and self._server is not None:
            wait = max(0.01, due - time.monotonic())
            group.timer = asyncio.get_running_loop().call_later(wait, self._on_timer, group)

    def _on_timer(self, group: FakeGroup) -> None:
        group.timer = None
        group.member.handle_timer(time.monotonic())
        self._drain(group)


def startup(routers: Sequence[FakeRouter], *, group: str = "", server: str = "", port: int = 0) -> str:
    """The manager's startup file for these routers; ``group`` and ``server`` are added as they are."""
    account = "<account><name>{}</name><password-hash>{}</password-hash></account>"
    accounts = "".join(account.format(name, HASH) for name in ("operator", *(r.device for r in routers)))
    devices = "".join(
        f"<device><device-id>{router.device}</device-id>"
        + (f"<address>127.0.0.1</address><port>{router.port}</port>" if router.port else "<call-home/>")
        + "<username>cloud</username><password-file>password</password-file>"
        f"<host-key>{router.server.host_key}</host-key>"
        "<reconnect><first-wait>50</first-wait><longest-wait>500</longest-wait></reconnect></device>"
        for router in routers
    )
    access = manager_policy(["operator"], [router.device for router in routers])
    nacm = etree.tostring(configuration(NAMESPACE, "nacm", access)[0]).decode()
    return (
        f'<config xmlns="{names.BASE}"><cloud xmlns="urn:rui-cloud:yang:cloud"><netconf-server><listen>'
        f"<address>127.0.0.1</address><port>{port}</port></listen>{accounts}{server}</netconf-server>"
        f"{devices}{group}</cloud>{nacm}</config>"
    )


@dataclass
class Managed:
    """A manager that runs in this process."""

    folder: Path
    facts: dict[str, Any]

    @property
    def target(self) -> Target:
        """Its NETCONF server, for an operator."""
        key = load_or_create_host_key(self.folder / "data" / "host-key").export_public_key().decode()
        return Target(
            "127.0.0.1",
            "operator",
            PinnedKey(key.strip()),
            port=self.facts["netconf"][1],
            password=PASSWORD,
        )

    def target_of(self, user: str) -> Target:
        """Its NETCONF server, for somebody else."""
        return replace(self.target, username=user)

    async def digest(self, group: str = "g1") -> Digest:
        """What it holds, as an operator is told."""
        async with operator(self.target) as session:
            question = requests.encode_digest_request(requests.DigestRequest(group))
            return requests.decode_digest((await session.rpc(question)).element)

    async def state(self) -> etree._Element:
        """Its state tree."""
        async with operator(self.target) as session:
            wanted = etree.Element("{urn:rui-cloud:yang:cloud}cloud-state")
            return (await session.get(wanted)).data[0]


@asynccontextmanager
async def managed(folder: Path, text: str) -> AsyncIterator[Managed]:
    """Run a manager from this startup file."""
    (folder / "password").write_text(PASSWORD + "\n")
    (folder / "startup.xml").write_text(text)
    ready: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
    running = asyncio.create_task(
        run(folder / "startup.xml", folder / "data", lambda facts: ready.set_result(dict(facts)))
    )
    try:
        both: list[asyncio.Future[Any]] = [running, ready]
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
        yield Managed(folder, ready.result())
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@asynccontextmanager
async def routers_of(
    folder: Path, *roles: tuple[str, dict[str, Role]], listen: bool = True
) -> AsyncIterator[list[FakeRouter]]:
    """Routers that serve, by name and role in each group."""
    made = [FakeRouter(name, of, folder) for name, of in roles]
    try:
        for router in made:
            await router.start(listen=listen)
        yield made
    finally:
        for router in made:
            await router.stop()


@asynccontextmanager
async def site(
    folder: Path, first: tuple[str, dict[str, Role]], second: tuple[str, dict[str, Role]], *, known: int = 2
) -> AsyncIterator[tuple[Managed, FakeRouter, FakeRouter]]:
    """A manager and two routers, of which it knows the first ``known``."""
    async with (
        routers_of(folder, first, second) as (a, b),
        managed(folder, startup([a, b][:known])) as manager,
    ):
        yield manager, a, b


@asynccontextmanager
async def operator(target: Target) -> AsyncIterator[ClientSession]:
    """A session that is closed in the end."""
    session = await connect(target)
    try:
        yield session
    finally:
        await session.close()
