"""Rows ``outage``, ``takeover`` and ``bfd``: what is measured, with little of it."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from rui_cli.bench import bfd, bfdspeaker, keaha, keepalived, outage, takeover
from rui_cli.bench.rows import ROWS, find
from rui_cli.errors import CliError
from rui_cli.lab import requirements

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for network namespaces")


def needs(*programs: str) -> pytest.MarkDecorator:
    absent = [name for name in programs if requirements.find(name) is None and shutil.which(name) is None]
    return pytest.mark.skipif(bool(absent) and "CI" not in os.environ, reason=f"needs {', '.join(absent)}")


def test_the_longest_gap_is_counted_in_pings() -> None:
    said = "".join(
        f"64 bytes from 10.82.0.2: icmp_seq={n} ttl=63 time=0.1 ms\n" for n in (1, 2, 5, 6, 10, 11)
    )
    assert keepalived.longest_gap(said + "no answer yet for icmp_seq=12\n") == 3
    assert keepalived.longest_gap("PING 10.82.0.2\n") == 0


def test_every_figure_of_the_outage_has_its_scenario() -> None:
    figures = {f"{name}_{what}_ms" for name in outage._PLAYED for what in ("p50", "max")}
    assert {aim.figure for aim in outage.AIMS} <= figures


def test_a_row_that_needs_root_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert {row.name for row in ROWS if row.missing()} == {"outage", "takeover"}
    assert "only root" in find("takeover").missing()


@needs_root
def test_a_row_names_the_packages_that_it_lacks() -> None:
    row = replace(find("takeover"), programs={"no-such-program": "its-package"})
    assert row.missing() == "no-such-program not installed; on Debian: apt-get install its-package"


def test_the_ends_of_each_session_fit_together() -> None:
    here, there = bfdspeaker.sessions("router", 1, 300, 300), bfdspeaker.sessions("peer", 2, 300, 300)
    for own, other in zip(here, there, strict=True):
        assert (own.path.local, own.path.remote) == (other.path.remote, other.path.local)
    assert len({own.path for own in here}) == 300
    assert all(IPv4Address(own.path.remote).is_loopback for own in here)


async def test_sessions_and_timers_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bfd, "_SETTLES", 0.0)
    monkeypatch.setattr(bfd, "_MEASURED", 0.5)
    monkeypatch.setattr(requirements, "find", lambda _: None)
    monkeypatch.setattr(bfd, "find", lambda _: None)
    figures, _ = await bfd.measure(3)
    assert figures["falls"] == 0
    assert figures["packets_per_s"] > 0
    others = await bfd.beside(3)
    assert others.keys() == {"timers_cores", "timers_packet_us"}
    assert others["timers_packet_us"] >= 0


@pytest.mark.root
@needs_root
@needs("nft", "ip")
async def test_every_user_is_reached_after_a_takeover() -> None:
    figures, _ = await takeover.measure(300)
    assert figures["reached_percent"] == 100.0
    assert figures["forwarded_ms"] >= 0
    assert (await takeover.beside(300))["script_ms"] > 0


async def test_without_the_hook_kea_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keaha, "hooks", lambda: None)
    with pytest.raises(CliError, match="no hook"):
        await keaha.standby_serves()


def test_a_pair_of_keas_knows_both(tmp_path: Path) -> None:
    configured = keaha._configuration("standby", tmp_path, tmp_path)
    text = str(configured)
    assert "'this-server-name': 'standby'" in text
    assert "http://10.83.0.11:8000/" in text
    assert "http://10.83.0.12:8000/" in text
