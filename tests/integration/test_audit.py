"""What an operator has: copies that went wrong are found and mended, faults are alarms, paths are told."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, closing

import pytest
import pytest_asyncio
from lxml import etree

from netconf_client import PinnedKey, connect
from rui.backup.alarms_wire import NAMESPACE as ALARMS
from rui.backup.audit_wire import encode_audit, encode_resync
from rui.backup.messages import bucket_of
from rui.backup.wire import AUDIT
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived
from rui_cli.audit import Device, compare
from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, Group, Site
from tests.integration.router_rig import operational, texts
from tests.integration.site_rig import GROUP, WITHIN, Processes, until

pytestmark = pytest.mark.asyncio(loop_scope="module")
PRIMARY, SECONDARY = "bras-a", "bras-b"
ROLES = {MANAGER: "", PRIMARY: "primary", SECONDARY: "secondary"}
STRANGER = b"02:ff:00:00:00:ff/1/0"
LINKS = "urn:rui-cloud:yang:link-status"


class World(Processes):
    """Three processes under a light load."""

    async def audit(self, within: float = 10.0) -> dict[str, tuple[str, int]]:
        """Compare all copies now; return result and repaired keys by copy."""
        reply = await (await self.session(PRIMARY)).rpc(encode_audit(GROUP, within), timeout=WITHIN)
        return {
            entry.findtext(f"{{{AUDIT}}}name") or "": (
                entry.findtext(f"{{{AUDIT}}}result") or "",
                int(entry.findtext(f"{{{AUDIT}}}repaired") or 0),
            )
            for entry in reply.element.iterfind(f"{{{AUDIT}}}replica")
        }

    async def mismatches(self, name: str) -> list[tuple[str, str]]:
        """The history of digest-mismatch at a device: peer and what happened, oldest first."""
        tree = await operational(await self.session(name), ALARMS, "alarms")
        entries = [
            (entry.findtext(f"{{{ALARMS}}}peer") or "", entry.findtext(f"{{{ALARMS}}}change") or "")
            for entry in tree.iterfind(f"{{{ALARMS}}}history")
            if entry.findtext(f"{{{ALARMS}}}alarm-type-id") == "digest-mismatch"
        ]
        return entries[::-1]

    async def alarms(self, name: str) -> set[tuple[str, str]]:
        """What is raised at a device: type and peer."""
        tree = await operational(await self.session(name), ALARMS, "alarms")
        return {
            (alarm.findtext(f"{{{ALARMS}}}alarm-type-id") or "", alarm.findtext(f"{{{ALARMS}}}peer") or "")
            for alarm in tree.iterfind(f"{{{ALARMS}}}alarm")
            if alarm.findtext(f"{{{ALARMS}}}is-cleared") == "false"
        }

    async def level(self) -> None:
        """Wait until all three hold the same."""

        async def same() -> bool:
            found = [await self.holding(name) for name in (PRIMARY, MANAGER, SECONDARY)]
            return found[0] == found[1] == found[2]

        await until("all hold the same", same)

    def store(self) -> sqlite3.Connection:
        return sqlite3.connect(self.site.data(MANAGER) / "store.sqlite", timeout=10, isolation_level=None)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def world(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    tmp_path = tmp_path_factory.mktemp("audit")
    simulated = {"arrivals": "100", "initial-population": "500", "max-population": "100000"}
    group = Group(
        GROUP,
        PRIMARY,
        (SECONDARY,),
        simulated=simulated,
        router_leaves={"timers": {"link-timeout": "1000", "hold-time": "1000"}},
        cloud_leaves={"timers": {"link-timeout": "1000"}},
    )
    site = Site(tmp_path / "site", [group])
    site.write()
    async with AsyncExitStack() as stack:
        fleet = await stack.enter_async_context(Fleet(tmp_path))
        for name in site.devices:
            fleet.add(name, site.words(name))
        await fleet.start()
        world = World(site, fleet, stack)

        async def begun() -> bool:
            return {result for result, _ in (await world.audit(0.5)).values()} == {"agrees"}

        await until("copies agree at first", begun)
        yield world


async def test_a_store_that_lost_added_and_changed_records_is_mended_under_load(world: World) -> None:
    with closing(world.store()) as store:
        (group,) = store.execute("SELECT number FROM grp").fetchone()
        # Who has changed last will neither renew nor leave for a while
        newest = "SELECT key FROM session WHERE val NOT NULL ORDER BY version DESC LIMIT 3"
        keys = [row[0] for row in store.execute(newest)]
        store.execute("BEGIN IMMEDIATE")
        store.execute("DELETE FROM session WHERE key = ?", (keys[0],))
        store.execute("UPDATE session SET hash = hash + 1 WHERE key = ?", (keys[1],))
        store.execute(
            "INSERT INTO session (grp, bucket, key, version, hash, val) "
            "SELECT grp, ?, CAST(? AS BLOB), version, 7, val FROM session WHERE key = ? AND grp = ?",
            (bucket_of(STRANGER), STRANGER, keys[2], group),
        )
        store.execute("COMMIT")
    results = await world.audit()
    assert results[MANAGER] == ("agrees", 3)
    assert results[SECONDARY][0] == "agrees"
    assert (MANAGER, "raised") in await world.mismatches(PRIMARY)
    assert (await world.mismatches(PRIMARY))[-1] == (MANAGER, "cleared")

    async def cleared() -> bool:
        return (await world.mismatches(MANAGER))[-1][1] == "cleared"

    await until("the manager's alarm is cleared", cleared)
    await world.arrivals(0)
    await world.level()
    tree = await operational(await world.session(PRIMARY), LINKS, "link-status")
    assert texts(tree, "group/replica/audit-result") == ["agrees", "agrees"]
    assert texts(tree, "group/replica/repaired") == ["3", "0"]
    log = (world.fleet.folder / f"{MANAGER}.log").read_text()
    events = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    (differs,) = [event for event in events if event["event"] == "copy-differs"]
    assert set(differs["first"]) == {key.decode() for key in (*keys[:2], STRANGER)}


async def test_the_command_names_the_keys_that_differ(world: World) -> None:
    """`rui audit` under load: given the manager's address alone it finds the routers, and what differs."""
    secret = world.fleet.folder / "operator.password"
    secret.write_text(f"{world.site.target(MANAGER).password}\n")
    hosts = world.fleet.folder / "known_hosts"
    targets = {name: world.site.target(name) for name in world.site.devices}
    keys = {name: target.host_key for name, target in targets.items()}
    hosts.write_text(
        "".join(
            f"[{targets[name].host}]:{targets[name].port} {key.text}\n"
            for name, key in keys.items()
            if isinstance(key, PinnedKey)
        )
    )
    common = ("--within", "0.5", "--password-file", str(secret), "--known-hosts", str(hosts))
    report = world.fleet.folder / "audit.json"

    await world.arrivals(50)
    devices = [Device(name, await world.session(name), {GROUP: role}) for name, role in ROLES.items()]
    verdict = await compare(GROUP, devices, 0.5)
    assert (verdict.reference, verdict.agrees, len(verdict.copies)) == (PRIMARY, True, 3)
    with closing(world.store()) as store:
        (key,) = store.execute("SELECT key FROM session WHERE val NOT NULL LIMIT 1").fetchone()
        store.execute("UPDATE session SET hash = hash + 1 WHERE key = ?", (key,))
    words = ("--manager", targets[MANAGER].where, *common, "--json", str(report))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "rui_cli", "audit", *words, stdout=PIPE
    )
    said, code = (await process.communicate())[0].decode(), process.returncode
    (group,) = json.loads(report.read_text())["groups"]
    assert (code, group["reference"]) == (1, PRIMARY), said
    assert {copy["device"]: copy["keys"] for copy in group["copies"]} == {
        MANAGER: [key.decode()],
        PRIMARY: [],
        SECONDARY: [],
    }
    assert key.decode() in said
    assert (await world.audit())[MANAGER] == ("agrees", 1)


async def test_a_copy_is_sent_again_when_asked(world: World) -> None:
    await world.arrivals(0)
    await world.level()
    for name, replica in ((PRIMARY, MANAGER), (MANAGER, SECONDARY)):
        await (await world.session(name)).rpc(encode_resync(GROUP, replica))
    for name, operation, why in (
        (SECONDARY, encode_audit(GROUP), "ask the primary"),
        (PRIMARY, encode_resync(GROUP, SECONDARY), "nothing is sent to bras-b from here"),
        (MANAGER, encode_resync(GROUP, PRIMARY), "bras-a is not delivered to"),
        (PRIMARY, encode_audit("g9"), "there is no group 'g9' here"),
    ):
        with pytest.raises(RpcError, match=why):
            await (await world.session(name)).rpc(operation)
    assert {result for result, _ in (await world.audit()).values()} == {"agrees"}
    assert "an operator has asked" in (world.fleet.folder / f"{PRIMARY}.log").read_text()
    await world.level()


async def test_a_cloud_that_goes_away_is_an_alarm_until_it_is_back(world: World) -> None:
    watcher = await connect(world.site.target(PRIMARY), timeout=WITHIN)
    heard: list[tuple[str, str]] = []

    def hear(notification: NotificationReceived) -> None:
        content = notification.content
        if etree.QName(content).namespace == ALARMS:
            type_ = content.findtext(f"{{{ALARMS}}}alarm-type-id") or ""
            heard.append((etree.QName(content).localname, type_))

    watcher.on_notification(hear)
    await watcher.create_subscription("NETCONF")
    await world.arrivals(20)
    cloud = world.fleet.members[MANAGER]
    await cloud.kill()
    away = {("cloud-unreachable", "cloud"), ("local-backup-active", SECONDARY)}
    at_secondary = {("cloud-unreachable", "cloud"), ("local-backup-active", PRIMARY)}

    async def raised() -> bool:
        return away <= await world.alarms(PRIMARY) and at_secondary <= await world.alarms(SECONDARY)

    await until("the alarms are raised", raised)
    tree = await operational(await world.session(PRIMARY), LINKS, "link-status")
    assert texts(tree, "group/replica/name") == ["cloud", SECONDARY]
    assert texts(tree, "group/path/in-use") == ["local"]
    assert texts(tree, "group/history/in-use")[0] == "local"
    # On a busy machine the link is poor before it is down
    assert texts(tree, "group/history/step")[0] in ("S603a", "S603b", "S801a", "S802b")
    assert texts(tree, "group/path/since") == texts(tree, "group/history/time")[:1]
    await world.arrivals(0)
    await cloud.start()

    async def cleared() -> bool:
        return not (away & await world.alarms(PRIMARY)) and not (at_secondary & await world.alarms(SECONDARY))

    await until("the alarms are cleared", cleared)
    await world.level()
    for type_ in ("cloud-unreachable", "local-backup-active"):
        said = [what for what, name in heard if name == type_]
        assert said == ["alarm-raised", "alarm-cleared"] * (len(said) // 2), "each once, in turn"
        assert said
    await world.fleet.members[SECONDARY].kill()

    async def missed() -> bool:
        return ("device-unreachable", SECONDARY) in await world.alarms(MANAGER)

    await until("the manager misses the router", missed)
    await watcher.close()
