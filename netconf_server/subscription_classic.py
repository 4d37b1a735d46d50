"""create-subscription and what follows from it (RFC 5277): one subscription a session, replay, stop time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from lxml import etree

from netconf_server.call import Reply, RpcCall
from netconf_server.eventfilter import EventFilter, subtree_filter, xpath_filter
from netconf_server.local import LocalSession
from netconf_server.session import Session
from netconf_server.streams import Stream, Subscription, Terms
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.netconf.tags import ErrorType
from rui.schema import Schema

CREATE_SUBSCRIPTION: Final = f"{{{names.NOTIFICATION}}}create-subscription"
EVENTS: Final = "urn:ietf:params:xml:ns:netmod:notification"
"""Namespace of the list of streams and of the notifications that end a replay."""

_PARAMETERS: Final = frozenset({"stream", "filter", "startTime", "stopTime"})


def _name(name: str) -> str:
    return f"{{{names.NOTIFICATION}}}{name}"


class ClassicSubscription(Subscription):
    """A subscription by create-subscription. A client that takes too little loses its session."""

    def on_replayed(self) -> None:
        """Send replayComplete (RFC 5277 section 3.3.1)."""
        self.tell(etree.Element(f"{{{EVENTS}}}replayComplete", nsmap=names.nsmap(EVENTS)))

    def on_stop_time(self) -> None:
        """Send notificationComplete; the session is an ordinary one again (section 2.1.1)."""
        self.tell(etree.Element(f"{{{EVENTS}}}notificationComplete", nsmap=names.nsmap(EVENTS)))
        self.end()


class ClassicSubscriptions:
    """Answers create-subscription."""

    def __init__(
        self, schema: Schema, sessions: Mapping[int, Session | LocalSession], streams: Mapping[str, Stream]
    ) -> None:
        self._modules = {module.name: module.namespace for module in schema.modules}
        self._sessions = sessions
        self._streams = streams

    async def create(self, call: RpcCall) -> Reply:
        """Begin a subscription; its notifications start after the reply (RFC 5277 section 2.1.1)."""
        operation = call.operation
        _check_names(operation)
        stream = self._stream((operation.findtext(_name("stream")) or "NETCONF").strip())
        terms = Terms(
            self._wanted(operation.find(_name("filter"))), _time(call, "startTime"), _time(call, "stopTime")
        )
        _check_times(stream, terms)
        session = self._sessions[call.session.id]
        if any(not isinstance(other, ClassicSubscription) for other in session.subscriptions):
            raise RpcError.operation_not_supported(
                "this session uses establish-subscription; open another one for create-subscription"
            )
        if session.subscriptions:
            raise RpcError.operation_failed(
                "this session has a subscription already; open another session for a second"
            )
        session.after_reply(ClassicSubscription(stream, session, terms).begin)
        return None

    def _stream(self, name: str) -> Stream:
        stream = self._streams.get(name)
        if stream is None:
            raise RpcError.invalid_value(f"there is no stream {name!r}, only {', '.join(self._streams)}")
        return stream

    def _wanted(self, element: etree._Element | None) -> EventFilter | None:
        if element is None:
            return None
        kind = element.get("type") or element.get(names.base("type")) or "subtree"
        if kind == "subtree":
            return subtree_filter(element)
        if kind != "xpath":
            raise RpcError.bad_attribute(
                "type", _name("filter"), f"filter type {kind[:40]!r} is unknown; use subtree or xpath",
                error_type=ErrorType.PROTOCOL,
            )  # fmt: skip
        select = element.get("select") or element.get(names.base("select"))
        if select is None:
            raise RpcError.missing_attribute("select", _name("filter"), error_type=ErrorType.PROTOCOL)
        return xpath_filter(select, element.nsmap, self._modules)


def _check_names(operation: etree._Element) -> None:
    for child in operation.iterchildren(etree.Element):
        namespace, name = names.split(str(child.tag))
        if namespace != names.NOTIFICATION:
            raise RpcError.unknown_namespace(str(child.tag), namespace or "")
        if name not in _PARAMETERS:
            raise RpcError.unknown_element(str(child.tag), f"create-subscription has no parameter {name!r}")


def _time(call: RpcCall, name: str) -> datetime | None:
    text = call.operation.findtext(_name(name))
    if text is None:
        return None
    time = read_time(text)
    if time is None:
        raise RpcError.bad_element(_name(name), f"{name} is no time such as 2026-11-23T10:00:00Z")
    return time


def read_time(text: str) -> datetime | None:
    """A yang:date-and-time as an aware datetime, None when it is no such text."""
    try:
        time = datetime.fromisoformat(text.strip())
    except ValueError:
        return None
    return time if time.tzinfo is not None else None


def _check_times(stream: Stream, terms: Terms) -> None:
    """Refuse the times that RFC 5277 section 2.1.1 names, and a replay where no log is kept."""
    if terms.start is None:
        if terms.stop is not None:
            raise RpcError.missing_element(_name("startTime"), "stopTime needs a startTime")
        return
    if terms.stop is not None and terms.stop <= terms.start:
        raise RpcError.bad_element(_name("stopTime"), "stopTime is not after startTime")
    if terms.start > stream.now():
        raise RpcError.bad_element(
            _name("startTime"), "startTime is later than now; a replay begins in the past"
        )
    if stream.log is None:
        raise RpcError.operation_failed(
            f"stream {stream.name} keeps no events for replay; leave out startTime"
        )
