"""Access control over the wire (RFC 8341): who reads, writes, calls and hears what, and what is counted."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from lxml import etree

from netconf_client import ClientSession, PinnedKey, Target, connect
from netconf_server import Account, Accounts, Datastores, Entry, Keys, NetconfServer, RpcCall, Told
from netconf_server.actions import ActionCall
from netconf_server.nacmrules import NAMESPACE
from rui.netconf import names
from rui.netconf.errors import RpcError
from tests.integration.netconf_server_rig import HASH, PASSWORD
from tests.integration.subscriptions_rig import edits_of, on_change, subtree, text, to_datastore
from tests.integration.test_netconf_server_command import start
from tests.unit.netconf_server.nacm_rig import GUARDED, YANG, config, deny, house, nacm, permit, room, schema

RUNNING = house("<name>n</name><code>c</code>" + room("ann", "<owner>o</owner>") + room("hall"))
ANN = nacm(
    permit(path="/g:house/g:room[g:name=$USER]"),
    permit(path="/g:house/g:room/g:knock", access_operations="exec"),
    deny(path="/g:meters/g:floor[g:level='2']"),
    deny(notification_name="visit"),
    permit(notification_name="theft"),
    permit(rpc_name="destroy"),
    permit(rpc_name="delete-config"),
)


class Meters:
    """A large list, of which the test says that it has changed."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def watch(self, told: Told) -> Callable[[], None]:
        self.told.append(told)
        return lambda: self.told.remove(told)

    def read(self, keys: Keys) -> Iterator[Entry]:
        wanted = keys.get("floor", {}).get("level")
        for level in ("1", "2"):
            if wanted in (None, level):
                yield Entry(
                    ({"level": level},), f'<meter xmlns="{GUARDED}"><serial>a</serial></meter>'.encode()
                )


@dataclass
class House:
    """A guarded server and its clients."""

    server: NetconfServer
    datastores: Datastores
    port: int
    meters: Meters
    clients: dict[str, ClientSession] = field(default_factory=dict)

    async def of(self, user: str) -> ClientSession:
        """The session of a user."""
        if user not in self.clients:
            target = Target(
                "127.0.0.1", user, PinnedKey(self.server.host_key), port=self.port, password=PASSWORD
            )
            self.clients[user] = await connect(target, timeout=10)
        return self.clients[user]

    async def refused(self, user: str, operation: str) -> RpcError:
        """The refusal of an operation."""
        session = await self.of(user)
        with pytest.raises(RpcError) as refusal:
            await session.rpc(operation.encode())
        return refusal.value

    async def texts(self, user: str, operation: str) -> list[str]:
        """The texts in the reply, in their order."""
        reply = await (await self.of(user)).rpc(operation.encode())
        return [item.text for item in reply.element.iter(etree.Element) if len(item) == 0 and item.text]


@asynccontextmanager
async def serving(folder: Path, policy: str = ANN) -> AsyncIterator[House]:
    datastores = Datastores(schema(), config(RUNNING + policy))
    accounts = Accounts([Account("ann", HASH), Account("eve", HASH), Account("root", HASH, recovery=True)])
    server = NetconfServer(schema(), datastores, accounts, host_key_file=folder / "key")

    async def done(_: RpcCall) -> None:
        return None

    async def knocked(_: ActionCall) -> list[etree._Element]:
        answer = etree.Element(f"{{{GUARDED}}}answer", nsmap=names.nsmap(GUARDED))
        answer.text = "who?"
        return [answer]

    for name in ("ring", "destroy"):
        server.register_rpc(f"{{{GUARDED}}}{name}", done)
    server.register_action("/guarded:house/room/knock", knocked)
    meters = Meters()
    server.register_list("/guarded:meters/floor/meter", meters)
    made = House(server, datastores, await server.listen("127.0.0.1", 0), meters)
    try:
        yield made
    finally:
        for session in made.clients.values():
            await session.close()
        await server.close()


GET_HOUSE = f'<get-config><source><running/></source><filter><house xmlns="{GUARDED}"/></filter></get-config>'
GET_NACM = f'<get><filter><nacm xmlns="{NAMESPACE}"/></filter></get>'
SUBSCRIBE = f'<create-subscription xmlns="{names.NOTIFICATION}"/>'


def base(operation: str) -> str:
    name, _, rest = operation.partition(">")
    return f'{name} xmlns="{names.BASE}">{rest}'


def edit(content: str, target: str = "running") -> str:
    return base(f"<edit-config><target><{target}/></target><config>{content}</config></edit-config>")


def knock(name: str) -> str:
    call = house(room(name, "<knock/>"))
    return f'<action xmlns="urn:ietf:params:xml:ns:yang:1">{call}</action>'


async def test_reading_leaves_out_what_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        assert await made.texts("ann", base(GET_HOUSE)) == ["n", "ann", "o", "hall"]
        assert await made.texts("root", base(GET_HOUSE)) == ["n", "c", "ann", "o", "hall"]
        assert await made.texts("ann", base(GET_NACM)) == []
        meters = f'<get><filter><meters xmlns="{GUARDED}"/></filter></get>'
        assert await made.texts("ann", base(meters)) == ["1", "a"]
        assert await made.texts("eve", base(meters)) == ["1", "a", "2", "a"]


async def test_filters_do_not_tell_what_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        guess = f'<filter><house xmlns="{GUARDED}"><code>c</code><name/></house></filter>'
        asked = base(f"<get>{guess}</get>")
        assert await made.texts("ann", asked) == []
        assert await made.texts("root", asked) == ["n", "c"]


async def test_writing_names_the_place_that_is_closed(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        await (await made.of("ann")).rpc(edit(house(room("ann", "<owner>x</owner>"))).encode())
        error = await made.refused("ann", edit(house(room("hall", "<owner>x</owner>"))))
        assert (error.tag, error.error_type) == ("access-denied", "application")
        assert error.path == "/guarded:house/guarded:room[guarded:name='hall']/guarded:owner"
        assert error.path_namespaces == {"guarded": GUARDED}
        assert "<owner>x" in etree.tostring(made.datastores.running).decode()
        # an edit is refused as a whole
        both = house("<name>m</name>" + room("ann", "<owner>y</owner>"))
        assert (await made.refused("ann", edit(both))).path == "/guarded:house/guarded:name"
        assert "<owner>y" not in etree.tostring(made.datastores.running).decode()


NMDA = "urn:ietf:params:xml:ns:yang:ietf-netconf-nmda"
RUNNING_DATASTORE = '<datastore xmlns:ds="urn:ietf:params:xml:ns:yang:ietf-datastores">ds:running</datastore>'


async def test_nmda_operations_are_held_to_the_same_rules(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        wanted = f'<subtree-filter><house xmlns="{GUARDED}"/></subtree-filter>'
        get_data = f'<get-data xmlns="{NMDA}">{RUNNING_DATASTORE}{wanted}</get-data>'
        assert await made.texts("ann", get_data) == ["n", "ann", "o", "hall"]
        for content, path in (
            (room("ann", "<owner>x</owner>"), None),
            (
                room("hall", "<owner>x</owner>"),
                "/guarded:house/guarded:room[guarded:name='hall']/guarded:owner",
            ),
        ):
            edit_data = (
                f'<edit-data xmlns="{NMDA}">{RUNNING_DATASTORE}<config>{house(content)}</config></edit-data>'
            )
            if path is None:
                await (await made.of("ann")).rpc(edit_data.encode())
            else:
                assert (await made.refused("ann", edit_data)).path == path


async def test_a_commit_and_a_copy_need_the_rights_for_what_differs(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        await (await made.of("root")).rpc(edit(house("<name>m</name>"), "candidate").encode())
        assert (await made.refused("ann", base("<commit></commit>"))).path == "/guarded:house/guarded:name"
        # what he may not read is not copied, so copying would delete it
        copy = "<copy-config><target><running/></target><source><candidate/></source></copy-config>"
        error = await made.refused("ann", base(copy))
        assert error.tag == "access-denied"
        assert "code" not in (error.path or "")
        await (await made.of("root")).rpc(base("<commit></commit>").encode())


async def test_calling(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        for user, name, allowed in (
            ("ann", "ring", True),
            ("ann", "destroy", True),
            ("eve", "ring", True),
            ("eve", "destroy", False),
            ("root", "destroy", True),
        ):
            call = f'<{name} xmlns="{GUARDED}"/>'
            if allowed:
                await (await made.of(user)).rpc(call.encode())
            else:
                error = await made.refused(user, call)
                assert (error.tag, error.error_type, error.path) == ("access-denied", "protocol", None)
        kill = base("<kill-session><session-id>99</session-id></kill-session>")
        assert (await made.refused("ann", kill)).tag == "access-denied"
        assert (await made.refused("root", kill)).tag == "invalid-value"


async def test_an_action_needs_its_own_right_and_the_data_around_it(tmp_path: Path) -> None:
    closed = nacm(deny(path="/g:house/g:room/g:knock"), deny(path="/g:house/g:room[g:name='hall']"))
    async with serving(tmp_path) as made:
        assert await made.texts("ann", knock("hall")) == ["who?"]
        assert await made.texts("eve", knock("hall")) == ["who?"]  # exec-default
    async with serving(tmp_path, closed) as made:
        assert (await made.refused("ann", knock("ann"))).tag == "access-denied"
        assert await made.texts("eve", knock("hall")) == ["who?"]


async def test_each_subscriber_hears_what_he_may(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        heard: dict[str, list[str]] = {"ann": [], "eve": [], "root": []}
        done = asyncio.Event()
        for user in heard:
            await made.of(user)  # a session's beginning is told to those who listen
        for user, mine in heard.items():
            session = await made.of(user)

            def note(notification: object, mine: list[str] = mine) -> None:
                mine.append(etree.QName(notification.content).localname)  # type: ignore[attr-defined]
                if len(heard["root"]) == 3:
                    done.set()

            session.on_notification(note)
            await session.rpc(SUBSCRIBE.encode())
        stream = made.server.stream("NETCONF")
        for name in ("theft", "visit", "theft"):
            stream.publish(etree.Element(f"{{{GUARDED}}}{name}", nsmap=names.nsmap(GUARDED)))
        await asyncio.wait_for(done.wait(), 10)
        for user in ("ann", "eve"):  # a reply comes behind what was sent before
            await (await made.of(user)).rpc(base("<get><filter/></get>").encode())
        assert heard == {
            "ann": ["theft", "theft"],
            "eve": ["visit"],
            "root": ["theft", "visit", "theft"],
        }
        counters = made.server.access_control.read()
        assert counters.findtext(f"{{{NAMESPACE}}}denied-notifications") == "3"


async def test_each_subscriber_to_a_list_is_told_what_he_may_read(tmp_path: Path) -> None:
    chosen = subtree(f'<meters xmlns="{GUARDED}"/>')
    wanted = to_datastore("operational", on_change("<sync-on-start>false</sync-on-start>"), chosen)
    async with serving(tmp_path) as made:
        found: dict[str, asyncio.Queue[etree._Element]] = {}
        for user in ("ann", "root"):
            session, mine = await made.of(user), asyncio.Queue[etree._Element]()
            session.on_notification(lambda event, mine=mine: mine.put_nowait(event.content))  # type: ignore[misc]
            await session.rpc(wanted.encode())
            found[user] = mine
        for level in ("2", "1"):
            for told in made.meters.told:
                told({"floor": {"level": level}, "meter": {"serial": "a"}}, None)
        targets = {
            user: [text(edit, "target") for edit in edits_of(await asyncio.wait_for(mine.get(), 10))]
            for user, mine in found.items()
        }
    assert targets == {
        "ann": ["meters/floor=1/meter=a"],
        "root": ["meters/floor=1/meter=a", "meters/floor=2/meter=a"],
    }


async def test_denials_are_counted_and_a_new_policy_holds_at_once(tmp_path: Path) -> None:
    async with serving(tmp_path) as made:
        await made.refused("eve", f'<destroy xmlns="{GUARDED}"/>')
        await made.refused("eve", edit(house("<name>x</name>")))
        found = await made.texts("root", base(GET_NACM))
        assert found[-3:] == ["1", "1", "0"]
        rules = f'<nacm xmlns="{NAMESPACE}"><groups><group><name>staff</name>{{}}</group></groups></nacm>'
        # who may not read the policy is not told what it holds
        mine = await made.refused("eve", edit(rules.format("<user-name>eve</user-name>")))
        assert (mine.tag, mine.path) == ("access-denied", None)
        await (await made.of("root")).rpc(edit(rules.format("<user-name>eve</user-name>")).encode())
        await (await made.of("eve")).rpc(f'<destroy xmlns="{GUARDED}"/>'.encode())
        wrong = nacm(permit(path="/g:house/g:room[g:owner='x']"))
        error = await made.refused("root", edit(wrong))
        assert error.tag == "invalid-value"
        await (await made.of("eve")).rpc(f'<destroy xmlns="{GUARDED}"/>'.encode())
        await (await made.of("root")).rpc(edit(nacm(deny(path="/"))).encode())
        assert await made.texts("ann", base(GET_HOUSE)) == []


@asynccontextmanager
async def command(folder: Path, *more: str) -> AsyncIterator[ClientSession]:
    """The command serving the guarded model to `ada`, who has no group."""
    (folder / "password").write_text(f"{PASSWORD}\n")
    process = await start(
        folder, f"--yang={YANG}", "--module=guarded", "--listen=127.0.0.1:0",
        "--user=ada", "--password-file=password", f"--host-key=key{len(more)}", *more,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 60)).decode()
        port, key = line.split(" host key ")[0].rpartition(":")[2].strip(","), line.split(" host key ")[1]
        session = await connect(
            Target("127.0.0.1", "ada", PinnedKey(key.strip()), port=int(port), password=PASSWORD)
        )
        yield session
        await session.close()
    finally:
        process.kill()
        await process.communicate()


async def test_the_commands_user_is_held_to_the_rules_if_asked(tmp_path: Path) -> None:
    change = edit(house("<name>x</name>")).encode()
    async with command(tmp_path) as session:
        await session.rpc(change)
    async with command(tmp_path, "--hold-to-rules") as session:
        with pytest.raises(RpcError) as refusal:
            await session.rpc(change)
        assert refusal.value.tag == "access-denied"
