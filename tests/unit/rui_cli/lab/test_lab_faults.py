"""What may be broken, what it is called, and what is refused: no root, no kernel."""

import asyncio
import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from rui_cli.errors import CliError, ExitCode
from rui_cli.lab import app, remains, runtime
from rui_cli.lab.continuity import Outcome
from rui_cli.lab.delay import Lane
from rui_cli.lab.faults import THINGS, Faults
from rui_cli.lab.kernel import Abilities
from rui_cli.lab.namespaces import Namespaces
from rui_cli.lab.pair import PAIR
from rui_cli.lab.probe import SeatReport
from rui_cli.lab.probing import Felt, pause_for
from rui_cli.lab.scenarios import SCENARIOS
from rui_cli.lab.wires import WIRES, Shape, Wires
from rui_cli.launch import Fleet
from rui_cli.site import MANAGER

NOTHING = Abilities(netem=False, rate=False, loss=False, delay=False)
ALL = Abilities(netem=True, rate=True, loss=True, delay=True)


def seat(name: str, *, outage: float = 0.0, served: bool = True, stream: bool = True) -> SeatReport:
    return {
        "name": name,
        "outage_ms": outage,
        "served": served,
        "stream": stream,
        "stream_pause_ms": outage,
        "failure": "" if stream else "Connection reset by peer",
    }


def faults(folder: Path, abilities: Abilities = NOTHING) -> Faults:
    fleet = Fleet(folder)
    for name in (*PAIR, MANAGER):
        fleet.add(name, ())
    return Faults(Wires(Namespaces("test"), folder, abilities), fleet)


@pytest.mark.parametrize(
    ("what", "freeze", "shape", "complaint"),
    [
        ("moon", False, None, "there is no moon to break\n  remedy: one of access-a"),
        ("rbs", True, None, "rbs is a link"),
        ("bras-a", False, Shape(delay_ms=1), "bras-a is a process"),
        ("bras-a", False, None, "bras-a does not run"),
        ("manager", True, None, "cloud does not run"),
        ("cloud-a", False, Shape(delay_ms=1), "cannot give a link delay"),
        ("cloud-a", False, Shape(loss_percent=1), "cannot give a link loss"),
        ("cloud-a", False, Shape(rate_mbit=1), "cannot give a link rate"),
    ],
)
def test_what_cannot_be_broken_is_refused(
    what: str, freeze: bool, shape: Shape | None, complaint: str, tmp_path: Path
) -> None:
    with pytest.raises(CliError) as refused:
        asyncio.run(faults(tmp_path).break_(what, freeze=freeze, shape=shape))

    assert complaint in str(refused.value)


def test_what_cannot_be_healed_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="no moon to heal"):
        asyncio.run(faults(tmp_path).heal("moon"))


def test_every_link_is_up_and_as_fast_as_it_can_at_first(tmp_path: Path) -> None:
    links = faults(tmp_path).links()

    assert [link["name"] for link in links] == list(WIRES)
    assert {link["state"] for link in links} == {"up"}
    assert {link["delay_ms"] for link in links} == {0.0}
    assert {faults(tmp_path).process(name) for name in PAIR} == {"ended"}


def test_the_help_names_all_that_may_be_broken() -> None:
    said = CliRunner().invoke(app, ["break", "--help"], env={"COLUMNS": "400", "TERM": "dumb"}).output

    assert all(thing in said for thing in THINGS)


def test_each_scenario_has_a_command() -> None:
    said = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output

    assert all(name in said for name in SCENARIOS)


def test_an_unknown_scenario_is_refused() -> None:
    done = CliRunner().invoke(app, ["run", "all", "--only", "moonfall"])

    assert done.exit_code == ExitCode.USAGE


def test_netem_does_all_of_it_at_once() -> None:
    words = Shape(delay_ms=12.5, loss_percent=2, rate_mbit=10).netem()

    assert words == ["netem", "limit", "10000", "delay", "12.5ms", "loss", "2%", "rate", "10mbit"]


@pytest.mark.parametrize(("rate", "burst"), [(1, 16_000), (1000, 500_000)])
def test_a_fast_link_has_a_larger_burst(rate: float, burst: int) -> None:
    assert Shape(rate_mbit=rate).tbf()[3:5] == ["burst", str(burst)]


@pytest.mark.parametrize(
    ("abilities", "said"),
    [
        (ALL, []),
        (NOTHING, ["links have no rate", "links lose nothing", "links have no delay"]),
        (Abilities(netem=False, rate=True, loss=True, delay=True), ["no netem: a process delays frames"]),
    ],
)
def test_what_the_kernel_lacks_is_said(abilities: Abilities, said: list[str]) -> None:
    left_out = abilities.left_out()

    assert len(left_out) == len(said)
    assert all(line.startswith(begin) for line, begin in zip(left_out, said, strict=True))


def test_a_frame_is_passed_on_when_its_time_has_come() -> None:
    source, into = os.pipe()
    out, target = os.pipe()
    os.set_blocking(source, False)
    os.set_blocking(out, False)
    lane = Lane(source, target, seconds=0.1)
    os.write(into, b"frame")

    lane.take(now=1.0)

    assert lane.give(now=1.05) == pytest.approx(0.05)
    with pytest.raises(BlockingIOError):
        os.read(out, 10)
    lane.give(now=1.1)
    assert os.read(out, 10) == b"frame"
    for descriptor in (source, into, out, target):
        os.close(descriptor)


def test_many_subscribers_ping_less_often() -> None:
    assert pause_for(4) == 0.02
    assert pause_for(1000) == 0.05


def test_the_summary_has_the_form_that_was_agreed() -> None:
    outcome = Outcome("router-killed", 2, Felt((seat("sub1", outage=80), seat("sub2", outage=120))))
    outcome.leases_kept = outcome.converged = True

    summary = outcome.summary()

    assert summary["outage_ms"] == {"p50": 100, "mean": 100, "max": 120}
    assert (summary["lost_sessions"], summary["tcp_survived"]) == (0, 2)
    assert summary["leases_kept"] is summary["converged"] is True
    assert outcome.good


@pytest.mark.parametrize(
    "felt",
    [
        (seat("sub1", served=False), seat("sub2")),
        (seat("sub1", stream=False), seat("sub2")),
    ],
)
def test_whoever_lost_something_is_counted(felt: tuple[SeatReport, ...]) -> None:
    outcome = Outcome("router-killed", 2, Felt(felt), leases_kept=True, converged=True)

    assert not outcome.good


def test_a_scenario_that_saw_nothing_has_lost_everybody() -> None:
    outcome = Outcome("router-killed", 2, failure="after 90 s it is not so")

    assert outcome.summary()["lost_sessions"] == 2
    assert outcome.summary()["failure"] == "after 90 s it is not so"
    assert not outcome.good


def test_a_second_lab_is_refused_while_one_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUI_LAB_RUNTIME", str(tmp_path / "run"))
    lock = runtime.take_lock()
    runtime.write(runtime.Standing(4711, "/tmp/somewhere", 4))

    with pytest.raises(CliError, match="a lab is up already, process 4711") as refused:
        runtime.take_lock()

    assert refused.value.exit_code == ExitCode.REFUSED
    os.close(lock)
    os.close(runtime.take_lock())
    runtime.clear()
    assert runtime.read() is None


@pytest.mark.parametrize("held", ["", "{}", "[]", json.dumps({"pid": "x", "folder": "y", "subscribers": 1})])
def test_facts_that_cannot_be_read_are_none(
    held: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUI_LAB_RUNTIME", str(tmp_path))
    (tmp_path / "lab.json").write_text(held)

    assert runtime.read() is None


def test_a_folder_that_is_kept_is_not_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("rui_cli.lab.remains._ip", lambda *_: "")
    ended = 2**22 + 1
    left, kept = (tmp_path / f"rui-lab-{ended}-{name}" for name in ("left", "kept"))
    running = remains.make_folder()
    for folder in (left, kept):
        folder.mkdir()
    (left / remains.RUNNING).touch()

    removed = remains.sweep()

    assert removed.folders == 1
    assert not left.exists()
    assert kept.exists()
    assert running.exists()


def test_without_a_lab_there_is_nothing_to_ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUI_LAB_RUNTIME", str(tmp_path))
    monkeypatch.setattr("os.geteuid", lambda: 0)

    done = CliRunner().invoke(app, ["status"])

    assert isinstance(done.exception, CliError)
    assert "no lab is up" in str(done.exception)
