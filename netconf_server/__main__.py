"""`python -m netconf_server`: serve any YANG modules from the command line."""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import MutableMapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import structlog

from netconf_server.accounts import Account, AccountError, Accounts, hash_password
from netconf_server.capabilities import load_schema
from netconf_server.certnames import CertToName, MapType
from netconf_server.datastores import Datastores
from netconf_server.hostkey import HostKeyError
from netconf_server.limits import Limits
from netconf_server.loop import run
from netconf_server.nacmrules import MODULE as ACCESS_CONTROL
from netconf_server.persist import StartupError
from netconf_server.server import NetconfServer
from netconf_server.tlscontext import TlsError, TlsOptions
from rui.schema import SchemaError
from rui.schema.leaves import ConfigError

# A message is thousands of short-lived objects; Python's own thresholds would collect all the time.
_GC_THRESHOLDS = (50_000, 20, 50)


class UsageError(Exception):
    """What was asked for on the command line cannot be done; the text says why."""


_CANNOT_START = (
    UsageError, SchemaError, StartupError, ConfigError, AccountError, HostKeyError, TlsError, OSError,
)  # fmt: skip


def main(arguments: list[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; return the exit status, 2 when it cannot start (stderr says why)."""
    options = _parser().parse_args(arguments)
    _configure_logs()
    try:
        run(_serve(options))
    except _CANNOT_START as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's own words
        return 2
    return 0


def _configure_logs() -> None:
    """Write events to standard error, as JSON unless that is a terminal.

    Tracebacks are plain: the values in them may be passwords.
    """
    terminal = sys.stderr.isatty()
    console = structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
    file = (structlog.processors.format_exc_info, _line)
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            *((console,) if terminal else file),
        ],
        cache_logger_on_first_use=True,
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
        if terminal
        else structlog.BytesLoggerFactory(sys.stderr.buffer),
    )


# Every change is logged before it is answered, so this one encoder is for all events.
_JSON = json.JSONEncoder(default=str)


def _line(_logger: object, _method: str, event: MutableMapping[str, Any]) -> bytes:
    """The last of structlog's processors: an event as JSON."""
    return _JSON.encode(event).encode()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m netconf_server", description="A NETCONF server for any YANG model."
    )
    for option, kind, name, what in (
        ("--yang", Path, "DIR", "folders of modules"),
        ("--module", str, "NAME", "modules to implement"),
        ("--feature", str, "MODULE:FEATURE", "features to enable"),
    ):
        parser.add_argument(
            option, type=kind, action="extend", nargs="+", default=[], metavar=name, help=what
        )
    parser.add_argument("--startup", type=Path, metavar="FILE", help="configuration to start with")
    parser.add_argument(
        "--running", type=Path, metavar="FILE", help="where running is kept (default: --startup)"
    )
    parser.add_argument(
        "--startup-datastore",
        action="store_true",
        help="have a datastore startup, and keep it instead of running (:startup)",
    )
    parser.add_argument(
        "--url-folder", type=Path, metavar="DIR", help="folder of configurations that urls may name (:url)"
    )
    parser.add_argument("--listen", default="127.0.0.1:830", metavar="HOST:PORT", help="default %(default)s")
    parser.add_argument("--user", default=os.environ.get("USER", "admin"), metavar="NAME")
    parser.add_argument("--password-file", type=Path, metavar="FILE", help="its first line is the password")
    parser.add_argument(
        "--hold-to-rules",
        action="store_true",
        help="hold the user to the rules of ietf-netconf-acm; else his sessions are recovery sessions",
    )
    parser.add_argument(
        "--max-sessions", type=int, default=Limits.max_sessions, metavar="N", help="default %(default)s"
    )
    parser.add_argument("--authorized-keys", type=Path, metavar="FILE", help="public keys, one a line")
    parser.add_argument(
        "--host-key", type=Path, default=Path("netconf_host_key"), metavar="FILE", help="made if missing"
    )
    for option, name, what in (
        ("--tls-listen", "HOST:PORT", "listen for TLS too (RFC 7589)"),
        ("--tls-certificate", "FILE", "the server's certificate and those above it (PEM)"),
        ("--tls-key", "FILE", "its private key (PEM)"),
        ("--tls-trust", "FILE", "whose certificates are the user's (PEM)"),
    ):
        parser.add_argument(option, metavar=name, help=what)
    parser.add_argument(
        "--events",
        type=Path,
        metavar="DIR",
        help="folder where events are kept for replay (default: none are)",
    )
    return parser


async def _serve(options: argparse.Namespace) -> None:
    if not options.module:
        raise UsageError("no --module: name at least one module to serve")
    if options.url_folder is not None and not options.url_folder.is_dir():
        raise UsageError(f"--url-folder {options.url_folder}: there is no such folder; make it first")
    features = _features(options)
    # Rules that nobody can write would hold the user to nothing.
    modules = [*options.module, *([ACCESS_CONTROL] if options.hold_to_rules else [])]
    schema = load_schema(modules, options.yang, features=features)
    unknown = sorted(features.keys() - {module.name for module in schema.modules})
    if unknown:
        raise UsageError(f"--feature {unknown[0]}:…: that module is not served; name it with --module")
    datastores = Datastores.load(schema, options.startup, file=options.running or options.startup)
    tls = _tls(options)
    account = _account(options.user, options.password_file, options.authorized_keys, by_certificate=bool(tls))
    accounts = Accounts([replace(account, recovery=not options.hold_to_rules)])
    server = NetconfServer(
        schema,
        datastores,
        accounts,
        host_key_file=options.host_key,
        limits=Limits(max_sessions=options.max_sessions),
        events=options.events,
        url_folder=options.url_folder,
    )
    host, port = _endpoint(options.listen)
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    bound = await server.listen(host, port)
    # What the models are made of stays as long as the process; no collection has to look at it.
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
    print(f"netconf on {host}:{bound}, host key {server.host_key}", flush=True)  # noqa: T201
    if tls is not None:
        host, port = _endpoint(options.tls_listen)
        print(f"netconf over tls on {host}:{await server.listen_tls(host, port, tls)}", flush=True)  # noqa: T201
    await stop.wait()
    await server.close()


def _features(options: argparse.Namespace) -> dict[str, list[str]]:
    own = [("startup", options.startup_datastore), ("url", options.url_folder is not None)]
    features = {"ietf-netconf": [name for name, wanted in own if wanted]}
    for text in options.feature:
        module, _, feature = text.partition(":")
        if not feature:
            raise UsageError(f"--feature {text}: give MODULE:FEATURE")
        features.setdefault(module, []).append(feature)
    return features


def _tls(options: argparse.Namespace) -> TlsOptions | None:
    """What TLS is set up with: whoever has a trusted certificate is the one user."""
    files = [options.tls_certificate, options.tls_key, options.tls_trust]
    if options.tls_listen is None and not any(files):
        return None
    if options.tls_listen is None or not all(files):
        raise UsageError("TLS needs --tls-listen, --tls-certificate, --tls-key and --tls-trust")
    certificate, key, trust = map(Path, files)
    return TlsOptions(certificate, key, trust, (CertToName(MapType.SPECIFIED, name=options.user),))


def _account(
    user: str, password_file: Path | None, keys_file: Path | None, *, by_certificate: bool
) -> Account:
    if password_file is None and keys_file is None and not by_certificate:
        raise UsageError("nobody could log in: give --password-file, --authorized-keys or --tls-trust")
    hashed = None
    if password_file is not None:
        lines = password_file.read_text(encoding="utf-8").splitlines()
        if not lines or not lines[0]:
            raise UsageError(f"{password_file}: the first line is empty; put the password there")
        hashed = hash_password(lines[0])
    keys: tuple[str, ...] = ()
    if keys_file is not None:
        text = keys_file.read_text(encoding="utf-8")
        keys = tuple(line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    return Account(user, hashed, keys)


def _endpoint(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit() or int(port) > 65535:
        raise UsageError(f"--listen {text}: give HOST:PORT, such as 127.0.0.1:830")
    return host.strip("[]"), int(port)


if __name__ == "__main__":
    sys.exit(main())
