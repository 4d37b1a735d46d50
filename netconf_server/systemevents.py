"""The server's own events (RFC 6470): who comes and goes, what changes the configuration, what it can do."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Final
from xml.sax.saxutils import escape, quoteattr

import structlog
from lxml import etree

from netconf_server.call import SessionInfo
from netconf_server.change import MOST_TOLD, Change
from netconf_server.confirmed import ConfirmChange
from netconf_server.difference import Happened
from netconf_server.place import Place
from netconf_server.streams import Stream
from netconf_server.xmltree import to_bytes
from rui.netconf import names
from rui.schema import DataError, Schema

log = structlog.get_logger(__name__)

EVENTS: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-notifications"
_OPERATIONS: Final[Mapping[Happened, str]] = {
    Happened.CREATED: "create",
    Happened.DELETED: "delete",
    Happened.CHANGED: "replace",
    Happened.MOVED: "merge",
}


class SystemEvents:
    """Publishes RFC 6470's notifications on one stream; `sessions` are those that are open, by session-id."""

    def __init__(self, schema: Schema, stream: Stream, sessions: Mapping[int, SessionInfo]) -> None:
        self._schema = schema
        self._stream = stream
        self._sessions = sessions

    def session_started(self, info: SessionInfo) -> None:
        """Tell of a session whose hellos were exchanged."""
        event = _event("netconf-session-start")
        _add_session(event, info)
        self._publish(event)

    def session_ended(self, info: SessionInfo, reason: str, killed_by: int | None) -> None:
        """Tell of the end of a session; `reason` is one of the model's termination-reason."""
        event = _event("netconf-session-end")
        _add_session(event, info)
        if killed_by is not None:
            _add(event, "killed-by", str(killed_by))
        _add(event, "termination-reason", reason)
        self._publish(event)

    def config_changed(self, change: Change, datastore: str = "running") -> None:
        """Tell which nodes of running (or startup) a session has changed."""
        if not self._heard:
            return
        edits = [_edit(place, operation) for place, operation in self._edits(change)]
        if edits:
            info = self._sessions.get(change.session) if change.session is not None else None
            self._publish(b"".join((_change_start(info, datastore), *edits, _CHANGE_END)))

    def confirmed_commit(self, change: ConfirmChange) -> None:
        """Tell of a step of a confirmed commit."""
        event = _event("netconf-confirmed-commit")
        info = self._sessions.get(change.session) if change.session is not None else None
        if change.event != "timeout":
            _add_session(event, info, change.session)
        _add(event, "confirm-event", str(change.event))
        if change.timeout is not None and change.event in ("start", "extend"):
            _add(event, "timeout", str(round(change.timeout)))
        self._publish(event)

    def capabilities_changed(self, old: Sequence[str], new: Sequence[str]) -> None:
        """Tell which capabilities came, went, or changed in their parameters; nothing if none did."""
        before = {capability.partition("?")[0]: capability for capability in old}
        after = {capability.partition("?")[0]: capability for capability in new}
        event = _event("netconf-capability-change")
        _add_changed_by(event, None)
        for uri, capability in after.items():
            if uri not in before:
                _add(event, "added-capability", capability)
        for uri, capability in before.items():
            if uri not in after:
                _add(event, "deleted-capability", capability)
        for uri, capability in after.items():
            if before.get(uri, capability) != capability:
                _add(event, "modified-capability", capability)
        if len(event) > 1:
            self._publish(event)

    @property
    def _heard(self) -> bool:
        return bool(self._stream.subscriptions) or self._stream.log is not None

    def _edits(self, change: Change) -> Iterator[tuple[Place, str]]:
        """Each node that differs; where they are too many the top-level nodes that hold them."""
        top = self._schema.tree.data
        found = change.differences(top)
        if len(found) <= MOST_TOLD:
            yield from ((item.place, _OPERATIONS[item.happened]) for item in found)
            return
        for tag, node in top.items():
            texts = [[to_bytes(item) for item in tree.iterchildren(tag)] for tree in (change.old, change.new)]
            if texts[0] != texts[1]:
                yield Place.root().child(node), "merge"

    def _publish(self, event: etree._Element | bytes) -> None:
        if not self._heard:
            return
        try:
            self._stream.publish(event)
        except DataError as error:
            log.error("system-event-invalid", fault=str(error))


def remembered_capabilities(file: Path, now: Sequence[str]) -> list[str]:
    """The capabilities that the server had when it last ran, and keep those of now in the file instead.

    Those of now where none are kept. Raises OSError when the file cannot be written.
    """
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = None
    fitting = isinstance(known, list) and all(isinstance(item, str) for item in known)
    if known != list(now):
        file.write_text(json.dumps(list(now), indent=1), encoding="utf-8")
    return known if fitting else list(now)


def _event(name: str) -> etree._Element:
    return etree.Element(f"{{{EVENTS}}}{name}", nsmap=names.nsmap(EVENTS))


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    child = etree.SubElement(parent, f"{{{EVENTS}}}{name}")
    child.text = text
    return child


def _add_session(parent: etree._Element, info: SessionInfo | None, number: int | None = None) -> None:
    """Add who a session is; one that is gone, or the server itself, has only a number (0: no session)."""
    _add(parent, "username", info.user if info is not None else "")
    _add(parent, "session-id", str(info.id if info is not None else number or 0))
    host = _source_host(info)
    if host:
        _add(parent, "source-host", host)


def _add_changed_by(event: etree._Element, info: SessionInfo | None) -> None:
    """Add who made a change: a session, or the server itself."""
    holder = _add(event, "changed-by")
    if info is None:
        _add(holder, "server")
    else:
        _add_session(holder, info)


@lru_cache(maxsize=64)
def _change_start(info: SessionInfo | None, datastore: str) -> bytes:
    """What a session's events of changes have in front of the edits."""
    event = _event("netconf-config-change")
    _add_changed_by(event, info)
    _add(event, "datastore", datastore)
    return to_bytes(event).removesuffix(_CHANGE_END)


_CHANGE_END: Final = b"</netconf-config-change>"


def _edit(place: Place, operation: str) -> bytes:
    prefixes = "".join(f" xmlns:{prefix}={quoteattr(uri)}" for prefix, uri in place.namespaces.items())
    target = f"<target{prefixes}>{escape(place.text)}</target>"
    return f"<edit>{target}<operation>{operation}</operation></edit>".encode()


def _source_host(info: SessionInfo | None) -> str:
    host = "" if info is None else info.peer.rpartition(":")[0].strip("[]")
    return host if host and host.replace(".", "").replace(":", "").isalnum() else ""
