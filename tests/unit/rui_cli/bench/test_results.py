"""Medians, ranges, aims and ratios of a row, as JSON and as a table."""

import json

import pytest
from rich.console import Console

from rui_cli.bench.command import table
from rui_cli.bench.results import Aim, Bound, Result, Run, Spread, percentile, shown

AIMS = (
    Aim("users_per_s", Bound.AT_LEAST, 250, "users_per_s"),
    Aim("p99_ms", Bound.AT_MOST, 20.0),
    Aim("p50_ms", Bound.AT_MOST),
)


def a_run(users_per_s: float, beside: float, p99: float) -> Run:
    figures = {"users_per_s": users_per_s, "p99_ms": p99, "p50_ms": p99 / 10}
    return Run(figures, {"users_per_s": beside}, load=1.0, others=0.25)


RESULT = Result(
    "replication",
    1000,
    AIMS,
    "plain inserts",
    "Kea: 2,500 leases/s",
    {"cores": 2},
    (a_run(300, 1000, 25), a_run(200, 400, 15), a_run(310, 3100, 30)),
)


def test_medians_are_at_the_top_level_and_ranges_beside() -> None:
    plain = json.loads(json.dumps(RESULT.as_json()))
    assert (plain["row"], plain["users"], plain["users_per_s"], plain["p99_ms"]) == (
        "replication",
        1000,
        300,
        25,
    )
    assert plain["range"]["users_per_s"] == [200, 310]
    assert plain["beside"]["users_per_s"] == 1000
    assert plain["aims"] == {
        "users_per_s": {"at least": 250, "met": True},
        "p99_ms": {"at most": 20.0, "met": False},
    }
    assert len(plain["runs"]) == 3


def test_the_ratio_is_taken_run_by_run() -> None:
    assert RESULT.ratio(AIMS[0]) == pytest.approx(0.3)
    assert RESULT.ratio(AIMS[1]) is None


def test_the_table_says_what_was_missed() -> None:
    console = Console(width=140, record=True, file=None, quiet=False)
    with console.capture() as captured:
        console.print(table([RESULT]))
    lines = captured.get().splitlines()
    assert any("users_per_s" in line and "300 (200-310)" in line and ": met" in line for line in lines)
    assert any("p99_ms" in line and ": missed" in line for line in lines)


def test_a_spread_of_one_is_that_one() -> None:
    assert Spread.of([4.0]) == Spread(4.0, 4.0, 4.0)


@pytest.mark.parametrize(("share", "value"), [(0.0, 1), (0.5, 51), (0.99, 100), (1.0, 100)])
def test_percentiles(share: float, value: int) -> None:
    assert percentile(list(range(1, 101)), share) == value


@pytest.mark.parametrize(
    ("value", "text"), [(25_123.4, "25,123"), (871.2, "871"), (0.3278, "0.328"), (4.0, "4")]
)
def test_figures_for_people(value: float, text: str) -> None:
    assert shown(value) == text


def test_a_ratio_is_an_aim_too_and_may_be_lacking() -> None:
    aim = Aim("edits_per_s", Bound.AT_LEAST, beside="edits_per_s", ratio=1.0)
    runs = (
        Run({"edits_per_s": 200.0}, {"edits_per_s": 400.0}, 1.0, 0.0),
        Run({"edits_per_s": 300.0}, {}, 1.0, 0.0),
    )
    plain = Result("netconf", 10, (aim,), "another server", "", {}, runs).as_json()
    assert plain["ratio"] == {"edits_per_s": 0.5}
    assert plain["ratio_aims"] == {"edits_per_s": {"at least": 1.0, "met": False}}
    assert plain["not_measured_beside"] == ["edits_per_s"]
    alone = Result("netconf", 10, (aim,), "nothing", "", {}, runs[1:])
    assert alone.ratio(aim) is None
    console = Console(width=200)
    with console.capture() as shown_:
        console.print(table([alone]))
    assert "not measured" in shown_.get()
