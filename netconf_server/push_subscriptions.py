"""The datastore part of establish- and modify-subscription (RFC 8641): read and checked."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from datetime import datetime
from typing import Final

from lxml import etree

from netconf_server.call import RpcCall
from netconf_server.datastores import Datastores
from netconf_server.providers import ListBranch, Providers, WatchedList
from netconf_server.push import PushSubscription
from netconf_server.push_lists import ListFeed, is_selected, needs_others
from netconf_server.push_source import MAX_UPDATE, PushSource, TooBigError
from netconf_server.push_terms import ESTABLISH, PushTerms, push_tag, read_terms
from netconf_server.pushdown import Filters
from netconf_server.query import Query, View, Wanted
from netconf_server.readout import Readout
from netconf_server.streams import Receiver
from netconf_server.subscription_errors import refused
from netconf_server.subscription_stream import Established, subscribed_tag
from netconf_server.subtree import SubtreeFilter
from netconf_server.xpathfilter import XPathFilter
from rui.netconf.errors import RpcError
from rui.schema import Schema

_POLL: Final = 0.5
_REFERENCE: Final = push_tag("selection-filter-ref")
_SUBTREE, _XPATH = push_tag("datastore-subtree-filter"), push_tag("datastore-xpath-filter")
_CONFIGURATION: Final = ("running", "candidate")


class PushSubscriptions:
    """Makes subscriptions to the datastores of one server.

    `views` gives what a user is shown of the data. Configuration tells of its changes; operational trees are
    looked at twice a second while somebody wants to know. Large lists are for subscriptions on change where
    their provider tells what changes (`WatchedList`).
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
        return operation.find(push_tag("datastore")) is not None

    async def make(
        self, number: int, receiver: Receiver, call: RpcCall, on_end: Callable[[Established], None]
    ) -> PushSubscription:
        """Make what establish-subscription asks for. Raises RpcError."""
        terms = read_terms(call.operation, self._now())
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
        terms = read_terms(call.operation, self._now(), subscription.terms)
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
        try:
            await subscription.source.measure()
        except TooBigError as error:
            message = f"{error}; read it by get-data, the subscription goes on"
            limit = {"kilobytes-limit": str(MAX_UPDATE // 1024)}
            raise refused("resync-subscription-error", "sync-too-big", message, limit) from None
        return subscription.resync

    def filters_changed(self, subscription: PushSubscription, changed: Collection[str]) -> None:
        """Have a subscription follow the filter that it refers to (RFC 8639 2.7), if that has changed."""
        source, named = subscription.source, subscription.source.shown
        if named is None or named.tag != _REFERENCE or (named.text or "").strip() not in changed:
            return
        try:
            made = self._made(
                source.datastore,
                named,
                self._configured((named.text or "").strip()),
                subscription.session.user,
                on_change=subscription.terms.period is None,
            )
        except RpcError:
            subscription.terminate("filter-unavailable")
        else:
            subscription.modify(made, subscription.terms, tell=True)

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

    async def _source(self, call: RpcCall, terms: PushTerms) -> PushSource:
        operation = call.operation
        datastore = (operation.findtext(push_tag("datastore")) or "").strip().rpartition(":")[2]
        if datastore not in (*_CONFIGURATION, "operational"):
            message = (
                f"datastore {datastore[:40]} cannot be subscribed to; give running, candidate or operational"
            )
            raise refused(ESTABLISH, "datastore-not-subscribable", message)
        shown, holder = self._named(operation)
        source = self._made(datastore, shown, holder, call.session.user, on_change=terms.period is None)
        try:
            if terms.period is None and not terms.sync:
                await source.read_looked_at()
            else:
                await source.read()
        except TooBigError as error:
            limit = {"kilobytes-limit": str(MAX_UPDATE // 1024)}
            if source.feeds:
                message = f"{error}; select less, or read it by get-data and give sync-on-start false"
                raise refused(ESTABLISH, "sync-too-big", message, limit) from None
            raise refused(ESTABLISH, "update-too-big", f"{error}; select less", limit) from None
        return source

    def _made(
        self,
        datastore: str,
        shown: etree._Element | None,
        holder: etree._Element,
        user: str,
        *,
        on_change: bool,
    ) -> PushSource:
        """What reads the selection of the filter that `holder` has. Raises RpcError."""
        wanted = self._wanted(holder)
        return PushSource(
            self._schema,
            datastore,
            shown if shown is not None else _filter_in(holder),
            self._reading(datastore, wanted, user),
            polled=datastore == "operational" and self._has_state(wanted),
            feeds=self._feeds(datastore, wanted) if on_change else None,
        )

    def _reading(
        self, datastore: str, wanted: Wanted, user: str
    ) -> Callable[[Sequence[ListBranch] | None], Iterator[bytes]]:
        def pieces(lists: Sequence[ListBranch] | None) -> Iterator[bytes]:
            query = Query(wanted, self._views(user))
            if datastore == "operational":
                return self._readout.everything(self._datastores.running, query, lists)
            return self._readout.config(self._datastores.tree(datastore), query)

        return pieces

    def _named(self, operation: etree._Element) -> tuple[etree._Element | None, etree._Element]:
        """The reference to a filter in a request, if there is one, and what holds that. Raises RpcError."""
        name = operation.find(_REFERENCE)
        return (None, operation) if name is None else (name, self._configured((name.text or "").strip()))

    def _wanted(self, holder: etree._Element) -> Wanted:
        chosen = _filter_in(holder)
        if chosen is None or chosen.tag == _SUBTREE:
            return None if chosen is None else SubtreeFilter.compile(chosen)
        scope = {prefix: uri for prefix, uri in chosen.nsmap.items() if prefix is not None}
        try:
            return XPathFilter((chosen.text or "").strip(), {**self._modules, **scope})
        except ValueError as error:
            hint = {"filter-failure-hint": str(error)}
            raise refused(
                ESTABLISH, "filter-unsupported", f"the expression cannot be used: {error}", hint
            ) from None

    def _configured(self, name: str) -> etree._Element:
        path = f"{subscribed_tag('filters')}/{push_tag('selection-filter')}"
        for entry in self._datastores.running.iterfind(path):
            if entry.findtext(push_tag("filter-id")) == name:
                return entry
        raise refused(ESTABLISH, "filter-unsupported", f"/filters holds no selection-filter {name[:80]!r}")

    def _feeds(self, datastore: str, wanted: Wanted) -> tuple[ListFeed, ...]:
        """What tells the changes of the large lists that are selected. Raises RpcError where nobody does."""
        if datastore == "candidate":
            message = "changes of the candidate are not told; subscribe to it periodically"
            raise refused(ESTABLISH, "on-change-unsupported", message)
        if datastore != "operational":
            return ()
        return tuple(
            self._feed(branch, wanted)
            for branch in self._providers.lists
            if is_selected(branch.nodes, _at(wanted, branch.nodes[0].tag))
        )

    def _feed(self, branch: ListBranch, wanted: Wanted) -> ListFeed:
        provider, filters = branch.provider, _at(wanted, branch.nodes[0].tag)
        path = branch.nodes[-1].path
        if not isinstance(provider, WatchedList):
            message = f"changes of {path} are not told; subscribe to it periodically"
            raise refused(ESTABLISH, "on-change-unsupported", message)
        if needs_others(branch.nodes, filters) or (isinstance(wanted, XPathFilter) and not wanted.plain):
            message = f"on change, select entries of {path} by their own leafs and the keys above only"
            raise refused(ESTABLISH, "filter-unsupported", message, {"filter-failure-hint": message})
        return ListFeed(branch, provider, filters)

    def _has_state(self, wanted: Wanted) -> bool:
        return any(_at(wanted, branch.tags[0]) != [] for branch in self._providers.trees)


def _filter_in(holder: etree._Element) -> etree._Element | None:
    return next(holder.iterchildren(_SUBTREE, _XPATH), None)


def _at(wanted: Wanted, tag: str) -> Filters:
    """What a filter says of a top-level element: None selects all of it, an empty list nothing."""
    subtree = wanted.superset if isinstance(wanted, XPathFilter) else wanted
    return None if subtree is None else subtree.at(tag)
