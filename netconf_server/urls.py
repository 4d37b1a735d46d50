"""The capability :url (RFC 6241 8.8): configurations in files, `file:///NAME`, all inside one folder."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import unquote, urlsplit

from lxml import etree

from netconf_server.persist import config_bytes, parse_config
from rui.netconf.errors import RpcError

T = TypeVar("T")

_MAX_DEPTH: Final = 8
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class UrlFolder:
    """Reads, writes and deletes the files of one folder. `folder` None: the capability is not offered.

    No name leads out of the folder, by `..`, by a symbolic link or by a hidden file. A file is at most
    `max_size` octets long. Everything raises RpcError.
    """

    def __init__(self, folder: Path | None, max_size: int = 64 * 1024 * 1024) -> None:
        self._folder = folder
        self._max_size = max_size

    async def read(self, url: str) -> etree._Element:
        """The configuration in a file, as a `config` element; what it holds is not checked."""
        try:
            return parse_config(await self._do(url, self._read))
        except FileNotFoundError as error:
            raise _no_file(url) from error
        except ValueError as error:
            raise RpcError.invalid_value(f"{url}: {error}") from error

    async def write(self, url: str, tree: etree._Element) -> None:
        """Make a configuration the content of a file, which is replaced if it is there."""
        data = config_bytes(tree)
        try:
            await self._do(url, lambda folder, name: _write(folder, name, data))
        except FileNotFoundError as error:
            raise RpcError.data_missing(
                f"{url}: there is no such folder; leave it out of the name"
            ) from error

    async def delete(self, url: str) -> None:
        """Delete a file."""
        try:
            await self._do(url, lambda folder, name: os.unlink(name, dir_fd=folder))
        except FileNotFoundError as error:
            raise _no_file(url) from error

    async def _do(self, url: str, work: Callable[[int, str], T]) -> T:
        """Raises FileNotFoundError besides RpcError."""
        steps = self._steps(url)
        try:
            return await asyncio.to_thread(self._in_folder, steps, work)
        except FileNotFoundError:
            raise
        except OSError as error:
            raise RpcError.operation_failed(f"{url}: {error.strerror}; give a plain file") from error

    def _steps(self, url: str) -> list[str]:
        parts = urlsplit(url.strip())
        if self._folder is None:
            raise RpcError.operation_not_supported("this server offers no files; it does not have :url")
        if parts.scheme != "file" or parts.netloc not in ("", "localhost") or parts.query or parts.fragment:
            raise RpcError.invalid_value(f"url {url[:80]!r} is not of the form file:///NAME")
        steps = [unquote(step) for step in parts.path.split("/") if step]
        if not 1 <= len(steps) <= _MAX_DEPTH or any(_leads_out(step) for step in steps):
            raise RpcError.invalid_value(f"url {url[:80]!r} names no file of the server's folder")
        return steps

    def _in_folder(self, steps: list[str], work: Callable[[int, str], T]) -> T:
        with _opened(os.open(self._folder or "", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)) as top:
            folder = os.dup(top)
            for step in steps[:-1]:
                with _opened(folder) as above:
                    folder = os.open(step, _FOLDER, dir_fd=above)
            with _opened(folder) as last:
                return work(last, steps[-1])

    def _read(self, folder: int, name: str) -> bytes:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, dir_fd=folder), "rb") as file:
            found = os.fstat(file.fileno())
            if not stat.S_ISREG(found.st_mode):
                raise OSError(0, "is no plain file")
            if found.st_size > self._max_size:
                raise OSError(0, f"is longer than {self._max_size} octets")
            return file.read(self._max_size)


def _no_file(url: str) -> RpcError:
    return RpcError.data_missing(f"{url}: there is no such file")


def _leads_out(step: str) -> bool:
    return step.startswith(".") or "/" in step or "\0" in step


@contextmanager
def _opened(descriptor: int) -> Iterator[int]:
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _write(folder: int, name: str, data: bytes) -> None:
    """Replace a file so that a crash leaves the old or the new."""
    temporary = f".{name}.new"
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(temporary, flags, 0o600, dir_fd=folder), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.rename(temporary, name, src_dir_fd=folder, dst_dir_fd=folder)
    os.fsync(folder)
