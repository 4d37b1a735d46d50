"""Command line and configuration sync with a NETCONF server of another project, whose model is fetched."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from lxml import etree

from manager.sync.config import Intended, Member
from manager.sync.decisions import Decisions
from manager.sync.device import Device, NetconfDevice
from manager.sync.synchroniser import Synchroniser
from netconf_cli import Cli
from netconf_client import connect
from rui.schema import Schema
from rui.views import VIEWS
from rui_cli.remote import RemoteSession, read_schema
from tests.integration import netconf_client_peer
from tests.integration.netconf_client_peer import Peer
from tests.unit.netconf_cli.bench import refused, run

pytestmark = pytest.mark.peer

NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"


# One server a test: netconfd 2.13 falls over now and then when a second session reads its modules
@pytest.fixture
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    with contextlib.ExitStack() as stack:
        yield netconf_client_peer.start(tmp_path_factory.mktemp("yuma"), stack)


async def test_netconfd_is_shown_configured_and_refuses(peer: Peer, tmp_path: Path) -> None:
    session = await connect(peer.target, timeout=30)
    remote = RemoteSession(session, peer.target.username)
    schema = await read_schema(session, tmp_path)
    at = Cli("yuma", schema, lambda _user, _peer: remote, views=VIEWS).engine(remote)
    assert peer.target.username in "\n".join(await run(at, "show sessions"))
    await run(at, "configure", "set nacm enable-nacm false exec-default deny")
    assert "+  exec-default deny;" in "\n".join(await run(at, "compare"))
    await run(at, "commit")
    assert "exec-default deny;" in await run(at, "run show configuration nacm")
    assert "there is no 'nonsense'" in await refused(at, "set nacm nonsense")
    await run(at, "delete nacm exec-default", "commit", "exit")
    remote.close("done")
    await session.close()


async def test_netconfd_is_configured_in_a_transaction_and_an_ok_that_lies_is_found_out(
    peer: Peer, tmp_path: Path
) -> None:
    session = await connect(peer.target, timeout=30)
    schema = await read_schema(session, tmp_path)

    async def send(operation: etree._Element) -> etree._Element:
        return (await session.rpc(operation)).element

    async def model() -> Schema:
        return schema

    validates = True

    @contextlib.asynccontextmanager
    async def reach(name: str) -> AsyncIterator[Device]:
        yield NetconfDevice(name, send, validates=validates)

    common = etree.fromstring(
        f'<common><nacm xmlns="{NACM}"><read-default>permit</read-default>'
        f"<groups><group><name>staff</name><user-name>ann</user-name></group></groups></nacm></common>"
    )
    own = etree.Element("own")
    intended = Intended("g1", False, 0, 30, common, (Member("yuma", own, True),))
    work = Synchroniser(reach, Decisions(tmp_path / "decisions"), model)
    # This server forgets the candidate's edits when it is asked to validate them, and says ok to the commit
    lied = await work.sync(intended)
    assert lied.verdict == "refused"
    assert [refusal.step for refusal in lied.refusals] == ["verify"]
    validates = False
    made = await work.sync(intended)
    assert made.verdict == "committed", made.refusals
    assert (await work.sync(intended)).verdict == "in-sync"
    await session.close()
