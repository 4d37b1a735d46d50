"""Clients of other projects against our server as a command: netconf-console2 with its commands, yangcli.

ncclient has a file of its own, paramiko is in test_netconf_server_command.py.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.netconf_client_peer import require

YANG = Path(__file__).parents[1] / "data" / "yang"
SYSTEM = '<system xmlns="urn:example:toy"><mtu>1400</mtu></system>'
BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
PASSWORD = "pass word"


@dataclass
class Served:
    port: int
    folder: Path

    def console(self, *arguments: str) -> str:
        """What netconf-console2 prints for these commands, run in order on one session."""
        tool = Path(sys.executable).with_name("netconf-console2")
        login = ["--host=127.0.0.1", f"--port={self.port}", "--user=ada", f"--password={PASSWORD}"]
        command = [str(tool), *login, "--ns", "t=urn:example:toy", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("clients")
    for name, text in {
        "password": PASSWORD,
        "edit.xml": SYSTEM,
        "wrapped.xml": f"<any>{SYSTEM}</any>",
        "config.xml": f'<nc:config xmlns:nc="{BASE}">{SYSTEM}</nc:config>',
        "rpc.xml": f'<get xmlns="{BASE}"><filter><system xmlns="urn:example:toy"/></filter></get>',
    }.items():
        (folder / name).write_text(text + "\n")
    command = [
        sys.executable, "-m", "netconf_server", f"--yang={YANG}", "--module=toy", "--running=running.xml",
        "--listen=127.0.0.1:0", "--user=ada", "--password-file=password", "--host-key=key", "--events=events",
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    with (
        (folder / "log").open("w") as log,
        subprocess.Popen(
            command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env=environment
        ) as process,
    ):
        assert process.stdout is not None
        found = re.match(r"netconf on .*:(\d+),", process.stdout.readline())
        assert found, (folder / "log").read_text()
        yield Served(int(found[1]), folder)
        process.terminate()


def oks(text: str) -> int:
    return len(re.findall(r"<(?:nc:)?ok\b", text))


def test_console_edits_the_candidate(server: Served) -> None:
    text = server.console(
        "--db=candidate", "--lock", "--set", "/t:system/t:name=ada",
        "--create", "/t:system/t:user[t:name='u']",
        "--edit-config", "edit.xml", "--edit-config1", "wrapped.xml", "--validate", "candidate",
        "--commit", "--unlock",
    )  # fmt: skip
    assert oks(text) == 8, text
    text = server.console(
        "--db=candidate", "--get-config", "/t:system/t:name", "--get", "/t:system/t:user",
        "--delete", "/t:system/t:name", "--discard-changes",
        "--edit-config", "edit.xml", "--timeout=60", "--commit", "confirmed", "--commit",
    )  # fmt: skip
    assert "<name>ada</name>" in text
    assert "<name>u</name>" in text
    assert oks(text) == 5, text


def test_console_reads_validates_and_copies(server: Served) -> None:
    text = server.console(
        "--hello", "--get-schema", "toy", "--rpc", "rpc.xml", "--validate", "config.xml",
        "--db=running", "--copy-config", "edit.xml", "--with-defaults=report-all",
        "--get-config", "/t:system",
        "--create-subscription", "NETCONF", "--sleep", "0",
    )  # fmt: skip
    assert "urn:ietf:params:netconf:capability:notification:1.0" in text
    assert "list user" in text
    assert "<rpc-reply" in text
    assert "<mtu>1400</mtu>" in text
    assert oks(text) >= 3, text


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["--run-rpc", "/t:add[t:a='2'][t:b='3']"], "not served here"),
        (["--kill-session", "4000000"], "no session"),
        (["--copy-running-to-startup"], "startup"),
    ],
)
def test_console_shows_what_is_refused(server: Served, command: list[str], reason: str) -> None:
    assert reason in server.console(*command)


@pytest.mark.peer
def test_yangcli_agrees_on_a_session(server: Served) -> None:
    (yangcli,) = require("yangcli")
    log = server.folder / "log"
    before = log.read_text().count("session-opened")
    command = [
        yangcli, "--server=127.0.0.1", f"--ncport={server.port}", "--user=ada", f"--password={PASSWORD}",
        "--batch-mode", "--autoload=false",
    ]  # fmt: skip
    process = subprocess.Popen(
        command, env={**os.environ, "HOME": str(server.folder)}, cwd=server.folder,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, errors="replace",
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 60
        while log.read_text().count("session-opened") == before and time.monotonic() < deadline:
            time.sleep(0.05)
        # it writes out what it has to say when it ends
        process.terminate()
        output, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.wait()
    assert log.read_text().count("session-opened") == before + 1
    assert "yang-library:1.1" in output
