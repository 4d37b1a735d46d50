"""A router's audits: what is known of each copy of a group, and comparing them at intervals and when asked.

The digest itself goes out with the stream (:meth:`rui.backup.member.Member.audit`). The answer of a secondary
that is backed up directly comes with its receipt; of the cloud's copy, and of those that the cloud delivers
to, the cloud tells by ``audit-result``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from lxml import etree

from router.alarms import Alarms
from rui.backup.alarms import AlarmType
from rui.backup.audit import Agreement, TableHolder, narrow
from rui.backup.audit_wire import AuditResult, Compared, RemoteHolder, encode_result
from rui.backup.member import Member
from rui.backup.version import Version

log = structlog.get_logger(__name__)

Ask = Callable[[etree._Element], Awaitable[etree._Element]]
"""Sends an RPC to the other end of a channel and returns its reply."""


@dataclass(frozen=True, slots=True)
class Known:
    """The latest of one copy; ``repaired`` counts since the start."""

    agreement: Agreement
    version: Version
    at: datetime
    repaired: int = 0


class Audits:
    """What this router knows of the copies of one group. Belongs to the loop's thread."""

    def __init__(self, group: str, alarms: Alarms) -> None:
        self._group = group
        self._alarms = alarms
        self._known: dict[str, Known] = {}
        self._news = asyncio.Event()
        self._waiting: list[dict[str, Compared]] = []

    def of(self, replica: str) -> Known | None:
        """Return what is known of a copy."""
        return self._known.get(replica)

    def note(self, replica: str, version: Version, agrees: bool) -> None:
        """Take what comparing a copy has shown; ``replica`` is empty for this router's own."""
        before = self._known.get(replica)
        agreement = Agreement.AGREES if agrees else Agreement.DIFFERS
        self._known[replica] = Known(
            agreement, version, datetime.now(UTC), before.repaired if before is not None else 0
        )
        whose = f"the copy at {replica}" if replica else "this router's copy"
        text = f"{whose} differs from the primary's at {version}: it is being repaired"
        self._alarms.set(
            AlarmType.DIGEST_MISMATCH, not agrees, "" if agrees else text, group=self._group, peer=replica
        )
        for asked in self._waiting:
            if replica in asked:
                asked[replica] = replace(asked[replica], agreement=agreement, version=version)
        self._news.set()

    def repaired(self, replica: str, count: int) -> None:
        """Take note that so many keys were journalled again because of a copy."""
        known = self._known.get(replica)
        if known is not None:
            self._known[replica] = replace(known, repaired=known.repaired + count)
        for asked in self._waiting:
            if replica in asked:
                asked[replica] = replace(asked[replica], repaired=asked[replica].repaired + count)

    async def settled(self, replicas: Iterable[str], within: float) -> dict[str, Compared]:
        """Wait until all of these copies agree, for so many seconds at most; return what each has shown.

        What has differed is repaired and compared again meanwhile.
        """
        asked = {replica: Compared(Agreement.UNKNOWN) for replica in replicas}
        self._waiting.append(asked)
        try:
            async with asyncio.timeout(within):
                while any(compared.agreement is not Agreement.AGREES for compared in asked.values()):
                    self._news.clear()
                    await self._news.wait()
        except TimeoutError:
            pass
        finally:
            self._waiting.remove(asked)
        return asked


async def find_difference(member: Member, ask: Ask) -> list[bytes]:
    """Find out which keys a secondary at the other end of the channel holds otherwise than this primary."""
    own = TableHolder(member.table, member.durable)
    return await narrow(own, RemoteHolder(member.group, ask))


async def report_difference(member: Member, device: str, version: Version, ask: Ask) -> None:
    """Find out what this secondary holds otherwise than the primary at the other end, and tell it."""
    own = TableHolder(member.table, member.durable)
    keys = await narrow(RemoteHolder(member.group, ask), own)
    await ask(encode_result(AuditResult(member.group, device, version, Agreement.DIFFERS, tuple(keys))))
