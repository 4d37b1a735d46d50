"""docs/guarantees.md names tests that are there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

HOUSE = Path(__file__).resolve().parents[2]
TEXT = (HOUSE / "docs/guarantees.md").read_text()
CASES = HOUSE / "tests/conformance/cases"
_NAME = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)(?:\[([^\]`]+)\])?`")

NAMED = sorted(set(_NAME.findall(TEXT)))


def is_there(file: str, test: str, case: str) -> bool:
    """Whether the file has such a test at its top level; ``case`` is a conformance case, or empty."""
    path = HOUSE / file
    if not path.exists():
        return False
    tree = ast.parse(path.read_text())
    found = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return test in found and (not case or (CASES / case).exists())


def rows(text: str) -> list[list[str]]:
    """Return the cells of every row of the tables about faults."""
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.mark.parametrize(("file", "test", "case"), NAMED)
def test_every_test_that_is_named_exists(file: str, test: str, case: str) -> None:
    assert is_there(file, test, case)


def test_what_does_not_exist_is_found() -> None:
    here = "tests/unit/test_guarantees_document.py"
    assert is_there(here, "test_what_does_not_exist_is_found", "")
    assert not is_there(here, "test_that_nobody_wrote", "")
    assert not is_there("tests/unit/test_nowhere.py", "test_x", "")
    assert not is_there("tests/conformance/test_cases.py", "test_case", "s999z-no-such-case")


def test_every_fault_has_a_test() -> None:
    found = [row for row in rows(TEXT) if row[0] != "fault" and not row[0].startswith("--")]
    assert len(found) > 20
    for row in found:
        assert len(row) == 4, row
        assert _NAME.findall(row[3]), row[0]
