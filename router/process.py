"""One router as a process: everything in its order of starting, and of stopping."""

from __future__ import annotations

import asyncio
import gc
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from netconf_cli import serve_cli
from netconf_server import (
    AccountError,
    Accounts,
    Change,
    Datastores,
    HostKeyError,
    NetconfServer,
    StartupError,
    Subscription,
    TlsError,
)
from netconf_server.tlscontext import server_context
from router.alarms import Alarms
from router.alarmwatch import AlarmWatch
from router.auditing import AuditOperations
from router.bfd import BfdConfig, BfdSocketError
from router.bfdwatch import BfdWatch
from router.calling import call_home
from router.config import DhcpSource, GroupConfig, RouterConfig, SimulatedSource, TlsListen
from router.conflicts import ConflictWatch
from router.dataplane import DataPlaneConfig, DataPlaneError
from router.dhcp.transport import TransportError
from router.download import Downloader
from router.forwarding import Forwarding
from router.group import Group
from router.journal import DataDirectory, DataDirectoryError, GroupJournal, Quota
from router.linkstatus import CloudLink, LinkStatusTree, change_notification
from router.operational import IdentityTree, UserInfoTree, Users
from router.operations import STREAM, Operations
from router.rbs import RbsOperations, Switch
from router.startup import read_config
from router.subscribers.dhcp import DhcpSubscribers
from router.subscribers.invented import added_leaves
from router.subscribers.simulated import SimulatedSubscribers
from router.switching import Switching
from router.vrrp import TransportError as VrrpTransportError
from rui.backup.inspection import Inspector
from rui.backup.links import Link
from rui.backup.trace import Trace
from rui.netconf.errors import RpcError
from rui.schema import Schema, SchemaError, router_schema
from rui.schema.leaves import ConfigError
from rui.views import VIEWS

log = structlog.get_logger(__name__)

# To the collector a table of a million users is three objects; messages are thousands of short-lived ones.
_GC_THRESHOLDS = (50_000, 20, 50)

Ready = Callable[[Mapping[str, object]], None]
"""Told once the router serves: its name and where its NETCONF server listens."""


class RouterStartError(Exception):
    """The router refuses to start: ``reason`` says what and where, ``remedy`` what to do."""

    def __init__(self, reason: str, remedy: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.remedy = remedy


class Router:
    """One router. ``start`` once, then ``stop``.

    ``trace`` is told what becomes of changes; ``yang`` are folders with the operator's own modules.
    """

    def __init__(
        self, startup: Path, data: Path, *, trace: Trace | None = None, yang: Sequence[Path] = ()
    ) -> None:
        self._startup = startup
        self._data = data
        self._trace = trace
        self._yang = tuple(yang)
        self.groups: dict[str, Group] = {}
        self.link = CloudLink()
        self.alarms = Alarms()
        self._sources: dict[str, SimulatedSubscribers | DhcpSubscribers] = {}
        self._callers: list[asyncio.Task[None]] = []
        self._directory: DataDirectory | None = None
        self._server: NetconfServer | None = None
        self._downloader: Downloader | None = None
        self._switch: Switch | None = None
        self._quota = Quota()
        self._watch: AlarmWatch | None = None
        self._switching: Switching | None = None
        self._forwarding: Forwarding | None = None
        self._bfd: BfdWatch | None = None
        self._applying: set[asyncio.Task[None]] = set()
        self._added = b""

    async def start(self) -> Mapping[str, object]:
        """Start all parts; return what the ready line says. Raises RouterStartError, with all stopped."""
        try:
            return await self._start()
        except BaseException as error:
            await self.stop()
            refused = _refusal(error, self._startup)
            if refused is None:
                raise
            raise refused from error

    async def stop(self) -> None:
        """Stop all parts in order: no new users, no sessions, then the journals."""
        for task in self._callers:
            task.cancel()
        await asyncio.gather(*self._callers, return_exceptions=True)
        await asyncio.gather(*self._applying, return_exceptions=True)
        if self._bfd is not None:
            await self._bfd.close()
        if self._switching is not None:
            await self._switching.close()
        if self._forwarding is not None:
            await self._forwarding.close()
        for source in self._sources.values():
            await source.close()
        if self._watch is not None:
            await self._watch.close()
        if self._downloader is not None:
            await self._downloader.close()
        if self._switch is not None:
            await self._switch.close()
        if self._server is not None:
            await self._server.close()
        for group in self.groups.values():
            await group.stop()
        if self._directory is not None:
            self._directory.close()
            self._directory = None

    async def _start(self) -> Mapping[str, object]:
        schema = router_schema(self._yang)
        if not self._startup.exists():
            raise RouterStartError(
                f"{self._startup}: there is no such file", "give the router's startup file with --startup"
            )
        # Without the capability :startup, running itself is what outlasts a restart (RFC 6241 section 5.1)
        datastores = Datastores.load(schema, self._startup, file=self._startup)
        config = read_config(schema, datastores.running, self._startup.parent)
        self._directory = DataDirectory.open(self._data, config.device)
        await self._recover(config, self._directory)
        server = NetconfServer(
            schema,
            datastores,
            Accounts(config.server.accounts),
            host_key_file=self._data / config.server.host_key_file,
            limits=config.server.limits,
            events=self._data / "events",
        )
        self._server = server
        self._serve(server, schema, config)
        serve_cli(server, config.device, self._data / "rollback", VIEWS)
        datastores.on_commit(
            verify=lambda change: self._verify(schema, change),
            apply=lambda change: self._apply(schema, change),
        )
        for group in self.groups.values():
            group.start()
        if self._switch is not None:
            self._switch.start()
        if self._watch is not None:
            self._watch.start()
        facts = {"ready": True, "device": config.device, "netconf": await self._listen(server, config)}
        if config.server.tls is not None:
            facts["netconf-tls"] = await self._listen_tls(server, config.server.tls)
        self._added = added_leaves(schema)
        for entry in config.groups:
            await self._start_source(entry)
        if self._forwarding is not None:
            await self._forwarding.open()
        if self._switching is not None:
            await self._switching.start()
        if self._bfd is not None:
            await self._bfd.start()
        return facts

    async def _recover(self, config: RouterConfig, directory: DataDirectory) -> None:
        # While a table is filled nothing becomes garbage that only the collector could find
        gc.disable()
        loop = asyncio.get_running_loop()
        self._quota.limit = config.journal_limit
        for group in config.groups:
            began = loop.time()
            journal, recovered = GroupJournal.open(directory.group(group.id))
            for cut in recovered.cuts:
                log.warning("journal-cut", file=str(cut.path), octet=cut.octet, dropped=cut.dropped)
            self.groups[group.id] = Group(
                group,
                config.device,
                config.address,
                journal,
                recovered,
                trace=self._trace,
                alarms=self.alarms,
                quota=self._quota,
            )
            log.info(
                "journal-recovered",
                group=group.id,
                users=len(recovered.table),
                cursor=str(recovered.position.live),
                octets=recovered.octets,
                seconds=round(loop.time() - began, 3),
            )
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_GC_THRESHOLDS)
        gc.enable()

    def _serve(self, server: NetconfServer, schema: Schema, config: RouterConfig) -> None:
        inspector = Inspector(schema)
        self._downloader = Downloader(config.cloud, config.device, inspector)
        events, stream = server.stream("NETCONF"), server.stream(STREAM)

        def link_changed(far_end: str, link: Link, previous: str) -> None:
            # Groups with other timeouts see a link change at other moments; operators hear of the first.
            if switch.links().get(far_end) is link:
                at = switch.wall(link.since)
                events.publish(change_notification(config.device, far_end, link, previous, at))

        switch = Switch(config, self.groups, inspector, asyncio.get_running_loop().time, link_changed)
        self._switch = switch
        operations = Operations(server, self.groups, inspector, self._downloader, switch)
        operations.register()
        RbsOperations(server, switch).register()
        AuditOperations(server, self.groups).register()
        self._switching = Switching(
            self.groups,
            switch,
            cloud_heard=lambda: bool(self.link.sessions),
            is_cloud=operations.is_cloud,
            restart_source=self._restart_source,
        )
        self._switching.register(server)
        if config.dataplane is not None:
            tables = {name: group.member.users for name, group in self.groups.items()}
            self._forwarding = Forwarding(config.dataplane, tables, self._switching.forwards)
            self._switching.moved = self._forwarding.moved
        self._bfd = BfdWatch(config.bfd, self._switching.elections.values(), self.alarms, events)
        server.register_tree("/rui-bfd:bfd-sessions", self._bfd)
        server.register_tree(
            "/rui-identity:identity", IdentityTree(self.groups, config.device, config.address)
        )
        server.register_tree("/rui-link-status:link-status", LinkStatusTree(self.groups, self.link, switch))
        self.alarms.attach(events)
        self._watch = AlarmWatch(
            self.alarms,
            self.groups,
            switch,
            lambda: bool(self.link.sessions),
            self._quota,
            conflicts={name: ConflictWatch(name, group) for name, group in self.groups.items()},
        )
        server.register_tree("/rui-alarms:alarms", self.alarms)
        server.register_tree("/rui-user-info:user-info", UserInfoTree(self.groups))
        server.register_list(
            "/rui-user-info:user-info/group/user",
            Users(self.groups),
            outer_given=True,
        )

        def subscribed(subscription: Subscription) -> None:
            session = subscription.session
            if not operations.is_cloud(session.user):
                return
            switch.cloud_heard()
            previous = self.link.state
            opened = self.link.opened(session.id, f"{session.user} from {session.peer} has subscribed")
            if opened and not switch.groups:
                events.publish(self.link.notification(config.device, previous))

        def ended(subscription: Subscription) -> None:
            previous = self.link.state
            if self.link.closed(subscription.session.id, "the session is gone"):
                if not switch.groups:
                    events.publish(self.link.notification(config.device, previous))
                switch.cloud_cut()

        stream.on_subscribed(subscribed)
        stream.on_ended(ended)

    async def _listen(self, server: NetconfServer, config: RouterConfig) -> list[object]:
        where = config.server.listen
        facts: list[object] = []
        if where is not None:
            try:
                port = await server.listen(where.address, where.port)
            except OSError as error:
                raise RouterStartError(
                    f"cannot listen on {where.address} port {where.port}: {error.strerror or error}",
                    "stop whoever has that port, or change netconf-server/listen",
                ) from error
            facts = [where.address, port]
        for endpoint in config.server.call_home:
            if endpoint.tls is not None:
                # Wrong files are told of at the start, not only once the manager is called.
                server_context(endpoint.tls)
            # Spreads retries; guards no secret
            rng = random.Random()  # noqa: S311
            self._callers.append(
                asyncio.create_task(call_home(server, endpoint, rng), name=f"call-home-{endpoint.name}")
            )
        return facts

    async def _listen_tls(self, server: NetconfServer, tls: TlsListen) -> list[object]:
        where = tls.endpoint
        try:
            return [where.address, await server.listen_tls(where.address, where.port, tls.options)]
        except OSError as error:
            raise RouterStartError(
                f"cannot listen on {where.address} port {where.port}: {error.strerror or error}",
                "stop whoever has that port, or change netconf-server/tls",
            ) from error

    async def _restart_source(self, name: str) -> None:
        source = self._sources.pop(name, None)
        if source is not None:
            await source.close()
        await self._start_source(self.groups[name].config)

    async def _start_source(self, config: GroupConfig) -> None:
        group = self.groups[config.id]
        source: SimulatedSubscribers | DhcpSubscribers
        match config.source:
            case SimulatedSource() as simulated:
                source = SimulatedSubscribers(group, simulated, self._added)
            case DhcpSource() as dhcp:
                source = DhcpSubscribers(group, dhcp)
            case None:
                return
        self._sources[config.id] = source
        await source.start()

    def _verify(self, schema: Schema, change: Change) -> None:
        """Refuse what the model allows and this router cannot be."""
        try:
            old = read_config(schema, change.old, self._startup.parent)
            new = read_config(schema, change.new, self._startup.parent)
            Accounts(new.server.accounts)
        except (ConfigError, AccountError) as error:
            raise RpcError.invalid_value(str(error)) from error
        if old.device != new.device:
            raise RpcError.operation_failed(
                f"device-id stays {old.device} for the router's life: its journal is under that name"
            )

    def _apply(self, schema: Schema, change: Change) -> None:
        old = read_config(schema, change.old, self._startup.parent)
        new = read_config(schema, change.new, self._startup.parent)
        if self._server is not None and old.server.accounts != new.server.accounts:
            self._server.accounts.replace(new.server.accounts)
            log.info("accounts-changed", accounts=[account.name for account in new.server.accounts])
        self._apply_kernel(old, new)
        running = tuple(self._follow(group, old.groups) for group in new.groups)
        old_parts = (old.server.listen, old.server.tls, _lasting(old.dataplane))
        unchanged = old_parts == (new.server.listen, new.server.tls, _lasting(new.dataplane))
        if running != old.groups or not unchanged:
            log.warning("configuration-takes-effect-at-restart", remedy="restart the router")

    def _apply_kernel(self, old: RouterConfig, new: RouterConfig) -> None:
        """Let other BFD sessions, and the data plane's times, take effect under way."""
        if self._bfd is not None and old.bfd != new.bfd:
            task = asyncio.create_task(self._apply_bfd(self._bfd, new.bfd), name="bfd-apply")
            self._applying.add(task)
            task.add_done_callback(self._applying.discard)
        if self._forwarding is not None and new.dataplane is not None:
            self._forwarding.plane.retime(new.dataplane.gate_timeout, new.dataplane.withdraw_delay)

    @staticmethod
    async def _apply_bfd(watch: BfdWatch, config: BfdConfig) -> None:
        try:
            await watch.apply(config)
        except BfdSocketError as error:
            log.error("bfd-not-configured", reason=str(error), remedy="correct bfd and commit again")

    def _follow(self, group: GroupConfig, old: tuple[GroupConfig, ...]) -> GroupConfig:
        """Change a simulated source under way; return the group without what has so taken effect."""
        source = self._sources.get(group.id)
        before = next((known.source for known in old if known.id == group.id), None)
        if not (isinstance(source, SimulatedSubscribers) and isinstance(group.source, SimulatedSource)):
            return group
        if group.source != before:
            source.change(group.source)
        return replace(group, source=before)


def _lasting(plane: DataPlaneConfig | None) -> DataPlaneConfig | None:
    """Return what of a data plane's configuration takes effect at a restart only."""
    return replace(plane, gate_timeout=0.0, withdraw_delay=0.0) if plane is not None else None


def _refusal(error: BaseException, startup: Path) -> RouterStartError | None:
    """Say what an expected failure means to whoever started the router; None for one that is not expected."""
    match error:
        case RouterStartError():
            return error
        case StartupError() | ConfigError():
            return RouterStartError(str(error), f"correct {startup}")
        case SchemaError():
            return RouterStartError(str(error), "reinstall rui-cloud, or correct the module")
        case DataDirectoryError():
            return RouterStartError(error.reason, error.remedy)
        case HostKeyError():
            return RouterStartError(str(error), "correct netconf-server/host-key-file")
        case TlsError():
            return RouterStartError(
                str(error), f"correct tls or call-home-tls of netconf-server in {startup}"
            )
        case AccountError():
            return RouterStartError(str(error), f"correct the account in {startup}")
        case TransportError():
            return RouterStartError(str(error), f"correct the group's dhcp source in {startup}")
        case VrrpTransportError():
            return RouterStartError(str(error), f"correct the group's vrrp in {startup}")
        case DataPlaneError():
            return RouterStartError(str(error), f"correct data-plane in {startup}, or the system")
        case BfdSocketError():
            return RouterStartError(str(error), f"correct bfd in {startup}")
    return None
