"""Configuration sync as the manager offers it: an operation, a state tree, and a watch for drift."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog
from lxml import etree

from manager.devices import LinkState
from manager.service import Service
from manager.sync.config import NAMESPACE, Intended, read_intended
from manager.sync.decisions import Decisions
from manager.sync.device import Device, DeviceError, NetconfDevice, Refusal
from manager.sync.synchroniser import Finding, Result, Synchroniser
from netconf_client import NetconfClientError, connect
from netconf_server import Datastores, NetconfServer, Reply, RpcCall, Stream
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui.schema import Schema, router_schema

log = structlog.get_logger()

_CONNECT_TIMEOUT = 15.0
_SETTLE_EVERY = 5.0
_LONGEST_DIFF = 64 * 1024


class ConfigSync:
    """Give it to a server by `register`, then `start`. `yang` are folders with the operator's modules."""

    def __init__(
        self, service: Service, datastores: Datastores, folder: Path, stream: Stream, yang: Sequence[Path]
    ) -> None:
        self._service = service
        self._datastores = datastores
        self._stream = stream
        self._yang = tuple(yang)
        self._schema: Schema | None = None
        self._loading = asyncio.Lock()
        self._work = Synchroniser(self._reach, Decisions(folder), self._model)
        self._found: dict[tuple[str, str], tuple[Finding, str]] = {}
        self._due: dict[str, float] = {}
        self._read_from: etree._Element | None = None
        self._groups: dict[str, Intended] = {}
        self._changed = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    def register(self, server: NetconfServer) -> None:
        """Offer the operation and the state."""
        server.register_rpc(f"{{{NAMESPACE}}}sync-config", self._sync)
        server.register_tree("/rui-config-sync:config-sync-state", self)
        self._datastores.on_commit(apply=lambda _: self._changed.set())

    def start(self) -> None:
        """Watch for drift, and finish what an earlier run broke off."""
        self._watch = asyncio.get_running_loop().create_task(self._watch_forever(), name="config-sync")

    async def close(self) -> None:
        """End the watch."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)

    # --- what it offers

    def read(self) -> etree._Element | None:
        """The state tree: what was found last at each member."""
        top = etree.Element(f"{{{NAMESPACE}}}config-sync-state", nsmap=names.nsmap(NAMESPACE))
        for (group, device), (finding, checked) in sorted(self._found.items()):
            entry = etree.SubElement(top, f"{{{NAMESPACE}}}member")
            _leaf(entry, "group-id", group)
            _leaf(entry, "device-id", device)
            _leaf(entry, "state", finding.state)
            _leaf(entry, "checked", checked)
            _write(entry, finding, finding.refusal)
        return top

    async def _sync(self, call: RpcCall) -> Reply:
        group = call.operation.findtext(f"{{{NAMESPACE}}}group-id") or ""
        intended = self._intended().get(group)
        if intended is None:
            raise RpcError.data_missing(
                f"group {group} has no config-sync: add it to /rui-cloud:cloud/group[group-id='{group}']"
            )
        dry = call.operation.find(f"{{{NAMESPACE}}}dry-run") is not None
        return _reply(await self._carry_out(intended, dry_run=dry))

    async def _carry_out(self, intended: Intended, *, dry_run: bool = False) -> Result:
        try:
            result = await self._work.sync(intended, dry_run=dry_run)
        except OSError as error:
            raise RpcError.resource_denied(f"the decision cannot be written: {error.strerror}") from error
        findings = result.findings
        if result.verdict == "committed":
            findings = await self._work.look(intended)
        self._keep(intended, findings)
        return result

    # --- the watch

    async def _watch_forever(self) -> None:
        settled = False
        while True:
            self._changed.clear()
            groups = self._intended()
            try:
                settled = settled or await self._work.settle(groups)
                for intended in groups.values():
                    await self._look_if_due(intended)
            except Exception:
                log.exception("config-sync-failed")
            for key in [key for key in self._found if key[0] not in groups]:
                del self._found[key]
            times = [self._due[name] for name, group in groups.items() if group.interval]
            wait = min(times, default=float("inf")) - asyncio.get_running_loop().time()
            try:
                limit = wait if settled else min(wait, _SETTLE_EVERY)
                async with asyncio.timeout(None if limit == float("inf") else max(limit, 0.05)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    async def _look_if_due(self, intended: Intended) -> None:
        now = asyncio.get_running_loop().time()
        if not intended.interval or self._due.get(intended.group, 0.0) > now:
            self._due.setdefault(intended.group, now)
            return
        self._due[intended.group] = now + intended.interval
        findings = await self._work.look(intended)
        self._keep(intended, findings)
        if intended.repairs and any(finding.state == "drifted" for finding in findings):
            result = await self._carry_out(intended)
            log.info("config-repaired", group=intended.group, verdict=result.verdict)

    def _keep(self, intended: Intended, findings: Sequence[Finding]) -> None:
        """Keep what was found, and tell what is new."""
        now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
        for finding in findings:
            before, _ = self._found.get((intended.group, finding.device), (None, ""))
            self._found[intended.group, finding.device] = (finding, now)
            old = before.state if before is not None else "in-sync"
            if finding.state == old:
                continue
            tell = log.info if finding.state == "in-sync" else log.warning
            tell(
                "config-drift",
                group=intended.group,
                device=finding.device,
                state=finding.state,
                differences=len(finding.plan.differences) if finding.plan is not None else 0,
                reason=finding.refusal.reason if finding.refusal is not None else "",
            )
            self._stream.publish(_drift(intended.group, finding))

    # --- what it needs

    def _intended(self) -> dict[str, Intended]:
        """The intended configurations of running, read anew when it has changed."""
        running = self._datastores.running
        if self._read_from is not running:
            self._read_from = running
            self._groups = read_intended(self._datastores.schema.complete_config(running))
        return self._groups

    async def _model(self) -> Schema:
        """The members' model, compiled beside the loop when it is first needed."""
        async with self._loading:
            if self._schema is None:
                self._schema = await asyncio.to_thread(router_schema, self._yang)
        return self._schema

    @asynccontextmanager
    async def _reach(self, name: str) -> AsyncIterator[Device]:
        """Open a device: over the session that is kept with it, or one of its own where there is none."""
        validates = all(
            member.validates
            for intended in self._intended().values()
            for member in intended.members
            if member.device == name
        )
        link = self._service.links.get(name)
        if link is None:
            raise DeviceError(Refusal(name, "connect", "it is not in /rui-cloud:cloud/device", lost=True))
        if link.state is LinkState.CONNECTED:
            yield NetconfDevice(name, link.rpc, validates=validates)
            return
        config = link.config
        if config.call_home or not config.enabled:
            raise DeviceError(Refusal(name, "connect", link.last_error or "there is no session", lost=True))
        try:
            session = await connect(config.target, driver=config.driver, timeout=_CONNECT_TIMEOUT)
        except NetconfClientError as error:
            raise DeviceError(Refusal(name, "connect", str(error), lost=True)) from error

        async def send(operation: etree._Element) -> etree._Element:
            return (await session.rpc(operation)).element

        try:
            yield NetconfDevice(name, send, validates=validates)
        finally:
            await session.close()


def _reply(result: Result) -> list[etree._Element]:
    verdict = etree.Element(f"{{{NAMESPACE}}}result", nsmap=names.nsmap(NAMESPACE))
    verdict.text = result.verdict
    refusals = {refusal.device: refusal for refusal in result.refusals}
    body = [verdict]
    for finding in result.findings:
        entry = etree.Element(f"{{{NAMESPACE}}}member", nsmap=names.nsmap(NAMESPACE))
        _leaf(entry, "device-id", finding.device)
        _write(entry, finding, refusals.get(finding.device))
        body.append(entry)
    return body


def _drift(group: str, finding: Finding) -> etree._Element:
    top = etree.Element(f"{{{NAMESPACE}}}config-drift", nsmap=names.nsmap(NAMESPACE))
    _leaf(top, "group-id", group)
    _leaf(top, "device-id", finding.device)
    _leaf(top, "state", finding.state)
    _write(top, finding, finding.refusal)
    return top


def _write(entry: etree._Element, finding: Finding, refusal: Refusal | None) -> None:
    if finding.plan is not None:
        _leaf(entry, "differences", str(len(finding.plan.differences)))
        _leaf(entry, "diff", finding.diff[:_LONGEST_DIFF])
    if refusal is not None:
        _leaf(entry, "step", refusal.step)
        _leaf(entry, "path", refusal.path)
        _leaf(entry, "reason", refusal.reason)


def _leaf(parent: etree._Element, name: str, text: str) -> None:
    if text:
        etree.SubElement(parent, f"{{{NAMESPACE}}}{name}").text = text
