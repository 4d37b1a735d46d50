"""Whom the journals prove to be online, and what is made of three tables beside that."""

from __future__ import annotations

import json
from pathlib import Path

from router.journal.segment import SegmentWriter, encode_block, log_path
from rui.backup.journal import Frame
from rui.backup.messages import Change, Position
from rui.backup.version import Epoch, Version
from rui_cli.chaos.outcome import Outcome, judge
from rui_cli.chaos.story import faults_of_code
from rui_cli.chaos.truth import Truth, read_truth

A, B = Epoch(1, "bras-a"), Epoch(2, "bras-b")
KEY = "02:00:00:00:00:01/100/0"


def change(version: Version, record: bytes | None, key: str = KEY) -> Change:
    return Change(key.encode(), version, record)


def truth_of(*deeds: tuple[Version, bytes | None, int | None]) -> Truth:
    """Return what is known after these changes of one user, each taken at a time, or taken over (None)."""
    truth = Truth()
    for version, record, at in deeds:
        truth.wrote(version.epoch.device, [change(version, record)])
        if at is not None:
            truth.took(version, at)
            truth.stored(version)
    return truth


def test_the_newest_deed_counts() -> None:
    truth = truth_of((Version(A, 1), b"one", 10), (Version(A, 2), None, 20), (Version(B, 1), b"two", 30))
    assert truth.expected()[KEY].states == {b"two"}
    assert truth.expected()[KEY].online


def test_what_nobody_else_had_stored_may_be_passed_over() -> None:
    truth = truth_of((Version(A, 1), b"one", 10))
    truth.wrote("bras-a", [change(Version(A, 2), None)])
    truth.took(Version(A, 2), 20)
    assert truth.expected()[KEY].states == {b"one", None}
    outcome = Outcome(converged=True)
    judge(outcome, {"bras-a": {KEY: b"one"}}, truth, "bras-a")
    assert (outcome.good, outcome.passed_over) == (True, 1)
    assert "passed_over" not in outcome.as_json()
    truth.wrote("bras-b", [change(Version(A, 2), None)])
    judge(outcome := Outcome(converged=True), {"bras-a": {KEY: b"one"}}, truth, "bras-a")
    assert (outcome.extra, outcome.passed_over) == (1, 0)


def test_who_never_left_the_writers_disk_may_be_there_or_not() -> None:
    truth = Truth()
    truth.wrote("bras-a", [change(Version(A, 1), b"one")])
    truth.took(Version(A, 1), 10)
    for there, passed_over in (({KEY: b"one"}, 0), ({}, 1)):
        judge(outcome := Outcome(converged=True), {"bras-a": there}, truth, "bras-a")
        assert (outcome.good, outcome.passed_over) == (True, passed_over)


def test_what_a_primary_has_taken_over_proves_nothing() -> None:
    truth = truth_of((Version(A, 1), b"one", 10), (Version(A, 2), None, None), (Version(A, 3), b"one", 15))
    assert truth.expected()[KEY].states == {b"one"}
    truth = truth_of((Version(A, 1), b"one", 10), (Version(B, 2), None, None))
    truth.took(Version(B, 9), 30)
    assert truth.expected()[KEY].online, "this delete was nobody's logoff"


def test_of_two_writers_at_once_either_may_win() -> None:
    truth = truth_of((Version(A, 5), b"one", 40), (Version(B, 1), None, 30))
    assert truth.expected()[KEY].states == {b"one", None}
    assert not truth.expected()[KEY].online
    assert not truth.expected()[KEY].offline


def test_what_a_killed_trace_does_not_say_may_have_been_a_deed() -> None:
    truth = truth_of((Version(A, 1), b"one", 10), (Version(A, 2), None, None))
    assert truth.expected()[KEY].states == {b"one", None}


def test_one_version_with_two_contents_is_a_violation() -> None:
    truth = Truth()
    truth.wrote("bras-a", [change(Version(A, 1), b"one")])
    truth.wrote("bras-b", [change(Version(A, 1), b"one")])
    assert truth.violations == []
    truth.wrote("bras-b", [change(Version(A, 1), None)])
    assert truth.violations == [f"bras-b holds of 1@bras-a/1 {KEY} offline, another router {KEY} online"]


def test_the_judgement_finds_lost_and_extra_users_and_copies_that_differ() -> None:
    truth = truth_of((Version(A, 1), b"one", 10))
    truth.wrote("bras-a", [change(Version(A, 2), None, "gone/0/0")])
    truth.took(Version(A, 2), 20)
    truth.stored(Version(A, 2))
    good = {name: {KEY: b"one"} for name in ("cloud", "bras-a", "bras-b")}
    outcome = Outcome(converged=True)
    judge(outcome, good, truth, "bras-a")
    assert outcome.good
    outcome = Outcome(converged=True)
    judge(outcome, {**good, "cloud": {"gone/0/0": b"x"}}, truth, "bras-a")
    assert (outcome.lost, outcome.extra, outcome.good) == (1, 1, False)
    assert f"lost: 1 users, {KEY}" in outcome.violations
    assert "compared with bras-a, cloud has beyond: 1 users, gone/0/0" in outcome.violations


def test_a_user_who_is_held_with_an_older_record_is_found() -> None:
    truth = truth_of((Version(A, 1), b"old", 10), (Version(A, 2), b"new", 20), (Version(B, 1), b"old", None))
    truth.took(Version(B, 7), 30)
    outcome = Outcome(converged=True)
    judge(outcome, {"bras-a": {KEY: b"old"}}, truth, "bras-a")
    assert outcome.violations == [f"held with an older record: 1 users, {KEY}"]


def test_journals_and_traces_are_read(tmp_path: Path) -> None:
    folder = tmp_path / "group-g1"
    folder.mkdir()
    writer = SegmentWriter.create(log_path(folder, 1))
    version = Version(A, 1)
    writer.append(encode_block([Frame(Position(version, None, A), [change(version, b"one")])]), sync=True)
    writer.close()
    trace = tmp_path / "bras-a.trace"
    trace.write_text("taken g1 1@bras-a/1 5\ndurable g1 1@bras-a/1 6\ntaken g1 1@bra")
    assert read_truth({"bras-a": folder}, [trace]).expected()[KEY].states == {b"one", None}
    cloud = tmp_path / "cloud.trace.1"
    cloud.write_text("durable g1 1@bras-a/1 7\n")
    assert read_truth({"bras-a": folder}, [trace, cloud]).expected()[KEY].states == {b"one"}


def test_errors_that_nobody_has_foreseen_are_counted(tmp_path: Path) -> None:
    log = tmp_path / "bras-a.log"
    lines = [
        json.dumps({"event": "journal-write-failed", "level": "error"}),
        *[json.dumps({"event": "standing-failed", "exception": "Traceback\n  x\nKeyError: 1"})] * 2,
        "Traceback (most recent call last):",
    ]
    log.write_text("\n".join(lines))
    assert faults_of_code("bras-a", log) == [
        f"bras-a logs 2 times standing-failed: KeyError: 1; see {log}",
        f"bras-a logs 1 times a traceback; see {log}",
    ]
