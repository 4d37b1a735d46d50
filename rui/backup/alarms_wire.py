"""The XML of alarms (YANG module ``rui-alarms``): the tree for readers, the notifications for subscribers."""

from __future__ import annotations

from lxml import etree

from rui.backup.alarms import Alarm, AlarmBook, AlarmChange
from rui.backup.record import date_and_time
from rui.netconf import names

NAMESPACE = "urn:rui-cloud:yang:alarms"


def encode_alarms(book: AlarmBook) -> etree._Element:
    """Return ``/rui-alarms:alarms``: what is raised, what was cleared lately, and the latest changes."""
    top = etree.Element(f"{{{NAMESPACE}}}alarms", nsmap=names.nsmap(NAMESPACE))
    _leaves(top, ("raised-count", str(book.active)))
    for alarm in book.alarms:
        entry = _child(top, "alarm")
        _leaves(
            entry,
            ("alarm-type-id", alarm.key.type.value),
            ("resource", alarm.key.resource),
            *_body(alarm),
            ("is-cleared", "false" if alarm.cleared is None else "true"),
            ("time-created", date_and_time(alarm.created)),
            ("last-raised", date_and_time(alarm.raised)),
            ("last-changed", date_and_time(alarm.changed)),
            ("last-cleared", date_and_time(alarm.cleared)),
        )
    for change in reversed(book.history):
        _leaves(
            _child(top, "history"),
            ("index", str(change.index)),
            ("time", date_and_time(change.at)),
            ("change", "raised" if change.raised else "cleared"),
            *_named(change.alarm),
        )
    return top


def encode_change(change: AlarmChange) -> etree._Element:
    """Return the notification ``alarm-raised`` or ``alarm-cleared``."""
    name = "alarm-raised" if change.raised else "alarm-cleared"
    content = etree.Element(f"{{{NAMESPACE}}}{name}", nsmap=names.nsmap(NAMESPACE))
    _leaves(content, ("time", date_and_time(change.at)), *_named(change.alarm))
    return content


def _named(alarm: Alarm) -> tuple[tuple[str, str], ...]:
    return (("alarm-type-id", alarm.key.type.value), ("resource", alarm.key.resource), *_body(alarm))


def _body(alarm: Alarm) -> tuple[tuple[str, str], ...]:
    return (
        ("group-id", alarm.key.group),
        ("peer", alarm.key.peer),
        ("perceived-severity", alarm.severity.value),
        ("alarm-text", alarm.text),
    )


def _child(parent: etree._Element, name: str) -> etree._Element:
    return etree.SubElement(parent, f"{{{NAMESPACE}}}{name}")


def _leaves(parent: etree._Element, *leaves: tuple[str, str]) -> None:
    """Add leaves; those without a value are left out."""
    for name, text in leaves:
        if text:
            _child(parent, name).text = text
