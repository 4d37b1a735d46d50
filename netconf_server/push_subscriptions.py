"""The datastore part of establish- and modify-subscription (RFC 8641): read and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from lxml import etree

from netconf_server.call import RpcCall
from netconf_server.datastores import Datastores
from netconf_server.providers import Providers
from netconf_server.push import PushSubscription, PushTerms
from netconf_server.push_patch import ChangeKind
from netconf_server.push_source import MAX_UPDATE, PushSource, TooBigError
from netconf_server.pushdown import Filters, key_plans
from netconf_server.query import Query, View, Wanted
from netconf_server.readout import Readout
from netconf_server.streams import Receiver
from netconf_server.subscription_classic import read_time
from netconf_server.subscription_errors import PUSH, refused
from netconf_server.subscription_stream import Established, subscribed_tag
from netconf_server.subtree import SubtreeFilter
from netconf_server.xpathfilter import XPathFilter
from rui.netconf.errors import RpcError
from rui.schema import Schema

MIN_PERIOD: Final = 0.1
"""Seconds between periodic updates at least."""
_POLL: Final = 0.5
_CONFIGURATION: Final = ("running", "candidate")
_ESTABLISH: Final = "establish-subscription-datastore-error-info"


def _tag(name: str) -> str:
    return f"{{{PUSH}}}{name}"


class PushSubscriptions:
    """Makes subscriptions to the datastores of one server.

    `views` gives what a user is shown of the data. Configuration tells of its changes; operational trees are
    looked at twice a second while somebody wants to know. Large lists that providers stream are for periodic
    subscriptions only.
    """

    def __init__(
        self,
        schema: Schema,
        datastores: Datastores,
        *,
        readout: Readout,
        providers: Providers,
        views: Callable[[str], tuple[View, ...]],
        now: Callable[[], datetime],
    ) -> None:
        self._schema = schema
        self._datastores = datastores
        self._readout = readout
        self._providers = providers
        self._views = views
        self._now = now
        self._modules = {module.name: module.namespace for module in schema.modules}
        self._on_change: dict[int, PushSubscription] = {}
        self._poller: asyncio.Task[None] | None = None
        datastores.on_commit(apply=lambda _: self.look())

    def is_wanted(self, operation: etree._Element) -> bool:
        """Say whether an operation speaks of a datastore."""
        return operation.find(_tag("datastore")) is not None

    async def make(
        self, number: int, receiver: Receiver, call: RpcCall, on_end: Callable[[Established], None]
    ) -> PushSubscription:
        """Make what establish-subscription asks for. Raises RpcError."""
        terms = self._terms(call.operation)
        source = await self._source(call, terms)

        def ended(subscription: Established) -> None:
            self._on_change.pop(number, None)
            on_end(subscription)

        subscription = PushSubscription(number, receiver, source, terms, now=self._now, on_end=ended)
        self._watch(subscription)
        return subscription

    async def modify(self, subscription: Established, call: RpcCall) -> None:
        """Change a subscription's selection, period or stop time. Raises RpcError."""
        if not isinstance(subscription, PushSubscription) or not self.is_wanted(call.operation):
            raise RpcError.invalid_value("the subscription is to a datastore; give its datastore and filter")
        terms = self._terms(call.operation, subscription.terms)
        if (terms.period is None) != (subscription.terms.period is None):
            raise RpcError.invalid_value("a subscription stays periodic or on change; establish another one")
        source = await self._source(call, terms)
        if source.datastore != subscription.source.datastore:
            raise RpcError.invalid_value("a subscription stays with its datastore; establish another one")
        subscription.modify(source, terms)

    async def resync(self, subscription: Established) -> Callable[[], None]:
        """What sends the whole selection again, to be called after the reply. Raises RpcError."""
        if not isinstance(subscription, PushSubscription) or subscription.terms.period is not None:
            message = "only subscriptions on change can be resynchronized"
            raise refused("resync-subscription-error", "no-such-subscription-resync", message)
        return subscription.resync

    def look(self) -> None:
        """Have every subscription on change see what changed; for providers that know when they do."""
        for subscription in list(self._on_change.values()):
            subscription.look()

    def close(self) -> None:
        """Look no more."""
        if self._poller is not None:
            self._poller.cancel()

    # --- inside

    def _watch(self, subscription: PushSubscription) -> None:
        if subscription.terms.period is not None:
            return
        self._on_change[subscription.number] = subscription
        if subscription.source.polled and (self._poller is None or self._poller.done()):
            self._poller = asyncio.get_running_loop().create_task(self._poll())

    async def _poll(self) -> None:
        while any(subscription.source.polled for subscription in self._on_change.values()):
            await asyncio.sleep(_POLL)
            for subscription in list(self._on_change.values()):
                if subscription.source.polled:
                    subscription.look()

    def _terms(self, operation: etree._Element, before: PushTerms | None = None) -> PushTerms:
        stop = operation.findtext(subscribed_tag("stop-time"))
        until = None if stop is None else read_time(stop)
        if until is not None and until <= self._now():
            raise RpcError.invalid_value("stop-time has passed already")
        periodic, change = operation.find(_tag("periodic")), operation.find(_tag("on-change"))
        if periodic is not None:
            period = int(periodic.findtext(_tag("period")) or 0) / 100
            if period < MIN_PERIOD:
                message = f"a period of {period:g} s is too short"
                hint = {"period-hint": str(round(MIN_PERIOD * 100))}
                raise refused(_ESTABLISH, "period-unsupported", message, hint)
            anchor = periodic.findtext(_tag("anchor-time"))
            return PushTerms(period, None if anchor is None else read_time(anchor), stop=until)
        if change is not None:
            known = before or PushTerms()
            return PushTerms(
                dampening=int(change.findtext(_tag("dampening-period")) or 0) / 100,
                sync=(change.findtext(_tag("sync-on-start")) or "true").strip() in ("true", "1"),
                excluded=known.excluded
                | {
                    ChangeKind((item.text or "").strip())
                    for item in change.iterchildren(_tag("excluded-change"))
                },
                stop=until,
            )
        if before is None:
            raise RpcError.missing_element(_tag("periodic"), "say when to send: give periodic or on-change")
        return PushTerms(before.period, before.anchor, before.dampening, before.sync, before.excluded, until)

    async def _source(self, call: RpcCall, terms: PushTerms) -> PushSource:
        operation = call.operation
        datastore = (operation.findtext(_tag("datastore")) or "").strip().rpartition(":")[2]
        if datastore not in (*_CONFIGURATION, "operational"):
            message = (
                f"datastore {datastore[:40]} cannot be subscribed to; give running, candidate or operational"
            )
            raise refused(_ESTABLISH, "datastore-not-subscribable", message)
        shown, wanted = self._filter(operation)
        if terms.period is None:
            self._check_on_change(datastore, wanted)
        polled = datastore == "operational" and self._has_state(wanted)
        source = PushSource(
            self._schema, datastore, shown, self._reading(datastore, wanted, call.session.user), polled=polled
        )
        try:
            await source.read()
        except TooBigError as error:
            limit = {"kilobytes-limit": str(MAX_UPDATE // 1024)}
            raise refused(_ESTABLISH, "update-too-big", f"{error}; select less", limit) from None
        return source

    def _reading(self, datastore: str, wanted: Wanted, user: str) -> Callable[[], Iterator[bytes]]:
        def pieces() -> Iterator[bytes]:
            query = Query(wanted, self._views(user))
            if datastore == "operational":
                return self._readout.everything(self._datastores.running, query)
            return self._readout.config(self._datastores.tree(datastore), query)

        return pieces

    def _filter(self, operation: etree._Element) -> tuple[etree._Element | None, Wanted]:
        holder = operation
        name = operation.find(_tag("selection-filter-ref"))
        if name is not None:
            holder = self._configured((name.text or "").strip())
        subtree, xpath = (
            holder.find(_tag("datastore-subtree-filter")),
            holder.find(_tag("datastore-xpath-filter")),
        )
        if subtree is not None:
            return (subtree if name is None else name), SubtreeFilter.compile(subtree)
        if xpath is None:
            return name, None
        scope = {prefix: uri for prefix, uri in xpath.nsmap.items() if prefix is not None}
        try:
            wanted = XPathFilter((xpath.text or "").strip(), {**self._modules, **scope})
        except ValueError as error:
            hint = {"filter-failure-hint": str(error)}
            raise refused(
                _ESTABLISH, "filter-unsupported", f"the expression cannot be used: {error}", hint
            ) from None
        return (xpath if name is None else name), wanted

    def _configured(self, name: str) -> etree._Element:
        path = f"{subscribed_tag('filters')}/{_tag('selection-filter')}"
        for entry in self._datastores.running.iterfind(path):
            if entry.findtext(_tag("filter-id")) == name:
                return entry
        raise refused(_ESTABLISH, "filter-unsupported", f"/filters holds no selection-filter {name[:80]!r}")

    def _check_on_change(self, datastore: str, wanted: Wanted) -> None:
        """Refuse what nobody tells of: the candidate, and lists that are only ever streamed."""
        if datastore == "candidate":
            message = "changes of the candidate are not told; subscribe to it periodically"
            raise refused(_ESTABLISH, "on-change-unsupported", message)
        if datastore != "operational":
            return
        for branch in self._providers.lists:
            if key_plans(branch.nodes, _at(wanted, branch.nodes[0].tag)):
                message = f"changes of {branch.nodes[-1].path} are not told; subscribe to it periodically"
                raise refused(_ESTABLISH, "on-change-unsupported", message)

    def _has_state(self, wanted: Wanted) -> bool:
        return any(_at(wanted, branch.tags[0]) != [] for branch in self._providers.trees)


def _at(wanted: Wanted, tag: str) -> Filters:
    """What a filter says of a top-level element: None selects all of it, an empty list nothing."""
    subtree = wanted.superset if isinstance(wanted, XPathFilter) else wanted
    return None if subtree is None else subtree.at(tag)
