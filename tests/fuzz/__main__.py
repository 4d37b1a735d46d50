"""`python -m tests.fuzz [--runs N | --seconds N] [TARGET...]`: coverage-guided fuzzing by atheris.

Each target has a process of its own. What makes one fail is written to `--artifacts`; put it into the
target's corpus once the fault is mended. With `--keep` inputs that reach new code are added to the corpus.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["rui", "netconf_server", "router.dhcp"]):
    from tests.fuzz.targets import CORPUS, TARGETS


def main() -> int:
    """Fuzz the targets one after the other; return 1 when one of them failed."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.split("\n", maxsplit=1)[0]
    )
    parser.add_argument(
        "targets", nargs="*", metavar="TARGET", help=f"of {', '.join(TARGETS)} (default: all)"
    )
    parser.add_argument("--runs", type=int, default=0, help="inputs for each target")
    parser.add_argument("--seconds", type=int, default=60, help="for each target, where --runs is not given")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--artifacts", type=Path, default=Path("out/fuzz"), metavar="DIR")
    parser.add_argument("--keep", action="store_true", help="add inputs that reach new code to the corpus")
    options = parser.parse_args()
    unknown = set(options.targets) - TARGETS.keys()
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    options.artifacts.mkdir(parents=True, exist_ok=True)
    failed = [name for name in options.targets or TARGETS if not _passes(name, options)]
    sys.stdout.write(f"failed: {', '.join(failed)}; see {options.artifacts}\n" if failed else "all passed\n")
    return int(bool(failed))


def _passes(name: str, options: argparse.Namespace) -> bool:
    sys.stdout.write(f"{name}\n")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        _fuzz(name, options)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status) == 0


def _fuzz(name: str, options: argparse.Namespace) -> None:
    """Fuzz one target in this process, which ends with it."""
    with tempfile.TemporaryDirectory() as scratch:
        inputs = CORPUS / name
        if not options.keep:
            inputs = Path(shutil.copytree(inputs, Path(scratch) / name))
        bound = f"-runs={options.runs}" if options.runs else f"-max_total_time={options.seconds}"
        arguments = [
            sys.argv[0], str(inputs), bound, f"-seed={options.seed}", "-max_len=4096", "-timeout=20",
            "-rss_limit_mb=2048", "-print_final_stats=1", "-verbosity=0",
            f"-artifact_prefix={options.artifacts}/{name}-",
        ]  # fmt: skip
        atheris.Setup(arguments, TARGETS[name])
        atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
