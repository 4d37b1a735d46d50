"""The data directory of one router: locked against a second process, one folder per group."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from urllib.parse import quote

from router.journal.errors import DataDirectoryError


class DataDirectory:
    """Holds the lock from :meth:`open` until :meth:`close`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock = lock

    @classmethod
    def open(cls, path: Path, device: str) -> DataDirectory:
        """Make the directory if need be, lock it, and see that it is this device's.

        Raises DataDirectoryError: it cannot be made, another process holds it, or it is another device's.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            reason = f"data directory {path}: {error.strerror}"
            raise DataDirectoryError(reason, "name a directory that this user may write to") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise DataDirectoryError(
                f"data directory {path} is in use by process {holder}",
                "stop that process, or name another --data-dir",
            ) from error
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        directory = cls(path, lock)
        try:
            directory._claim(device)
        except BaseException:
            directory.close()
            raise
        return directory

    def group(self, group: str) -> Path:
        """Return the folder of a group's journal, made if it is not there."""
        folder = self.path / f"group-{quote(group, safe='')}"
        if not folder.is_dir():
            folder.mkdir(mode=0o700)
            sync_directory(self.path)
        return folder

    def close(self) -> None:
        """Give the lock back."""
        os.close(self._lock)

    def _claim(self, device: str) -> None:
        """A journal holds versions of its own device: read as another's they would order wrongly."""
        owner = self.path / "device"
        if not owner.exists():
            owner.write_text(f"{device}\n", encoding="utf-8")
            return
        held = owner.read_text(encoding="utf-8").strip()
        if held != device:
            raise DataDirectoryError(
                f"data directory {self.path} belongs to device {held}, the startup file is {device}'s",
                f"name the data directory of {device}, or a new one",
            )


def sync_directory(path: Path) -> None:
    """Make what was created, renamed or removed in a directory durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
