"""Each claim of docs/security.md names a test that is there."""

import re
from pathlib import Path

HOUSE = Path(__file__).resolve().parents[2]


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", (HOUSE / "docs" / "security.md").read_text()))
    written = "\n".join(path.read_text() for path in (HOUSE / "tests").rglob("test_*.py"))
    assert named
    assert {name for name in named if not re.search(rf"def {name}\(", written)} == set()
