"""ietf-netconf-monitoring (RFC 6022): the netconf-state tree, get-schema, and the list of streams (RFC 5277
3.2.5.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Final

from lxml import etree

from netconf_server.call import Handler, Reply, RpcCall
from netconf_server.datastores import RUNNING, Datastores
from netconf_server.local import LocalSession
from netconf_server.session import Counters, Session
from netconf_server.streams import Stream
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema

GET_SCHEMA: Final = f"{{{names.MONITORING}}}get-schema"
STATE: Final = f"{{{names.MONITORING}}}netconf-state"
STREAMS_NAMESPACE: Final = "urn:ietf:params:xml:ns:netmod:notification"
STREAMS: Final = f"{{{STREAMS_NAMESPACE}}}netconf"


def _add(parent: etree._Element, name: str, text: str | None = None) -> etree._Element:
    element = etree.SubElement(parent, f"{{{names.split(str(parent.tag))[0]}}}{name}")
    element.text = text
    return element


def rfc3339(time: datetime) -> str:
    """A time as yang:date-and-time."""
    return time.isoformat(timespec="seconds").replace("+00:00", "Z")


class StateTree:
    """Provides /ncm:netconf-state."""

    def __init__(
        self,
        schema: Schema,
        datastores: Datastores,
        capabilities: Sequence[str],
        sessions: Mapping[int, Session | LocalSession],
        totals: Totals,
    ) -> None:
        self._schema = schema
        self._datastores = datastores
        self._capabilities = capabilities
        self._sessions = sessions
        self._totals = totals

    def read(self) -> etree._Element:
        """The tree as it is now."""
        root = etree.Element(STATE, nsmap=names.nsmap(names.MONITORING))
        capabilities = _add(root, "capabilities")
        for capability in self._capabilities:
            _add(capabilities, "capability", capability)
        self._add_datastores(_add(root, "datastores"))
        self._add_schemas(_add(root, "schemas"))
        sessions = [session for session in self._sessions.values() if session.open]
        if sessions:
            holder = _add(root, "sessions")
            for session in sessions:
                _add_session(_add(holder, "session"), session)
        self._totals.write(_add(root, "statistics"), self._sessions.values())
        return root

    def _add_datastores(self, parent: etree._Element) -> None:
        for name in self._datastores.names:
            datastore = _add(parent, "datastore")
            _add(datastore, "name", name)
            lock = self._datastores.locks.holder(name)
            if lock is None and name == RUNNING and self._datastores.partial_locks.held:
                self._add_partial(_add(datastore, "locks"))
            elif lock is not None:
                held = _add(_add(datastore, "locks"), "global-lock")
                _add(held, "locked-by-session", str(lock.session))
                _add(held, "locked-time", rfc3339(lock.since))

    def _add_partial(self, parent: etree._Element) -> None:
        for lock in self._datastores.partial_locks.held:
            entry = _add(parent, "partial-lock")
            _add(entry, "lock-id", str(lock.id))
            _add(entry, "locked-by-session", str(lock.session))
            _add(entry, "locked-time", rfc3339(lock.since))
            for select in lock.selects:
                _add(entry, "select", select)
            for node in lock.nodes:
                tag = f"{{{names.MONITORING}}}locked-node"
                etree.SubElement(entry, tag, nsmap=node.place.namespaces).text = node.place.text

    def _add_schemas(self, parent: etree._Element) -> None:
        for module in self._schema.modules:
            texts = [
                (module.name, module.revision),
                *((part.name, part.revision) for part in module.submodules),
            ]
            for name, revision in texts:
                entry = _add(parent, "schema")
                _add(entry, "identifier", name)
                _add(entry, "version", revision)
                _add(entry, "format", "yang")
                _add(entry, "namespace", module.namespace)
                _add(entry, "location", "NETCONF")


def _add_session(entry: etree._Element, session: Session | LocalSession) -> None:
    info, counters = session.info, session.counters
    _add(entry, "session-id", str(info.id))
    _add(entry, "transport", info.transport)
    _add(entry, "username", info.user)
    _add(entry, "source-host", info.peer.rpartition(":")[0].strip("[]"))
    _add(entry, "login-time", rfc3339(info.login_time))
    _add_counters(entry, [counters])


def _add_counters(parent: etree._Element, everyone: Sequence[Counters]) -> None:
    """Write the counters of RFC 6022 2.1.4, summed up."""
    for leaf, name in (
        ("in-rpcs", "in_rpcs"),
        ("in-bad-rpcs", "in_bad_rpcs"),
        ("out-rpc-errors", "out_rpc_errors"),
        ("out-notifications", "out_notifications"),
    ):
        _add(parent, leaf, str(sum(getattr(counters, name) for counters in everyone) % 2**32))


class Totals:
    """The server-wide counters: what ended sessions leave behind, plus what the living ones have."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._ended = Counters()
        self.sessions = 0
        self._bad_hellos = 0
        self._dropped = 0

    def ended(self, session: Session | LocalSession, *, orderly: bool) -> None:
        """Keep the counters of a session that ended, and why."""
        if session.end_cause == "bad-hello":
            self._bad_hellos += 1
        elif not orderly and session.end_cause != "killed":
            self._dropped += 1
        for name, value in vars(session.counters).items():
            setattr(self._ended, name, getattr(self._ended, name) + value)

    def write(self, parent: etree._Element, living: Iterable[Session | LocalSession]) -> None:
        """Write the statistics container."""
        everyone = [self._ended, *(session.counters for session in living)]
        _add(parent, "netconf-start-time", rfc3339(self._start))
        _add(parent, "in-bad-hellos", str(self._bad_hellos))
        _add(parent, "in-sessions", str(self.sessions))
        _add(parent, "dropped-sessions", str(self._dropped))
        _add_counters(parent, everyone)


class StreamsTree:
    """Provides /netconf/streams."""

    def __init__(self, streams: Mapping[str, Stream]) -> None:
        self._streams = streams

    def read(self) -> etree._Element:
        """The list of streams."""
        root = etree.Element(STREAMS, nsmap=names.nsmap(STREAMS_NAMESPACE))
        holder = _add(root, "streams")
        for stream in self._streams.values():
            entry = _add(holder, "stream")
            _add(entry, "name", stream.name)
            _add(entry, "description", stream.description)
            _add(entry, "replaySupport", "false" if stream.log is None else "true")
            if stream.log is not None:
                _add(entry, "replayLogCreationTime", rfc3339(stream.log.created))
                if stream.log.aged is not None:
                    _add(entry, "replayLogAgedTime", rfc3339(stream.log.aged))
        return root


def get_schema(schema: Schema) -> Handler:
    """Make the answer to get-schema (RFC 6022 3.1)."""

    async def answer(call: RpcCall) -> Reply:
        wanted = {names.split(str(child.tag))[1]: (child.text or "").strip() for child in call.operation}
        kind = wanted.get("format", "yang").rpartition(":")[2]
        if kind != "yang":
            raise RpcError.invalid_value(f"format {kind!r} is not offered; leave it out or give yang")
        identifier, version = wanted.get("identifier", ""), wanted.get("version")
        source = schema.source(identifier, version)
        if source is None:
            which = identifier if version is None else f"{identifier}@{version}"
            raise RpcError.invalid_value(
                f"there is no schema {which!r}; /netconf-state/schemas lists those there are"
            )
        data = etree.Element(f"{{{names.MONITORING}}}data", nsmap=names.nsmap(names.MONITORING))
        data.text = source
        return [data]

    return answer
