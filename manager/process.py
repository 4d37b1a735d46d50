"""The manager as one process: what starts in which order, and how it stops."""

from __future__ import annotations

import asyncio
import gc
import random
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import structlog
from lxml import etree

from manager.alarms import Alarms
from manager.alarmwatch import AlarmWatch
from manager.config import MODULES, Endpoint, ManagerConfig, read_config
from manager.events import Events
from manager.follow import Follower
from manager.homes import Homes, check_homes
from manager.northbound import Northbound
from manager.service import Service
from manager.store import SqliteOptions, Store, StoreError, open_sqlite
from manager.sync.service import ConfigSync
from netconf_cli import serve_cli
from netconf_client import ConnectFailed
from netconf_server import (
    AccountError,
    Accounts,
    Datastores,
    HostKeyError,
    NetconfServer,
    StartupError,
    TlsError,
    load_schema,
)
from rui.backup.trace import Trace
from rui.schema import Schema, SchemaError
from rui.schema.files import find_modules
from rui.schema.leaves import ConfigError
from rui.views import VIEWS

log = structlog.get_logger()

STORE_FILE = "store.sqlite"
CLI_NAME = "cloud"
"""What the command line's prompt calls the cloud device."""

# Batches are thousands of short-lived values without cycles; the schema's many values live as long as we.
_GC_THRESHOLDS = (50_000, 20, 50)

Ready = Callable[[Mapping[str, object]], None]
"""Is told once that the manager serves, and where."""


class StartError(Exception):
    """The manager cannot start; the text says what and where, ``remedy`` what to do."""

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


async def run(
    startup: Path, data: Path, ready: Ready, trace: Trace | None = None, yang: Sequence[Path] = ()
) -> None:
    """Run until SIGTERM or SIGINT; ``trace`` is told what becomes of changes; ``yang`` are
    folders with the operator's own modules. Raises StartError.
    """
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        async with AsyncExitStack() as stack:
            facts = await _start(startup, data, stack, trace, yang)
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_GC_THRESHOLDS)
            ready({"ready": True, **facts})
            log.info("manager-ready", **facts)
            await stop.wait()
            log.info("manager-stopping")
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _start(
    startup: Path, data: Path, stack: AsyncExitStack, trace: Trace | None, yang: Sequence[Path]
) -> dict[str, object]:
    """Start all parts in order, each undone by the stack; return where the manager is reached."""
    schema = _load_schema(yang)
    datastores = _load_datastores(schema, startup)
    config = _read(schema, datastores.running, startup, data)
    _make_folder(data)
    store = await _open_store(data / STORE_FILE, config)
    stack.push_async_callback(store.close)
    events, alarms = Events(), Alarms()
    rng = random.Random()  # noqa: S311 - spreads retries
    service = Service(config, schema, store, rng, events.tell, alarms=alarms, trace=trace)
    server = _make_server(schema, datastores, config, data / "events")
    events.attach(server.stream("NETCONF"))
    alarms.attach(server.stream("NETCONF"))
    server.register_tree("/rui-alarms:alarms", alarms)
    Northbound(service).register(server)
    sync = ConfigSync(service, datastores, data / "config-sync", server.stream("NETCONF"), yang)
    sync.register(server)
    serve_cli(server, CLI_NAME, data / "rollback", VIEWS)
    stack.push_async_callback(server.close)
    facts: dict[str, object] = {}
    if config.server.listen is not None:
        facts["netconf"] = await _listen("netconf-server/listen", server.listen, config.server.listen)
    if config.server.tls_listen is not None and config.server.tls is not None:
        listen_tls = partial(server.listen_tls, options=config.server.tls)
        facts["netconf-tls"] = await _listen("netconf-server/tls", listen_tls, config.server.tls_listen)
    homes = Homes(service.called_home, config)
    stack.push_async_callback(homes.close)
    await service.start()
    stack.push_async_callback(service.close)
    sync.start()
    stack.push_async_callback(sync.close)
    watch = AlarmWatch(alarms, service)
    watch.start()
    stack.push_async_callback(watch.close)
    if config.server.call_home_listen is not None:
        endpoint = config.server.call_home_listen
        facts["call-home"] = await _listen("netconf-server/call-home-listen", homes.listen, endpoint)
    if config.server.call_home_tls_listen is not None:
        facts["call-home-tls"] = await _listen(
            "netconf-server/call-home-tls-listen", homes.listen_tls, config.server.call_home_tls_listen
        )
    Follower(schema, (startup.parent, data), server.accounts, service, homes).follow(datastores)
    return facts


def _load_schema(yang: Sequence[Path]) -> Schema:
    try:
        return load_schema((*MODULES, *find_modules(yang)), yang, kept="" if yang else "manager")
    except SchemaError as error:
        raise StartError(f"the YANG modules do not compile:\n{error}", "install the package anew") from error


def _load_datastores(schema: Schema, startup: Path) -> Datastores:
    if not startup.exists():
        raise StartError(
            f"{startup}: there is no such file", "give the manager's startup file with --startup"
        )
    try:
        # Running is kept in the startup file itself: what was configured holds after a restart, and what is
        # written there by hand too.
        return Datastores.load(schema, startup, file=startup)
    except StartupError as error:
        raise StartError(str(error), "correct the startup file") from error


def _read(schema: Schema, running: etree._Element, startup: Path, data: Path) -> ManagerConfig:
    try:
        config = read_config(schema, running, startup.parent, data)
        Accounts(config.server.accounts)
        check_homes(config)
    except ConfigError as error:
        raise StartError(f"{startup}: {error}", "correct the startup file") from error
    except AccountError as error:
        raise StartError(f"{startup}: {error}", "correct the account in the startup file") from error
    return config


def _make_folder(data: Path) -> None:
    try:
        data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StartError(
            f"{data}: the data folder cannot be made: {error.strerror}", "give another one with --data-dir"
        ) from error


async def _open_store(path: Path, config: ManagerConfig) -> Store:
    profiles = (config.default_profile, *config.groups.values())
    tombstones = max(profile.tombstones for profile in profiles)
    try:
        return await open_sqlite(path, SqliteOptions(tombstones=tombstones))
    except StoreError as error:
        raise StartError(str(error), "see above; nothing was changed") from error


def _make_server(
    schema: Schema, datastores: Datastores, config: ManagerConfig, events: Path
) -> NetconfServer:
    try:
        return NetconfServer(
            schema,
            datastores,
            Accounts(config.server.accounts),
            host_key_file=config.server.host_key_file,
            limits=config.server.limits,
            events=events,
        )
    except ConfigError as error:
        raise StartError(str(error), "correct the rule in the startup file") from error
    except HostKeyError as error:
        raise StartError(str(error), "see above") from error


async def _listen(
    place: str, listen: Callable[[str, int], Awaitable[int]], endpoint: Endpoint
) -> list[object]:
    try:
        port = await listen(endpoint.address, endpoint.port)
    except (TlsError, ConnectFailed) as error:
        raise StartError(str(error), f"correct {place} in the startup file") from error
    except OSError as error:
        raise StartError(
            f"/rui-cloud:cloud/{place}: cannot listen on {endpoint.address} port {endpoint.port}: "
            f"{error.strerror or error}",
            "stop what listens there, or configure another port",
        ) from error
    return [endpoint.address, port]
