from pathlib import Path

import pytest

from rui.schema import SchemaError, installed_directories, yang_directory
from rui.schema.files import find_modules


def test_our_modules_are_found() -> None:
    assert {"rui-types", "rui-user-info", "rui-backup"} <= find_modules((yang_directory(),)).keys()


def test_the_ietf_modules_are_those_of_the_installed_pyang() -> None:
    found = find_modules(installed_directories())
    assert {"ietf-netconf", "ietf-interfaces", "ietf-vrrp", "iana-if-type"} <= found.keys()
    assert not found.keys() & find_modules((yang_directory(),)).keys()


def test_the_first_folder_wins_and_inside_a_folder_the_latest_revision(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, names in (
        (first, ["a@2024-01-01.yang", "a@2025-01-01.yang", "notes.txt"]),
        (second, ["a.yang", "b.yang"]),
    ):
        folder.mkdir()
        for name in names:
            (folder / name).touch()
    assert find_modules((first, second)) == {"a": first / "a@2025-01-01.yang", "b": second / "b.yang"}


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(SchemaError, match="nowhere: no such folder"):
        find_modules((tmp_path / "nowhere",))
