"""Runs the cases against yuma123's netconfd: `python -m tests.conformance.netconf.netconfd [ARGUMENTS]`.

Arguments are pytest's.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.integration import netconf_client_peer

HERE = Path(__file__).parent


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Start netconfd with the cases' module in `folder`, and pytest on the cases; netconfd is ended then."""
    modules = f"{HERE / 'model'}:/usr/share/yuma/modules"
    with contextlib.ExitStack() as stack:
        peer = netconf_client_peer.start(
            folder, stack, f"--modpath={modules}", "--module=nc-conformance", "--with-startup=false"
        )
        command = [
            sys.executable, "-m", "pytest", "-q", str(HERE / "test_conformance.py"), "-p", "no:cacheprovider",
            f"--server={peer.target.host}:{peer.target.port}", f"--user={peer.target.username}",
            f"--key-file={peer.target.client_keys[0]}", f"--differences={HERE / 'netconfd.toml'}", *arguments,
        ]  # fmt: skip
        return subprocess.run(command, capture_output=True, text=True, check=False)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as scratch:
        done = run(Path(scratch), *sys.argv[1:])
    sys.stdout.write(done.stdout + done.stderr)
    sys.exit(done.returncode)
