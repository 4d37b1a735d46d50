"""A router's alarms: kept in the core's book, logged, published on the stream NETCONF, and read as a tree."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from lxml import etree

from netconf_server import Stream
from rui.backup.alarms import AlarmBook, AlarmKey, AlarmType
from rui.backup.alarms_wire import encode_alarms, encode_change

log = structlog.get_logger(__name__)


class Alarms:
    """Whoever sees a condition says so by :meth:`set`, as often as it looks. Belongs to the loop's thread."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.book = AlarmBook()
        self._wall = wall
        self._stream: Stream | None = None

    def attach(self, stream: Stream) -> None:
        """Publish on this stream from now on."""
        self._stream = stream

    def set(self, type_: AlarmType, active: bool, text: str = "", *, group: str = "", peer: str = "") -> None:
        """Say whether a condition holds; ``text`` says what is wrong and what to do."""
        key = AlarmKey(type_, group, peer)
        change = self.book.set(key, active, text, self._wall())
        if change is None:
            return
        facts = {name: value for name, value in (("group", group), ("peer", peer)) if value}
        write = log.warning if change.raised else log.info
        write(
            "alarm-raised" if change.raised else "alarm-cleared",
            alarm=type_.value,
            severity=change.alarm.severity.value,
            text=change.alarm.text,
            **facts,
        )
        if self._stream is not None:
            self._stream.publish(encode_change(change))

    def read(self) -> etree._Element:
        """Return ``/rui-alarms:alarms``."""
        return encode_alarms(self.book)
