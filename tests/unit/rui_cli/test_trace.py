"""The trace of milestones: what is written is what is read, line by line."""

from pathlib import Path

import pytest

from rui.backup.trace import Milestone
from rui.backup.version import Epoch, Version
from rui_cli.errors import CliError
from rui_cli.trace import TraceFile, TraceReader

EPOCH = Epoch(7, "bras-a")


def test_marks_come_back_in_order(tmp_path: Path) -> None:
    reader = TraceReader(tmp_path / "trace")
    assert list(reader.read()) == []
    with TraceFile(tmp_path / "trace") as trace:
        trace("access-1", Milestone.TAKEN, Version(EPOCH, 1))
        assert list(reader.read()) == []
        trace("access-1", Milestone.DURABLE, Version(EPOCH, 1))
        first = list(reader.read())
        trace("access-1", Milestone.TAKEN, Version(EPOCH, 2))
    second = list(reader.read())
    assert [(mark.milestone, mark.group, mark.version.seq) for mark in (*first, *second)] == [
        (Milestone.TAKEN, "access-1", 1),
        (Milestone.DURABLE, "access-1", 1),
        (Milestone.TAKEN, "access-1", 2),
    ]
    assert first[0].at <= first[1].at <= second[0].at


def test_a_line_half_written_is_left_for_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    path.write_text("durable access-1 7@bras-a/1 100\ndurable access-1 7@br")
    reader = TraceReader(path)
    assert [mark.at for mark in reader.read()] == [100]
    with path.open("a") as file:
        file.write("as-a/2 200\n")
    assert [mark.version for mark in reader.read()] == [Version(EPOCH, 2)]


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(CliError, match=r"no-folder/trace: No such file or directory"):
        TraceFile(tmp_path / "no-folder" / "trace")
