"""get-data and edit-data (RFC 8526): reading and editing any datastore of NMDA."""

from __future__ import annotations

from functools import partial
from typing import Final

from lxml import etree

from netconf_server import holders, params
from netconf_server.beside import is_large
from netconf_server.call import Handler, Reply, RpcCall
from netconf_server.configonly import ConfigView
from netconf_server.datastores import RUNNING, Datastores
from netconf_server.defaults import DefaultsViews
from netconf_server.edit import read_default_operation
from netconf_server.etagedit import Conditions
from netconf_server.etagread import TaggedReading
from netconf_server.faults import to_rpc_error
from netconf_server.holders import INTENDED, NMDA, OPERATIONAL
from netconf_server.origin import OriginFilter, OriginView
from netconf_server.query import Query, SeenBy, View, Wanted
from netconf_server.readout import Readout
from netconf_server.subtree import SubtreeFilter
from netconf_server.urls import UrlFolder
from netconf_server.written import paced, paced_beside, wrapped
from netconf_server.xpathfilter import XPathFilter
from rui.netconf.errors import ErrorType, RpcError
from rui.schema import DataError, Defaults

_START: Final = b'<data xmlns="%s">' % NMDA.encode()
_END: Final = b"</data>"
_ORIGIN_PARAMETERS: Final = ("with-origin", "origin-filter", "negated-origin-filter")


def _tag(name: str) -> str:
    return f"{{{NMDA}}}{name}"


GET_DATA: Final = _tag("get-data")
EDIT_DATA: Final = _tag("edit-data")


class NmdaOperations:
    """The handlers of get-data and edit-data, which check their own input."""

    def __init__(
        self,
        datastores: Datastores,
        readout: Readout,
        seen_by: SeenBy,
        urls: UrlFolder,
        conditions: Conditions,
    ) -> None:
        self._datastores = datastores
        self._readout = readout
        self._seen_by = seen_by
        self._urls = urls
        self._conditions = conditions
        self._defaults = DefaultsViews(datastores.schema)

    def handlers(self) -> dict[str, Handler]:
        """The handlers by tag."""
        return {GET_DATA: self._get_data, EDIT_DATA: self._edit_data}

    async def _get_data(self, call: RpcCall) -> Reply:
        operation = call.operation
        name = self._name(operation, (*self._datastores.names, INTENDED, OPERATIONAL))
        if name != OPERATIONAL:
            for parameter in _ORIGIN_PARAMETERS:
                if operation.find(_tag(parameter)) is not None:
                    raise RpcError.invalid_value(
                        f"{parameter} is for the operational datastore only (RFC 8526 3.1.1); leave it out"
                    )
        self._check(operation)
        query = Query(_wanted(operation), self._views(call, name), _depth(operation))
        if name == OPERATIONAL:
            pieces = await self._readout.read(self._datastores.running, query)
            return paced(wrapped(_START, pieces, _END, always=True))
        tree = self._datastores.tree(RUNNING if name == INTENDED else name)
        large = is_large(tree)
        tagged = TaggedReading(operation, self._datastores.schema.tree.data)
        if tagged.asked:
            work = partial(tagged.read, self._readout, tree, query, _tag("data"))
            return await self._readout.beside.do(work) if large else work()
        pieces = wrapped(_START, self._readout.config(tree, query), _END, always=True)
        return paced_beside(pieces, self._readout.beside) if large else paced(pieces)

    async def _edit_data(self, call: RpcCall) -> Reply:
        operation = call.operation
        name = self._name(operation, self._datastores.names)
        self._check(operation)
        config = holders.content(operation)
        if isinstance(config, holders.Url):
            config = await self._urls.read(config.text)
        views = self._seen_by(call.session.user)
        await self._datastores.edit(
            name,
            config,
            default=read_default_operation(operation.findtext(_tag("default-operation"))),
            session=call.session.id,
            expects=self._conditions.of_edit(name, config, views),
        )
        return self._conditions.reply(operation, name, views)

    def _name(self, operation: etree._Element, known: tuple[str, ...]) -> str:
        leaf = operation.find(_tag("datastore"))
        if leaf is None:
            raise RpcError.missing_element(
                _tag("datastore"), f"datastore is missing; give {' or '.join(known)}"
            )
        name = holders.nmda_datastore(leaf)
        if name not in known:
            raise RpcError.invalid_value(
                f"datastore {(leaf.text or '')[:40]!r} will not do for this operation; give one of"
                f" {', '.join(known)} with the prefix of {holders.DATASTORES}"
            )
        return name

    def _check(self, operation: etree._Element) -> None:
        schema = self._datastores.schema
        try:
            schema.check_rpc(params.envelope(operation))
        except DataError as error:
            raise to_rpc_error(
                error, schema, error_type=ErrorType.PROTOCOL, data=operation.getparent()
            ) from error

    def _views(self, call: RpcCall, name: str) -> tuple[View, ...]:
        """Defaults first, for filters see them; what the user may not read is left out last."""
        operation = call.operation
        # The operational datastore is what is in use, defaults as well (RFC 8526 3.1.1.2).
        usual = Defaults.REPORT_ALL if name == OPERATIONAL else Defaults.EXPLICIT
        asked = params.defaults_mode(operation) or usual
        show = operation.find(_tag("with-origin")) is not None
        wanted = _origins(operation)
        views: list[View] = []
        if (show or wanted is not None) and asked is Defaults.REPORT_ALL:
            views += self._defaults.of(Defaults.REPORT_ALL_TAGGED)
        else:
            views += self._defaults.of(asked)
        if show or wanted is not None:
            views.append(OriginView(wanted, show=show, keep_marks=asked is Defaults.REPORT_ALL_TAGGED))
        config = operation.findtext(_tag("config-filter"))
        if config is not None:
            views.append(ConfigView(config=config.strip() == "true"))
        return (*views, *self._seen_by(call.session.user))


def _wanted(operation: etree._Element) -> Wanted:
    subtree = operation.find(_tag("subtree-filter"))
    if subtree is not None:
        return SubtreeFilter.compile(subtree)
    leaf = operation.find(_tag("xpath-filter"))
    if leaf is None:
        return None
    try:
        return XPathFilter((leaf.text or "").strip(), params.prefixes(leaf))
    except ValueError as error:
        raise RpcError.invalid_value(
            f"xpath-filter is no expression that can be used here: {error}",
            path="/ietf-netconf-nmda:get-data/ietf-netconf-nmda:xpath-filter",
            path_namespaces={"ietf-netconf-nmda": NMDA},
        ) from None


def _depth(operation: etree._Element) -> int | None:
    text = (operation.findtext(_tag("max-depth")) or "unbounded").strip()
    return None if text == "unbounded" else int(text)


def _origins(operation: etree._Element) -> OriginFilter | None:
    for name, negated in (("origin-filter", False), ("negated-origin-filter", True)):
        found = [(leaf.text or "").strip().rpartition(":")[2] for leaf in operation.iterchildren(_tag(name))]
        if found:
            return OriginFilter(frozenset(found), negated)
    return None
