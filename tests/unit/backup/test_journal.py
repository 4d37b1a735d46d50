from __future__ import annotations

import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rui.backup.journal import Frame, JournalError, decode, encode
from rui.backup.messages import Change, Position, SnapshotPage, SnapshotProgress
from rui.backup.table import Table
from rui.backup.version import Epoch
from tests.unit.backup.histories import A, applied, changes, contents, gone, put, version

FULL = Frame(
    Position(version(9), SnapshotProgress(version(20), 17, version(21)), Epoch(3, "bras-b")),
    (put(1, 8), gone(2, 9), put(3, 4, Epoch(2, "bras-b"))),
    SnapshotPage(version(20), 0, 16),
    version(2),
    {"store-id": "s1"},
    {"02:00:00:00:00:01/0/0": "lease-time: out of range"},
)


def read(data: bytes) -> tuple[list[Frame], int]:
    frames, end = [], 0
    for frame, end in decode(data):  # noqa: B007 - the last offset counts
        frames.append(frame)
    return frames, end


def test_origins_read_back() -> None:
    frame = Frame(Position(version(9)), [put(1, 9)], origins={put(1, 9).key: version(3, Epoch(2, "bras-b"))})
    (again,), _ = read(encode(frame))
    assert again.origins == frame.origins


@pytest.mark.parametrize("frame", [Frame(Position()), FULL])
def test_a_frame_reads_back(frame: Frame) -> None:
    (again,), _ = read(encode(frame))
    assert again == Frame(
        frame.position, list(frame.changes), frame.cleared, frame.floor, frame.facts, frame.quarantined
    )


@given(changes(longest=12), st.data())
def test_a_journal_cut_anywhere_gives_its_whole_frames(history: list[Change], data: st.DataObject) -> None:
    frames = [Frame(Position(change.version, None, A), [change]) for change in history]
    whole = [encode(frame) for frame in frames]
    journal = b"".join(whole)
    cut = data.draw(st.integers(0, len(journal)))
    again, end = read(journal[:cut])
    complete = 0
    while complete < len(whole) and sum(map(len, whole[: complete + 1])) <= cut:
        complete += 1
    assert again == frames[:complete]
    assert end == sum(map(len, whole[:complete]))


@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_damaged_octet_ends_the_reading_before_its_frame(place: int, flip: int) -> None:
    first, second = encode(Frame(Position(version(1), None, A), [put(1, 1)])), encode(FULL)
    damaged = bytearray(first + second)
    place = len(first) + place % len(second)
    damaged[place] ^= flip
    frames, end = read(bytes(damaged))
    assert (len(frames), end) == (1, len(first))


@pytest.mark.parametrize("octets", [8, 100])
def test_a_block_that_was_never_written_is_the_end_of_the_journal(octets: int) -> None:
    """The file had its new length when the power went: its end is all zeros."""
    assert read(encode(FULL) + bytes(octets))[1] == len(encode(FULL))


def test_a_frame_of_another_release_is_an_error_and_not_a_crash() -> None:
    payload = b"\x00\x00\x00\x02{}"
    data = len(payload).to_bytes(4, "big") + zlib.crc32(payload).to_bytes(4, "big") + payload
    with pytest.raises(JournalError, match=r"octet 0.*another release"):
        read(data)


@given(changes())
def test_replaying_a_journal_twice_gives_the_same_table(history: list[Change]) -> None:
    journal = encode(Frame(Position(history[-1].version, None, A), history))
    table = Table()
    for frame in read(journal)[0] * 2:
        for change in frame.changes:
            table.apply(change)
    assert contents(table) == contents(applied(history))
