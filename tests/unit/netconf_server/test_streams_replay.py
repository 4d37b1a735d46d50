"""The log behind a replay: in order, over restarts, bounded, and whole after a crash."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from netconf_server.replay import Logged, ReplayLog

START = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)


def at(second: int) -> datetime:
    return START + timedelta(seconds=second)


def opened(folder: Path, *, max_size: int = 1 << 20, now: datetime = START) -> ReplayLog:
    return ReplayLog(folder, "a stream/with slash", now, max_size=max_size)


def everything(log: ReplayLog, size: int = 1000) -> list[Logged]:
    found: list[Logged] = []
    position = log.first()
    while True:
        some, position = log.read(position, size)
        if not some:
            return found
        found += some


def test_what_was_appended_is_read_in_order_and_also_after_a_restart(tmp_path: Path) -> None:
    log = opened(tmp_path)
    written = [Logged(at(i), b"<event>%d</event>" % i) for i in range(200)]
    for event in written[:150]:
        log.append(event.time, event.content)
    assert everything(log) == written[:150]
    log.close()
    log = opened(tmp_path, now=at(9999))
    assert (log.created, log.aged) == (START, None)
    for event in written[150:]:
        log.append(event.time, event.content)
    assert everything(log) == written
    log.close()


def test_a_reader_at_the_end_gets_what_comes_later(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append(at(0), b"first")
    _, end = log.read(log.first(), 1000)
    assert log.read(end, 1000) == ([], end)
    log.append(at(1), b"second")
    assert log.read(end, 1000)[0] == [Logged(at(1), b"second")]
    log.close()


def test_a_record_larger_than_the_slice_is_read_whole(tmp_path: Path) -> None:
    log = opened(tmp_path)
    log.append(at(0), b"x" * 50_000)
    log.append(at(1), b"y")
    assert [len(event.content) for event in everything(log, size=100)] == [50_000, 1]
    log.close()


def test_the_size_is_bounded_and_the_time_of_what_is_gone_is_known(tmp_path: Path) -> None:
    log = opened(tmp_path, max_size=64_000)
    stale = log.first()
    for i in range(1000):
        log.append(at(i), b"z" * 500)
    kept = everything(log)
    assert 50 < len(kept) < 200
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 80_000
    assert [event.time for event in kept] == [at(i) for i in range(1000 - len(kept), 1000)]
    assert log.aged == kept[0].time - timedelta(seconds=1)
    assert log.read(stale, 100)[0] == kept[:1]
    aged = log.aged
    log.close()
    log = opened(tmp_path, max_size=64_000)
    assert (log.aged, everything(log)) == (aged, kept)
    log.close()


@pytest.mark.parametrize("cut", [1, 5, 20, 27])
def test_a_torn_record_is_cut_off(tmp_path: Path, cut: int) -> None:
    log = opened(tmp_path)
    log.append(at(0), b"whole record")
    log.append(at(1), b"torn record")
    log.close()
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-cut])
    log = opened(tmp_path)
    log.append(at(2), b"later")
    assert [event.content for event in everything(log)] == [b"whole record", b"later"]
    log.close()


def test_a_damaged_record_hides_no_later_segment(tmp_path: Path) -> None:
    log = opened(tmp_path, max_size=40_000)
    for i in range(60):
        log.append(at(i), b"z" * 400)
    log.close()
    first = sorted(tmp_path.iterdir())[0]
    data = bytearray(first.read_bytes())
    data[60] ^= 0xFF
    first.write_bytes(bytes(data))
    log = opened(tmp_path, max_size=40_000)
    assert [event.time for event in everything(log)][-1] == at(59)
    assert everything(log)[0].time > at(0)
    log.close()


def test_a_file_that_is_no_log_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "a%20stream%2Fwith%20slash.00000001.events").write_bytes(b"nonsense")
    log = opened(tmp_path)
    log.append(at(0), b"event")
    assert [event.content for event in everything(log)] == [b"event"]
    log.close()
