"""`rui audit`: compare what all holders of each group hold, and name the keys that differ."""

import asyncio
import json
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from lxml import etree
from rich.console import Console
from rich.table import Table

from netconf_client import ClientSession, KnownHosts, NetconfClientError, PinnedKey, Target, connect
from rui.backup.audit import narrow
from rui.backup.audit_wire import RemoteHolder
from rui.backup.wire import IDENTITY, WireError
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui_cli import logs
from rui_cli.errors import CliError, ExitCode
from rui_cli.tables import Holding, ask_holding

app = typer.Typer()

CLOUD = "cloud"
_CONFIGURATION = "urn:rui-cloud:yang:cloud"
_CONNECT_SECONDS = 10.0
_RPC_SECONDS = 60.0
_PAUSE = 0.2
_SHOWN = 10


@dataclass(frozen=True)
class Login:
    """How an operator logs in, the same at every device."""

    user: str
    password: str | None
    key: Path | None
    known_hosts: Path

    def target(self, where: str, pinned: str | None = None) -> Target:
        """Return how to reach `HOST:PORT`; a pinned host key comes before the file. Raises CliError."""
        host, _, port = where.rpartition(":")
        if not host or not port.isdigit():
            raise CliError(f"{where} is not HOST:PORT", remedy="write for example 192.0.2.1:830")
        return Target(
            host.strip("[]"),
            self.user,
            PinnedKey(pinned) if pinned else KnownHosts(self.known_hosts),
            port=int(port),
            password=self.password,
            client_keys=(self.key,) if self.key else (),
        )


@dataclass(frozen=True)
class Device:
    """An open session with a router or the manager, and its role in each group that it holds."""

    name: str
    session: ClientSession
    roles: dict[str, str]


@dataclass
class Copy:
    """What one device holds of a group, and the keys in which it differs from the reference."""

    device: str
    role: str
    cursor: str
    records: int
    quarantined: int
    digest: str
    agrees: bool = True
    keys: list[str] = field(default_factory=list)


@dataclass
class Verdict:
    """All copies of one group; `reference` is the one that the others are compared with."""

    group: str
    reference: str
    copies: list[Copy]

    @property
    def agrees(self) -> bool:
        """Whether all copies are the same."""
        return all(copy.agrees for copy in self.copies)


@app.callback(invoke_without_command=True)
def audit(
    *,
    manager: Annotated[
        str | None, typer.Option(metavar="HOST:PORT", help="The manager; alone: it, and all that it dials.")
    ] = None,
    router: Annotated[list[str] | None, typer.Option(metavar="HOST:PORT", help="A router; repeat.")] = None,
    user: Annotated[str, typer.Option(help="Account at every device.")] = "operator",
    password_file: Annotated[
        Path | None, typer.Option(metavar="FILE", help="File whose first line is its password.")
    ] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Private key to log in with.")] = None,
    known_hosts: Annotated[
        Path, typer.Option(metavar="FILE", help="Host keys to trust, in OpenSSH's form.")
    ] = Path("~/.ssh/known_hosts"),
    group: Annotated[list[str] | None, typer.Option(help="Only this group; repeat. Default: all.")] = None,
    within: Annotated[
        float, typer.Option(min=0.0, max=600.0, help="Seconds to wait for equal cursors under load.")
    ] = 5.0,
    json_file: Annotated[Path | None, typer.Option("--json", metavar="FILE", help="Write JSON too.")] = None,
) -> None:
    """Compare the digests of all holders of each group; exit code 1 where they differ."""
    if manager is None and not router:
        raise CliError("nothing to compare", remedy="give --manager HOST:PORT, or --router twice")
    logs.configure(quiet=True)
    login = Login(user, _password(password_file), key, known_hosts.expanduser())
    try:
        verdicts = asyncio.run(_audit(login, manager, router or [], frozenset(group or []), within))
    except (NetconfClientError, RpcError, WireError) as error:
        raise CliError(f"a device does not answer: {error}", remedy="see its log, then try again") from error
    if json_file is not None:
        found = [{**asdict(verdict), "agrees": verdict.agrees} for verdict in verdicts]
        json_file.write_text(json.dumps({"groups": found}, indent=2) + "\n", encoding="utf-8")
    _show(verdicts)
    if not all(verdict.agrees for verdict in verdicts):
        raise typer.Exit(ExitCode.CHECK_FAILED)


async def _audit(
    login: Login, manager: str | None, routers: Sequence[str], groups: frozenset[str], within: float
) -> list[Verdict]:
    async with AsyncExitStack() as stack:
        targets = [login.target(where) for where in routers]
        devices: list[Device] = []
        if manager is not None:
            session = await _open(stack, login.target(manager))
            devices.append(Device(CLOUD, session, (await _roles(session))[1]))
            targets = targets or await _dialled(login, session)
        for target in targets:
            session = await _open(stack, target)
            devices.append(Device(*await _named(session, target)))
        held = sorted({name for device in devices for name in device.roles})
        chosen = [name for name in held if not groups or name in groups]
        missing = ", ".join(sorted(groups - set(held)))
        if missing or not chosen:
            raise CliError(
                f"nobody holds {missing or 'any group'}", remedy=f"known here: {', '.join(held) or 'none'}"
            )
        return [await compare(name, devices, within) for name in chosen]


async def compare(group: str, devices: Sequence[Device], within: float) -> Verdict:
    """Compare a group's copies until they are equal, for `within` seconds at most; then name what differs.

    Raises RpcError, NetconfClientError and WireError.
    """
    holders = [device for device in devices if group in device.roles]
    rank = {"primary": 0, "": 1}
    reference = min(holders, key=lambda device: rank.get(device.roles[group], 2))
    deadline = time.monotonic() + within
    while True:
        held = [await ask_holding(device.session, group) for device in holders]
        settled = len({holding.cursor for holding in held}) == 1
        if settled or time.monotonic() > deadline:
            break
        await asyncio.sleep(_PAUSE)
    copies = [_copy(device, group, holding) for device, holding in zip(holders, held, strict=True)]
    if len({copy.digest for copy in copies}) > 1:
        for device, copy in zip(holders, copies, strict=True):
            if device is not reference:
                copy.keys = await _differing(group, reference, device)
                copy.agrees = not copy.keys
    return Verdict(group, reference.name, copies)


async def _differing(group: str, reference: Device, device: Device) -> list[str]:
    """Return the keys that differ in two looks: what changed between the two sides of one is none."""
    looks = []
    for pause in (0.0, 2 * _PAUSE):
        await asyncio.sleep(pause)
        looks.append(set(await narrow(_holder(reference, group), _holder(device, group))))
        if not looks[-1]:
            return []
    return sorted(key.decode() for key in looks[0] & looks[1])


def _holder(device: Device, group: str) -> RemoteHolder:
    async def ask(operation: etree._Element) -> etree._Element:
        return (await device.session.rpc(operation, timeout=_RPC_SECONDS)).element

    return RemoteHolder(group, ask)


def _copy(device: Device, group: str, held: Holding) -> Copy:
    role = device.roles[group]
    return Copy(device.name, role, str(held.cursor), held.count, held.quarantined, held.digest)


async def _open(stack: AsyncExitStack, target: Target) -> ClientSession:
    session = await connect(target, timeout=_CONNECT_SECONDS)
    stack.push_async_callback(session.close)
    return session


async def _named(session: ClientSession, target: Target) -> tuple[str, ClientSession, dict[str, str]]:
    name, roles = await _roles(session)
    return name or target.where, session, roles


async def _roles(session: ClientSession) -> tuple[str, dict[str, str]]:
    """Return a device's own name, and its role by group; the manager has neither."""
    identity = etree.Element(f"{{{IDENTITY}}}identity", nsmap=names.nsmap(IDENTITY))
    data = (await session.get(identity, timeout=_RPC_SECONDS)).data
    name, roles = "", {}
    for entry in data.iter(f"{{{IDENTITY}}}group"):
        role = entry.findtext(f"{{{IDENTITY}}}role") or ""
        roles[entry.findtext(f"{{{IDENTITY}}}group-id") or ""] = role
        if role:
            name = entry.findtext(f"{{{IDENTITY}}}member/{{{IDENTITY}}}device-id") or name
    return name, roles


async def _dialled(login: Login, session: ClientSession) -> list[Target]:
    """Return the routers that the manager dials, with the host keys that it trusts."""
    top = etree.Element(f"{{{_CONFIGURATION}}}cloud", nsmap=names.nsmap(_CONFIGURATION))
    etree.SubElement(top, f"{{{_CONFIGURATION}}}device")
    data = (await session.get_config("running", top)).data
    found = []
    for entry in data.iter(f"{{{_CONFIGURATION}}}device"):
        address = entry.findtext(f"{{{_CONFIGURATION}}}address")
        if address is not None:
            port = entry.findtext(f"{{{_CONFIGURATION}}}port") or "830"
            found.append(login.target(f"{address}:{port}", entry.findtext(f"{{{_CONFIGURATION}}}host-key")))
    return found


def _password(path: Path | None) -> str | None:
    if path is None:
        return None
    try:
        return path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError) as error:
        raise CliError(f"{path}: {error}", remedy="its first line is the password") from error


def _show(verdicts: Sequence[Verdict]) -> None:
    console = Console()
    for verdict in verdicts:
        table = Table(title=f"group {verdict.group}, compared with {verdict.reference}")
        for column in ("device", "role", "cursor", "records", "quarantined", "digest", "result"):
            table.add_column(column, overflow="fold")
        for copy in verdict.copies:
            result = "agrees" if copy.agrees else f"{len(copy.keys)} keys differ"
            facts = (copy.device, copy.role, copy.cursor, str(copy.records), str(copy.quarantined))
            table.add_row(*facts, copy.digest[:12], result)
        console.print(table)
        for copy in verdict.copies:
            for key in copy.keys[:_SHOWN]:
                console.print(f"  {copy.device}: {key}", highlight=False)
            if len(copy.keys) > _SHOWN:
                console.print(f"  {copy.device}: and {len(copy.keys) - _SHOWN} more", highlight=False)
