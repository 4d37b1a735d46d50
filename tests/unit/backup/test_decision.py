"""The decision table of docs/failover.md, every combination."""

from __future__ import annotations

import itertools

import pytest

from rui.backup.decision import Links, Path, Policy, communication_status, decide
from rui.backup.links import LinkState

UP, DOWN, DEGRADED, UNKNOWN = LinkState.UP, LinkState.DOWN, LinkState.DEGRADED, LinkState.UNKNOWN
ANY = frozenset(LinkState)
NOT_UP = frozenset({DOWN, DEGRADED, UNKNOWN})

# c, a, b -> path with policy confirm, with immediate (or once max-wait has passed)
ROWS = [
    ({UP}, {UP}, {UP}, Path.CLOUD, Path.CLOUD),
    ({UP}, {DOWN}, {DOWN}, Path.LOCAL, Path.LOCAL),
    ({UP}, {DOWN}, {UP}, Path.REESTABLISHING, Path.LOCAL),
    ({UP}, {UP}, {DOWN}, Path.WAITING, Path.BOTH),
    ({UP}, {DOWN}, {DEGRADED, UNKNOWN}, Path.LOCAL, Path.LOCAL),
    ({UP}, {DEGRADED}, ANY, Path.LOCAL, Path.LOCAL),
    ({UP}, {UP}, {DEGRADED, UNKNOWN}, Path.BOTH, Path.BOTH),
    (NOT_UP, {UP, DEGRADED, UNKNOWN}, ANY, Path.CLOUD, Path.CLOUD),
    (NOT_UP, {DOWN}, ANY, Path.HOLD, Path.HOLD),
    ({UP}, {UNKNOWN}, {UP}, Path.CLOUD, Path.CLOUD),
    ({UP}, {UNKNOWN}, NOT_UP, Path.BOTH, Path.BOTH),
]
COMBINATIONS = list(itertools.product(LinkState, repeat=3))


@pytest.mark.parametrize(("a", "b", "c"), COMBINATIONS)
def test_every_combination_has_exactly_one_row_and_follows_it(
    a: LinkState, b: LinkState, c: LinkState
) -> None:
    rows = [row for row in ROWS if c in row[0] and a in row[1] and b in row[2]]
    assert len(rows) == 1
    confirm, immediate = rows[0][3:]
    links = Links(a, b, c)
    assert decide(links, Policy.CONFIRM, waited=False) is confirm
    assert decide(links, Policy.CONFIRM, waited=True) is immediate
    assert decide(links, Policy.IMMEDIATE, waited=False) is immediate


@pytest.mark.parametrize(
    ("a", "b", "verdict"),
    [
        (UP, UP, "normal"),
        (DOWN, UP, "normal"),
        (UP, DOWN, "normal"),
        (DOWN, DOWN, "abnormal"),
        (DEGRADED, UP, "abnormal"),
        (UP, DEGRADED, "abnormal"),
        (DOWN, UNKNOWN, "abnormal"),
        (UNKNOWN, DOWN, "abnormal"),
    ],
)
def test_the_verdict_on_the_cloud(a: LinkState, b: LinkState, verdict: str) -> None:
    assert communication_status(Links(a, b, UP)) == verdict


def test_what_a_path_means() -> None:
    assert {path.in_use for path in Path} == {"none", "cloud", "local", "cloud-and-local"}
    assert Path.WAITING.in_use == "cloud"
    assert {path for path in Path if path.local} == {Path.LOCAL, Path.BOTH}
    assert {path for path in Path if path.uploads} == {Path.CLOUD, Path.BOTH, Path.WAITING}
