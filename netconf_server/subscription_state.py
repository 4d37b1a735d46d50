"""The operational data of RFC 8639: /streams and /subscriptions."""

from __future__ import annotations

from collections.abc import Mapping

from lxml import etree

from netconf_server.streams import Stream
from netconf_server.subscription_errors import SUBSCRIBED
from netconf_server.subscription_stream import Established, add, subscribed_tag
from rui.netconf import names


class SubscribableStreams:
    """Provides /sn:streams."""

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        self._streams = streams

    def read(self) -> etree._Element:
        """The streams with what of them can be replayed."""
        root = etree.Element(subscribed_tag("streams"), nsmap=names.nsmap(SUBSCRIBED))
        for stream in self._streams.values():
            entry = add(root, "stream")
            add(entry, "name", stream.name)
            add(entry, "description", stream.description)
            if stream.log is not None:
                add(entry, "replay-support")
                add(entry, "replay-log-creation-time", stream.event_time(stream.log.created))
                if stream.log.aged is not None:
                    add(entry, "replay-log-aged-time", stream.event_time(stream.log.aged))
        return root


class ActiveSubscriptions:
    """Provides /sn:subscriptions; a receiver is named by its session."""

    def __init__(self, established: Mapping[int, Established]) -> None:
        self._established = established

    def read(self) -> etree._Element | None:
        """The subscriptions with their counters; None when there are none."""
        if not self._established:
            return None
        root = etree.Element(subscribed_tag("subscriptions"), nsmap=names.nsmap(SUBSCRIBED))
        for subscription in list(self._established.values()):
            entry = add(root, "subscription")
            add(entry, "id", str(subscription.number))
            subscription.describe(entry)
            receiver = add(add(entry, "receivers"), "receiver")
            add(receiver, "name", f"session {subscription.session.id}")
            add(receiver, "sent-event-records", str(subscription.sent))
            add(receiver, "excluded-event-records", str(subscription.excluded))
            add(receiver, "state", "suspended" if subscription.suspended else "active")
        return root
