"""`python -m netconf_server` with a model that it has never seen, used by netconf-console2 and paramiko."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncssh
import paramiko
import pytest

from netconf_server.__main__ import main
from tests.integration.netconf_server_rig import BASE_10_HELLO, BASE_11_HELLO, PASSWORD

BOXES = """
module boxes {
  yang-version 1.1;
  namespace "urn:example:boxes";
  prefix b;
  container boxes {
    list box { key id; leaf id { type uint16; } leaf label { type string { length 1..8; } } }
  }
}
"""
STARTUP = (
    '<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0">'
    '<boxes xmlns="urn:example:boxes"><box><id>1</id><label>first</label></box></boxes></config>'
)
EDIT = '<boxes xmlns="urn:example:boxes"><box><id>2</id><label>{}</label></box></boxes>'


@dataclass
class Served:
    """A running command and the folder it was started in."""

    port: int
    folder: Path
    process: asyncio.subprocess.Process

    async def console(self, *arguments: str, password: str | None = PASSWORD) -> tuple[int, str]:
        """Run netconf-console2; return its exit status and what it printed."""
        login = [] if password is None else [f"--password={password}"]
        tool = Path(sys.executable).with_name("netconf-console2")
        process = await asyncio.create_subprocess_exec(
            tool, "--host=127.0.0.1", f"--port={self.port}", "--user=ada", *login, *arguments,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        async with asyncio.timeout(60):
            output, _ = await process.communicate()
        return process.returncode or 0, output.decode()


async def start(folder: Path, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "netconf_server", *arguments, cwd=folder,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip


def write(folder: Path) -> list[str]:
    (folder / "boxes.yang").write_text(BOXES)
    (folder / "startup.xml").write_text(STARTUP)
    (folder / "password").write_text(f"{PASSWORD}\n")
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(folder / "id")
    (folder / "id").chmod(0o600)
    key.write_public_key(folder / "id.pub")
    return [
        "--yang=.", "--module=boxes", "--startup=startup.xml", "--listen=127.0.0.1:0", "--user=ada",
        "--password-file=password", "--authorized-keys=id.pub",
    ]  # fmt: skip


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Served]:
    process = await start(folder, *write(folder))
    assert process.stdout is not None
    port = 0
    async with asyncio.timeout(60):
        while not port:
            line = (await process.stdout.readline()).decode()
            assert line, "the command ended"
            found = re.match(r"netconf on 127\.0\.0\.1:(\d+)", line)
            port = int(found[1]) if found else 0
    try:
        yield Served(port, folder, process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGTERM)
        await process.communicate()


async def test_events_go_to_standard_error_and_the_address_alone_to_standard_output(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        status, _ = await server.console("--hello")
        assert status == 0
        server.process.send_signal(signal.SIGTERM)
        output, events = await server.process.communicate()
    assert output == b""
    assert b"session-opened" in events
    assert PASSWORD.encode() not in events


async def test_netconf_console_by_password(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        status, text = await server.console("--hello")
        assert (status, "candidate:1.0" in text) == (0, True)
        status, text = await server.console("--get-config", "-x", "/boxes/box[id='1']")
        assert (status, "<label>first</label>" in text) == (0, True)
        status, text = await server.console("--get-config")
        assert (status, "<label>first</label>" in text) == (0, True)
        change = tmp_path / "edit.xml"
        write_text(change, EDIT.format("second"))
        status, text = await server.console("--db=candidate", f"--edit-config={change}", "--commit")
        assert (status, text.count("ok")) == (0, 2)
        status, text = await server.console("--get-config", "--db=running")
        assert "second" in text
        write_text(change, EDIT.format("much too long"))
        status, text = await server.console("--db=running", f"--edit-config={change}")
        assert "invalid-value" in text
        assert "/boxes:boxes/boxes:box[boxes:id='2']/boxes:label" in text
        status, text = await server.console("--get-schema=boxes")
        assert (status, "list box" in text) == (0, True)
        assert "second" in read_text(tmp_path / "startup.xml")


async def test_netconf_console_by_key(tmp_path: Path) -> None:
    async with served(tmp_path) as server:
        config = tmp_path / "ssh_config"
        write_text(config, f"Host 127.0.0.1\n  IdentityFile {tmp_path / 'id'}\n")
        status, text = await server.console(f"--ssh-config={config}", "--get-config", password=None)
        assert (status, "<label>first</label>" in text) == (0, True)


def write_text(path: Path, text: str) -> None:
    path.write_text(text)


def read_text(path: Path) -> str:
    return path.read_text()


GET = (
    '<rpc xmlns="urn:ietf:params:xml:ns:netconf:base:1.0" message-id="1">'
    "<get-config><source><running/></source></get-config></rpc>"
)


MESSAGES = [
    (BASE_10_HELLO, f"{GET}]]>]]>", b"<label>first</label>"),
    (BASE_11_HELLO, f"\n#{len(GET)}\n{GET}\n##\n", b"<label>first</label>"),
    (BASE_11_HELLO, f"\n#10\n{GET[:10]}\n#{len(GET) - 10}\n{GET[10:]}\n##\n", b"<label>first</label>"),
    (BASE_11_HELLO, f"{GET}]]>]]>", b""),
    (BASE_10_HELLO, f"\n#{len(GET)}\n{GET}\n##\n]]>]]>", b""),
]


async def test_paramiko_with_bytes_of_its_own(tmp_path: Path) -> None:
    def talk(port: int, sent: str) -> bytes:
        transport = paramiko.Transport(("127.0.0.1", port))
        try:
            transport.connect(username="ada", password=PASSWORD)
            channel = transport.open_session()
            channel.settimeout(20)
            channel.invoke_subsystem("netconf")
            got = b""
            while not got.endswith(b"]]>]]>"):
                got += channel.recv(4096)
            channel.sendall(sent.encode())
            got = b""
            while not got.endswith((b"\n##\n", b"]]>]]>")):
                piece = channel.recv(4096)
                if not piece:
                    break
                got += piece
            return got
        finally:
            transport.close()

    async with served(tmp_path) as server:
        for hello, sent, expected in MESSAGES:
            got = await asyncio.to_thread(talk, server.port, hello + sent)
            assert expected in got
            assert bool(got) == bool(expected)


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("--module=nonsense", "nonsense"),
        ("--startup=password", "password: line 1"),
        ("--listen=nowhere", "HOST:PORT"),
        ("--password-file=missing", "missing"),
        ("--feature=x", "MODULE:FEATURE"),
        ("--feature=nowhere:x", "not served"),
        ("--yang=missing", "missing"),
    ],
)
def test_what_cannot_start_says_why(
    tmp_path: Path,
    wrong: str,
    reason: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main([*write(tmp_path), wrong]) == 2
    assert reason in capsys.readouterr().err
