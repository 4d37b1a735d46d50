"""Whose host key a client trusts: a pinned key, a known_hosts file, or what the first connection shows."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import asyncssh
import structlog

from netconf_client.errors import HostKeyRejected

log = structlog.get_logger()

_SSH_PORT: Final = 22

ALGORITHMS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
    "ssh-rsa",
)
"""Host key algorithms offered, best first; the last only for old routers that know nothing else."""


@dataclass(frozen=True, slots=True)
class PinnedKey:
    """Trust this key only: one OpenSSH public key line (`ssh-ed25519 AAAA... comment`)."""

    text: str

    def load(self) -> asyncssh.SSHKey:
        """Return the key. Raises ValueError when the text is none."""
        try:
            return asyncssh.import_public_key(self.text)
        except asyncssh.KeyImportError as error:
            raise ValueError(
                f"pinned host key {self.text[:40]!r} is no OpenSSH public key: {error}"
            ) from None


@dataclass(frozen=True, slots=True)
class KnownHosts:
    """Trust the keys that this file in OpenSSH's known_hosts form lists for the host; it is never written."""

    path: Path


@dataclass(frozen=True, slots=True)
class TrustOnFirstUse:
    """Trust the first connection's key, remember it in this file (known_hosts form), insist on it later."""

    path: Path


HostKeyPolicy = PinnedKey | KnownHosts | TrustOnFirstUse


class HostKeyVerifier:
    """Checks the key that `host`:`port` shows against a policy.

    Reads the policy's file when made, and again before it remembers a first key. Raises HostKeyRejected when
    the policy itself cannot be read.
    """

    def __init__(self, policy: HostKeyPolicy, host: str, port: int) -> None:
        self._policy = policy
        self._host = host
        self._port = port
        self._where = f"{host}:{port}"
        self.trusted, self._revoked = self._read()

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Algorithms to offer, those of the trusted keys first.

        All are offered always, so that a changed key is reported as one, not as a failed negotiation.
        """
        preferred = [name for name in ALGORITHMS if any(name in _algorithms_of(key) for key in self.trusted)]
        return (*preferred, *(name for name in ALGORITHMS if name not in preferred))

    def check(self, key: asyncssh.SSHKey) -> None:
        """Return if `key` is trusted, remembering it if it is the first. Raises HostKeyRejected."""
        if key in self._revoked:
            raise HostKeyRejected(self._where, f"host key {fingerprint(key)} is revoked in {self._file()}")
        if key in self.trusted:
            return
        if isinstance(self._policy, TrustOnFirstUse):
            self.trusted, self._revoked = self._read()
            if not self.trusted:
                self._remember(self._policy.path, key)
                return
            if key in self.trusted:
                return
        raise HostKeyRejected(self._where, self._explain(key))

    def _read(self) -> tuple[Sequence[asyncssh.SSHKey], Sequence[asyncssh.SSHKey]]:
        if isinstance(self._policy, PinnedKey):
            try:
                return [self._policy.load()], []
            except ValueError as error:
                raise HostKeyRejected(self._where, str(error)) from None
        if isinstance(self._policy, TrustOnFirstUse) and not self._policy.path.exists():
            return [], []
        port = None if self._port == _SSH_PORT else self._port
        try:
            known = asyncssh.match_known_hosts(str(self._policy.path), self._host, "", port)
        except (OSError, ValueError) as error:
            reason = f"known hosts file {self._policy.path} cannot be read: {error}"
            raise HostKeyRejected(self._where, reason) from None
        return known[0], known[2]

    def _remember(self, path: Path, key: asyncssh.SSHKey) -> None:
        line = f"{known_hosts_name(self._host, self._port)} {public_line(key)}\n"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
            with os.fdopen(descriptor, "r+b", buffering=0) as file:
                end = file.seek(0, os.SEEK_END)
                before = b"\n" if end and os.pread(descriptor, 1, end - 1) != b"\n" else b""
                file.write(before + line.encode("ascii"))
                os.fsync(descriptor)
        except OSError as error:
            reason = f"its host key cannot be remembered in {path}: {error}"
            raise HostKeyRejected(self._where, reason) from None
        self.trusted = [key]
        log.info("host-key-remembered", peer=self._where, fingerprint=fingerprint(key), file=str(path))

    def _explain(self, key: asyncssh.SSHKey) -> str:
        shown = fingerprint(key)
        if isinstance(self._policy, PinnedKey):
            return f"host key is {shown}, pinned is {fingerprint(self.trusted[0])}"
        if not self.trusted:
            line = f"{known_hosts_name(self._host, self._port)} {public_line(key)}"
            return f"host key {shown} is not in {self._file()}; if it is right, add the line '{line}'"
        old = ", ".join(map(fingerprint, self.trusted))
        return (
            f"host key has changed to {shown}, {self._file()} has {old}; that can be an attack. If right, "
            f"remove the lines of {known_hosts_name(self._host, self._port)} from that file"
        )

    def _file(self) -> str:
        return "" if isinstance(self._policy, PinnedKey) else str(self._policy.path)


def fingerprint(key: asyncssh.SSHKey) -> str:
    """Return the algorithm and SHA-256 fingerprint as ssh-keygen shows them."""
    return f"{key.get_algorithm()} {key.get_fingerprint()}"


def public_line(key: asyncssh.SSHKey) -> str:
    """Return algorithm and base64 data, without a comment."""
    return " ".join(key.export_public_key().decode("ascii").split()[:2])


def known_hosts_name(host: str, port: int) -> str:
    """Return how known_hosts names the host and port."""
    return host if port == _SSH_PORT else f"[{host}]:{port}"


def _algorithms_of(key: asyncssh.SSHKey) -> frozenset[str]:
    name = key.get_algorithm()
    return frozenset({"rsa-sha2-512", "rsa-sha2-256", "ssh-rsa"} if name == "ssh-rsa" else {name})
