"""Options of the conformance suite, and the server that it runs against: yours, or ours started once."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance.netconf.casefile import Difference, read_differences
from tests.conformance.netconf.judge import Server
from tests.conformance.netconf.wire import Connections, Login

MODEL = Path(__file__).with_name("model")
PASSWORD = "conformance"


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netconf conformance")
    group.addoption("--server", metavar="HOST:PORT", help="the server to test (default: ours is started)")
    group.addoption("--user", default="admin", help="who logs in (default: %(default)s)")
    group.addoption("--password-file", metavar="FILE", help="its first line is the password")
    group.addoption("--key-file", metavar="FILE", help="private key, instead of a password")
    group.addoption(
        "--differences", metavar="FILE", help="TOML: cases that this server is known to fail, with the reason"
    )


def _option(request: pytest.FixtureRequest, name: str) -> str | None:
    found = request.config.getoption(name, None)
    return None if found is None else str(found)


@pytest.fixture(scope="session")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The server under test."""
    address, process = _option(request, "server"), None
    user, password = _option(request, "user") or "admin", PASSWORD
    key = _option(request, "key_file")
    if address is None:
        process, port = _start(tmp_path_factory.mktemp("conformance"))
        host = "127.0.0.1"
    else:
        host, _, text = address.rpartition(":")
        port = int(text)
        file = _option(request, "password_file")
        password = "" if file is None else Path(file).read_text(encoding="utf-8").splitlines()[0]
    connections = Connections(Login(host, port, user, password, None if key is None else Path(key)))
    tested = Server(connections)
    try:
        yield tested
    finally:
        tested.close()
        if process is not None:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=30)


def _start(folder: Path) -> tuple[subprocess.Popen[str], int]:
    (folder / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    command = [
        sys.executable, "-m", "netconf_server", f"--yang={MODEL}", "--module=nc-conformance",
        f"--running={folder}/running.xml", "--listen=127.0.0.1:0", "--user=admin",
        f"--password-file={folder}/password", f"--host-key={folder}/key", f"--events={folder}/events",
    ]  # fmt: skip
    with (folder / "log").open("w", encoding="utf-8") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    found = re.match(r"netconf on .*:(\d+),", process.stdout.readline())
    assert found, (folder / "log").read_text(encoding="utf-8")
    return process, int(found[1])


@pytest.fixture(scope="session")
def differences(request: pytest.FixtureRequest) -> dict[str, Difference]:
    """The known differences of the server by the case's id."""
    file = _option(request, "differences")
    if file is None and _option(request, "server") is None:
        file = str(MODEL.with_name("ours.toml"))
    return {} if file is None else read_differences(Path(file).read_text(encoding="utf-8"))
