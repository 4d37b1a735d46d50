"""Two routers' failover over a channel that is made of function calls, in virtual time.

The groups have real members on a disk that is instant (or held), the cloud is a table of who reaches it.
Every message that crosses the channel is checked against the YANG modules.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import TypeVar, cast

from lxml import etree

from netconf_client import ClientSession
from router.alarms import Alarms
from router.audit import Audits
from router.config import FailoverConfig, GroupConfig
from router.group import Group
from router.lag import Lag
from router.rbs.failover import GroupFailover
from rui.backup import audit_wire, rbs, wire
from rui.backup.audit import list_table
from rui.backup.failover import FailoverOptions
from rui.backup.identity import IdentityResult, Role
from rui.backup.inspection import Inspector
from rui.backup.links import Link, LinkOptions
from rui.backup.member import Member
from rui.backup.member_outputs import CLOUD, Answer, Append
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result, Stream
from rui.backup.record import UserInfo
from rui.backup.requests import encode_digest
from rui.backup.version import Version
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived
from rui.netconf.messages import Body
from rui.schema import Schema

T = TypeVar("T")
LINK = LinkOptions(timeout=1.0, hold=1.0, window=1.0)
OPTIONS = FailoverOptions(max_wait=5.0, hold=1.0)
TICK = 0.1


class _Selector(selectors.SelectSelector):
    """Waits by moving the loop's clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise AssertionError("nothing is left that could happen")
        self.now += max(timeout, 0.0)
        return super().select(0)


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose time passes only when nothing is left to do at the moment."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now


def virtually(story: Coroutine[object, object, T]) -> T:
    """Run a story in virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(story)


class FakeGroup:
    """A :class:`router.group.Group` without a journal: what it appends is durable at once, or when told."""

    def __init__(self, name: str, device: str, peer: str, role: Role, site: Site) -> None:
        self.config = cast(
            "GroupConfig", SimpleNamespace(id=name, members={peer: "192.0.2.9"}, max_records=3)
        )
        self.member = Member(name, device, role)
        self.uplink = SimpleNamespace(current=None, refused=0)
        self.disk_held = False
        self._site = site
        self._held: list[Append] = []
        self.alarms = Alarms()
        self.audits = Audits(name, self.alarms)
        self._attached: Callable[[], None] | None = None
        self._telling = False
        self.member.start()
        self.member.cloud_up()
        self.perform()

    def login(self, *numbers: int) -> None:
        for number in numbers:
            info = UserInfo(f"02:00:00:00:{number // 256:02x}:{number % 256:02x}", ipv4_address="10.0.0.1")
            self.member.put(info.key, info.encode())
        self.member.flush()
        self.perform()

    def release_disk(self) -> None:
        self.disk_held = False
        for _ in range(len(self._held)):
            self._held.pop(0)
            self.member.stored()
        self.perform()

    # what a failover uses of a group

    def attach(self, perform: Callable[[], None] | None) -> None:
        self._attached = perform

    def obtain(self, yes: bool) -> None:
        self.member.obtain(yes)
        self.perform()

    def upload(self, yes: bool) -> None:
        self.member.uploads = yes
        self.perform()

    def local_receipt(self, peer: str, receipt: Receipt) -> None:
        self.member.local_receipt(peer, receipt, self._site.now)
        if receipt.agrees is not None:
            self.audits.note(peer, receipt.position.cursor, receipt.agrees)
        self.perform()

    def audit(self) -> None:
        for source in (self.member.source, *self.member.locals.values()):
            source.audit_due = True
        self.perform()

    def repair(self, replica: str, keys: Sequence[bytes]) -> int:
        for key in keys:
            self.member.rewrite(key)
        self.audits.repaired(replica, len(keys))
        self.member.flush()
        self.audit()
        return len(keys)

    async def receive(
        self, batch: Batch, quarantined: tuple[Quarantined, ...], *, via: str = CLOUD
    ) -> Receipt:
        answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        self.member.receive(batch, quarantined, answer, via=via)
        self.perform()
        return await answer

    def lag(self, cursor: Version) -> Lag:
        return Lag(0, 0.0)

    def oldest_unacknowledged(self, cursor: Version) -> Version | None:
        return None

    def perform(self) -> None:
        member = self.member
        while outputs := member.outputs():
            for output in outputs:
                match output:
                    case Append() if self.disk_held:
                        self._held.append(output)
                    case Append():
                        member.stored()
                    case Answer(tag, receipt):
                        cast("asyncio.Future[Receipt]", tag).set_result(receipt)
        self._site.cloud_takes(member)
        if self._attached is not None and not self._telling:
            self._telling = True
            asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        self._telling = False
        if self._attached is not None:
            self._attached()


def joined(pieces: Sequence[etree._Element] | Sequence[bytes] | bytes) -> bytes:
    """Return a body of pieces as one."""
    if isinstance(pieces, bytes):
        return pieces
    return b"".join(part if isinstance(part, bytes) else etree.tostring(part) for part in pieces)


class FakeCaller:
    """The other end's subscription: what is notified arrives in the next turn, in order."""

    def __init__(self, dialled: FakeChannel, number: int) -> None:
        self.id = number
        self.closed = ""
        self.uploads = 0
        self._dialled = dialled

    def notify(self, content: etree._Element | list[bytes]) -> None:
        raw = etree.tostring(content) if isinstance(content, etree._Element) else b"".join(content)
        element = etree.fromstring(raw)
        self._dialled.site.schema.check_notification(element)
        self.uploads += element.tag == wire.UPLOAD
        asyncio.get_running_loop().call_soon(self._arrive, element, raw)

    def close(self, reason: str) -> None:
        self.closed = reason
        self._dialled.given_up.append(reason)
        self._dialled.hang_up()

    def _arrive(self, element: etree._Element, raw: bytes) -> None:
        if self._dialled.caller is self:
            end = self._dialled.site.ends[self._dialled.owner]
            group = next(child.text or "" for child in element if child.tag.endswith("}group-id"))
            end.failovers[group].notified(self._dialled.peer, NotificationReceived("now", element, raw))


@dataclass
class FakeChannel:
    """The channel that ``owner`` dials to ``peer``; ``broken`` names operations that go unanswered."""

    site: Site
    owner: str
    peer: str
    links: list[Link] = field(default_factory=list)
    session: ClientSession | None = None
    caller: FakeCaller | None = None
    given_up: list[str] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)

    def dial(self) -> None:
        self.site.sessions += 1
        self.session = cast("ClientSession", object())
        self.caller = FakeCaller(self, self.site.sessions)
        for failover in self.site.ends[self.peer].failovers.values():
            failover.called(self.owner, self.caller)
        for failover in self.site.ends[self.owner].failovers.values():
            failover.channel_changed(self.peer)

    def hang_up(self) -> None:
        caller, self.session, self.caller = self.caller, None, None
        now = self.site.now
        for link in self.links:
            link.cut(now)
        for failover in self.site.ends[self.owner].failovers.values():
            failover.channel_changed(self.peer)
        for failover in self.site.ends[self.peer].failovers.values():
            failover.hung_up(self.owner, caller.id if caller else 0)

    def give_up(self, reason: str) -> None:
        self.given_up.append(reason)
        if self.session is not None:
            self.hang_up()

    async def rpc(self, operation: Body, within: float = 30.0) -> etree._Element:
        session = self.session
        if session is None:
            raise ConnectionError(f"no channel to {self.peer}")
        raw = etree.tostring(operation) if isinstance(operation, etree._Element) else joined(operation)
        element = etree.fromstring(raw)
        name = etree.QName(element).localname
        self.site.schema.check_rpc(element)
        self.said.append(name)
        await asyncio.sleep(0)
        if name in self.broken:
            raise self.broken[name]
        output = await self._answer(element, raw)
        if output:
            self.site.schema.check_output(element.tag, output)
        await asyncio.sleep(0)
        if self.session is not session:
            raise ConnectionError("the session is gone")
        reply = etree.Element("rpc-reply")
        reply.extend(output)
        return reply

    async def _answer(self, element: etree._Element, raw: bytes) -> list[etree._Element]:
        group = next(child.text or "" for child in element if child.tag.endswith("}group-id"))
        end = self.site.ends[self.peer]
        answers = end.failovers[group].answers
        if element.tag in rbs.QUERIES.values():
            return answers.query(self.owner)
        if element.tag in rbs.WAITS.values():
            answers.wait(self.owner)
            return []
        if element.tag == rbs.START:
            return answers.start(self.owner, rbs.decode_start(element))
        if element.tag == rbs.CHANGE:
            return answers.change(self.owner, rbs.decode_change(element)[1])
        if element.tag == wire.ACKNOWLEDGE:
            receipt = wire.decode_receipt(element)
            self.receipts.append(receipt)
            answers.receipt(self.owner, receipt)
            return []
        if element.tag == wire.DELIVER:
            receipt = await end.groups[group].receive(wire.decode_batch(element, raw), (), via=self.owner)
            self.receipts.append(receipt)
            return list(wire.receipt_children(receipt))
        member = end.groups[group].member
        if element.tag == wire.DIGEST:
            return encode_digest(member.digest(), member.table.buckets)
        if element.tag == audit_wire.LIST:
            wanted = audit_wire.decode_list_request(element)[1]
            return audit_wire.encode_listing(list_table(member.table, member.durable, wanted))
        if element.tag == audit_wire.RESULT:
            result = audit_wire.decode_result(element)
            return audit_wire.encode_repaired(end.groups[group].repair(result.replica, result.keys))
        raise RpcError.operation_failed(f"the rig knows no {element.tag}")


@dataclass
class End:
    """One router."""

    name: str
    channel: FakeChannel
    groups: dict[str, FakeGroup] = field(default_factory=dict)
    failovers: dict[str, GroupFailover] = field(default_factory=dict)


class Site:
    """``bras-a`` and ``bras-b``, who of them reaches the cloud, and whether the channel can be dialled."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.sessions = 0
        self.cloud = {"bras-a": True, "bras-b": True}
        self.slow: dict[str, float] = {}
        self.channel = True
        self.changes: list[tuple[str, str, str]] = []
        self.ends = {
            name: End(name, FakeChannel(self, name, peer))
            for name, peer in (("bras-a", "bras-b"), ("bras-b", "bras-a"))
        }
        self._ticker: asyncio.Task[None] | None = None

    @property
    def now(self) -> float:
        return asyncio.get_running_loop().time()

    def add(
        self,
        group: str,
        primary: str,
        initiator: Role,
        *,
        secondary_initiator: Role | None = None,
        options: FailoverOptions = OPTIONS,
    ) -> None:
        """Add a group; the other router is its secondary."""
        for name, end in self.ends.items():
            role = Role.PRIMARY if name == primary else Role.SECONDARY
            setting = initiator if role is Role.PRIMARY else secondary_initiator or initiator
            made = FakeGroup(group, name, end.channel.peer, role, self)
            end.groups[group] = made
            end.failovers[group] = GroupFailover(
                group=cast("Group", made),
                config=FailoverConfig(setting, options, LINK),
                device=name,
                channels={end.channel.peer: end.channel},
                inspector=cast("Inspector", SimpleNamespace(read=wire.decode_batch, refused=lambda _: ())),
                now=asyncio.get_running_loop().time,
                changed=lambda far_end, link, was, name=name: self.changes.append(  # type: ignore[misc]
                    (name, far_end, link.state.value)
                ),
            )

    def start(self) -> None:
        self._ticker = asyncio.get_running_loop().create_task(self._tick())

    async def close(self) -> None:
        if self._ticker is not None:
            self._ticker.cancel()
            await asyncio.gather(self._ticker, return_exceptions=True)
        for end in self.ends.values():
            for failover in end.failovers.values():
                await failover.close()

    async def until(self, what: str, holds: Callable[[], bool], within: float = 60.0) -> float:
        """Let virtual time pass until something holds; return when it did."""
        end = self.now + within
        while not holds():
            if self.now > end:
                raise TimeoutError(f"{what}: not within {within:g} s")
            await asyncio.sleep(0.01)
        return self.now

    def failover(self, device: str, group: str = "g1") -> GroupFailover:
        return self.ends[device].failovers[group]

    def path(self, device: str, group: str = "g1") -> str:
        (peer,) = self.failover(device, group).peers.values()
        return peer.path.value

    def equal(self, group: str = "g1") -> bool:
        a, b = (end.groups[group].member for end in self.ends.values())
        return a.digest().digest == b.digest().digest

    def cloud_takes(self, member: Member) -> None:
        """The cloud acknowledges what is uploaded, where it is reached; it delivers nothing."""
        if member.role is not Role.PRIMARY or not self.cloud[member.device]:
            return
        if not member.cloud_connected or member.source.state.value == "disconnected":
            held = getattr(self, f"_held_{member.group}", Position())
            member.cloud_connected = True
            member.identity_result(
                IdentityResult(member.group, member.device, True, "", member.epoch, "s1", held)
            )
        while (batch := member.next_upload(self.now)) is not None:
            assert isinstance(batch.part, Stream)
            held = Position(batch.part.last, None, batch.writer)
            setattr(self, f"_held_{member.group}", held)
            member.acknowledge(Receipt(member.group, Result.STORED, held), self.now)

    async def _tick(self) -> None:
        number = 0
        while True:
            number += 1
            for name, end in self.ends.items():
                self._cloud_probes(name, end, number)
                self._channel_probes(end, number)
            await asyncio.sleep(TICK)

    def _cloud_probes(self, name: str, end: End, number: int) -> None:
        for group in end.groups.values():
            if not self.cloud[name] and group.member.cloud_connected:
                group.member.cloud_down("cut")
        if self.cloud[name]:
            for failover in end.failovers.values():
                failover.cloud_heard(rbs.Probe(number, self.slow.get(name, 0.001)))
            for group in end.groups.values():
                group.member.cloud_connected = True
                group.perform()

    def _channel_probes(self, end: End, number: int) -> None:
        channel = end.channel
        if not channel.links:
            return
        if self.channel and channel.session is None:
            channel.dial()
        elif not self.channel and channel.session is not None:
            channel.hang_up()
        if channel.session is None:
            return
        for link in channel.links:
            link.answered(link.probe(self.now), self.now)
        for failover in self.ends[channel.peer].failovers.values():
            failover.probed(channel.owner, rbs.Probe(number, 0.001))
        for failover in end.failovers.values():
            failover.channel_changed(channel.peer)
