"""A router to test against, and a cloud that does as FIG. 4 and FIG. 5 say."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from lxml import etree

from netconf_client import ClientSession, Target, connect
from rui.backup import wire
from rui.backup.identity import IdentityNotification, IdentityResult
from rui.backup.messages import Batch, Receipt
from rui.backup.version import Epoch
from rui.netconf import names
from rui.netconf.events import NotificationReceived
from rui_cli.launch import Launched
from rui_cli.site import MANAGER, Content, Group, Site
from tests.replica import Replica

GROUP = "g1"
PRIMARY, SECONDARY = "bras-a", "bras-b"
STORE = "store-1"


def make_site(
    folder: Path,
    *,
    simulated: Mapping[str, Content] | None = None,
    router_leaves: Mapping[str, Content] | None = None,
) -> Site:
    """Write the files of two routers; by default nobody gets online by himself."""
    users = {"arrivals": "0", "mean-hold-time": "0", "lease-time": "4000000000", **(simulated or {})}
    group = Group(GROUP, PRIMARY, (SECONDARY,), simulated=users, router_leaves=router_leaves or {})
    site = Site(folder, [group])
    site.ports.update(dict.fromkeys(site.routers, 0))
    site.write()
    return site


class RouterProcess(Launched):
    """A router that takes a free port at every start; its site is told which."""

    def __init__(self, site: Site, name: str) -> None:
        super().__init__(name, site.words(name), site.folder / f"{name}.log")
        self._site = site

    async def start(self, within: float = 30.0) -> dict[str, object]:
        """Start it; return its ready line's facts."""
        facts = await super().start(within)
        where = facts["netconf"]
        assert isinstance(where, list)
        if where:
            self._site.ports[self.name] = where[1]
        return facts


def process(site: Site, name: str) -> RouterProcess:
    """Return a router's process, not started yet."""
    return RouterProcess(site, name)


@asynccontextmanager
async def running(*routers: Launched) -> AsyncIterator[None]:
    """Start these, and whatever happens kill them in the end."""
    try:
        for router in routers:
            await router.start()
        yield
    finally:
        for router in routers:
            if router.running:
                await router.kill()


class Cloud:
    """The cloud's end of one session, with the replica that outlives it."""

    def __init__(self, session: ClientSession, replica: Replica) -> None:
        self.session = session
        self.replica = replica
        self.identities: asyncio.Queue[IdentityNotification] = asyncio.Queue()
        self.batches: asyncio.Queue[Batch] = asyncio.Queue()
        session.on_notification(self._take)

    @classmethod
    @asynccontextmanager
    async def at(cls, target: Target, replica: Replica | None = None) -> AsyncIterator[Self]:
        """Open a session and subscribe (S401)."""
        session = await connect(target, timeout=10.0)
        cloud = cls(session, replica or Replica())
        try:
            await session.create_subscription("rui-backup")
            yield cloud
        finally:
            await session.close()

    async def admit(self) -> IdentityNotification:
        """Accept the next identity, stating what the replica holds (S403)."""
        identity = await self.identities.get()
        await self.answer(identity)
        return identity

    async def answer(
        self, identity: IdentityNotification, *, accepted: bool = True, highest: Epoch | None = None
    ) -> None:
        """Answer an identity."""
        position = self.replica.position
        known = highest or max(position.writer, identity.epoch)
        result = IdentityResult(
            identity.group, identity.device, accepted, "as the test says", known, STORE, position
        )
        await self.session.rpc(wire.encode_identity_result(result))

    async def take(self) -> Batch:
        """Take one upload durably and acknowledge it (S502, S503)."""
        batch = await self.batches.get()
        await self.session.rpc(wire.encode_receipt(self.replica.apply(batch)))
        return batch

    async def take_until(self, done: Callable[[Replica], bool]) -> None:
        """Take uploads until the replica is as wanted."""
        while not done(self.replica):
            await self.take()

    def _take(self, notification: NotificationReceived) -> None:
        if notification.content.tag == wire.UPLOAD:
            self.batches.put_nowait(wire.decode_batch(notification.content, notification.raw))
        else:
            self.identities.put_nowait(wire.decode_identity(notification.content))


def manager_target(site: Site, name: str) -> Target:
    """Return how the cloud reaches a router."""
    target = site.target(name)
    secret = (site.folder / MANAGER / "client.password").read_text().strip()
    return Target(target.host, MANAGER, target.host_key, port=target.port, password=secret)


async def deliver(session: ClientSession, batch: Batch) -> Receipt:
    """Deliver a batch as the cloud does (S504)."""
    reply = await session.rpc(wire.encode_batch(batch, wire.DELIVER))
    return wire.decode_receipt(reply.element)


async def digest(session: ClientSession, group: str = GROUP) -> dict[str, str]:
    """Ask for a digest; return its leaves by name."""
    operation = etree.Element(wire.DIGEST, nsmap=names.nsmap(wire.BACKUP))
    etree.SubElement(operation, f"{{{wire.BACKUP}}}group-id").text = group
    reply = await session.rpc(operation)
    return {etree.QName(leaf).localname: leaf.text or "" for leaf in reply.content}


async def operational(
    session: ClientSession, namespace: str, name: str, inner: bytes = b""
) -> etree._Element:
    """Get one top-level operational tree."""
    subtree = f'<{name} xmlns="{namespace}">'.encode() + inner + f"</{name}>".encode()
    reply = await session.get(etree.fromstring(subtree))
    found = reply.data.find(f"{{{namespace}}}{name}")
    assert found is not None, etree.tostring(reply.data)
    return found


def texts(element: etree._Element, path: str) -> Sequence[str]:
    """Return the texts at a path of local names, in the element's own namespace."""
    namespace = etree.QName(element).namespace
    tags = "/".join(f"{{{namespace}}}{step}" for step in path.split("/"))
    return [found.text or "" for found in element.findall(tags)]
