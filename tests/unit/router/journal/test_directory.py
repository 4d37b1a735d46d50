"""The data directory: one process, one device, one folder for each group whatever it is called."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from router.journal import DataDirectory, DataDirectoryError


def test_a_second_one_is_refused_until_the_first_is_closed(tmp_path: Path) -> None:
    first = DataDirectory.open(tmp_path / "data", "bras-a")
    with pytest.raises(DataDirectoryError, match=f"in use by process {os.getpid()}"):
        DataDirectory.open(tmp_path / "data", "bras-a")
    first.close()
    DataDirectory.open(tmp_path / "data", "bras-a").close()


def test_another_device_is_refused_and_holds_no_lock(tmp_path: Path) -> None:
    DataDirectory.open(tmp_path, "bras-a").close()
    with pytest.raises(DataDirectoryError, match="belongs to device bras-a, the startup file is bras-b's"):
        DataDirectory.open(tmp_path, "bras-b")
    DataDirectory.open(tmp_path, "bras-a").close()


def test_each_group_has_its_folder(tmp_path: Path) -> None:
    directory = DataDirectory.open(tmp_path, "bras-a")
    folders = {directory.group(name) for name in ("g1", "../g1", "a/b", "..", "G1")}
    assert len(folders) == 5
    assert all(folder.is_dir() and folder.parent == tmp_path for folder in folders)
    assert directory.group("g1") in folders
    directory.close()


def test_a_file_in_its_place_is_said(tmp_path: Path) -> None:
    tmp_path.joinpath("data").write_text("")
    with pytest.raises(DataDirectoryError, match="name a directory that this user may write to"):
        DataDirectory.open(tmp_path / "data", "bras-a")
