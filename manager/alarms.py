"""The cloud device's alarms: a condition that the core reports becomes one alarm, raised and cleared once."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog
from lxml import etree

from netconf_server import Stream
from rui.backup.alarms import AlarmBook, AlarmKey, AlarmType
from rui.backup.alarms_wire import encode_alarms, encode_change

log = structlog.get_logger()

# What a report of the core says of a condition: which alarm, and whether it holds from now on.
CONDITIONS: dict[str, tuple[AlarmType, bool]] = {
    "store-failed": (AlarmType.STORE_FAILING, True),
    "store-recovered": (AlarmType.STORE_FAILING, False),
    "delivery-failed": (AlarmType.DELIVERY_FAILING, True),
    "delivery-recovered": (AlarmType.DELIVERY_FAILING, False),
    "digest-differs": (AlarmType.DIGEST_MISMATCH, True),
    "digest-agrees": (AlarmType.DIGEST_MISMATCH, False),
}
_TEXTS = {
    AlarmType.STORE_FAILING: "the store takes nothing ({}): free disk space; it goes on by itself",
    AlarmType.DIGEST_MISMATCH: "the copy differs from the primary's at {}: it is being repaired",
    AlarmType.DELIVERY_FAILING: "the secondary does not take what it is delivered ({})",
}


class Alarms:
    """The book, and whoever is to hear of its changes. Belongs to the event loop."""

    def __init__(self, wall: Callable[[], float] = time.time) -> None:
        self.book = AlarmBook()
        self._wall = wall
        self._stream: Stream | None = None

    def attach(self, stream: Stream) -> None:
        """Publish on this stream from now on."""
        self._stream = stream

    def report(self, event: str, device: str, group: str, reason: str) -> bool:
        """Take a report; say whether an alarm stands for it, so that its repetitions need no word."""
        condition = CONDITIONS.get(event)
        if condition is None:
            return False
        type_, active = condition
        if type_ is AlarmType.STORE_FAILING:
            device = ""  # whose batch it was that the disk did not take says nothing
        self.set(type_, active, _TEXTS[type_].format(reason) if active else "", group=group, peer=device)
        return True

    def set(self, type_: AlarmType, active: bool, text: str = "", *, group: str = "", peer: str = "") -> None:
        """Say whether a condition holds; ``text`` says what is wrong and what to do."""
        change = self.book.set(AlarmKey(type_, group, peer), active, text, self._wall())
        if change is None:
            return
        alarm = change.alarm
        facts = {name: value for name, value in (("group", group), ("device", peer)) if value}
        words = {"alarm": type_.value, "severity": alarm.severity.value, "text": alarm.text, **facts}
        if change.raised:
            log.warning("alarm-raised", **words)
        else:
            log.info("alarm-cleared", **words)
        if self._stream is not None:
            self._stream.publish(encode_change(change))

    def read(self) -> etree._Element:
        """Return ``/rui-alarms:alarms``."""
        return encode_alarms(self.book)
