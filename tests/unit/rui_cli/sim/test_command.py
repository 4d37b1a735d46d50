"""``rui sim`` as a user sees it: what it prints, what it writes, how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from unittest.mock import patch

import pytest

from rui.backup.member import Member
from rui_cli.errors import CliError, ExitCode
from rui_cli.sim.command import simulate
from rui_cli.sim.roles import Roles


def run(file: Path | None, *, seeds: range = range(2), processes: int = 1) -> ExitCode:
    return simulate(seeds, Roles.CONFIGURED, events=200, processes=processes, file=file)


def test_what_holds_is_written_with_what_was_covered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path / "sim.json") is ExitCode.OK
    written = json.loads((tmp_path / "sim.json").read_text())
    assert set(written) == {"seeds", "events", "violations", "coverage"}
    assert (written["seeds"], written["violations"]) == (2, [])
    assert written["events"] >= 400
    links = written["coverage"]["rui.backup.links"]
    assert "unknown/heard" not in links["missing"]
    assert links["transitions"] + len(links["missing"]) == links["of"] < links["pairs"]
    assert "2 seeds" in capsys.readouterr().out


def test_what_breaks_is_named_with_the_command_that_shows_it_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def put(self: Member, key: bytes, record: bytes) -> None:
        raise RuntimeError("planted")

    with patch.object(Member, "put", put):
        assert run(tmp_path / "sim.json", seeds=range(5, 6)) is ExitCode.CHECK_FAILED
    (violation,) = json.loads((tmp_path / "sim.json").read_text())["violations"]
    assert (violation["seed"], violation["invariant"]) == (5, 0)
    assert violation["what"] == "RuntimeError: planted"
    assert (violation["event"], violation["at"]) == (0, 0.0), "at the first login"
    assert "rui sim --roles configured --seeds 1 --seed 5" in capsys.readouterr().out


def test_the_folder_of_the_file_has_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(CliError, match="no such folder"):
        run(tmp_path / "nowhere" / "sim.json")


def test_several_processes_come_to_the_same(tmp_path: Path) -> None:
    for processes in (1, 2):
        run(tmp_path / f"{processes}.json", seeds=range(3), processes=processes)
    assert (tmp_path / "1.json").read_text() == (tmp_path / "2.json").read_text()
