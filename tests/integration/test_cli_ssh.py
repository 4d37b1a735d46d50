"""The command line over SSH at real routers and a manager: in a real terminal, a dumb one, and by script."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio
from typer.testing import CliRunner

from netconf_server import hash_password
from rui_cli.launch import Fleet
from rui_cli.model import app as model
from rui_cli.site import MANAGER, OPERATOR, Group, Site

pytestmark = pytest.mark.asyncio(loop_scope="module")

GROUP, PRIMARY, SECONDARY = "access-1", "bras-a", "bras-b"
USERS = 60
WITHIN = 120.0


def tutorial(beginning: str) -> list[str]:
    """The command lines of the tutorial that begin so."""
    text = (Path(__file__).resolve().parents[2] / "docs/tutorial-augment.md").read_text()
    lines = [line.removeprefix(".venv/bin/") for line in text.splitlines()]
    found = [line for line in lines if line.startswith(beginning)]
    assert found, beginning
    return found


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("cli")
    still = {"arrivals": "0", "mean-hold-time": "0", "initial-population": str(USERS)}
    made = Site(folder, [Group(GROUP, PRIMARY, (SECONDARY,), simulated=still)])
    made.write()
    yang = folder / "acme"
    line = tutorial("rui model new-augment")[0].replace("--yang acme", f"--yang {yang}")
    written = CliRunner().invoke(model, line.split()[2:])
    assert written.exit_code == 0, written.output
    async with Fleet(folder) as fleet:
        for name in made.devices:
            fleet.add(name, (*made.words(name), "--yang", str(yang)))
        await fleet.start()
        yield made


def login(site: Site, device: str = PRIMARY, user: str = OPERATOR, password: str | None = None):  # type: ignore[no-untyped-def]
    target = site.target(device)
    return asyncssh.connect(
        target.host,
        target.port,
        username=user,
        password=password or target.password,
        known_hosts=None,
        client_keys=None,
        config=None,
    )


async def run(site: Site, command: str, device: str = PRIMARY) -> asyncssh.SSHCompletedProcess:
    async with login(site, device) as connection:
        return await asyncio.wait_for(connection.run(command), WITHIN)


async def said(site: Site, command: str, device: str = PRIMARY) -> str:
    done = await run(site, command, device)
    assert done.exit_status == 0, (done.stdout, done.stderr)
    return str(done.stdout)


async def eventually(holds: Callable[[], Awaitable[bool]], what: Callable[[], str]) -> None:
    try:
        async with asyncio.timeout(WITHIN):
            while not await holds():  # noqa: ASYNC110 - nobody announces it
                await asyncio.sleep(0.05)
    except TimeoutError:
        pytest.fail(f"{what()}: not within {WITHIN:g} s")


async def shows(site: Site, text: str, command: str, device: str = PRIMARY) -> None:
    """The devices of a site have just started: what they have to tell each other takes a moment."""

    async def there() -> bool:
        return text in await said(site, command, device)

    await eventually(there, lambda: f"{text!r} in {command!r}")


# --- by script


async def test_a_script_gets_json_of_every_user(site: Site) -> None:
    top = json.loads(await said(site, "show users | json"))
    users = top["rui-user-info:user-info"]["group"][0]["user"]
    assert len(users) == USERS
    assert users[0]["outer-vlan"] == 100
    assert await said(site, "show users | count") == f"Count: {USERS} lines\n"
    mac = users[7]["mac-address"]
    shown = (await said(site, f"show users mac {mac}")).splitlines()
    assert len(shown) == 2
    assert mac in shown[1]
    assert users[7]["ipv4-address"] in await said(site, f"show users ip {users[7]['ipv4-address']}")


async def test_the_views_of_routers_and_manager(site: Site) -> None:
    await shows(site, "primary", "show groups")
    await shows(site, SECONDARY, "show links")
    await shows(site, "cloud", "show replication | match 'in-sync|catching-up'")
    await shows(site, "configured", "show identity history")
    await shows(site, PRIMARY, "show links", MANAGER)
    await shows(site, f"1@{PRIMARY}", "show groups", MANAGER)
    await shows(site, OPERATOR, "show sessions")


async def test_the_manager_shows_each_router_that_has_said_who_it_is(site: Site) -> None:
    async def both() -> bool:
        shown = await said(site, "show identity current", MANAGER)
        return PRIMARY in shown and SECONDARY in shown

    await eventually(both, lambda: "first-identity and second-identity")


async def test_errors_go_to_the_error_stream_with_status_1(site: Site) -> None:
    done = await run(site, "show nonsense; show groups")
    assert done.exit_status == 1
    assert "there is no 'nonsense'" in str(done.stderr)
    assert GROUP in str(done.stdout)


async def test_a_shell_without_terminal_reads_its_commands(site: Site) -> None:
    async with login(site) as connection:
        done = await connection.run(input="# a script\nshow groups\nexit\nshow links\n")
    assert GROUP in str(done.stdout)
    assert SECONDARY not in str(done.stdout)
    assert done.exit_status == 0


async def test_one_connection_carries_one_command_after_the_other(site: Site) -> None:
    async with login(site) as connection:
        for _ in range(3):
            done = await connection.run("show groups", check=True)
            assert GROUP in str(done.stdout)


async def test_a_commit_is_kept_rolled_back_and_seen_in_the_file(site: Site) -> None:
    def initiator() -> bool:
        return "<initiator>secondary</initiator>" in site.startup(PRIMARY).read_text()

    script = f"configure; edit device group {GROUP}; set initiator secondary; compare; commit; exit"
    out = await said(site, script)
    assert f"[edit device group {GROUP}]\n+  initiator secondary;\n" in out
    assert "commit complete" in out
    assert initiator()
    assert f"by {OPERATOR}" in await said(site, "show commits")
    out = await said(site, "configure; rollback 1; compare; commit and-quit; show configuration | match init")
    assert "-  initiator secondary;" in out
    assert not initiator()


async def test_a_refused_value_changes_nothing_and_names_the_place(site: Site) -> None:
    done = await run(site, f"configure; set device group {GROUP} simulated lease-time 0; compare")
    assert done.exit_status == 1
    assert "lease-time" in str(done.stderr)
    assert "lease-time" not in str(done.stdout)


async def test_access_control_holds_for_the_command_line(site: Site) -> None:
    password = "only looks"
    secret = hash_password(password, salt=b"0123456789abcdef")
    await said(
        site,
        f'configure; set device netconf-server account viewer password-hash "{secret}";'
        "set nacm groups group viewers user-name viewer; set nacm rule-list viewers group viewers;"
        'set nacm rule-list viewers rule look access-operations "read exec" action permit; commit and-quit',
    )
    async with login(site, user="viewer", password=password) as connection:
        looked = await connection.run("show groups")
        assert GROUP in str(looked.stdout)
    async with login(site, user="viewer", password=password) as connection:
        tried = await connection.run("configure; set device address 192.0.2.9; commit")
    assert tried.exit_status == 1
    assert "access-denied" in str(tried.stderr)
    assert "192.0.2.9" not in await said(site, "configure; show; exit")
    gone = ("device netconf-server account viewer", "nacm groups group viewers", "nacm rule-list viewers")
    await said(site, f"configure; {'; '.join(f'delete {path}' for path in gone)}; commit and-quit")


async def test_the_tutorial_brings_a_leaf_to_the_secondary_without_python(site: Site) -> None:
    assert all(line.endswith("--yang acme") for line in tutorial("rui router") + tutorial("rui manager"))
    table, search = tutorial("show users")

    async def arrived() -> bool:
        return f"Count: {USERS} lines" in await said(site, "show users | count", SECONDARY)

    await eventually(arrived, lambda: "the users at the secondary")
    for device in (SECONDARY, MANAGER):
        titles, *rows = (await said(site, table, device)).splitlines()
        assert titles.endswith("pppoe session id")
        assert len(rows) == USERS
        assert all(row.endswith(" 0") for row in rows)
        assert len((await said(site, search, device)).splitlines()) == USERS


async def test_rui_cli_is_the_same_over_netconf(site: Site, tmp_path: Path) -> None:
    target = site.target(PRIMARY)
    (tmp_path / "password").write_text(f"{target.password}\n")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "rui_cli", "cli", target.host, "show groups; show nonsense"),
        *("--port", str(target.port), "--user", OPERATOR, "--password-file", str(tmp_path / "password")),
        *("--known-hosts", str(tmp_path / "known")),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, errors = await asyncio.wait_for(process.communicate(), WITHIN)
    assert GROUP in out.decode()
    assert "primary" in out.decode()
    assert "there is no 'nonsense'" in errors.decode()
    assert process.returncode == 1


# --- on terminals


class Typist:
    """Types at a terminal of the given kind and reads what comes, as bytes decoded."""

    def __init__(self, process: asyncssh.SSHClientProcess[str]) -> None:
        self.process = process
        self.seen = ""

    async def expect(self, text: str) -> str:
        async with asyncio.timeout(WITHIN):
            while text not in self.seen:
                piece = await self.process.stdout.read(4096)
                assert piece, f"the end came instead of {text!r}: {self.seen[-500:]!r}"
                self.seen += piece
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, keys: str) -> None:
        self.process.stdin.write(keys)


@contextlib.asynccontextmanager
async def typist(site: Site, kind: str, size: tuple[int, int] = (80, 24)) -> AsyncIterator[Typist]:
    async with (
        login(site) as connection,
        connection.create_process(term_type=kind, term_size=size) as process,
    ):
        yield Typist(process)


async def test_a_dumb_terminal_completes_helps_and_pages(site: Site) -> None:
    prompt = f"{OPERATOR}@{PRIMARY}> "
    async with typist(site, "dumb", (200, 24)) as at:
        await at.expect(prompt)
        at.type("sh\tgro\t")
        await at.expect("show groups ")
        at.type("?")
        assert "Only this backup group" in await at.expect(f"{prompt}show groups ")
        at.type("\r")
        await at.expect("primary")
        await at.expect(prompt)
        at.type("show configuration device group ?")
        await at.expect(GROUP)
        at.type("\x15show users\r")
        await at.expect("show users\r\n")
        assert (await at.expect("---(more)---")).count("\n") == 23  # all rows but that of the stop
        at.type(" ")
        await at.expect("---(more)---")
        at.type("q")
        await at.expect(prompt)
        at.type("monitor links interval 1\r")
        await at.expect("----------")
        await at.expect(SECONDARY)
        await at.expect("----------")
        at.type("\x03")
        await at.expect(prompt)
        at.type("show groups | nothing\r")
        await at.expect(" ^\r\nsyntax error: there is no pipe")
        at.type("exit\r")
        await asyncio.wait_for(at.process.wait_closed(), WITHIN)
        assert at.process.exit_status == 0


@pytest.mark.parametrize("kind", ["dumb", "xterm"])
async def test_a_line_that_is_given_up_takes_nothing_along(site: Site, kind: str) -> None:
    prompt = f"{OPERATOR}@{PRIMARY}>"
    async with typist(site, kind) as at, typist(site, "dumb") as other:
        await at.expect(prompt)
        await other.expect(prompt)
        at.type("show nonsense")
        await at.expect("nonsense")
        at.type("\x03")
        await at.expect(prompt)
        at.type("show groups\r")
        assert "syntax error" not in await at.expect("primary")
        other.type("show groups\r")
        await other.expect("primary")


async def test_floods_and_resizes_do_no_harm(site: Site) -> None:
    async with typist(site, "xterm") as flood:
        for size in ((0, 0), (10**6, 10**6), (1, 1), (80, 24)) * 25:
            flood.process.change_terminal_size(*size)
        flood.type("show users | no-more\r" * 2000)  # and reads nothing of what it asked for
        flood.type("\x00\xff\x1b[" * 5000)
        async with typist(site, "dumb") as other:
            await other.expect(f"{OPERATOR}@{PRIMARY}> ")
            other.type("show groups\r")
            await other.expect("primary")
        flood.process.channel.abort()
    assert GROUP in await said(site, "show groups")


async def test_a_session_that_is_killed_takes_its_command_line_along(site: Site) -> None:
    async with typist(site, "dumb") as at:
        await at.expect(f"{OPERATOR}@{PRIMARY}> ")
        at.type("show sessions | last 1\r")
        await at.expect("last 1\r\n")
        number = (await at.expect(OPERATOR)).split()[-1]
        await at.expect(f"{OPERATOR}@{PRIMARY}> ")
        assert await said(site, f"request kill-session session-id {number}") == "ok\n"
        await at.expect("the session was ended: killed by session")
        await asyncio.wait_for(at.process.wait_closed(), WITHIN)
        assert at.process.exit_status == 1


class Screen:
    """A terminal of tmux, in which a real ssh runs; what is on the screen is what a person would see."""

    def __init__(self, folder: Path) -> None:
        self._socket = str(folder / "tmux")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "TERM": "xterm",
            "LANG": "C.UTF-8",
        }

    async def _tmux(self, *words: str) -> str:
        process = await asyncio.create_subprocess_exec(
            "tmux", "-S", self._socket, "-f", "/dev/null", *words,
            env=self._environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        return (await process.communicate())[0].decode()

    async def start(self, command: str) -> None:
        await self._tmux("new-session", "-d", "-x", "80", "-y", "24", command)

    async def keys(self, *keys: str) -> None:
        await self._tmux("send-keys", *keys)

    async def shows(self, text: str) -> None:
        shown = ""

        async def there() -> bool:
            nonlocal shown
            shown = await self._tmux("capture-pane", "-p")
            return text in shown

        await eventually(there, lambda: f"{text!r} on the screen\n{shown}\n")

    async def resize(self, width: int, height: int) -> None:
        await self._tmux("resize-window", "-x", str(width), "-y", str(height))

    async def stop(self) -> None:
        await self._tmux("kill-server")


@pytest.mark.peer
async def test_a_real_terminal(site: Site, tmp_path: Path) -> None:
    missing = [name for name in ("tmux", "ssh") if shutil.which(name) is None]
    if missing and "CI" not in os.environ:
        pytest.skip(f"{' and '.join(missing)} not installed")
    target = site.target(PRIMARY)
    screen = Screen(tmp_path)
    await screen.start(
        f"ssh -o StrictHostKeyChecking=no -o UserKnownHostsFile={tmp_path}/known -p {target.port} "
        f"{OPERATOR}@{target.host}"
    )
    try:
        await screen.shows("assword:")
        await screen.keys(target.password or "", "Enter")
        await screen.shows(f"{OPERATOR}@{PRIMARY}>")
        await screen.keys("sh", "Tab")
        await screen.shows(f"{OPERATOR}@{PRIMARY}> show")
        await screen.keys("gr", "Tab")
        await screen.shows("> show groups")
        await screen.keys("Enter")
        await screen.shows("primary")
        await screen.keys("configure", "Enter")
        await screen.shows("[edit]")
        await screen.keys(f"set device group {GROUP} init?")
        await screen.shows("initiator")
        await screen.keys("Tab", "?")
        await screen.shows("secondary")
        await screen.keys("secondary", "Enter")
        await screen.shows("[edit]")
        await screen.keys("compare", "Enter")
        await screen.shows("+  initiator secondary;")
        await screen.keys("rollback 0", "Enter", "exit", "Enter")
        await screen.shows("Leaving configuration mode")
        await screen.resize(60, 12)
        await screen.keys("show users", "Enter")
        await screen.shows("---(more)---")
        await screen.keys("q")
        await screen.shows(f"{OPERATOR}@{PRIMARY}>")
        await screen.keys("Up")
        await screen.shows(f"{OPERATOR}@{PRIMARY}> show users")
        await screen.keys("C-u", "C-r", "compa")
        await screen.shows("compare")
        await screen.keys("C-c", "exit", "Enter")
    finally:
        await screen.stop()
