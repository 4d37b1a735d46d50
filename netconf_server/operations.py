"""NETCONF's own operations on data (RFC 6241 7.1 to 7.4, 8.3, 8.6): reading, editing, committing."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from lxml import etree

from netconf_server import holders, params
from netconf_server.beside import is_large, worked_out
from netconf_server.call import Handler, Reply, RpcCall
from netconf_server.datastores import CANDIDATE, RUNNING, STARTUP, Datastores
from netconf_server.defaults import DefaultsViews
from netconf_server.edit import read_default_operation
from netconf_server.etagedit import Conditions
from netconf_server.etagread import TaggedReading
from netconf_server.query import Query, SeenBy, View
from netconf_server.readout import Readout
from netconf_server.replies import KnownReplies
from netconf_server.urls import UrlFolder
from netconf_server.written import paced, paced_beside, wrapped
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Defaults

_DATA_START = b'<data xmlns="%s">' % names.BASE.encode()
_DATA_END = b"</data>"


class DataOperations:
    """The handlers of the operations that read and change data."""

    def __init__(
        self,
        datastores: Datastores,
        readout: Readout,
        seen_by: SeenBy,
        urls: UrlFolder,
        conditions: Conditions,
    ) -> None:
        self._datastores = datastores
        self._urls = urls
        self._readout = readout
        self._views = DefaultsViews(datastores.schema)
        self._seen_by = seen_by
        self._conditions = conditions
        self._known = KnownReplies(datastores)

    def handlers(self) -> dict[str, Handler]:
        """The handlers by the operation's local name, all in the base namespace."""
        return {
            "get": self._get,
            "get-config": self._get_config,
            "edit-config": self._edit_config,
            "copy-config": self._copy_config,
            "delete-config": self._delete_config,
            "commit": self._commit,
            "cancel-commit": self._cancel_commit,
            "discard-changes": self._discard_changes,
            "validate": self._validate,
            "lock": self._lock,
            "unlock": self._unlock,
        }

    async def _get(self, call: RpcCall) -> Reply:
        query = self._query(call)
        pieces = await self._readout.read(self._datastores.running, query)
        return paced(wrapped(_DATA_START, pieces, _DATA_END, always=True))

    async def _get_config(self, call: RpcCall) -> Reply:
        source = self._datastore(call, "source")
        tree = self._datastores.tree(source)
        tagged = TaggedReading(call.operation, self._datastores.schema.tree.data)
        if tagged.asked:
            work = partial(tagged.read, self._readout, tree, self._query(call), names.DATA)
            return await self._readout.beside.do(work) if is_large(tree) else work()
        question = (source, self._shown(call), params.filter_bytes(call.operation))
        known = self._known.find(question, tree)
        if known is not None:
            return [known]
        pieces = wrapped(_DATA_START, self._readout.config(tree, self._query(call)), _DATA_END, always=True)
        noted = self._known.noted(question, tree, pieces)
        return paced_beside(noted, self._readout.beside) if is_large(tree) else paced(noted)

    def _datastore(self, call: RpcCall, role: str) -> str:
        return holders.datastore(call.operation, role, self._datastores.names)

    def _query(self, call: RpcCall) -> Query:
        """What is asked for, as far as the user may read it (RFC 8341 3.2.4)."""
        return Query(params.read_filter(call.operation), self._shown(call))

    def _shown(self, call: RpcCall) -> tuple[View, ...]:
        mode = params.defaults_mode(call.operation) or Defaults.EXPLICIT
        return (*self._views.of(mode), *self._seen_by(call.session.user))

    async def _edit_config(self, call: RpcCall) -> Reply:
        operation = call.operation
        config = holders.content(operation)
        if isinstance(config, holders.Url):
            config = await self._urls.read(config.text)
        said = params.texts(operation)
        test = said.get("test-option")
        target, views = self._datastore(call, "target"), self._seen_by(call.session.user)
        await self._datastores.edit(
            target,
            config,
            expects=self._conditions.of_edit(target, config, views),
            default=read_default_operation(said.get("default-operation")),
            # A candidate may be incomplete (RFC 7950 8.3.3) unless the client asks for the test by name.
            validate=test == "test-then-set",
            test_only=test == "test-only",
            continue_on_error=said.get("error-option") == "continue-on-error",
            session=call.session.id,
        )
        return self._conditions.reply(operation, target, views)

    async def _copy_config(self, call: RpcCall) -> Reply:
        source = holders.holder(call.operation, "source", self._datastores.names)
        target = holders.holder(call.operation, "target", self._datastores.names)
        if source == target:
            which = source.text if isinstance(source, holders.Url) else source
            raise RpcError.invalid_value(f"source and target are both {which}; give two different ones")
        tree = await self._content(call, source, tagged=isinstance(target, holders.Url))
        if isinstance(target, holders.Url):
            await self._urls.write(target.text, tree)
        elif isinstance(target, str):
            copied = (source, target) == (RUNNING, STARTUP)
            await self._datastores.replace(target, tree, session=call.session.id, copied=copied)
        return None

    async def _content(
        self, call: RpcCall, source: holders.Holder, *, tagged: bool = False
    ) -> etree._Element:
        """What a source holds, as far as the user may read it and with the defaults that he asks for."""
        if isinstance(source, holders.Url):
            return await self._urls.read(source.text)
        if not isinstance(source, str):
            return source
        tree = self._datastores.tree(source)
        mode = params.copy_mode(call.operation, tagged=tagged)
        views = (*self._views.of(mode), *self._seen_by(call.session.user))
        return await worked_out(partial(_seen, tree, views), large=is_large(tree))

    async def _delete_config(self, call: RpcCall) -> Reply:
        target = holders.holder(call.operation, "target", self._datastores.names)
        if isinstance(target, holders.Url):
            await self._urls.delete(target.text)
        elif target == STARTUP:
            await self._datastores.delete(session=call.session.id)
        else:
            advice = "use discard-changes" if target == CANDIDATE else "edit or copy-config it instead"
            raise RpcError.operation_not_supported(f"{target} cannot be deleted (RFC 6241 7.4); {advice}")
        return None

    async def _commit(self, call: RpcCall) -> Reply:
        await self._datastores.commit(
            confirm=params.confirmation(call.operation),
            persist_id=params.text(call.operation, "persist-id"),
            session=call.session.id,
        )
        return self._conditions.reply(call.operation, RUNNING, self._seen_by(call.session.user))

    async def _cancel_commit(self, call: RpcCall) -> Reply:
        persist_id = params.text(call.operation, "persist-id")
        await self._datastores.cancel_commit(persist_id=persist_id, session=call.session.id)
        return None

    async def _discard_changes(self, call: RpcCall) -> Reply:
        await self._datastores.discard(session=call.session.id)
        return None

    async def _validate(self, call: RpcCall) -> Reply:
        source = holders.holder(call.operation, "source", self._datastores.names)
        if isinstance(source, str):
            tree = self._datastores.tree(source)
        else:
            tree = await self._content(call, source)
        await self._datastores.validate(tree)
        return None

    async def _lock(self, call: RpcCall) -> Reply:
        await self._datastores.lock(self._datastore(call, "target"), call.session.id)
        return None

    async def _unlock(self, call: RpcCall) -> Reply:
        self._datastores.unlock(self._datastore(call, "target"), call.session.id)
        return None


def _seen(tree: etree._Element, views: Sequence[View]) -> etree._Element:
    for view in views:
        tree = view.tree(tree)
    return tree
