"""All that a server has to do with notifications: streams and their logs, subscriptions, its own events."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import structlog

from netconf_server.call import Handler, SessionInfo
from netconf_server.datastores import Datastores
from netconf_server.local import LocalSession
from netconf_server.providers import Providers
from netconf_server.push_subscriptions import PushSubscriptions
from netconf_server.query import View
from netconf_server.readout import Readout
from netconf_server.replay import ReplayLog
from netconf_server.session import Session, utc_now
from netconf_server.streams import Permits, Stream
from netconf_server.subscription_classic import CREATE_SUBSCRIPTION, ClassicSubscriptions
from netconf_server.subscription_dynamic import DynamicSubscriptions
from netconf_server.subscription_state import ActiveSubscriptions, SubscribableStreams
from netconf_server.systemevents import SystemEvents, remembered_capabilities
from rui.schema import Schema

log = structlog.get_logger(__name__)

NETCONF = "NETCONF"
"""The stream that every server has (RFC 5277 section 3.2.3)."""


class Notifications:
    """The notification part of one server.

    `folder` is where events are kept for replay, None to keep none. `sessions` are the server's, by id.
    `suspend_at` bytes may wait for a client before its dynamic subscriptions pause.
    """

    def __init__(
        self,
        schema: Schema,
        datastores: Datastores,
        sessions: Mapping[int, Session | LocalSession],
        capabilities: Sequence[str],
        folder: Path | None,
        *,
        suspend_at: int,
    ) -> None:
        self.streams: dict[str, Stream] = {}
        self._schema = schema
        self._sessions = sessions
        self._folder = folder
        self._permits: Permits | None = None
        self._datastores = datastores
        self._suspend_at = suspend_at
        self._push: PushSubscriptions | None = None
        self._dynamic: DynamicSubscriptions | None = None
        self._classic = ClassicSubscriptions(schema, sessions, self.streams)
        self.system = SystemEvents(
            schema, self.stream(NETCONF, "All events of this server", replay=True), _Infos(sessions)
        )
        datastores.on_commit(apply=self.system.config_changed)
        datastores.on_confirm(self.system.confirmed_commit)
        if folder is not None:
            before = remembered_capabilities(folder / "capabilities.json", capabilities)
            self.system.capabilities_changed(before, capabilities)

    def stream(self, name: str, description: str = "", *, replay: bool = False) -> Stream:
        """The stream of this name, made on first use; with `replay` what is published on it is kept."""
        if name not in self.streams:
            kept = ReplayLog(self._folder, name, utc_now()) if replay and self._folder is not None else None
            stream = Stream(name, description or f"Events of {name}", self._schema, utc_now, kept)
            stream.permits = self._permits
            self.streams[name] = stream
        return self.streams[name]

    def permit_by(self, permits: Permits) -> None:
        """Have `permits` asked before each notification to each subscriber (RFC 8341 section 3.4.6)."""
        self._permits = permits
        for stream in self.streams.values():
            stream.permits = permits

    def serve(
        self, readout: Readout, providers: Providers, views: Callable[[str], tuple[View, ...]]
    ) -> dict[str, Handler]:
        """Make the subscriptions of RFC 8639 and RFC 8641 possible; return the operations by tag.

        `views` gives what a user is shown of the data.
        """
        self._push = PushSubscriptions(
            self._schema,
            self._datastores,
            readout=readout,
            providers=providers,
            views=views,
            now=utc_now,
        )
        self._dynamic = DynamicSubscriptions(
            self._schema,
            self._datastores,
            sessions=self._sessions,
            streams=self.streams,
            push=self._push,
            suspend_at=self._suspend_at,
        )
        module = "/ietf-subscribed-notifications:"
        providers.add_tree(f"{module}streams", SubscribableStreams(self.streams))
        providers.add_tree(f"{module}subscriptions", ActiveSubscriptions(self._dynamic.established))
        return {CREATE_SUBSCRIPTION: self._classic.create, **self._dynamic.handlers()}

    def data_changed(self) -> None:
        """Have subscriptions on change look at once; nothing is missed without it, only told later."""
        if self._push is not None:
            self._push.look()

    def session_opened(self, session: Session | LocalSession) -> None:
        """Take note of a session whose hellos were exchanged."""
        self.system.session_started(session.info)

    def session_ended(self, session: Session | LocalSession) -> None:
        """End a session's subscriptions and tell the others of its end."""
        for stream in list(self.streams.values()):
            stream.session_ended(session.info.id)
        if self._dynamic is not None:
            self._dynamic.session_ended(session.info.id)
        self.system.session_ended(session.info, session.end_cause, session.killed_by)

    def close(self) -> None:
        """Close the logs; look at nothing any more."""
        if self._push is not None:
            self._push.close()
        for stream in self.streams.values():
            if stream.log is not None:
                stream.log.close()
                stream.log = None


class _Infos(Mapping[int, SessionInfo]):
    """The sessions of a server as what is known of them."""

    def __init__(self, sessions: Mapping[int, Session | LocalSession]) -> None:
        self._sessions = sessions

    def __getitem__(self, number: int) -> SessionInfo:
        return self._sessions[number].info

    def __iter__(self) -> Iterator[int]:
        return iter(self._sessions)

    def __len__(self) -> int:
        return len(self._sessions)
