"""What is read from /proc, of this very process."""

import mmap
import os
import time

import pytest

from rui_cli.bench import machine
from rui_cli.errors import CliError

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/status"), reason="no /proc here")  # noqa: PTH110


def test_the_machine_is_described() -> None:
    described = machine.describe()
    assert described["cores"] == len(os.sched_getaffinity(0))
    assert described["cpu"]
    machine.check_platform()


def test_memory_grows_with_what_is_held() -> None:
    before = machine.resident(os.getpid())
    # Not from the heap, which may still have as much to give
    with mmap.mmap(-1, 1 << 25) as held:
        held.write(b"x" * len(held))
        assert machine.resident(os.getpid()) - before > len(held) // 2
        assert machine.peak_resident(os.getpid()) >= machine.resident(os.getpid()) - (1 << 20)


def test_the_peak_begins_anew() -> None:
    held = bytes(bytearray(64 << 20))
    high = machine.peak_resident(os.getpid())
    del held
    machine.reset_peak(os.getpid())
    assert machine.peak_resident(os.getpid()) < high


def test_processor_time_is_counted() -> None:
    meter = machine.Meter({"own": os.getpid()})
    until = time.process_time() + 0.1
    while time.process_time() < until:
        pass
    usage = meter.read()
    assert 0.05 < usage.seconds["own"] < 5.0
    assert usage.others >= 0.0


def test_a_process_that_is_gone_is_named() -> None:
    with pytest.raises((CliError, FileNotFoundError)):
        machine.resident(2**22 + 1)
