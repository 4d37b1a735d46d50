"""What is noted of a group as it happens: in the log, and in the history of its identities."""

from __future__ import annotations

from datetime import UTC, datetime

import structlog

from router.history import History
from rui.backup.member import Member
from rui.backup.member_outputs import CLOUD, Adopted
from rui.backup.source import SourceState
from rui.backup.version import NO_EPOCH

log = structlog.get_logger(__name__)


class Notes:
    """One group's. ``reason`` is why its role is what it is; empty for the configured one."""

    def __init__(self, group: str) -> None:
        self.history = History()
        self.reason = ""
        self._group = group
        self._shown: tuple[SourceState, str] = (SourceState.DISCONNECTED, "")

    def look(self, member: Member) -> None:
        """Note what is another than at the last look: the identity, and how the cloud's copy stands."""
        epoch = member.epoch if member.serving else member.position.writer
        if epoch != NO_EPOCH or not self.history.entries:
            reason = "claimed" if member.serving else "the primary has claimed it"
            if not self.history.entries:
                reason = "configured"
            if self.history.note(member.role, epoch, self.reason or reason, datetime.now(UTC)):
                log.info("identity", group=self._group, role=member.role.value, epoch=str(epoch))
        source = member.source
        if (source.state, source.reason) != self._shown and member.serving:
            old, self._shown = self._shown[0], (source.state, source.reason)
            log.info(
                "replica-state",
                group=self._group,
                replica=CLOUD,
                old=old.value,
                new=source.state.value,
                reason=source.reason,
            )

    def adopted(self, adopted: Adopted) -> None:
        """Note what a replica offered, and what of it has been written anew."""
        log.info(
            "changes-adopted",
            group=self._group,
            offered_by=adopted.offered_by,
            count=adopted.count,
            passed_over=adopted.passed_over,
            live=adopted.live,
            unsure=len(adopted.unsure),
        )
