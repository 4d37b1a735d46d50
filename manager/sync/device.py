"""One device in a configuration transaction: the operations that it takes, over whatever session there is."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from lxml import etree

from netconf_client import NetconfClientError
from rui.netconf import names
from rui.netconf.errors import RpcError

Send = Callable[[etree._Element], Awaitable[etree._Element]]
"""Sends an operation and returns the rpc-reply. Raises RpcError or NetconfClientError."""


@dataclass(frozen=True)
class Refusal:
    """Why a device does not go along: at which step, on which path, for what reason; `lost` if it is away."""

    device: str
    step: str
    reason: str
    path: str = ""
    lost: bool = False


class DeviceError(Exception):
    """A step that a device refused, or before whose answer it was lost."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.device}: {refusal.step}: {refusal.reason}")
        self.refusal = refusal


class Device(Protocol):
    """What a transaction does with a device. Every method raises DeviceError."""

    async def lock(self) -> None:
        """Lock candidate and running, the candidate clean."""

    async def edit(self, config: etree._Element) -> None:
        """Edit the candidate."""

    async def validate(self) -> None:
        """Have the candidate checked."""

    async def commit_confirmed(self, persist: str, seconds: int) -> None:
        """Commit, to be taken back after so many seconds unless confirmed by this id, by any session."""

    async def confirm(self, persist: str) -> None:
        """Confirm the commit of this id."""

    async def cancel(self, persist: str) -> None:
        """Take the commit of this id back."""

    async def release(self) -> None:
        """Drop what is in the candidate, and the locks."""

    async def running(self) -> etree._Element:
        """The running configuration, as a `data` element."""


class NetconfDevice:
    """A device over NETCONF: candidate, validate and confirmed-commit 1.1 (RFC 6241 8.3, 8.6, 8.4).

    `validates` is False for a server that is not to be asked before the commit, which checks anyway.
    """

    def __init__(self, name: str, send: Send, *, validates: bool = True) -> None:
        self.name = name
        self._send = send
        self._validates = validates

    async def lock(self) -> None:
        """Lock candidate and running."""
        for datastore in ("candidate", "running"):
            await self._do("lock", _on(_operation("lock"), "target", datastore))

    async def edit(self, config: etree._Element) -> None:
        """Edit the candidate, whole or not at all."""
        operation = _on(_operation("edit-config"), "target", "candidate")
        operation.append(config)
        await self._do("edit", operation)

    async def validate(self) -> None:
        """Have the candidate checked."""
        if self._validates:
            await self._do("validate", _on(_operation("validate"), "source", "candidate"))

    async def commit_confirmed(self, persist: str, seconds: int) -> None:
        """Commit for a time."""
        operation = _operation("commit")
        etree.SubElement(operation, names.base("confirmed"))
        etree.SubElement(operation, names.base("confirm-timeout")).text = str(seconds)
        etree.SubElement(operation, names.base("persist")).text = persist
        await self._do("commit", operation)

    async def confirm(self, persist: str) -> None:
        """Confirm the commit."""
        operation = _operation("commit")
        etree.SubElement(operation, names.base("persist-id")).text = persist
        await self._do("confirm", operation)

    async def cancel(self, persist: str) -> None:
        """Take the commit back."""
        operation = _operation("cancel-commit")
        etree.SubElement(operation, names.base("persist-id")).text = persist
        await self._do("cancel", operation)

    async def release(self) -> None:
        """Drop edits and locks, as many as there are; raise the first refusal afterwards."""
        first: DeviceError | None = None
        unlocks = (_on(_operation("unlock"), "target", name) for name in ("running", "candidate"))
        for operation in (_operation("discard-changes"), *unlocks):
            try:
                await self._do("release", operation)
            except DeviceError as error:
                first = first or error
        if first is not None:
            raise first

    async def running(self) -> etree._Element:
        """Read running."""
        reply = await self._do("read", _on(_operation("get-config"), "source", "running"))
        data = reply.find(names.DATA)
        if data is None:
            raise DeviceError(Refusal(self.name, "read", "the reply holds no data"))
        return data

    async def _do(self, step: str, operation: etree._Element) -> etree._Element:
        try:
            return await self._send(operation)
        except RpcError as error:
            reason = error.message or str(error.tag)
            raise DeviceError(
                Refusal(self.name, step, f"{reason} ({error.tag})", error.path or "")
            ) from error
        except NetconfClientError as error:
            raise DeviceError(Refusal(self.name, step, str(error), lost=True)) from error


def _operation(name: str) -> etree._Element:
    return etree.Element(names.base(name), nsmap=names.nsmap(names.BASE))


def _on(operation: etree._Element, role: str, datastore: str) -> etree._Element:
    etree.SubElement(etree.SubElement(operation, names.base(role)), names.base(datastore))
    return operation
