"""The committed inputs, and a fixed number of new ones that atheris makes of them by coverage.

Longer: `python -m tests.fuzz --seconds 600`.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import CORPUS, TARGETS, corpus

RUNS = 300


@pytest.mark.parametrize("name", TARGETS)
def test_no_committed_input_makes_a_target_fail(name: str) -> None:
    found = corpus(name)
    assert found
    for data in found:
        TARGETS[name](data)


def test_every_corpus_has_a_target() -> None:
    assert {path.name for path in CORPUS.iterdir()} == TARGETS.keys()


def test_new_inputs_find_no_fault(tmp_path: Path) -> None:
    if importlib.util.find_spec("atheris") is None:
        reason = "atheris is not installed for this Python"
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    command = [sys.executable, "-m", "tests.fuzz", f"--runs={RUNS}", f"--artifacts={tmp_path}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=200)
    kept = [path.name for path in tmp_path.iterdir()]
    assert done.returncode == 0, f"{kept}: {done.stdout[-500:]} {done.stderr[-3000:]}"
