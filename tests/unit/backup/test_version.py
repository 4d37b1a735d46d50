from __future__ import annotations

import pytest

from rui.backup.version import NO_EPOCH, ZERO, Epoch, Version, VersionError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("7@bras-a/1024", Version(Epoch(7, "bras-a"), 1024)),
        ("1@a.b_c-d/1", Version(Epoch(1, "a.b_c-d"), 1)),
        ("", ZERO),
    ],
)
def test_a_version_reads_back_what_it_wrote(text: str, expected: Version) -> None:
    assert Version.parse(text) == expected
    assert str(expected) == text


@pytest.mark.parametrize(
    "text", ["7", "7@", "@a/1", "7@a", "7@a/", "07@a/1", "7@a/01", "-1@a/1", "7@a/1 ", "7@a b/1"]
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(VersionError, match="7@bras-a/1024"):
        Version.parse(text)


def test_an_epoch_reads_back_and_refuses_the_rest() -> None:
    assert Epoch.parse("12@bras-b") == Epoch(12, "bras-b")
    assert Epoch.parse("") is NO_EPOCH
    with pytest.raises(VersionError, match="COUNTER@DEVICE-ID"):
        Epoch.parse("12")


def test_counters_compare_as_numbers_then_devices_then_sequence() -> None:
    ordered = ["", "2@b/9", "10@a/1", "10@a/2", "10@b/1"]
    assert sorted(map(Version.parse, reversed(ordered))) == [Version.parse(text) for text in ordered]
