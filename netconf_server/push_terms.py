"""When the updates of a subscription to a datastore are sent (RFC 8641): read from a request, written out."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from lxml import etree

from netconf_server.push_patch import ChangeKind
from netconf_server.subscription_classic import read_time
from netconf_server.subscription_errors import PUSH, refused
from netconf_server.subscription_stream import add, subscribed_tag
from rui.netconf import names
from rui.netconf.errors import RpcError

MIN_PERIOD: Final = 0.1
"""Seconds between periodic updates at least."""
ESTABLISH: Final = "establish-subscription-datastore-error-info"


def push_tag(name: str) -> str:
    """A name of ietf-yang-push as lxml writes it."""
    return f"{{{PUSH}}}{name}"


@dataclass(frozen=True)
class PushTerms:
    """When updates are sent; times in seconds. `period` None means on change.

    `anchor` is a time of which the periodic updates are a multiple of periods away. `dampening` is the least
    time between two updates on change, `excluded` are changes that are not told, `sync` whether the first
    update holds everything.
    """

    period: float | None = None
    anchor: datetime | None = None
    dampening: float = 0.0
    sync: bool = True
    excluded: frozenset[ChangeKind] = field(default_factory=frozenset)
    stop: datetime | None = None

    def describe(self, parent: etree._Element) -> None:
        """Add what was agreed."""
        if self.stop is not None:
            add(parent, "stop-time", self.stop.isoformat())
        add(parent, "encoding", "encode-xml")
        trigger = etree.SubElement(
            parent, push_tag("on-change" if self.period is None else "periodic"), nsmap=names.nsmap(PUSH)
        )
        if self.period is not None:
            add(trigger, "period", str(round(self.period * 100)))
            if self.anchor is not None:
                add(trigger, "anchor-time", self.anchor.isoformat())
        else:
            add(trigger, "dampening-period", str(round(self.dampening * 100)))
            add(trigger, "sync-on-start", "true" if self.sync else "false")
            for kind in sorted(self.excluded):
                add(trigger, "excluded-change", kind)


def read_terms(operation: etree._Element, now: datetime, before: PushTerms | None = None) -> PushTerms:
    """What a request asks for; `before` are the terms that it changes, None if none. Raises RpcError."""
    stop = operation.findtext(subscribed_tag("stop-time"))
    until = None if stop is None else read_time(stop)
    if until is not None and until <= now:
        raise RpcError.invalid_value("stop-time has passed already")
    periodic, change = operation.find(push_tag("periodic")), operation.find(push_tag("on-change"))
    if periodic is not None:
        period = int(periodic.findtext(push_tag("period")) or 0) / 100
        if period < MIN_PERIOD:
            message = f"a period of {period:g} s is too short"
            hint = {"period-hint": str(round(MIN_PERIOD * 100))}
            raise refused(ESTABLISH, "period-unsupported", message, hint)
        anchor = periodic.findtext(push_tag("anchor-time"))
        return PushTerms(period, None if anchor is None else read_time(anchor), stop=until)
    if change is not None:
        known = before or PushTerms()
        return PushTerms(
            dampening=int(change.findtext(push_tag("dampening-period")) or 0) / 100,
            sync=(change.findtext(push_tag("sync-on-start")) or "true").strip() in ("true", "1"),
            excluded=known.excluded
            | {
                ChangeKind((item.text or "").strip())
                for item in change.iterchildren(push_tag("excluded-change"))
            },
            stop=until,
        )
    if before is None:
        raise RpcError.missing_element(push_tag("periodic"), "say when to send: give periodic or on-change")
    return PushTerms(before.period, before.anchor, before.dampening, before.sync, before.excluded, until)
