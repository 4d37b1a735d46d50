"""Configuration sync by a real manager at two real routers: planned, made, refused, drifted, repaired."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
import pytest_asyncio
from lxml import etree

from netconf_client import ClientSession, connect
from rui_cli.launch import Fleet
from rui_cli.site import CLOUD_NAMESPACE, DEVICE_NAMESPACE, MANAGER, Group, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

SYNC = "urn:rui-cloud:yang:config-sync"
NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
GROUP, ONE, OTHER = "access-1", "bras-a", "bras-b"
WITHIN = 120.0


@dataclass
class Field:
    site: Site
    fleet: Fleet
    cloud: ClientSession

    async def intend(self, common: str, own: dict[str, str], policy: str = "alarm") -> None:
        members = "".join(
            f"<member><device-id>{name}</device-id><own>{_group(leafs)}</own></member>"
            for name, leafs in own.items()
        )
        await self.cloud.edit_config(
            f'<cloud xmlns="{CLOUD_NAMESPACE}"><group><group-id>{GROUP}</group-id>'
            f'<config-sync xmlns="{SYNC}" xmlns:nc="urn:ietf:params:xml:ns:netconf:base:1.0" '
            f'nc:operation="replace"><policy>{policy}</policy><check-interval>1</check-interval>'
            f"<common>{_group(common)}</common>{members}</config-sync></group></cloud>".encode(),
            target="running",
        )

    async def sync(self, more: str = "") -> dict[str, dict[str, str]]:
        """Ask for a sync; return the leafs found by member, the result under an empty name."""
        reply = await self.cloud.rpc(
            f'<sync-config xmlns="{SYNC}"><group-id>{GROUP}</group-id>{more}</sync-config>'.encode()
        )
        result = {"": {"result": reply.element.findtext(f"{{{SYNC}}}result") or ""}}
        for member in reply.element.iterfind(f"{{{SYNC}}}member"):
            leafs = {etree.QName(leaf).localname: leaf.text or "" for leaf in member}
            result[leafs["device-id"]] = leafs
        return result

    def runs(self, name: str) -> str:
        return self.site.startup(name).read_text()

    async def state(self) -> dict[str, dict[str, str]]:
        data = (await self.cloud.get(f'<config-sync-state xmlns="{SYNC}"/>'.encode())).data
        entries = data.iter(f"{{{SYNC}}}member")
        found = [{etree.QName(leaf).localname: leaf.text or "" for leaf in entry} for entry in entries]
        return {leafs["device-id"]: leafs for leafs in found}

    async def alter(self, name: str, leafs: str) -> None:
        session = await connect(self.site.target(name))
        await session.edit_config(_group(leafs).encode(), target="running")
        await session.close()


def _group(leafs: str) -> str:
    return f'<device xmlns="{DEVICE_NAMESPACE}"><group><id>{GROUP}</id>{leafs}</group></device>'


async def eventually(holds: Callable[[], Awaitable[bool]], what: str) -> None:
    try:
        async with asyncio.timeout(WITHIN):
            while not await holds():  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.1)
    except TimeoutError:
        pytest.fail(f"{what}: not within {WITHIN:g} s")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def field(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Field]:
    folder = tmp_path_factory.mktemp("sync")
    site = Site(folder, [Group(GROUP, ONE, (OTHER,), simulated={"arrivals": "0"})])
    site.write()
    async with Fleet(folder) as fleet:
        for name in site.devices:
            fleet.add(name, site.words(name))
        await fleet.start()
        for name in (ONE, OTHER):
            session = await connect(site.target(name))
            admin = f"<group><name>admin</name><user-name>{MANAGER}</user-name></group>"
            await session.edit_config(
                f'<nacm xmlns="{NACM}"><groups>{admin}</groups></nacm>'.encode(), target="running"
            )
            await session.close()
        cloud = await connect(site.target(MANAGER))
        yield Field(site, fleet, cloud)
        await cloud.close()


def member_of(other: str) -> str:
    return f"<member><device-id>{other}</device-id><address>127.0.0.1</address></member>"


COMMON = "<simulated><arrivals>0</arrivals><lease-time>7200</lease-time></simulated>"
OWN = {
    ONE: f"<static-role>primary</static-role>{member_of(OTHER)}",
    OTHER: f"<static-role>secondary</static-role>{member_of(ONE)}",
}


async def test_a_change_is_planned_made_on_both_and_kept(field: Field) -> None:
    await field.intend(COMMON, OWN)
    planned = await field.sync("<dry-run/>")
    assert planned[""]["result"] == "planned"
    assert "+  lease-time 7200;" in planned[ONE]["diff"]
    assert "7200" not in field.runs(ONE) + field.runs(OTHER)
    made = await field.sync()
    assert made[""]["result"] == "committed", made
    assert "<lease-time>7200</lease-time>" in field.runs(ONE)
    assert "<lease-time>7200</lease-time>" in field.runs(OTHER)
    assert (await field.sync())[""]["result"] == "in-sync"


async def test_what_one_refuses_is_made_on_none_and_named(field: Field) -> None:
    before = field.runs(ONE), field.runs(OTHER)
    broken = f"{OWN[OTHER]}<pool><name>p</name></pool>"
    await field.intend(COMMON.replace("7200", "7300"), {**OWN, OTHER: broken})
    result = await field.sync()
    assert result[""]["result"] == "refused"
    assert "step" not in result[ONE]
    assert result[OTHER]["step"] in {"edit", "validate"}
    assert result[OTHER]["reason"]
    assert GROUP in result[OTHER]["path"]
    assert (field.runs(ONE), field.runs(OTHER)) == before


async def test_drift_is_reported_and_repaired_where_the_policy_says_so(field: Field) -> None:
    await field.intend(COMMON, OWN)
    await field.alter(OTHER, "<initiator>secondary</initiator>")

    # Until the next look, the state is what the last look found against the intention of the test before
    async def drifted() -> bool:
        found = await field.state()
        states = [found.get(name, {}).get("state") for name in (ONE, OTHER)]
        return states == ["in-sync", "drifted"]

    await eventually(drifted, "drift is seen at the one that was altered")
    found = await field.state()
    assert found[OTHER]["diff"].splitlines()[-1] == "-  initiator secondary;"
    assert "<initiator>secondary" in field.runs(OTHER)
    await field.intend(COMMON, OWN, "repair")

    async def repaired() -> bool:
        return "<initiator>secondary" not in field.runs(OTHER)

    await eventually(repaired, "drift is repaired")


async def test_a_router_that_is_gone_stops_the_change_and_gets_it_when_it_is_back(field: Field) -> None:
    await field.intend(COMMON, OWN)
    await field.fleet.members[OTHER].kill()
    await field.intend(COMMON.replace("7200", "7400"), OWN)
    result = await field.sync()
    assert result[""]["result"] == "refused"
    assert result[OTHER]["reason"]
    assert "7400" not in field.runs(ONE)
    await field.fleet.members[OTHER].start()

    async def made() -> bool:
        return (await field.sync())[""]["result"] in {"committed", "in-sync"}

    await eventually(made, "the change is made on both")
    assert "7400" in field.runs(ONE)
    assert "7400" in field.runs(OTHER)
