"""NETCONF's own operations on data (RFC 6241 7.1 to 7.4, 8.3, 8.6): reading, editing, committing."""

from __future__ import annotations

from netconf_server import params
from netconf_server.call import Handler, Reply, RpcCall
from netconf_server.datastores import Datastores
from netconf_server.defaults import DefaultsViews
from netconf_server.edit import read_default_operation
from netconf_server.query import Query
from netconf_server.readout import Readout
from netconf_server.written import paced, wrapped
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Defaults

_DATA_START = b'<data xmlns="%s">' % names.BASE.encode()
_DATA_END = b"</data>"


class DataOperations:
    """The handlers of the operations that read and change data."""

    def __init__(self, datastores: Datastores, readout: Readout) -> None:
        self._datastores = datastores
        self._readout = readout
        self._views = DefaultsViews(datastores.schema)

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
        pieces = self._readout.everything(self._datastores.running, query)
        return paced(wrapped(_DATA_START, pieces, _DATA_END, always=True))

    async def _get_config(self, call: RpcCall) -> Reply:
        query = self._query(call)
        tree = self._datastores.tree(params.datastore(call.operation, "source"))
        return paced(wrapped(_DATA_START, self._readout.config(tree, query), _DATA_END, always=True))

    def _query(self, call: RpcCall) -> Query:
        """What is asked for."""
        mode = params.defaults_mode(call.operation) or Defaults.EXPLICIT
        return Query(params.read_filter(call.operation), self._views.of(mode))

    async def _edit_config(self, call: RpcCall) -> Reply:
        operation = call.operation
        config = operation.find(names.base("config"))
        if config is None:
            raise RpcError.missing_element(
                "config", "edit-config needs a config element with what is to change"
            )
        test = params.text(operation, "test-option")
        error = params.text(operation, "error-option") or "stop-on-error"
        await self._datastores.edit(
            params.datastore(operation, "target"),
            config,
            default=read_default_operation(params.text(operation, "default-operation")),
            # A candidate may be incomplete (RFC 7950 8.3.3) unless the client asks for the test by name.
            validate=test == "test-then-set",
            test_only=test == "test-only",
            continue_on_error=error == "continue-on-error",
            session=call.session.id,
        )
        return None

    async def _copy_config(self, call: RpcCall) -> Reply:
        source = params.choice(call.operation, "source")
        target = params.datastore(call.operation, "target")
        if source.tag == names.base("config"):
            tree = source
        else:
            name = params.datastore(call.operation, "source")
            if name == target:
                raise RpcError.invalid_value(
                    f"source and target are both {name}; give two different datastores"
                )
            tree = self._datastores.tree(name)
            for view in self._views.of(params.copy_mode(call.operation)):
                tree = view.tree(tree)
        await self._datastores.replace(target, tree, session=call.session.id)
        return None

    async def _delete_config(self, call: RpcCall) -> Reply:
        name = names.split(str(params.choice(call.operation, "target").tag))[1]
        advice = "use discard-changes" if name == "candidate" else "edit or copy-config it instead"
        raise RpcError.operation_not_supported(f"{name} cannot be deleted (RFC 6241 7.4); {advice}")

    async def _commit(self, call: RpcCall) -> Reply:
        await self._datastores.commit(
            confirm=params.confirmation(call.operation),
            persist_id=params.text(call.operation, "persist-id"),
            session=call.session.id,
        )
        return None

    async def _cancel_commit(self, call: RpcCall) -> Reply:
        persist_id = params.text(call.operation, "persist-id")
        await self._datastores.cancel_commit(persist_id=persist_id, session=call.session.id)
        return None

    async def _discard_changes(self, call: RpcCall) -> Reply:
        await self._datastores.discard(session=call.session.id)
        return None

    async def _validate(self, call: RpcCall) -> Reply:
        source = params.choice(call.operation, "source")
        if source.tag != names.base("config"):
            source = self._datastores.tree(params.datastore(call.operation, "source"))
        self._datastores.validate(source)
        return None

    async def _lock(self, call: RpcCall) -> Reply:
        self._datastores.lock(params.datastore(call.operation, "target"), call.session.id)
        return None

    async def _unlock(self, call: RpcCall) -> Reply:
        self._datastores.unlock(params.datastore(call.operation, "target"), call.session.id)
        return None
