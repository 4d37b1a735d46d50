"""The configuration datastores: running, candidate and perhaps startup, their locks, commit in two phases,
and the file behind running or startup.

Trees are `config` elements whose children are the top-level nodes. A tree that was handed out never
changes: every change makes a new one, so readers need no lock and a refused change needs no undoing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import nullcontext
from datetime import UTC, datetime
from functools import partial
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TypeVar

import structlog
from lxml import etree

from netconf_server.beside import is_large, to_its_end, worked_out
from netconf_server.change import CANDIDATE, RUNNING, STARTUP, Apply, Change, Guard, Verify
from netconf_server.confirmed import Confirmation, ConfirmChange, ConfirmedCommit, ConfirmEvent, OnConfirm
from netconf_server.edit import Operation, apply_edit
from netconf_server.locks import Locks
from netconf_server.outcome import Checks, Edit, work_out
from netconf_server.partial import PartialLock, PartialLocks
from netconf_server.persist import before_file, empty_config, read_config
from netconf_server.storage import ConfigFile, on_disk, take_back_unconfirmed
from rui.netconf.errors import RpcError, first_error
from rui.schema import Schema

__all__ = ["CANDIDATE", "RUNNING", "STARTUP", "Apply", "Change", "Datastores", "Guard", "Verify"]

log = structlog.get_logger(__name__)


T = TypeVar("T")


class Datastores:
    """Running and candidate of one server.

    `running` is a valid configuration (see `load` to read one from a file); `file` is where running is kept
    from now on, None to keep it nowhere. Where the schema enables the feature :startup (RFC 6241 8.7) it is
    startup that is kept there, with `running` as its first content.
    """

    def __init__(
        self, schema: Schema, running: etree._Element | None = None, *, file: Path | None = None
    ) -> None:
        self.schema = schema
        self._checks = Checks(schema)
        self.locks = Locks()
        self.partial_locks = PartialLocks(schema.tree.data)
        self._running = empty_config() if running is None else running
        self._candidate = self._running
        self._startup = self._running if schema.has_feature("ietf-netconf", STARTUP) else None
        self._candidate_writer: int | None = None
        self._file = ConfigFile(file)
        self.guard: Guard | None = None
        self._verify: list[Verify] = []
        self._apply: list[Apply] = []
        self._edited: list[Apply] = []
        self._waits = file is not None
        # Changes wait for each other: the callbacks and the disk take time.
        self._turn = asyncio.Lock()
        self._checking = asyncio.Lock()
        kept = file if self._startup is None else None
        self._confirmed = ConfirmedCommit(None if kept is None else before_file(kept), self._bring_back)

    @classmethod
    def load(cls, schema: Schema, startup: Path | None, *, file: Path | None = None) -> Datastores:
        """Start from `file` if it exists, else from `startup`, else empty.

        A commit that waited for its confirmation when the process ended is taken back (RFC 6241 8.4.1).
        Raises StartupError, which names file, place and reason, when what is read is not a valid
        configuration; OSError when `file` cannot be written.
        """
        if file is not None:
            take_back_unconfirmed(file, schema)
        source = file if file is not None and file.exists() else startup
        return cls(schema, None if source is None else read_config(source, schema), file=file)

    # --- reading

    @property
    def running(self) -> etree._Element:
        """The running configuration; not to be modified."""
        return self._running

    @property
    def candidate(self) -> etree._Element:
        """The candidate configuration; not to be modified. The same object as `running` while nothing was
        edited.
        """
        return self._candidate

    @property
    def candidate_changed(self) -> bool:
        """Whether the candidate holds edits that are neither committed nor discarded."""
        return self._candidate is not self._running

    @property
    def names(self) -> tuple[str, ...]:
        """The configuration datastores that there are."""
        return (RUNNING, CANDIDATE) if self._startup is None else (RUNNING, CANDIDATE, STARTUP)

    def tree(self, name: str) -> etree._Element:
        """The tree of the datastore with this name, one of `names`."""
        if name == STARTUP and self._startup is not None:
            return self._startup
        return self._running if name == RUNNING else self._candidate

    # --- callbacks

    def on_commit(self, verify: Verify | None = None, apply: Apply | None = None) -> None:
        """Have every change of running looked at by `verify` and then told to `apply`."""
        if verify is not None:
            self._verify.append(verify)
        if apply is not None:
            self._apply.append(apply)
        self._waits = self._waits or any(map(iscoroutinefunction, (verify, apply)))

    def on_edit(self, edited: Apply) -> None:
        """Have `edited` told of every change of another datastore than running after it was made."""
        self._edited.append(edited)
        self._waits = self._waits or iscoroutinefunction(edited)

    def on_confirm(self, listener: OnConfirm) -> None:
        """Have `listener` told of every step of a confirmed commit."""
        self._confirmed.on_change(listener)

    # --- changing

    async def edit(
        self,
        target: str,
        config: etree._Element,
        *,
        default: Operation = Operation.MERGE,
        validate: bool = False,
        test_only: bool = False,
        continue_on_error: bool = False,
        session: int | None = None,
        expects: Callable[[etree._Element], None] | None = None,
    ) -> None:
        """Apply an edit-config (RFC 6241 7.2) as a whole or, with `continue_on_error`, without its faulty
        nodes. `expects` is shown what is to be edited, and raises RpcError to refuse that.

        Running is validated always, the candidate only with `validate` (RFC 7950 8.3.3). Raises RpcError.
        """
        async with self._turn:
            self.locks.check_write(target, session)
            base = self.tree(target)
            if expects is not None:
                expects(base)
            large = is_large(config)
            edit = Edit(
                target,
                config,
                default,
                continue_on_error,
                whole=target != CANDIDATE or validate or test_only,
                told=not large and default is not Operation.REPLACE,
                session=session,
            )
            work = partial(work_out, edit, base, self._checks, self.guard)
            outcome = await worked_out(work, large=large or is_large(base))
            self._check_still(target, base)
            if not test_only:
                await self._make(outcome.change)
            failed = first_error(outcome.errors)
            if failed is not None:
                raise failed

    async def replace(
        self, target: str, tree: etree._Element, *, session: int | None = None, copied: bool = False
    ) -> None:
        """Make `tree` the whole content of a datastore (copy-config); `copied` when it is running's, which
        becomes startup without further rights (RFC 8341 3.2.6). Raises RpcError.
        """
        async with self._turn:
            self.locks.check_write(target, session)

            def work() -> etree._Element:
                fresh = empty_config()
                apply_edit(self.schema.tree.data, fresh, tree)
                if not copied:
                    self._allow(target, fresh, session)
                (self._checks.values if target == CANDIDATE else self._checks.whole)(fresh)
                return fresh

            fresh = await worked_out(work, large=is_large(tree))
            await self._make(Change(self.tree(target), fresh, session, target))

    async def delete(self, *, session: int | None = None) -> None:
        """Empty the startup datastore (RFC 6241 7.4). Raises RpcError."""
        async with self._turn:
            self.locks.check_write(STARTUP, session)
            self._allow(STARTUP, empty_config(), session)
            await to_its_end(self._file.remove())
            change = Change(self.tree(STARTUP), empty_config(), session, STARTUP)
            self._startup = change.new
            await self._tell(self._edited, change)

    async def commit(
        self,
        *,
        confirm: Confirmation | None = None,
        persist_id: str | None = None,
        session: int | None = None,
    ) -> None:
        """Make the candidate running (RFC 6241 8.3.4.1); with `confirm` until it is confirmed (8.4).

        `persist_id` names the persistent commit that this one confirms or extends. Raises RpcError, and then
        nothing has changed.
        """
        async with self._turn:
            self.locks.check_write(RUNNING, session)
            self.locks.check_write(CANDIDATE, session)
            self._confirmed.check(session, persist_id)
            if self.candidate_changed:
                candidate = self._candidate
                self._allow(RUNNING, candidate, session)
                work = partial(self._checks.holding, candidate, self._running)
                held = await worked_out(work, large=is_large(candidate))
                self._check_still(CANDIDATE, candidate)
                self._candidate = held
            await to_its_end(self._commit(confirm, session))

    async def cancel_commit(self, *, persist_id: str | None = None, session: int | None = None) -> None:
        """Take back the commit that waits for its confirmation (RFC 6241 8.4.4.1). Raises RpcError."""
        async with self._turn:
            before = self._confirmed.cancelled()
            self._confirmed.check(session, persist_id)
            await to_its_end(self._take_back(before, ConfirmChange(ConfirmEvent.CANCEL, session)))

    async def discard(self, *, session: int | None = None) -> None:
        """Make the candidate equal to running again (RFC 6241 8.3.4.2). Raises RpcError."""
        async with self._turn:
            self.locks.check_write(CANDIDATE, session)
            self._candidate = self._running

    def _check_still(self, target: str, base: etree._Element) -> None:
        """Refuse to go on where the end of a session has given up meanwhile what was worked on."""
        if self.tree(target) is not base:
            raise RpcError.in_use(f"{target} was given up by another session meanwhile; send it again")

    async def validate(self, tree: etree._Element) -> None:
        """Check a whole configuration, a large one when no other is being checked. Raises RpcError with
        every fault.
        """
        large = is_large(tree)
        async with self._checking if large else nullcontext():
            await worked_out(partial(self._checks.whole, tree), large=large)

    # --- locking

    async def lock(self, name: str, session: int) -> None:
        """Lock a datastore (RFC 6241 7.5) when the change under way is made. Raises RpcError."""
        async with self._turn:
            self._lock(name, session)

    def _lock(self, name: str, session: int) -> None:
        if name == CANDIDATE and self.candidate_changed and self.locks.holder(name) is None:
            message = "the candidate holds changes that are not committed; commit or discard-changes first"
            raise RpcError.lock_denied(self._candidate_writer or 0, message)
        if name == RUNNING:
            self._check_no_commit_waits(session)
            for lock in self.partial_locks.of_others(session):
                message = f"session {lock.session} has locked parts of running; wait until it unlocks"
                raise RpcError.lock_denied(lock.session, message)
        self.locks.acquire(name, session, datetime.now(UTC))

    def unlock(self, name: str, session: int) -> None:
        """Unlock a datastore (RFC 6241 7.6). Raises RpcError."""
        self.locks.release(name, session)

    async def partial_lock(
        self, session: int, selects: Sequence[str], choose: Callable[[], Sequence[etree._Element]]
    ) -> PartialLock:
        """Lock elements of running (RFC 5717), which `choose` finds by `selects` once the change under way is
        made. Raises RpcError.
        """
        async with self._turn:
            elements = choose()
            self._check_no_commit_waits(session)
            held = self.locks.holder(RUNNING)
            if held is not None and held.session != session:
                raise RpcError.lock_denied(
                    held.session, f"running is locked by session {held.session} as a whole"
                )
            return self.partial_locks.acquire(session, selects, elements, datetime.now(UTC))

    def partial_unlock(self, session: int, number: int) -> None:
        """Give a partial lock back. Raises RpcError."""
        self.partial_locks.release(number, session)

    def _check_no_commit_waits(self, session: int) -> None:
        if self._confirmed.waiting and self._confirmed.session != session:
            message = "a commit waits for its confirmation (RFC 6241 7.5); lock when it is over"
            raise RpcError.lock_denied(self._confirmed.session or 0, message)

    def session_ended(self, session: int) -> None:
        """Give back a session's locks; changes made under a lock on the candidate go with it (RFC 6241
        8.3.5.2), and so does a commit that waits for its confirmation (8.4.1).
        """
        self._confirmed.session_ended(session)
        self.partial_locks.release_all(session)
        if CANDIDATE in self.locks.release_all(session):
            self._candidate = self._running
        if self._candidate_writer == session:
            self._candidate_writer = None

    async def close(self) -> None:
        """End with the server, once every session has ended."""
        await self._confirmed.close()

    # --- inside

    def _allow(self, target: str, tree: etree._Element, session: int | None) -> None:
        """Raise RpcError where the session has no right to make this the content of a datastore."""
        if self.guard is not None:
            self.guard.check_change(Change(self.tree(target), tree, session, target))

    async def _commit(self, confirm: Confirmation | None, session: int | None) -> None:
        before = self._running
        if confirm is None:
            if self.candidate_changed:
                await self._put(Change(self._running, self._candidate, session))
            await on_disk(self._confirmed.complete(session))
            return
        await on_disk(self._confirmed.prepare(before))
        try:
            if self.candidate_changed:
                await self._put(Change(self._running, self._candidate, session))
        except RpcError:
            await on_disk(self._confirmed.abandon())
            raise
        self._confirmed.wait(before, confirm, session)

    async def _bring_back(self, before: etree._Element, change: ConfirmChange) -> None:
        """Take back a commit whose confirmation did not come."""
        async with self._turn:
            if self._confirmed.holds(before):
                await self._take_back(before, change)

    async def _take_back(self, before: etree._Element, change: ConfirmChange) -> None:
        """Make running what it was. A full disk does not stop it: then the file beside it stays, and does it
        again at the next start.
        """
        kept = True
        try:
            if self._startup is None:
                await self._file.save(before)
        except RpcError:
            kept = False
        await self._adopt(Change(self._running, before, change.session))
        await on_disk(self._confirmed.restored(change, forget=kept))

    async def _put(self, change: Change) -> None:
        if change.datastore == CANDIDATE:
            self._candidate, self._candidate_writer = change.new, change.session
            await self._tell(self._edited, change)
            return
        if change.datastore == STARTUP:
            await self._file.save(change.new)
            self._startup = change.new
            await self._tell(self._edited, change)
            return
        self.partial_locks.check_change(change.old, change.new, change.session)
        for verify in self._verify:
            await _settle(verify(change))
        if self._startup is None:
            await self._file.save(change.new)
        await self._adopt(change)

    async def _adopt(self, change: Change) -> None:
        """Make a change that is on disk the running one, and tell of it."""
        followed = self._candidate is self._running or self._candidate is change.new
        self._running = change.new
        if followed:
            self._candidate = change.new
        await self._tell(self._apply, change)

    async def _tell(self, listeners: list[Apply], change: Change) -> None:
        if listeners and change.edit is None and is_large(change.new):
            await asyncio.to_thread(change.differences, self.schema.tree.data)
        for listener in listeners:
            try:
                await _settle(listener(change))
            except Exception:
                log.exception("config-apply-failed", session=change.session)

    async def _make(self, change: Change) -> None:
        """Make a change, as a whole: where nothing waits in between nothing can break it off."""
        await (to_its_end(self._put(change)) if self._waits else self._put(change))


async def _settle(result: Awaitable[None] | None) -> None:
    if result is not None:
        await result
