"""Row `netconf` with little load: each part gives its figures at a real server, and a peer may fall over."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from netconf_client import SessionClosed
from rui_cli.bench import netconf, netconfpeers
from rui_cli.bench.netconfload import PARTS, Figures, Load, notifications, rates
from rui_cli.bench.netconfpeers import Peer
from tests.integration import netconf_client_peer

LITTLE = Load(entries=50, seconds=0.1, events=5, subscribers=3, logins=8, idle=4, idle_seconds=0.1)
NAMES = {aim.figure for aim in netconf.AIMS}


def scaled(figures: Figures) -> Figures:
    """The figures under the names that they have with a hundred subscribers."""
    return {name.replace("_3_", "_100_"): value for name, value in figures.items()}


async def test_every_part_is_measured_at_ours(tmp_path: Path) -> None:
    figures: Figures = {}
    async with netconfpeers.ours(tmp_path) as peer:
        for part in PARTS:
            await part(peer, LITTLE, figures)
    assert scaled(figures).keys() == NAMES
    assert all(value > 0 for name, value in figures.items() if name.endswith("per_s"))


@pytest.mark.peer
async def test_the_same_is_measured_at_netconfd(tmp_path: Path) -> None:
    netconf_client_peer.require(*netconfpeers.PROGRAMS)
    figures: Figures = {}
    async with netconfpeers.netconfd(tmp_path) as peer:
        await rates(peer, LITTLE, figures)
        await notifications(peer, LITTLE, figures)
    assert len(figures) == 6
    assert scaled(figures).keys() < NAMES
    assert all(value > 0 for value in figures.values())


async def test_figures_taken_before_a_peer_fell_over_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def start(_folder: Path) -> AsyncIterator[None]:
        yield None

    async def half(_peer: Peer, load: Load, figures: Figures) -> None:
        figures["first"] = load.entries
        raise SessionClosed("127.0.0.1:830", "it fell over")

    async def whole(_peer: Peer, _load: Load, figures: Figures) -> None:
        figures["second"] = 2.0

    monkeypatch.setattr(netconfpeers, "missing", list)
    monkeypatch.setattr(netconfpeers, "netconfd", start)
    monkeypatch.setattr(netconf, "PARTS", (half, whole))
    assert await netconf.beside(7) == {"first": 7, "second": 2.0}
