"""The documents say what is so: links resolve, targets exist, the map names files that are there."""

import re
from pathlib import Path

import pytest

from rui_cli.main import SUB_COMMANDS

HOUSE = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*HOUSE.glob("*.md"), *HOUSE.glob("docs/**/*.md")])
NAMES = [str(path.relative_to(HOUSE)) for path in DOCUMENTS]
PROSE = "\n".join(path.read_text() for path in DOCUMENTS)


def broken_links(text: str, folder: Path) -> list[str]:
    """Return the relative links and pictures whose file is not there."""
    links = re.findall(r"\]\(([^)\s]+)\)", text)
    return [link for link in links if "://" not in link and not (folder / link.split("#")[0]).exists()]


def make_targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def code(text: str) -> str:
    """Return what stands in code spans and blocks."""
    blocks = re.findall(r"^```[a-z]*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    spans = re.findall(r"`([^`\n]+)`", text)
    return "\n".join([*blocks, *spans])


def module_map(text: str) -> list[tuple[str, list[str], bool]]:
    """Return (paragraphs, files, whether planned) of each row of the map of FIG. 10 to 12."""
    rows = [
        [cell.strip() for cell in line.strip("|\n ").split(" | ")]
        for line in text.splitlines()
        if line.startswith("| [0")
    ]
    return [(row[0], re.findall(r"`([^`]+)`", row[-1]), row[-1].startswith("planned")) for row in rows]


def paragraphs(text: str) -> set[int]:
    """Return the paragraph numbers that a text names, ranges included."""
    found: set[int] = set()
    for first, last in re.findall(r"\[(\d{4})\](?:\u2013\[(\d{4})\])?", text):
        found |= set(range(int(first), int(last or first) + 1))
    return found


@pytest.mark.parametrize("name", NAMES)
def test_every_relative_link_resolves(name: str) -> None:
    path = HOUSE / name
    assert broken_links(path.read_text(), path.parent) == []


def test_a_broken_link_is_found() -> None:
    assert broken_links("[a](nowhere.md) [b](https://x.org/y) [c](README.md#try-it)", HOUSE) == ["nowhere.md"]


def test_every_make_target_that_is_named_exists() -> None:
    named = set(re.findall(r"\bmake ([a-z]+)\b", code(PROSE)))
    assert {"demo", "test", "check", "lab"} <= named
    assert named <= make_targets((HOUSE / "Makefile").read_text())


def test_every_rui_command_that_is_named_exists() -> None:
    named = set(re.findall(r"(?:^|/)rui ([a-z]+)\b", code(PROSE), re.MULTILINE))
    assert named <= {command.name for command in SUB_COMMANDS}


def test_every_file_that_is_named_exists() -> None:
    architecture = (HOUSE / "ARCHITECTURE.md").read_text()
    planned = {file for _, files, later in module_map(architecture) for file in files if later}
    pattern = r"(?:yang|rui|router|manager|rui_cli|tests|netconf_client|netconf_server|docs)/[\w./-]*\w"
    named = set(re.findall(rf"^({pattern})", code(PROSE), re.MULTILINE)) - planned
    assert [name for name in sorted(named) if not (HOUSE / name).exists()] == []


def test_the_map_names_files_that_are_there_and_calls_planned_what_is_not() -> None:
    rows = module_map((HOUSE / "ARCHITECTURE.md").read_text())
    assert len(rows) > 20
    for where, files, planned in rows:
        assert files, where
        for file in files:
            assert (HOUSE / file).exists() is not planned, f"{where}: {file}"


def test_the_map_covers_every_paragraph_of_the_figures() -> None:
    architecture = (HOUSE / "ARCHITECTURE.md").read_text()
    covered = paragraphs(" ".join(where for where, _, _ in module_map(architecture)))
    effects = {293, 299, 341}
    introductions = {250, 294, 300}
    assert set(range(250, 342)) - covered - effects - introductions == set()


def test_the_readme_names_its_source_and_shows_a_picture() -> None:
    readme = (HOUSE / "README.md").read_text()
    assert "US 2021/0011813 A1" in readme
    assert re.search(r"!\[[^\]]{20,}\]\(docs/[\w-]+\.svg\)", readme)


def test_the_changelog_has_a_heading_for_what_is_not_released() -> None:
    assert "\n## [Unreleased]\n" in (HOUSE / "CHANGELOG.md").read_text()
