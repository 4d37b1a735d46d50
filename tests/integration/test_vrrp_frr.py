"""VRRP with FRR's vrrpd as the other router: IPv4 and IPv6, both ways."""

from __future__ import annotations

import asyncio
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from rui.vrrp.values import VrrpOptions
from tests.integration.vrrp_rig import (
    MAC,
    MAC6,
    OPTIONS,
    OPTIONS6,
    Site,
    elected,
    mastery,
    needs,
    program,
    site,
)
from tests.unit.router.vrrp.links import until

pytestmark = [pytest.mark.root, pytest.mark.peer, needs("vrrpd", "zebra", "vtysh")]

# FRR's own interval is in milliseconds; addresses are those of the macvlans that it is given
CONFIGURATION = """
interface eth0
 vrrp 51 version 3
 vrrp 51 priority 200
 vrrp 51 advertisement-interval 100
 vrrp 51 ip 192.0.2.254
 vrrp 51 ipv6 fe80::254
"""
MACVLANS = (("vrrp4-51", MAC, "192.0.2.254/32"), ("vrrp6-51", MAC6, "fe80::254/64"))


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with site(tmp_path_factory.mktemp("vrrp")) as made:
        for name, mac, address in MACVLANS:
            made.namespaces.ip(
                "peer", "link", "add", name, "link", "eth0", "type", "macvlan", "mode", "bridge"
            )
            made.namespaces.ip("peer", "link", "set", name, "address", mac, "addrgenmode", "none")
            made.namespaces.ip("peer", "addr", "add", address, "dev", name, "nodad")
            made.namespaces.ip("peer", "link", "set", name, "up")
        yield made


class Frr:
    """The running daemons."""

    def __init__(self, link: Site, folder: Path) -> None:
        self._link = link
        self._folder = folder

    async def ask(self, command: str) -> str:
        """Return what vtysh says."""
        words = [program("vtysh") or "vtysh", "--vty_socket", str(self._folder), "-c", command]
        return (await asyncio.to_thread(self._link.namespaces.run, "peer", words)).stdout.decode()

    async def says(self, family: int, status: str) -> None:
        """Wait until it is in a state."""
        wanted = re.compile(rf"Status \(v{family}\) +{status}\b")
        said = ""
        async with asyncio.timeout(20):
            while not wanted.search(said):
                said = await self.ask("show vrrp")


def _write(folder: Path) -> None:
    (folder / "zebra.conf").touch()
    (folder / "vrrpd.conf").write_text(CONFIGURATION)
    for path in (folder, *folder.iterdir()):
        shutil.chown(path, "frr", "frr")


@asynccontextmanager
async def frr(link: Site) -> AsyncIterator[Frr]:
    """Run zebra and vrrpd in a folder of their own: they give up root and must reach their files."""
    with tempfile.TemporaryDirectory(prefix="rui-frr-") as name:
        folder = Path(name)
        _write(folder)
        common = ("-z", f"{name}/zserv.api", "--vty_socket", name, "-P", "0")

        def daemon(kind: str) -> tuple[str, ...]:
            return (kind, *common, "-i", f"{name}/{kind}.pid", "-f", f"{name}/{kind}.conf")

        async with link.running("zebra", "peer", *daemon("zebra")):
            await until((folder / "zserv.api").exists)
            async with link.running("vrrpd", "peer", *daemon("vrrpd")):
                await until((folder / "vrrpd.vty").exists)
                yield Frr(link, folder)


@pytest.mark.parametrize(("options", "mac"), [(OPTIONS, MAC), (OPTIONS6, MAC6)], ids=["ipv4", "ipv6"])
async def test_it_is_cut_off_and_comes_back_and_then_we_preempt_it(
    link: Site, options: VrrpOptions, mac: str
) -> None:
    (virtual,) = options.addresses
    async with link.capture(f"frr-{virtual.version}") as capture, frr(link) as peer:
        async with elected(options) as ours:
            await until(lambda: ours.master_address not in (None, ours.state().own_address), ours.state)
            await peer.says(virtual.version, "Master")
            assert await link.ping(virtual)
            with link.cut("peer"):
                await mastery(ours)
                assert await link.ping(virtual)
                assert link.neighbor(virtual) == mac
            await until(lambda: ours.master_address != ours.state().own_address, ours.state)
        async with elected(replace(options, priority=250)) as better:
            await mastery(better)
            await peer.says(virtual.version, "Backup")
            assert better.state().counters.faults == {}
        await peer.says(virtual.version, "Master")
    priorities = capture.column("vrrp.prio", eth__src=mac)
    assert {"200", "250", "100", "0"} <= set(priorities)
