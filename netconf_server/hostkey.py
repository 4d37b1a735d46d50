"""The server's SSH host key: made on the first start, kept, and refused when others can read it."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import asyncssh

_OPEN_TO_OTHERS = stat.S_IRWXG | stat.S_IRWXO


class HostKeyError(RuntimeError):
    """The host key file cannot be used; names the file and what to do."""


def load_or_create_host_key(path: Path) -> asyncssh.SSHKey:
    """Return the private host key kept at `path`; make an Ed25519 one with mode 0600 if there is none.

    Raises HostKeyError when the file is unreadable, is no private key, or is open to group or others.
    """
    try:
        if not path.exists():
            _create(path)
        mode = path.stat().st_mode
        if mode & _OPEN_TO_OTHERS:
            raise HostKeyError(
                f"host key {path} has mode {stat.S_IMODE(mode):04o}; others can read it: chmod 600 {path}"
            )
        return asyncssh.read_private_key(path)
    except OSError as error:
        raise HostKeyError(
            f"host key {path}: {error.strerror}; check the folder and its permissions"
        ) from error
    except asyncssh.KeyImportError as error:
        raise HostKeyError(
            f"host key {path} is no private key ({error}); remove it to have a new one made"
        ) from error


def _create(path: Path) -> None:
    """Write a new key beside `path` and link it in place, so that two starts at once agree on one key."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    key = asyncssh.generate_private_key("ssh-ed25519", comment="netconf-server")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(key.export_private_key())
        file.flush()
        os.fsync(file.fileno())
    try:
        path.hardlink_to(temporary)
    except FileExistsError:
        pass  # another start was faster; its key is the key
    finally:
        temporary.unlink()
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
