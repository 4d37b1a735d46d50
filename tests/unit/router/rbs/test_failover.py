"""One group's failover at both ends, joined by a channel that is made of function calls."""

from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from netconf_client import ReplyTimeout
from router.linkstatus import LINK_STATUS, CloudLink, LinkStatusTree
from router.rbs.switch import Switch
from rui.backup.audit import Agreement
from rui.backup.decision import Policy
from rui.backup.failover import FailoverOptions
from rui.backup.identity import Role
from rui.netconf.errors import RpcError
from rui.schema import Schema
from tests.unit.router.rbs.rig import OPTIONS, Site, virtually
from tests.unit.router.rbs.stories import DECIDER, OTHER, backed_up_locally, settled, site


@pytest.mark.parametrize("initiator", Role)
def test_local_backup_and_back(schema: Schema, initiator: Role) -> None:
    decider = DECIDER[initiator]

    async def story() -> list[str]:
        async with site(schema, initiator) as running:
            primary, secondary = (end.groups["g1"] for end in running.ends.values())
            await backed_up_locally(running, decider)
            primary.login(*range(20))
            await running.until("the secondary has it", running.equal)
            assert not primary.member.uploads
            assert not secondary.member.obtains
            assert running.path(OTHER[decider]) == "local"
            running.cloud.update({"bras-a": True, "bras-b": True})
            await running.until("the cloud path", lambda: running.path(decider) == "cloud")
            await running.until("told", lambda: running.path(OTHER[decider]) == "cloud")
            assert primary.member.uploads
            assert secondary.member.obtains
            assert primary.member.cloud_has_all
            assert not primary.member.locals
            return running.ends[decider].channel.said

    with capture_logs() as logs:
        said = virtually(story())
    assert "start-local-backup" in said
    assert said[-1] == "change-path"
    assert ("deliver-user-info" in said) is (initiator is Role.PRIMARY)
    assert ("acknowledge-user-info" in said) is (initiator is Role.SECONDARY)
    steps = {entry["step"] for entry in logs if entry.get("step")}
    assert steps & {"S603a", "S603b", "S703a", "S703b"}


@pytest.mark.parametrize("initiator", Role)
def test_only_the_primary_s_link_is_down(schema: Schema, initiator: Role) -> None:
    """FIG. 6-a S604a; FIG. 7-b S705b, S706b: the primary holds, then sends third user-info."""
    decider = DECIDER[initiator]

    async def story() -> None:
        async with site(schema, initiator) as running:
            await settled(running)
            running.cloud["bras-a"] = False
            await running.until("it waits", lambda: running.path(decider) == "reestablishing")
            primary = running.ends["bras-a"].groups["g1"]
            primary.login(1, 2, 3)
            assert not primary.member.cloud_has_all
            running.cloud["bras-a"] = True
            await running.until("third user-info", lambda: primary.member.cloud_has_all)
            assert running.path(decider) == "cloud"
            assert "start-local-backup" not in running.ends[decider].channel.said

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
def test_only_the_secondary_s_link_is_down(schema: Schema, initiator: Role) -> None:
    """FIG. 6-b S604b; FIG. 7-a S705a."""
    decider = DECIDER[initiator]

    async def story() -> None:
        async with site(schema, initiator) as running:
            await settled(running)
            running.cloud["bras-b"] = False
            await running.until("it waits", lambda: running.path(decider) == "waiting")
            if initiator is Role.PRIMARY:
                informant = running.failover("bras-b").peers["bras-a"].informant
                assert informant is not None
                await running.until("told to wait", lambda: informant.waiting)
            else:
                assert "second-query" in running.ends["bras-b"].channel.said

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
@pytest.mark.parametrize("slow", ["bras-a", "bras-b"])
def test_a_poor_link_starts_local_backup(schema: Schema, initiator: Role, slow: str) -> None:
    """FIG. 8 and FIG. 9; the cloud gets it as well where the primary's link is good [0227, 0236]."""

    async def story() -> None:
        async with site(schema, initiator) as running:
            await settled(running)
            running.slow[slow] = 0.4
            path = "local" if slow == "bras-a" else "cloud-and-local"
            await running.until(path, lambda: running.path("bras-a") == running.path("bras-b") == path)
            primary = running.ends["bras-a"].groups["g1"]
            primary.login(1, 2)
            await running.until("the secondary has it", running.equal)
            assert primary.member.cloud_has_all is (slow == "bras-b")

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
def test_a_refused_handshake_is_tried_again(schema: Schema, initiator: Role) -> None:
    decider = DECIDER[initiator]

    async def story() -> None:
        async with site(schema, initiator) as running:
            await settled(running)
            channel = running.ends[decider].channel
            channel.broken["start-local-backup"] = RpcError.operation_failed("not now")
            running.cloud.update({"bras-a": False, "bras-b": False})
            (peer,) = running.failover(decider).peers.values()
            await running.until("refused twice", lambda: channel.said.count("start-local-backup") == 2)
            assert not peer.local
            channel.broken.clear()
            await running.until("local backup", lambda: peer.local, within=2.0)
            assert channel.said.count("start-local-backup") == 3, "a second's pause between two tries"

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
def test_a_session_that_is_lost_and_dialled_in_time_starts_again(schema: Schema, initiator: Role) -> None:
    """The link never counts as down, the stream is gone all the same."""
    decider = DECIDER[initiator]

    async def story() -> None:
        async with site(schema, initiator) as running:
            await backed_up_locally(running, decider)
            running.ends["bras-a"].groups["g1"].login(1)
            await running.until("the secondary has it", running.equal)
            running.ends[decider].channel.hang_up()
            running.ends["bras-a"].groups["g1"].login(2, 3)
            await running.until("the secondary has it again", running.equal, within=2.0)
            assert (decider, OTHER[decider], "down") not in running.changes

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
def test_without_a_channel_everything_is_held_and_sent_when_it_returns(
    schema: Schema, initiator: Role
) -> None:
    decider = DECIDER[initiator]

    async def story() -> None:
        async with site(schema, initiator) as running:
            await backed_up_locally(running, decider)
            running.channel = False
            await running.until("hold", lambda: running.path(decider) == "hold")
            assert running.path(OTHER[decider]) == "cloud", "who is not told believes in the cloud"
            assert running.ends["bras-b"].groups["g1"].member.obtains
            running.ends["bras-a"].groups["g1"].login(1, 2, 3)
            running.channel = True
            await running.until("the secondary has it", running.equal)

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
def test_a_copy_that_is_backed_up_directly_is_compared_and_mended(schema: Schema, initiator: Role) -> None:
    decider = DECIDER[initiator]

    async def story() -> None:
        async with site(schema, initiator) as running:
            await backed_up_locally(running, decider)
            primary, secondary = (end.groups["g1"] for end in running.ends.values())
            primary.login(*range(20))
            await running.until("the secondary has it", running.equal)
            stranger = primary.member.table.get(primary.member.table.live_keys()[0])
            assert stranger is not None
            secondary.member.table.apply(stranger._replace(key=b"02:ff:ff:00:00:01/0/0"))
            primary.audit()
            await running.until("it is found", lambda: primary.audits.of("bras-b") is not None)
            await running.until("it is mended", running.equal)
            audits = primary.audits
            await running.until("it agrees", lambda: "agrees" in str(audits.of("bras-b")))
            known = primary.audits.of("bras-b")
            assert known is not None
            assert (known.agreement, known.repaired) == (Agreement.AGREES, 1)
            history = [change.raised for change in primary.alarms.book.history]
            assert history == [True, False]

    virtually(story())


def test_two_groups_with_opposite_roles_share_the_two_routers(schema: Schema) -> None:
    """[0105]: each is primary for one group; both dial, for the group that they are primary of."""

    async def story() -> None:
        async with site(schema, Role.PRIMARY) as running:
            running.add("g2", "bras-b", Role.PRIMARY)
            await settled(running)
            running.cloud.update({"bras-a": False, "bras-b": False})
            for primary, group in (("bras-a", "g1"), ("bras-b", "g2")):
                running.ends[primary].groups[group].login(*range(10))
            await running.until("both", lambda: running.equal("g1") and running.equal("g2"))
            assert running.path("bras-a", "g1") == running.path("bras-b", "g2") == "local"
            for end in running.ends.values():
                assert "deliver-user-info" in end.channel.said

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
def test_receipts_come_in_the_order_of_the_batches(schema: Schema, initiator: Role) -> None:
    decider = DECIDER[initiator]

    async def story() -> None:
        async with site(schema, initiator) as running:
            await backed_up_locally(running, decider)
            primary, secondary = (end.groups["g1"] for end in running.ends.values())
            secondary.disk_held = True
            primary.login(*range(40))
            await asyncio.sleep(0.05)
            secondary.release_disk()
            await running.until("the secondary has it", running.equal)
            receipts = running.ends[decider].channel.receipts
            cursors = [receipt.position.cursor for receipt in receipts]
            assert len(receipts) > 5
            assert cursors == sorted(cursors)
            assert {receipt.result.value for receipt in receipts} == {"stored"}

    virtually(story())


def test_what_came_on_one_session_is_not_acknowledged_on_the_next(schema: Schema) -> None:
    async def story() -> None:
        async with site(schema, Role.SECONDARY) as running:
            await backed_up_locally(running, "bras-b")
            primary, secondary = (end.groups["g1"] for end in running.ends.values())
            channel = running.ends["bras-b"].channel
            secondary.disk_held = True
            primary.login(*range(9))
            caller = channel.caller
            assert caller is not None
            await running.until("batches wait for the disk", lambda: caller.uploads > 0)
            await asyncio.sleep(0.05)
            channel.hang_up()
            channel.receipts.clear()
            await running.until("dialled again", lambda: channel.caller is not None)
            secondary.release_disk()
            await running.until("the secondary has it", running.equal)
            await asyncio.sleep(1.0)
            assert channel.caller is not None
            assert len(channel.receipts) == channel.caller.uploads

    virtually(story())


@pytest.mark.parametrize("initiator", Role)
def test_an_overdue_receipt_gives_the_session_up(schema: Schema, initiator: Role) -> None:
    decider = DECIDER[initiator]

    async def story() -> None:
        async with site(schema, initiator) as running:
            await backed_up_locally(running, decider)
            primary, secondary = (end.groups["g1"] for end in running.ends.values())
            secondary.disk_held = True
            primary.login(1, 2, 3)
            channel = running.ends[decider].channel
            at = running.now
            gave_up = await running.until("given up", lambda: bool(channel.given_up))
            assert 2.9 < gave_up - at < 3.2, "three link timeouts"
            assert "not acknowledged" in channel.given_up[0]
            secondary.release_disk()
            await running.until("the secondary has it", running.equal)
            (peer,) = running.failover(decider).peers.values()
            await running.until("a new stream", lambda: peer.local)

    virtually(story())


def test_a_delivery_without_a_receipt_gives_the_session_up_once(schema: Schema) -> None:
    async def story() -> None:
        async with site(schema, Role.PRIMARY) as running:
            await backed_up_locally(running, "bras-a")
            channel = running.ends["bras-a"].channel
            channel.broken["deliver-user-info"] = ReplyTimeout("bras-b", "deliver-user-info", 1.0)
            running.ends["bras-a"].groups["g1"].login(*range(9))
            await running.until("given up", lambda: bool(channel.given_up))
            channel.broken.clear()
            await running.until("the secondary has it", running.equal)
            assert len(channel.given_up) == 1, "what else was under way belongs to the session that is gone"

    virtually(story())


def test_an_unanswered_query_is_no_answer(schema: Schema) -> None:
    async def story() -> None:
        async with site(schema, Role.PRIMARY) as running:
            await settled(running)
            channel = running.ends["bras-a"].channel
            channel.broken["first-query"] = ReplyTimeout("bras-b", "deliver-user-info", 1.0)
            running.cloud["bras-a"] = False
            await running.until("local backup", lambda: running.path("bras-b") == "local")
            assert channel.said.count("first-query") == OPTIONS.query_tries

    virtually(story())


def test_policy_immediate_asks_nobody(schema: Schema) -> None:
    async def story() -> None:
        options = FailoverOptions(fault_policy=Policy.IMMEDIATE, hold=1.0)
        async with site(schema, Role.PRIMARY, options) as running:
            await settled(running)
            running.cloud["bras-a"] = False
            await running.until("local backup", lambda: running.path("bras-b") == "local")
            assert "first-query" not in running.ends["bras-a"].channel.said

    virtually(story())


class StubSwitch:
    """The parts of a Switch that link-status reads."""

    def __init__(self, site: Site, device: str) -> None:
        self.device = device
        self.groups = site.ends[device].failovers

    links = Switch.links
    wall = Switch.wall

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def link_status(site: Site, device: str, schema: Schema) -> dict[str, str]:
    """Return the leaves of link-status of a device with one group, by name; checked against the model."""
    tree = LinkStatusTree(site.ends[device].groups, CloudLink(), StubSwitch(site, device)).read()  # type: ignore[arg-type]
    schema.check_operational(tree)
    path = tree.find(f".//{{{LINK_STATUS}}}path")
    assert path is not None
    verdict = tree.findtext(f".//{{{LINK_STATUS}}}communication-status") or ""
    leaves = {child.tag.rpartition("}")[2]: child.text or "" for child in path}
    states = {
        link.findtext(f"{{{LINK_STATUS}}}far-end"): link.findtext(f"{{{LINK_STATUS}}}state")
        for link in tree.iterfind(f"{{{LINK_STATUS}}}link")
    }
    return {**leaves, "verdict": verdict, **{f"link {name}": state or "" for name, state in states.items()}}


def test_link_status_says_path_reason_and_what_is_waited_for(schema: Schema) -> None:
    async def story() -> None:
        async with site(schema, Role.PRIMARY) as running:
            await settled(running)
            shown = link_status(running, "bras-a", schema)
            assert (shown["in-use"], shown["verdict"], shown["secondary"]) == ("cloud", "normal", "bras-b")
            assert (shown["link cloud"], shown["link bras-b"]) == ("up", "up")
            assert "waiting-for" not in shown
            running.cloud["bras-b"] = False
            await running.until("waits", lambda: running.path("bras-a") == "waiting")
            shown = link_status(running, "bras-a", schema)
            assert shown["waiting-for"] == "the secondary's link to the cloud"
            assert shown["reason"] == "S604b a up, b down, c up"
            running.cloud["bras-a"] = False
            await running.until("local", lambda: running.path("bras-b") == "local")
            shown = link_status(running, "bras-a", schema)
            assert (shown["in-use"], shown["verdict"], shown["link cloud"]) == ("local", "abnormal", "down")
            assert shown["reason"].startswith("S603")
            shown = link_status(running, "bras-b", schema)
            assert (shown["in-use"], shown["secondary"]) == ("local", "bras-b")
            assert shown["reason"] == "said by the initiator"
            assert shown["verdict"] == "", "the verdict is the primary's"

    virtually(story())
