"""What each party of a site may do, with real processes: the claims of docs/security.md."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from lxml import etree

from netconf_client import ClientSession, Target, TlsTarget, connect
from rui.backup import audit_wire, requests, wire
from rui.backup.identity import Role
from rui.backup.messages import Batch, Change, Position, Stream
from rui.backup.record import UserInfo
from rui.backup.version import ZERO, Epoch, Version
from rui.netconf import names
from rui.netconf.errors import RpcError
from rui_cli.launch import Launched
from rui_cli.site import CLOUD_NAMESPACE, DEVICE_NAMESPACE, MANAGER, OPERATOR, Group, Site, configuration
from tests.integration.manager_rig import eventually, managed, routers_of, startup
from tests.integration.router_rig import deliver, process, running
from tests.integration.tls_rig import certificates, configured
from tests.integration.tls_rig import session_of as tls_session_of

NOBODY = {"arrivals": "0", "mean-hold-time": "0"}
GROUPS = [
    Group("g1", "bras-b", ("bras-a",), simulated=NOBODY),
    Group("g2", "bras-c", ("bras-a",), simulated=NOBODY),
]
EVERY_CALL = {
    "get": f'<get xmlns="{names.BASE}"/>',
    "get-config": f'<get-config xmlns="{names.BASE}"><source><running/></source></get-config>',
    "edit-config": f'<edit-config xmlns="{names.BASE}"><target><running/></target><config/></edit-config>',
    "lock": f'<lock xmlns="{names.BASE}"><target><running/></target></lock>',
    "kill-session": f'<kill-session xmlns="{names.BASE}"><session-id>1</session-id></kill-session>',
    "identity-result": '<identity-result xmlns="urn:rui-cloud:yang:identity"/>',
    "download-user-info": f'<download-user-info xmlns="{wire.BACKUP}"/>',
    "fetch-user-info": f'<fetch-user-info xmlns="{wire.BACKUP}"/>',
    "deliver-user-info": f'<deliver-user-info xmlns="{wire.BACKUP}"/>',
    "acknowledge-user-info": f'<acknowledge-user-info xmlns="{wire.BACKUP}"/>',
    "digest-user-info": f'<digest-user-info xmlns="{wire.BACKUP}"/>',
    "link-probe": '<link-probe xmlns="urn:rui-cloud:yang:failover"/>',
    "change-path": '<change-path xmlns="urn:rui-cloud:yang:failover"/>',
    "create-subscription": f'<create-subscription xmlns="{names.NOTIFICATION}"/>',
}


@asynccontextmanager
async def session_of(site: Site, user: str, device: str) -> AsyncIterator[ClientSession]:
    """A session as the holder of a device's own credentials opens it at another device."""
    target = site.target(device)
    secret = (site.folder / user / "client.password").read_text().strip()
    mine = Target(target.host, user, target.host_key, port=target.port, password=secret)
    session = await connect(mine, timeout=30)
    try:
        yield session
    finally:
        await session.close()


async def permitted(session: ClientSession) -> set[str]:
    """The operations that are served and not refused by access control; some are then, for their input."""
    found = set()
    for name, call in EVERY_CALL.items():
        try:
            await session.rpc(call.encode())
        except RpcError as error:
            if error.tag in ("access-denied", "operation-not-supported", "unknown-namespace"):
                continue
        found.add(name)
    return found


def batch(group: str, writer: str) -> Batch:
    epoch = Epoch(5, writer)
    info = UserInfo("02:00:00:00:00:01", outer_vlan=100, ipv4_address="10.0.0.1")
    change = Change(info.key, Version(epoch, 1), info.encode())
    return Batch(group, epoch, Stream(ZERO, change.version), (change,))


async def refused(session: ClientSession, call: Batch) -> str:
    with pytest.raises(RpcError) as refusal:
        await deliver(session, call)
    assert refusal.value.tag == "access-denied"
    return refusal.value.message or ""


def stranger(site: Site, device: str) -> None:
    """Give a device an account that is in no group, with the operator's password."""
    tree = etree.parse(site.startup(device))
    account = next(tree.iter(f"{{{DEVICE_NAMESPACE}}}account"))
    copy = etree.fromstring(etree.tostring(account))
    for name in copy.iter(f"{{{DEVICE_NAMESPACE}}}name"):
        name.text = "stranger"
    parent = account.getparent()
    assert parent is not None
    parent.append(copy)
    tree.write(site.startup(device))
    (site.folder / "stranger").mkdir()
    password = (site.folder / "cloud" / "client.password").read_text()
    (site.folder / "stranger" / "client.password").write_text(password)


def serve_tls(site: Site, name: str, namespace: str, port: int) -> TlsTarget:
    """Set a device up for TLS; return how its operator reaches it so."""
    path = site.startup(name)
    known = certificates(path.parent / "certificates")
    tree = etree.parse(path)
    listen = tree.find(f".//{{{namespace}}}listen")
    assert listen is not None
    listen.addnext(configured(known, path.parent, namespace, port))
    tree.write(path)
    return known.target(port, known.made(OPERATOR))


async def test_what_each_account_may_do_at_a_router(tmp_path: Path, unused_tcp_port: int) -> None:
    site = Site(tmp_path, GROUPS)
    site.write()
    stranger(site, "bras-a")
    by_certificate = serve_tls(site, "bras-a", DEVICE_NAMESPACE, unused_tcp_port)
    router = process(site, "bras-a")
    async with running(router):
        async with tls_session_of(by_certificate) as operator:
            config = (await operator.get_config()).data
            assert config.findtext(f".//{{{DEVICE_NAMESPACE}}}certificate-file") == "server.pem"
        async with session_of(site, MANAGER, "bras-a") as cloud:
            assert await permitted(cloud) == {
                "create-subscription", "identity-result", "deliver-user-info", "acknowledge-user-info",
                "download-user-info", "digest-user-info", "link-probe",
            }  # fmt: skip
        async with session_of(site, "bras-b", "bras-a") as peer:
            assert await permitted(peer) == {
                "create-subscription", "deliver-user-info", "acknowledge-user-info", "link-probe",
                "change-path", "digest-user-info",
            }  # fmt: skip
            # A peer writes, and compares, the groups that it shares, and no other.
            with pytest.raises(RpcError, match="has no part in group g2"):
                await peer.rpc(requests.encode_digest_request(requests.DigestRequest("g2")))
            with pytest.raises(RpcError, match="has no part in group g2"):
                await peer.rpc(audit_wire.encode_list_request("g2", [0]))
            said = await refused(peer, batch("g2", "bras-b"))
            assert "bras-b has no part in group g2" in said
        async with session_of(site, "stranger", "bras-a") as nobody:
            assert await permitted(nobody) == set()
        async with session_of(site, "bras-b", "bras-a") as peer:
            heard: list[str] = []
            peer.on_notification(lambda note: heard.append(str(note.content.tag)))
            await peer.create_subscription("rui-backup")
            await refused(peer, batch("g2", "bras-b"))
            assert heard == []
    events = [
        json.loads(line) for line in (tmp_path / "bras-a.log").read_text().splitlines() if line[:1] == "{"
    ]
    assert any(event.get("event") == "subscriber-not-the-cloud" for event in events)
    assert any(event.get("event") == "operation-denied" for event in events)


async def test_what_each_account_may_do_at_the_manager(tmp_path: Path, unused_tcp_port: int) -> None:
    site = Site(tmp_path, GROUPS)
    site.write()
    by_certificate = serve_tls(site, MANAGER, CLOUD_NAMESPACE, unused_tcp_port)
    manager = Launched(MANAGER, site.words(MANAGER), tmp_path / "cloud.log")
    async with running(manager):
        async with tls_session_of(by_certificate) as operator:
            assert (await operator.get_config()).data.find(f".//{{{CLOUD_NAMESPACE}}}trust-file") is not None
        async with session_of(site, "bras-b", MANAGER) as router:
            assert await permitted(router) == {"fetch-user-info"}
            for device in ("bras-a", "bras-b"):
                asked = requests.encode_fetch(requests.Fetch("g1", device, Position()))
                with pytest.raises(RpcError, match=r"may not fetch for|not recorded as a secondary"):
                    await router.rpc(asked)
        session = await connect(site.target(MANAGER), timeout=30)
        account = {"name": "new", "password-hash": "$scrypt$ln=14,r=8,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"}
        edit = configuration("urn:rui-cloud:yang:cloud", "cloud", {"netconf-server": {"account": account}})
        await session.edit_config(edit[0], target="running")
        await session.close()
    text = (tmp_path / "cloud.log").read_text()
    assert "config-changed" in text
    assert "password-hash ***" in text
    assert "c2FsdHNhbHQ" not in text


async def test_a_router_cannot_claim_a_group_of_others(tmp_path: Path) -> None:
    """bras-b, which the manager has for g9 only, says that it is primary of g1 with a higher epoch."""
    both = [(name, {"g1": Role.PRIMARY}) for name in ("bras-a", "bras-b")]
    async with routers_of(tmp_path, *both) as (a, b):
        text = startup([a, b]).replace(
            "<device><device-id>bras-b</device-id>", "<device><device-id>bras-b</device-id><group>g9</group>"
        )
        async with managed(tmp_path, text) as manager:
            await eventually(lambda: bool(a.group().identity_results) and b.subscribed, "both are heard")
            a.login(1, 2, 3)
            b.login(7)
            await eventually(lambda: bool(a.group().receipts), "the rightful primary is heard")
            assert (await manager.digest()).count == 3
            assert not b.group().identity_results
            assert not b.group().receipts
