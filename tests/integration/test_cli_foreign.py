"""The command line over a NETCONF server of another project: its model is fetched from it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from netconf_cli import Cli
from netconf_client import connect
from rui.views import VIEWS
from rui_cli.remote import RemoteSession, read_schema
from tests.integration import netconf_client_peer
from tests.integration.netconf_client_peer import Peer
from tests.unit.netconf_cli.bench import refused, run

pytestmark = pytest.mark.peer


@pytest.fixture(scope="module")
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
