"""The lower bounds give figures, and end with their processes."""

import pytest

from rui_cli.bench import bounds
from rui_cli.bench.rows import ROWS, find

# They take longer: the disk's waits, another server (test_netconf.py), real time (test_outage.py).
OTHERS = ("latency", "netconf", "outage", "takeover", "bfd")


@pytest.mark.parametrize("row", [row for row in ROWS if row.name not in OTHERS], ids=lambda row: row.name)
async def test_every_row_is_compared_with_something(row: object) -> None:
    named = find(getattr(row, "name", ""))
    figures = await named.beside(200)
    wanted = {aim.beside for aim in named.aims if aim.beside}
    assert wanted
    assert wanted <= figures.keys()
    assert all(value > 0 for name, value in figures.items() if name != "bytes_per_user")


async def test_three_disks_and_two_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "_ROUND_TRIPS", 20)
    figures = await bounds.latency(1)
    assert 0 < figures["p50_ms"] <= figures["p99_ms"]
