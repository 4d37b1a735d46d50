"""Who listens to a group's stream, which of them takes its uploads, and what the cloud has refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import structlog
from lxml import etree

from rui.backup.messages import Quarantined

log = structlog.get_logger(__name__)

_REFUSED_KEPT = 10_000


class CloudSession(Protocol):
    """A session that subscribed to the stream ``rui-backup``."""

    @property
    def id(self) -> int:
        """The session-id."""

    def notify(self, content: etree._Element | Sequence[bytes]) -> None:
        """Send one notification to this session only."""

    def close(self, reason: str) -> None:
        """End the session."""


class Uplink:
    """Every listener is told who this device is (S402); the one that answers last (S403) gets the uploads."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._listeners: dict[int, CloudSession] = {}
        self._current: CloudSession | None = None
        self._refused: dict[bytes, Quarantined] = {}

    @property
    def heard(self) -> bool:
        """Whether anybody listens."""
        return bool(self._listeners)

    @property
    def current(self) -> CloudSession | None:
        """The session that takes the uploads."""
        return self._current

    @property
    def refused(self) -> int:
        """How many records the cloud's model has refused, by its receipts."""
        return len(self._refused)

    def add(self, session: CloudSession) -> None:
        """Take a listener in."""
        self._listeners[session.id] = session

    def remove(self, session_id: int) -> bool:
        """Forget a listener; say whether the uploads went to it, or whether it was the last."""
        self._listeners.pop(session_id, None)
        if self._current is not None and self._current.id == session_id:
            self._current = None
            return True
        return not self._listeners

    def choose(self, session_id: int) -> bool:
        """Have a listener take the uploads from now on; say whether another one took them until now."""
        session, old = self._listeners[session_id], self._current
        self._current = session
        if old is None or old is session:
            return False
        log.info("uplink-superseded", group=self._group, old=old.id, new=session.id)
        return True

    def listens(self, session_id: int) -> bool:
        """Say whether a session has subscribed."""
        return session_id in self._listeners

    def takes(self, session_id: int) -> bool:
        """Say whether a session is the one that uploads go to."""
        return self._current is not None and self._current.id == session_id

    def tell_all(self, content: etree._Element) -> None:
        """Tell every listener."""
        for session in tuple(self._listeners.values()):
            session.notify(content)

    def refuse(self, bad: Quarantined) -> None:
        """Take note of a record that the cloud's model refuses."""
        log.error(
            "record-refused-by-cloud",
            group=self._group,
            key=bad.key.decode(),
            version=str(bad.version),
            reason=bad.reason,
            remedy="the user is served here but not protected: correct the record or the cloud's model",
        )
        if len(self._refused) < _REFUSED_KEPT:
            self._refused[bad.key] = bad

    def changed(self, key: bytes) -> None:
        """Take note that a user's record is another one now."""
        if self._refused:
            self._refused.pop(key, None)
