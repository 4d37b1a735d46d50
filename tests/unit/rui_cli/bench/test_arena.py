"""When a milestone had passed a version; the site that is measured."""

from rui.backup.trace import Milestone
from rui.backup.version import Epoch, Version
from rui_cli.bench.arena import PRIMARY, SECONDARY, Marks, arena
from rui_cli.bench.samples import sample_keys, sample_records
from rui_cli.trace import Mark

EPOCH = Epoch(1, PRIMARY)


def mark(seq: int, at: int) -> Mark:
    return Mark(Milestone.DURABLE, "g", Version(EPOCH, seq), at)


def test_a_version_is_reached_by_the_first_mark_at_or_above_it() -> None:
    marks = Marks()
    for entry in (mark(2, 10), mark(5, 20), mark(5, 30), mark(4, 40), mark(9, 50)):
        marks.add(entry)
    assert [marks.reached(Version(EPOCH, seq)) for seq in (1, 2, 3, 5, 6, 9, 10)] == [
        10,
        10,
        20,
        20,
        50,
        50,
        None,
    ]
    assert marks.count_at() == 9
    assert Marks().count_at() == 0


async def test_the_folder_is_there_while_it_is_needed() -> None:
    async with arena(max_population="10") as running:
        folder = running.site.folder
        assert running.site.startup(PRIMARY).exists()
        assert "--trace" in running.fleet.members[SECONDARY]._command
        assert running.pids == {}
    assert not folder.exists()


def test_samples_are_users_of_their_keys() -> None:
    samples = sample_records(3)
    assert [key for key, _ in samples] == sample_keys(3)
    assert all(700 < len(record) < 950 for _, record in samples)
