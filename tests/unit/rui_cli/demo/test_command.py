"""`rui demo`: exit codes, the JSON file, and what becomes of its folder."""

import json
import tempfile
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from rui_cli.demo import command
from rui_cli.demo.story import Options, Outcome, Step
from rui_cli.errors import CliError
from rui_cli.main import build

GOOD = Outcome(users=5, converged=True, digests={"cloud": "0f"}, steps=[Step("start", ok=True, seconds=1.0)])


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "scratch"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


def run(monkeypatch: pytest.MonkeyPatch, outcome: Outcome | BaseException, *words: str) -> int:
    async def tell(_options: Options, _folder: Path, _console: Console) -> Outcome:
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    monkeypatch.setattr(command, "_run", tell)
    return CliRunner().invoke(build(["demo"]), ["demo", *words]).exit_code


def test_a_good_outcome_exits_with_zero_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, scratch: Path, tmp_path: Path
) -> None:
    assert run(monkeypatch, GOOD, "--json", str(tmp_path / "out.json")) == 0
    assert list(scratch.iterdir()) == []
    assert json.loads((tmp_path / "out.json").read_text()) == {
        "users": 5,
        "lost": 0,
        "extra": 0,
        "converged": True,
        "digests": {"cloud": "0f"},
        "steps": [{"name": "start", "ok": True, "seconds": 1.0}],
    }


@pytest.mark.parametrize(
    "bad",
    [
        Outcome(users=5, lost=1, converged=True),
        Outcome(users=5, extra=1, converged=True),
        Outcome(users=5, converged=False),
        Outcome(users=5, converged=True, steps=[Step("start", ok=False, seconds=1.0)]),
    ],
)
def test_loss_or_divergence_exits_with_one_and_keeps_the_logs(
    monkeypatch: pytest.MonkeyPatch, scratch: Path, bad: Outcome
) -> None:
    assert run(monkeypatch, bad) == 1
    assert len(list(scratch.iterdir())) == 1


def test_ctrl_c_exits_with_130(monkeypatch: pytest.MonkeyPatch, scratch: Path) -> None:
    assert run(monkeypatch, KeyboardInterrupt()) == 130
    assert list(scratch.iterdir()) == []


def test_options_out_of_range_are_wrong_usage(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run(monkeypatch, GOOD, "--users", "0") == 2


def test_a_json_file_that_cannot_be_written_is_refused_before_anything_starts(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    nowhere = tmp_path / "nowhere" / "out.json"
    result = CliRunner().invoke(build(["demo"]), ["demo", "--json", str(nowhere)])
    assert isinstance(result.exception, CliError)
    assert "no such folder" in str(result.exception)
