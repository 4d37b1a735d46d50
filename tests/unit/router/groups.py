"""A group on a real journal, and a cloud's session that writes down what it is told."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path

from lxml import etree

from router.config import Acknowledgement, AcknowledgementPolicy, GroupConfig
from router.group import Group
from router.journal import GroupJournal
from router.startup import read_config
from rui.backup import wire
from rui.backup.identity import IdentityNotification, IdentityResult, Role
from rui.backup.messages import Batch, Position, Receipt, Result, Stream
from rui.backup.record import UserInfo
from rui.backup.version import Epoch
from tests.models import router_model

GROUP = "g1"
ASYNC = Acknowledgement(AcknowledgementPolicy.ASYNC, 0.2)
CLOUD = Acknowledgement(AcknowledgementPolicy.CLOUD, 5.0)


STARTUP = b"""<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">
<device xmlns="urn:rui-cloud:yang:device">
  <device-id>bras-a</device-id>
  <netconf-server><listen/></netconf-server>
  <group><id>g1</id><static-role>primary</static-role><member><device-id>bras-b</device-id></member></group>
</device></config>"""


@cache
def defaults() -> GroupConfig:
    """Return a group of which only its name and role are configured."""
    return read_config(router_model(), etree.fromstring(STARTUP), Path()).groups[0]


def config(role: Role = Role.PRIMARY, *, acknowledgement: Acknowledgement = ASYNC) -> GroupConfig:
    return replace(defaults(), role=role, acknowledgement=acknowledgement, max_records=100)


@asynccontextmanager
async def opened(
    directory: Path, role: Role = Role.PRIMARY, *, acknowledgement: Acknowledgement = ASYNC
) -> AsyncIterator[Group]:
    """Open a group's journal, start the group, and stop it in the end."""
    journal, recovered = GroupJournal.open(directory)
    made = config(role, acknowledgement=acknowledgement)
    group = Group(made, "bras-a" if role is Role.PRIMARY else "bras-b", "192.0.2.1", journal, recovered)
    group.start()
    try:
        await group.written()
        yield group
    finally:
        await group.stop()


def user(number: int) -> UserInfo:
    return UserInfo(mac_address=f"02:00:00:00:00:{number:02x}", ipv4_address=f"10.0.0.{number}")


class Session:
    """A :class:`router.uplink.CloudSession` of the cloud."""

    def __init__(self, number: int = 1) -> None:
        self.id = number
        self.identities: list[IdentityNotification] = []
        self.batches: list[Batch] = []
        self.closed = ""

    def notify(self, content: etree._Element | Sequence[bytes]) -> None:
        if isinstance(content, etree._Element):
            self.identities.append(wire.decode_identity(content))
        else:
            raw = b"".join(content)
            self.batches.append(wire.decode_batch(etree.fromstring(raw), raw))

    def close(self, reason: str) -> None:
        self.closed = reason


def accept(group: Group, session: Session, position: Position = Position()) -> bool:  # noqa: B008 - frozen
    """Answer a primary's identity: the cloud holds up to ``position`` of the same history."""
    position = replace(position, lineage=group.member.position.lineage)
    result = IdentityResult(GROUP, "bras-a", True, "", group.member.epoch, "s1", position)
    return group.identity_result(session.id, result)


def refuse(group: Group, session: Session, highest: Epoch) -> bool:
    """Answer a primary's identity: another epoch is newer."""
    result = IdentityResult(GROUP, "bras-a", False, "superseded", highest, "s1", Position())
    return group.identity_result(session.id, result)


def stored(batch: Batch) -> Receipt:
    """Return the receipt of a stream's batch that is durable."""
    assert isinstance(batch.part, Stream)
    return Receipt(GROUP, Result.STORED, Position(batch.part.last, None, batch.writer))
