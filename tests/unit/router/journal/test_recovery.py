"""What a restart finds: all that was written, less a write that a crash cut short; never damage unnoticed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from router.journal import DataDirectoryError, recover
from router.journal.segment import SegmentWriter, base_path, encode_block, log_path
from rui.backup.journal import MAGIC, Frame
from rui.backup.messages import LAST_BUCKET, Position, SnapshotPage, SnapshotProgress
from tests.unit.router.journal.journals import WRITER, frame, gone, held, put, read_back, version


def write(path: Path, *blocks: list[Frame]) -> list[int]:
    """Write a segment; return where each block ends."""
    writer = SegmentWriter.create(path)
    ends = [writer.size]
    for frames in blocks:
        writer.append(encode_block(frames))
        ends.append(writer.size)
    writer.close()
    return ends


def test_an_empty_folder_begins_with_its_first_log(tmp_path: Path) -> None:
    recovered, writer = recover(tmp_path)
    writer.close()
    assert (len(recovered.table), recovered.log, recovered.cuts) == (0, 1, ())
    assert log_path(tmp_path, 1).read_bytes() == MAGIC


def test_changes_position_facts_and_quarantine_come_back(tmp_path: Path) -> None:
    bad = put(2, 2, b"<poison/>")
    first = Frame(Position(version(2), None, WRITER), (put(1, 1), bad), facts={"store-id": "s1"},
                  quarantined={bad.key.decode(): "no such leaf"})  # fmt: skip
    write(log_path(tmp_path, 1), [first], [frame(gone(1, 3))])
    recovered = read_back(tmp_path)
    assert held(recovered) == {put(1, 1).key: gone(1, 3), bad.key: bad}
    assert recovered.position == Position(version(3), None, WRITER)
    assert recovered.facts == {"store-id": "s1"}
    assert {key: entry.reason for key, entry in recovered.quarantined.items()} == {bad.key: "no such leaf"}
    assert recovered.changes == 3


def test_a_mended_record_is_quarantined_no_more(tmp_path: Path) -> None:
    bad = put(1, 1, b"<poison/>")
    first = Frame(Position(version(1), None, WRITER), (bad,), quarantined={bad.key.decode(): "why"})
    write(log_path(tmp_path, 1), [first], [frame(put(1, 2))])
    assert read_back(tmp_path).quarantined == {}


def test_a_snapshot_page_clears_again(tmp_path: Path) -> None:
    page = SnapshotPage(version(9), 0, LAST_BUCKET)
    last = Frame(Position(version(9), None, WRITER), (put(2, 9),), page)
    write(log_path(tmp_path, 1), [frame(put(1, 1), put(2, 2))], [last])
    recovered = read_back(tmp_path)
    assert held(recovered) == {put(2, 9).key: put(2, 9)}
    assert recovered.table.floor == version(9)


def test_a_snapshot_under_way_goes_on(tmp_path: Path) -> None:
    progress = SnapshotProgress(version(9), 17, version(11))
    write(log_path(tmp_path, 1), [Frame(Position(version(3), progress, WRITER))])
    assert read_back(tmp_path).position.snapshot == progress


BLOCKS = [[frame(put(1, 1)), frame(put(2, 2))], [frame(put(1, 3, b"<user>" + b"x" * 50 + b"</user>"))]]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(cut=st.integers(min_value=0), rubbish=st.binary(max_size=40))
def test_a_torn_tail_is_cut_off_wherever_it_tears(tmp_path: Path, cut: int, rubbish: bytes) -> None:
    path = log_path(tmp_path, 1)
    ends = write(path, *BLOCKS)
    whole = path.read_bytes()
    keep = cut % (len(whole) + 1)
    path.write_bytes(whole[:keep])
    good = max((end for end in ends if end <= keep), default=0)
    if keep != good and good >= len(MAGIC):
        # What the disk holds behind a torn write may be anything
        path.write_bytes(whole[:keep] + rubbish)
    expected = dict(zip(ends, ([], BLOCKS[:1], BLOCKS), strict=True)).get(good, [])
    seqs = {change.version.seq for frames in expected for item in frames for change in item.changes}
    recovered, writer = recover(tmp_path)
    writer.close()
    assert recovered.table.head.seq == max(seqs, default=0)
    assert bool(recovered.cuts) == (keep not in {0, *ends} or (bool(rubbish) and keep != good))
    assert path.read_bytes() == (whole[:good] or MAGIC)
    again, writer = recover(tmp_path)
    writer.close()
    assert again.cuts == ()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=60)
@given(place=st.integers(min_value=0), bit=st.integers(min_value=0, max_value=7))
def test_a_flipped_bit_before_a_good_block_is_never_taken(tmp_path: Path, place: int, bit: int) -> None:
    path = log_path(tmp_path, 1)
    ends = write(path, *BLOCKS)
    damaged = bytearray(path.read_bytes())
    damaged[len(MAGIC) + place % (ends[1] - len(MAGIC))] ^= 1 << bit
    path.write_bytes(damaged)
    with pytest.raises(DataDirectoryError, match=f"{path} is damaged at octet {ends[0]}"):
        recover(tmp_path)
    assert path.read_bytes() == damaged


def test_damage_in_a_segment_that_another_follows_is_never_a_torn_tail(tmp_path: Path) -> None:
    write(log_path(tmp_path, 1), *BLOCKS)
    write(log_path(tmp_path, 2), [frame(put(3, 4))])
    path = log_path(tmp_path, 1)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(DataDirectoryError, match="restore the file"):
        recover(tmp_path)


def test_a_log_that_is_missing_is_named(tmp_path: Path) -> None:
    for number in (1, 3):
        write(log_path(tmp_path, number), [frame(put(1, number))])
    with pytest.raises(DataDirectoryError, match="log-2 is missing"):
        recover(tmp_path)
    write(base_path(tmp_path, 4), [frame(put(1, 9))])
    with pytest.raises(DataDirectoryError, match="log-4 is missing"):
        recover(tmp_path)


def test_a_file_of_another_release_is_left_alone(tmp_path: Path) -> None:
    log_path(tmp_path, 1).write_bytes(b"RUIJ9999 something")
    with pytest.raises(DataDirectoryError, match="not a segment of this release"):
        recover(tmp_path)


def test_a_base_stands_for_all_before_it(tmp_path: Path) -> None:
    write(log_path(tmp_path, 1), [frame(put(1, 1), put(2, 2))])
    write(
        base_path(tmp_path, 2),
        [frame(put(1, 5), gone(2, 4))],
        [Frame(Position(version(5)), floor=version(3))],
    )
    write(log_path(tmp_path, 2), [frame(put(3, 6))])
    base_path(tmp_path, 3).with_suffix(".tmp").write_bytes(b"unfinished")
    recovered, writer = recover(tmp_path)
    writer.close()
    assert {change.version.seq for change in held(recovered).values()} == {4, 5, 6}
    assert recovered.table.floor == version(3)
    assert recovered.table.complete_from == version(5)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["base-2", "log-2"]


def test_what_cannot_be_read_is_said_with_its_name(tmp_path: Path) -> None:
    log_path(tmp_path, 1).mkdir()
    with pytest.raises(DataDirectoryError, match=f"{log_path(tmp_path, 1)}: Is a directory"):
        recover(tmp_path)
