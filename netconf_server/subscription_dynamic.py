"""establish-, modify-, delete- and kill-subscription (RFC 8639 over NETCONF, RFC 8640)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

from lxml import etree

from netconf_server.call import Handler, Reply, RpcCall
from netconf_server.datastores import Change, Datastores
from netconf_server.eventfilter import EventFilter, subtree_filter, xpath_filter
from netconf_server.local import LocalSession
from netconf_server.push import PushSubscription
from netconf_server.push_subscriptions import PushSubscriptions
from netconf_server.session import Session
from netconf_server.streams import Stream, Terms
from netconf_server.subscription_classic import ClassicSubscription, read_time
from netconf_server.subscription_errors import PUSH, SUBSCRIBED, refused
from netconf_server.subscription_stream import Chosen, Established, StreamSubscription, subscribed_tag
from netconf_server.xmltree import to_bytes
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema

MAX_PER_SESSION: Final = 64
"""Dynamic subscriptions of one session."""
_MAX_ID: Final = 2**32 - 1
_SUBTREE, _XPATH = subscribed_tag("stream-subtree-filter"), subscribed_tag("stream-xpath-filter")


class DynamicSubscriptions:
    """The dynamic subscriptions of one server; `suspend_at` bytes may wait for a client before one pauses."""

    def __init__(
        self,
        schema: Schema,
        datastores: Datastores,
        *,
        sessions: Mapping[int, Session | LocalSession],
        streams: Mapping[str, Stream],
        push: PushSubscriptions,
        suspend_at: int,
    ) -> None:
        self.established: dict[int, Established] = {}
        self._modules = {module.name: module.namespace for module in schema.modules}
        self._datastores = datastores
        self._sessions = sessions
        self._streams = streams
        self._push = push
        self._suspend_at = suspend_at
        self._last = 0
        datastores.on_commit(verify=_refuse_configured, apply=self._filters_changed)

    def handlers(self) -> dict[str, Handler]:
        """The operations by tag."""
        return {
            subscribed_tag("establish-subscription"): self._establish,
            subscribed_tag("modify-subscription"): self._modify,
            subscribed_tag("delete-subscription"): self._delete,
            subscribed_tag("kill-subscription"): self._kill,
            f"{{{PUSH}}}resync-subscription": self._resync,
        }

    def session_ended(self, number: int) -> None:
        """End the subscriptions of a session that is over."""
        for subscription in list(self.established.values()):
            if subscription.session.id == number:
                subscription.end()

    # --- the operations

    async def _establish(self, call: RpcCall) -> Reply:
        session = self._sessions[call.session.id]
        self._check_session(session)
        number = self._next_id()
        reply = [_leaf("id", str(number))]
        subscription: Established
        if self._push.is_wanted(call.operation):
            subscription = await self._push.make(number, session, call, self._forget)
        else:
            made = self._make(number, session, call.operation)
            if made.terms.start is not None and made.stream.log is not None:
                earliest = made.stream.log.aged or made.stream.log.created
                if earliest > made.terms.start:
                    reply.append(_leaf("replay-start-time-revision", made.stream.event_time(earliest)))
            subscription = made
        self.established[number] = subscription
        session.after_reply(subscription.begin)
        return reply

    async def _modify(self, call: RpcCall) -> Reply:
        subscription = self._own(call, "modify-subscription-stream-error-info")
        if isinstance(subscription, StreamSubscription):
            if self._push.is_wanted(call.operation):
                raise RpcError.invalid_value(
                    "the subscription is to a stream; it cannot become one to a datastore"
                )
            chosen, wanted = self._filter(call.operation, "modify-subscription-stream-error-info")
            stop = self._time(call.operation, "stop-time")
            _check_times(None, stop, subscription.stream.now())
            subscription.modify(Terms(wanted, None, stop), chosen)
        else:
            await self._push.modify(subscription, call)
        return None

    async def _delete(self, call: RpcCall) -> Reply:
        subscription = self._own(call, "delete-subscription-error-info")
        self._sessions[call.session.id].after_reply(subscription.end)
        return None

    async def _kill(self, call: RpcCall) -> Reply:
        subscription = self.established.get(_id(call))
        if subscription is None:
            raise _unknown(call, "delete-subscription-error-info")
        subscription.terminate("no-such-subscription")
        return None

    async def _resync(self, call: RpcCall) -> Reply:
        subscription = self.established.get(_id(call))
        if subscription is None or subscription.session.id != call.session.id:
            message = f"this session has no subscription {_id(call)}"
            raise refused("resync-subscription-error", "no-such-subscription-resync", message)
        action = await self._push.resync(subscription)
        self._sessions[call.session.id].after_reply(action)
        return None

    # --- inside

    def _check_session(self, session: Session | LocalSession) -> None:
        if any(isinstance(other, ClassicSubscription) for other in session.subscriptions):
            raise RpcError.operation_not_supported(
                "this session uses create-subscription; open another one for establish-subscription"
            )
        count = sum(other.session.id == session.info.id for other in self.established.values())
        if count >= MAX_PER_SESSION:
            message = f"this session has {count} subscriptions; delete one, or open another session"
            raise refused("establish-subscription-stream-error-info", "insufficient-resources", message)

    def _make(
        self, number: int, session: Session | LocalSession, operation: etree._Element
    ) -> StreamSubscription:
        info = "establish-subscription-stream-error-info"
        name = (operation.findtext(subscribed_tag("stream")) or "").strip()
        stream = self._streams.get(name)
        if stream is None:
            raise RpcError.invalid_value(f"there is no stream {name[:80]!r}, only {', '.join(self._streams)}")
        chosen, wanted = self._filter(operation, info)
        start, stop = self._time(operation, "replay-start-time"), self._time(operation, "stop-time")
        _check_times(start, stop, stream.now())
        if start is not None and stream.log is None:
            message = f"stream {name} keeps no events for replay; leave out replay-start-time"
            raise refused(info, "replay-unsupported", message)
        terms = Terms(wanted, start, stop)
        return StreamSubscription(
            number, stream, session, terms, chosen, bound=self._suspend_at, on_end=self._forget
        )

    def _filter(self, holder: etree._Element, info: str) -> tuple[Chosen, EventFilter | None]:
        """The filter that an operation or an entry of /filters names or holds. Raises RpcError."""
        name = holder.findtext(subscribed_tag("stream-filter-name"))
        if name is not None:
            entry = self._configured(name)
            if entry is None:
                raise refused(info, "filter-unsupported", f"/filters holds no stream-filter {name[:80]!r}")
            return Chosen(name=name), self._filter(entry, info)[1]
        element = next(holder.iterchildren(_SUBTREE, _XPATH), None)
        if element is None:
            return Chosen(), None
        if element.tag == _SUBTREE:
            return Chosen(element), subtree_filter(element)
        try:
            return Chosen(element), xpath_filter(element.text or "", element.nsmap, self._modules)
        except RpcError as error:
            message = error.message or ""
            raise refused(info, "filter-unsupported", message, {"filter-failure-hint": message}) from None

    def _configured(self, name: str) -> etree._Element | None:
        path = f"{subscribed_tag('filters')}/{subscribed_tag('stream-filter')}"
        entries = self._datastores.running.iterfind(path)
        return next((entry for entry in entries if entry.findtext(subscribed_tag("name")) == name), None)

    def _filters_changed(self, change: Change) -> None:
        """Have subscriptions follow the filters that they refer to (RFC 8639 section 2.7.2, 2.7.3)."""
        streams = _changed_entries(change, subscribed_tag("stream-filter"), subscribed_tag("name"))
        selections = _changed_entries(change, f"{{{PUSH}}}selection-filter", f"{{{PUSH}}}filter-id")
        if not streams and not selections:
            return
        for subscription in list(self.established.values()):
            if isinstance(subscription, PushSubscription):
                self._push.filters_changed(subscription, selections)
            if not isinstance(subscription, StreamSubscription) or subscription.chosen.name not in streams:
                continue
            entry = self._configured(subscription.chosen.name or "")
            try:
                wanted = None if entry is None else self._filter(entry, "")[1]
            except RpcError:
                entry = None
            if entry is None:
                subscription.terminate("filter-unavailable")
            else:
                terms = Terms(wanted, None, subscription.terms.stop)
                subscription.modify(terms, subscription.chosen, tell=True)

    def _own(self, call: RpcCall, info: str) -> Established:
        subscription = self.established.get(_id(call))
        if subscription is None or subscription.session.id != call.session.id:
            raise _unknown(call, info)
        return subscription

    def _forget(self, subscription: Established) -> None:
        self.established.pop(subscription.number, None)

    def _next_id(self) -> int:
        self._last = self._last % _MAX_ID + 1
        while self._last in self.established:
            self._last = self._last % _MAX_ID + 1
        return self._last

    def _time(self, operation: etree._Element, name: str) -> datetime | None:
        text = operation.findtext(subscribed_tag(name))
        return None if text is None else read_time(text)


def _refuse_configured(change: Change) -> None:
    """Subscriptions are made by operations here, not by configuration (feature `configured`)."""
    tag = subscribed_tag("subscriptions")
    if change.concerns(tag) and change.new.find(tag) is not None:
        raise RpcError.operation_not_supported(
            "configured subscriptions are not supported; use establish-subscription"
        )


def _changed_entries(change: Change, tag: str, key: str) -> set[str]:
    """The keys of the filters that came, went or are others now."""
    tag_above = subscribed_tag("filters")
    if not change.concerns(tag_above):
        return set()
    holders = [tree.find(tag_above) for tree in (change.old, change.new)]
    if not any(holder is not None for holder in holders):
        return set()
    before, after = (
        {(entry.findtext(key) or "").strip(): to_bytes(entry) for entry in holder.iterchildren(tag)}
        if holder is not None
        else {}
        for holder in holders
    )
    return {name for name in {*before, *after} if before.get(name) != after.get(name)}


def _check_times(start: datetime | None, stop: datetime | None, now: datetime) -> None:
    if start is not None and start >= now:
        raise RpcError.invalid_value("replay-start-time is not before now; a replay begins in the past")
    if start is not None and stop is not None and stop <= start:
        raise RpcError.invalid_value("stop-time is not after replay-start-time")
    if start is None and stop is not None and stop <= now:
        raise RpcError.invalid_value("stop-time has passed already")


def _id(call: RpcCall) -> int:
    return int((call.operation.findtext("{*}id") or "0").strip())


def _unknown(call: RpcCall, info: str) -> RpcError:
    message = f"this session has no subscription {_id(call)}; /subscriptions lists those there are"
    return refused(info, "no-such-subscription", message)


def _leaf(name: str, text: str) -> etree._Element:
    leaf = etree.Element(subscribed_tag(name), nsmap=names.nsmap(SUBSCRIBED))
    leaf.text = text
    return leaf
