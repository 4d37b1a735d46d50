"""What the demo's result says, and when it counts as good."""

from pathlib import Path

import pytest

from rui.backup.version import Version
from rui_cli.demo.story import PRIMARY, SECONDARY, Options, Outcome, Step, Story, demo_group
from rui_cli.demo.watch import Watcher
from rui_cli.launch import Fleet
from rui_cli.site import MANAGER, Site
from rui_cli.tables import Holding

OPTIONS = Options(users=100, seconds=20.0, seed=3)
TABLE = {"a": b"1", "b": b"2"}


@pytest.fixture
def story(tmp_path: Path) -> Story:
    return Story(OPTIONS, Site(tmp_path, [demo_group(OPTIONS)]), Fleet(tmp_path), Watcher("access-1", {}, {}))


def holding(cursor: str = "1@bras-a/9", count: int = 2, digest: str = "0f") -> Holding:
    return Holding(Version.parse(cursor), count, 0, digest)


def judge(
    story: Story, cloud: dict[str, bytes], secondary: dict[str, bytes], cloud_holding: Holding | None = None
) -> Outcome:
    holdings = {MANAGER: cloud_holding or holding(), PRIMARY: holding(), SECONDARY: holding()}
    story._judge(holdings, {MANAGER: cloud, PRIMARY: TABLE, SECONDARY: secondary})
    return story.outcome


def test_three_equal_tables_are_good(story: Story) -> None:
    outcome = judge(story, TABLE, TABLE)
    assert outcome.good
    assert (outcome.users, outcome.lost, outcome.extra) == (2, 0, 0)
    assert outcome.as_json()["digests"] == {MANAGER: "0f", PRIMARY: "0f", SECONDARY: "0f"}
    assert "error" not in outcome.as_json()


@pytest.mark.parametrize(
    ("cloud", "secondary", "lost", "extra"),
    [
        ({"a": b"1"}, TABLE, 1, 0),
        ({"a": b"1"}, {"b": b"2"}, 2, 0),
        (TABLE, {**TABLE, "c": b"3"}, 0, 1),
        (TABLE, {"a": b"1", "b": b"other"}, 1, 0),
    ],
)
def test_a_lost_invented_or_changed_user_is_counted(
    story: Story, cloud: dict[str, bytes], secondary: dict[str, bytes], lost: int, extra: int
) -> None:
    outcome = judge(story, cloud, secondary)
    assert (outcome.lost, outcome.extra) == (lost, extra)
    assert not outcome.good


@pytest.mark.parametrize("other", [holding(cursor="1@bras-a/8"), holding(count=3), holding(digest="10")])
def test_equal_records_under_different_digests_have_not_converged(story: Story, other: Holding) -> None:
    assert not judge(story, TABLE, TABLE, other).good


def test_a_failed_step_is_never_good(story: Story) -> None:
    story.outcome.steps.append(Step("start", ok=False, seconds=1.0))
    assert not judge(story, TABLE, TABLE).good


def test_an_outcome_without_comparison_is_not_good() -> None:
    assert not Outcome(error="x").good
    assert Outcome(error="x").as_json()["error"] == "x"


async def test_a_process_that_does_not_start_is_in_the_outcome(story: Story, tmp_path: Path) -> None:
    (tmp_path / MANAGER).mkdir()
    story._fleet.add(
        MANAGER, ("manager", "--startup", str(tmp_path / "nothing.xml"), "--data-dir", str(tmp_path))
    )
    async with story._fleet:
        outcome = await story.tell()
    assert not outcome.good
    assert [step.ok for step in outcome.steps] == [False]
    assert "before it was ready" in outcome.error
