from __future__ import annotations

import asyncio
import stat
import threading
from pathlib import Path

import asyncssh
import pytest

from netconf_server.accounts import Account, AccountError, Accounts, hash_password, verify_password
from netconf_server.hostkey import HostKeyError, load_or_create_host_key

KEY = asyncssh.generate_private_key("ssh-ed25519")
OTHER = asyncssh.generate_private_key("ssh-ed25519")
LINE = KEY.export_public_key().decode()


def test_a_hash_fits_its_password_only() -> None:
    hashed = hash_password("geheim")
    assert hashed.startswith("$scrypt$ln=14,r=8,p=1$")
    assert verify_password("geheim", hashed)
    assert not verify_password("Geheim", hashed)
    assert hash_password("geheim") != hashed


@pytest.mark.parametrize(
    "text",
    [
        "",
        "geheim",
        "$scrypt$ln=14,r=8$AA$AA",
        "$scrypt$ln=0,r=8,p=1$AAAA$AAAA",
        "$scrypt$ln=30,r=8,p=1$AAAA$AAAA",
        "$scrypt$ln=14,r=8,p=1$A$AAAA",
        "$6$salt$hash",
    ],
)
def test_a_malformed_hash_is_refused_when_the_account_is_made(text: str) -> None:
    with pytest.raises(AccountError, match="ada"):
        Accounts([Account("ada", text)])


async def test_passwords_are_checked_per_user() -> None:
    accounts = Accounts(
        [Account("ada", hash_password("a")), Account("bob", hash_password("b")), Account("key")]
    )
    assert await accounts.check_password("ada", "a")
    assert not await accounts.check_password("ada", "b")
    assert not await accounts.check_password("nobody", "a")
    assert not await accounts.check_password("key", "")


def test_keys_are_checked_per_user() -> None:
    accounts = Accounts([Account("ada", None, (LINE,)), Account("bob")])
    assert accounts.check_key("ada", KEY.convert_to_public())
    assert not accounts.check_key("ada", OTHER.convert_to_public())
    assert not accounts.check_key("bob", KEY.convert_to_public())
    assert not accounts.check_key("nobody", KEY.convert_to_public())


@pytest.mark.parametrize(
    ("accounts", "reason"),
    [
        ([Account("ada"), Account("ada")], "twice"),
        ([Account("ada", None, ("ssh-rsa rubbish",))], "cannot be read"),
    ],
)
def test_a_refused_change_leaves_the_accounts_as_they_were(accounts: list[Account], reason: str) -> None:
    known = Accounts([Account("old")])
    told = []
    known.watch(lambda: told.append(1))
    with pytest.raises(AccountError, match=reason):
        known.replace(accounts)
    assert "old" in known
    assert "ada" not in known
    assert told == []


def test_watchers_are_told_of_a_change() -> None:
    known = Accounts([Account("old")])
    told = []
    known.watch(lambda: told.append("old" in known))
    known.replace([Account("new")])
    assert told == [False]


def test_the_host_key_is_made_once_and_private(tmp_path: Path) -> None:
    file = tmp_path / "keys" / "host_key"
    first = load_or_create_host_key(file)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert load_or_create_host_key(file).public_data == first.public_data
    assert [path.name for path in file.parent.iterdir()] == ["host_key"]


def test_a_host_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "host_key"
    load_or_create_host_key(file)
    file.chmod(0o640)
    with pytest.raises(HostKeyError, match="chmod 600"):
        load_or_create_host_key(file)


@pytest.mark.parametrize("content", [b"", b"rubbish", LINE.encode()], ids=["empty", "rubbish", "public"])
def test_a_file_that_is_no_key_is_refused_and_kept(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "host_key"
    file.write_bytes(content)
    file.chmod(0o600)
    with pytest.raises(HostKeyError, match=str(file)):
        load_or_create_host_key(file)
    assert file.read_bytes() == content


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostKeyError, match="host key"):
        load_or_create_host_key(tmp_path / "file" / "host_key")


def test_a_short_rsa_key_is_no_key() -> None:
    short, long = (
        asyncssh.generate_private_key("ssh-rsa", key_size=size).export_public_key().decode()
        for size in (1024, 2048)
    )
    Accounts([Account("a", None, (long,))])
    with pytest.raises(AccountError, match="less than 2048 bits"):
        Accounts([Account("a", None, (short,))])


async def test_a_check_that_is_broken_off_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    running, started, go = 0, threading.Semaphore(0), threading.Event()

    def verify(_password: str, _hash: str) -> bool:
        nonlocal running
        running += 1
        started.release()
        return go.wait(10)

    monkeypatch.setattr("netconf_server.accounts.verify_password", verify)
    accounts = Accounts([Account("a", hash_password("x"))])
    checks = [asyncio.ensure_future(accounts.check_password("a", "x")) for _ in range(2)]
    for _ in checks:
        await asyncio.to_thread(started.acquire)
    for check in checks:
        check.cancel()
    further = asyncio.ensure_future(accounts.check_password("a", "x"))
    await asyncio.wait(checks)
    assert running == 2
    go.set()
    assert await further
