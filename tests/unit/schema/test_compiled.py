"""What a set of modules comes to is kept, and used for exactly what it was made of."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from rui.schema.compiled import Compiled, Kept
from rui.schema.compiling import compile_modules
from rui.schema.files import find_modules, installed_directories, yang_directory
from rui.schema.sets import FEATURES

MODULE = 'module small {{ namespace "urn:small"; prefix s; feature more; leaf {leaf} {{ type string; }} }}\n'
OURS = ("ietf-netconf", "ietf-netconf-acm", "rui-device", "rui-backup", "rui-user-info")


class Small:
    """A module in a folder of its own, and where what it comes to is kept."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "small.yang"
        self.file.write_text(MODULE.format(leaf="a"))
        self.keeping = folder / "kept"
        self.features: dict[str, list[str]] = {}

    def place(self, name: str = "small") -> Kept:
        return Kept(name, ["small"], {"small": self.file}, self.features, self.keeping)

    def compiled(self) -> Compiled:
        return compile_modules(["small"], {"small": self.file}, self.features)[0]


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Small:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return Small(tmp_path)


def test_what_our_modules_come_to_is_the_same_when_it_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    files = find_modules((yang_directory(), *installed_directories()))
    made, _ = compile_modules(OURS, files, FEATURES)
    place = Kept("ours", OURS, files, FEATURES, tmp_path)
    place.write(made)
    assert place.read() == made
    assert "/rui-device:device" in {node.path for node in made.tree.data.values()}


def test_it_is_not_there_at_first(small: Small) -> None:
    assert small.place().read() is None


def test_a_module_that_has_changed_is_read_anew(small: Small) -> None:
    small.place().write(small.compiled())
    assert small.place().read() is not None
    small.file.write_text(MODULE.format(leaf="b"))
    assert small.place().read() is None
    small.place().write(small.compiled())
    found = small.place().read()
    assert found is not None
    assert list(found.tree.data) == ["{urn:small}b"]


def test_other_features_are_another_set(small: Small) -> None:
    small.place().write(small.compiled())
    small.features = {"small": ["more"]}
    assert small.place().read() is None


@pytest.mark.parametrize("keep", [0, 10, 40, 200, -1])
def test_a_file_that_was_cut_off_counts_for_nothing(small: Small, keep: int) -> None:
    small.place().write(small.compiled())
    (file,) = small.keeping.iterdir()
    file.write_bytes(file.read_bytes()[:keep])
    assert small.place().read() is None


def test_a_file_that_was_damaged_counts_for_nothing(small: Small) -> None:
    small.place().write(small.compiled())
    (file,) = small.keeping.iterdir()
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    assert small.place().read() is None


def test_where_python_keeps_no_bytecode_nothing_is_kept(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    small.place().write(small.compiled())
    assert not small.keeping.exists()


def test_a_folder_that_cannot_be_written_in_is_no_fault(small: Small) -> None:
    small.keeping.write_text("no folder")
    small.place().write(small.compiled())
    assert small.place().read() is None
