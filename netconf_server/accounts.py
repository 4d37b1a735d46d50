"""Who may log in: names, scrypt password hashes and authorized keys; changeable at run time.

The text form of a password hash is `$scrypt$ln=L,r=R,p=P$SALT$HASH`: cost exponent, block size and
parallelism of RFC 7914, then salt and hash in unpadded base64. `hash_password` makes it, `verify_password`
checks it.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import asyncssh
from lxml import etree

from rui.schema.leaves import children, optional, text

_LOG_COST, _BLOCK, _PARALLEL = 14, 8, 1
_MIN_RSA_BITS = 2048
_SALT_BYTES, _HASH_BYTES = 16, 32
_MAX_MEMORY = 64 * 1024 * 1024
_FORM = re.compile(r"\$scrypt\$ln=(\d{1,2}),r=(\d{1,2}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)")
# Each check takes 16 MB and tens of milliseconds of a core, so a burst of logins queues here.
_CHECKS_AT_ONCE = 2


class AccountError(ValueError):
    """An account that cannot be used; says which one and what to change."""


@dataclass(frozen=True)
class Account:
    """One user: `password_hash` in the form of this module (None: no password login), keys as OpenSSH
    public key lines. Sessions of a `recovery` account are not held to access control (RFC 8341 1.1).
    """

    name: str
    password_hash: str | None = None
    authorized_keys: tuple[str, ...] = ()
    recovery: bool = False


def read_accounts(server: etree._Element) -> tuple[Account, ...]:
    """Return the accounts of a checked `netconf-server` container."""
    return tuple(
        Account(
            text(entry, "name"),
            optional(entry, "password-hash"),
            tuple(key.text or "" for key in children(entry, "authorized-key")),
            optional(entry, "recovery") == "true",
        )
        for entry in children(server, "account")
    )


def hash_password(password: str, *, salt: bytes | None = None, log_cost: int = _LOG_COST) -> str:
    """Return the scrypt hash of a password in this module's text form; the salt is random unless given.

    A `log_cost` below the default is for a secret of so many random bits that nobody tries them all.
    """
    salt = secrets.token_bytes(_SALT_BYTES) if salt is None else salt
    cost = _Cost(log_cost, _BLOCK, _PARALLEL)
    return _hash_text(cost, salt, _scrypt(password, salt, cost, _HASH_BYTES))


def verify_password(password: str, password_hash: str) -> bool:
    """Say whether the password fits the hash, in a time that does not depend on where they differ;
    AccountError if malformed.
    """
    cost, salt, expected = _parse_hash(password_hash)
    return hmac.compare_digest(_scrypt(password, salt, cost, len(expected)), expected)


class _Cost(NamedTuple):
    log_cost: int
    block: int
    parallel: int


def _parse_hash(text: str) -> tuple[_Cost, bytes, bytes]:
    match = _FORM.fullmatch(text)
    if match is None:
        raise AccountError("the password hash is not of the form $scrypt$ln=14,r=8,p=1$SALT$HASH")
    cost = _Cost(*(int(match[i]) for i in (1, 2, 3)))
    if min(cost) < 1 or 128 * cost.block * (1 << cost.log_cost) >= _MAX_MEMORY:
        raise AccountError("the password hash asks for more than 64 MB or for nothing; use ln=14,r=8,p=1")
    try:
        return cost, _unb64(match[4]), _unb64(match[5])
    except binascii.Error as error:
        raise AccountError(f"the password hash holds broken base64 ({error})") from error


def _scrypt(password: str, salt: bytes, cost: _Cost, length: int) -> bytes:
    return hashlib.scrypt(
        password.encode(),
        salt=salt,
        n=1 << cost.log_cost,
        r=cost.block,
        p=cost.parallel,
        maxmem=2 * _MAX_MEMORY,
        dklen=length,
    )


def _hash_text(cost: _Cost, salt: bytes, digest: bytes) -> str:
    return f"$scrypt$ln={cost.log_cost},r={cost.block},p={cost.parallel}${_b64(salt)}${_b64(digest)}"


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode().rstrip("=")


def _unb64(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)


def _decoy() -> str:
    """Return a hash that no known password has: an unknown user costs the same time as a known one, so names
    cannot be told by timing.
    """
    cost = _Cost(_LOG_COST, _BLOCK, _PARALLEL)
    return _hash_text(cost, secrets.token_bytes(_SALT_BYTES), secrets.token_bytes(_HASH_BYTES))


class Accounts:
    """The accounts of one server; `replace` changes all of them at once, for instance when a configuration
    is applied.
    """

    def __init__(self, accounts: Iterable[Account] = ()) -> None:
        self._accounts: dict[str, Account] = {}
        self._keys: dict[str, tuple[bytes, ...]] = {}
        self._watchers: list[Callable[[], None]] = []
        self._checks = asyncio.Semaphore(_CHECKS_AT_ONCE)
        self._decoy = _decoy()
        self.replace(accounts)

    def __contains__(self, name: object) -> bool:
        return name in self._accounts

    def replace(self, accounts: Iterable[Account]) -> None:
        """Take these accounts and no others; AccountError leaves the old ones in force.

        Sessions of users that are gone are closed by the server.
        """
        new: dict[str, Account] = {}
        keys: dict[str, tuple[bytes, ...]] = {}
        for account in accounts:
            if account.name in new:
                raise AccountError(f"account {account.name!r} is given twice; give each name once")
            if account.password_hash is not None:
                _check_hash(account)
            new[account.name] = account
            keys[account.name] = tuple(_public_key(account.name, line) for line in account.authorized_keys)
        self._accounts, self._keys = new, keys
        for watcher in self._watchers:
            watcher()

    def watch(self, watcher: Callable[[], None]) -> None:
        """Have `watcher` called after each change."""
        self._watchers.append(watcher)

    def is_recovery(self, name: str) -> bool:
        """Say whether this user's sessions are recovery sessions."""
        account = self._accounts.get(name)
        return account is not None and account.recovery

    def has_password(self, name: str) -> bool:
        """Say whether this user could log in with a password."""
        account = self._accounts.get(name)
        return account is not None and account.password_hash is not None

    async def check_password(self, name: str, password: str) -> bool:
        """Say whether the password is this user's; runs beside the loop, at most two at once.

        A check that nobody waits for any more still takes its turn, or a client that breaks off one after the
        other would have as many run as it likes.
        """
        return await asyncio.shield(asyncio.ensure_future(self._check_password(name, password)))

    async def _check_password(self, name: str, password: str) -> bool:
        account = self._accounts.get(name)
        known = account.password_hash if account is not None else None
        async with self._checks:
            fits = await asyncio.to_thread(verify_password, password, known or self._decoy)
        # The account may have changed while the hash was computed.
        return fits and known is not None and self._accounts.get(name) is account

    def check_key(self, name: str, key: asyncssh.SSHKey) -> bool:
        """Say whether this public key is one of the user's authorized keys."""
        offered = key.public_data
        fits = [hmac.compare_digest(offered, known) for known in self._keys.get(name, ())]
        return any(fits)


def _check_hash(account: Account) -> None:
    try:
        _parse_hash(account.password_hash or "")
    except AccountError as error:
        raise AccountError(f"account {account.name!r}: {error}") from error


def _public_key(name: str, line: str) -> bytes:
    try:
        data = asyncssh.import_public_key(line).public_data
    except asyncssh.KeyImportError as error:
        raise AccountError(
            f"account {name!r}: an authorized key cannot be read ({error}); "
            "give lines such as 'ssh-ed25519 AAAA… comment'"
        ) from error
    if line.startswith("ssh-rsa ") and _last_field_bits(data) < _MIN_RSA_BITS:
        raise AccountError(
            f"account {name!r}: an RSA key has less than {_MIN_RSA_BITS} bits; use ssh-ed25519 instead"
        )
    return data


def _last_field_bits(data: bytes) -> int:
    """The size of the last number of a public key (RFC 4253 6.6), which is an RSA key's modulus."""
    last = b""
    while data:
        length = int.from_bytes(data[:4], "big")
        last, data = data[4 : 4 + length], data[4 + length :]
    return int.from_bytes(last, "big").bit_length()
