"""One SSH channel's command line: a prompt on a terminal, a script without one, or a single command."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from importlib import import_module
from typing import Protocol

import structlog

from netconf_cli.console import Channel, Console
from netconf_cli.editor import Editor, PlainEditor
from netconf_cli.engine import Engine
from netconf_cli.session import Session
from netconf_cli.words import split_commands

log = structlog.get_logger(__name__)

HISTORY = 200
_LOOK = 0.02


class ShellChannel(Channel, Protocol):
    """What a shell ends on."""

    def exit(self, status: int) -> None:
        """Say the exit status and close."""

    def abort(self) -> None:
        """End the connection at once."""


class Shell:
    """Fed by a channel. `engine` makes the command line once the channel is open; `command` is a script."""

    def __init__(
        self,
        channel: ShellChannel,
        console: Console,
        session: Session,
        engine: Callable[[], Engine],
        *,
        command: str | None,
        history: list[str],
    ) -> None:
        self._channel = channel
        self._console = console
        self._session = session
        self._make = engine
        self._command = command
        self._history = history
        self._editor: Editor | None = None
        self._main: asyncio.Task[None] | None = None
        self._running: asyncio.Task[bool] | None = None
        self._over = ""
        console.on_break = self._break
        session.on_end(self._ended)

    # --- from the channel

    def start(self) -> None:
        """The channel is open."""
        self._main = asyncio.get_running_loop().create_task(self._serve(), name="command-line")

    def receive(self, data: bytes) -> None:
        """Bytes came."""
        self._console.receive(data)

    def receive_eof(self) -> None:
        """The client sends nothing more."""
        self._console.receive_eof()
        if self._editor is not None and self._editor.asking:
            self._editor.end()

    def lost(self, reason: str) -> None:
        """The channel is gone."""
        if self._main is not None and not self._main.done():
            self._main.cancel()
        self._session.close(reason)

    def forget(self) -> None:
        """Nothing follows."""

    def pause_writing(self) -> None:
        """The channel's buffer is full."""
        self._console.pause_writing()

    def resume_writing(self) -> None:
        """The channel has room."""
        self._console.resume_writing()

    def resize(self, width: int, height: int) -> None:
        """The terminal has another size."""
        before = (self._console.width, self._console.height)
        self._console.resize(width, height)
        if self._editor is not None and before != (self._console.width, self._console.height):
            self._editor.resized()

    def interrupt(self) -> None:
        """A break came beside the bytes."""
        self._console.interrupt()

    # --- the session

    async def _serve(self) -> None:
        status = 1
        try:
            status = await self._talk()
        except TimeoutError:
            log.warning("command-line-stalled", user=self._session.user)
            self._channel.abort()
        except ConnectionError as error:
            self._over = self._over or str(error)
        except Exception:
            log.exception("command-line-failed", user=self._session.user)
        if self._over:
            status = 1
            await self._console.error(self._over)
        self._session.close("the command line has ended")
        self._channel.exit(status)

    async def _talk(self) -> int:
        engine = self._make()
        if self._command is not None:
            return await self._script(engine, self._command)
        if not self._console.terminal:
            return await self._piped(engine)
        await self._interact(engine)
        return 0

    async def _script(self, engine: Engine, text: str) -> int:
        worked = True
        for command in split_commands(text):
            worked = await self._run(engine, command) and worked
            if engine.context.leaving:
                break
        return 0 if worked else 1

    async def _piped(self, engine: Engine) -> int:
        worked = True
        while not engine.context.leaving:
            try:
                line = await self._console.input_line()
            except ValueError as error:
                await self._console.error(f"error: {error}")
                return 1
            if line is None:
                break
            for command in split_commands(line):
                worked = await self._run(engine, command) and worked
        return 0 if worked else 1

    async def _interact(self, engine: Engine) -> None:
        editor = self._editor = await self._make_editor(engine)
        console = self._console
        context = engine.context
        while not context.leaving and not self._over:
            if context.banner:
                await console.line(context.banner)
            line = await self._ask(editor, context.prompt)
            if line is None:
                break
            if line.strip():
                self._remember(line.strip())
                await self._run(engine, line, caret=True)
            if context.edit is not None:
                await console.line("")

    async def _make_editor(self, engine: Engine) -> Editor:
        if self._console.dumb:
            return PlainEditor(self._console.write, engine.complete, lambda: self._console.width)
        # Imported by the first who needs it, beside the loop: a router without command lines does without
        await asyncio.to_thread(import_module, "netconf_cli.prompt")
        from netconf_cli.prompt import ToolkitEditor  # noqa: PLC0415

        return ToolkitEditor(self._console, self._history, engine.complete)

    async def _ask(self, editor: Editor, prompt: str) -> str | None:
        """Read a line, feeding the editor no more than that line."""
        console = self._console
        asked = asyncio.ensure_future(editor.ask(prompt))
        asked.add_done_callback(lambda _: console.changed.set())
        console.asking = True
        try:
            # The editor begins to listen in its own task
            await asyncio.sleep(0)
            while not asked.done():
                await self._feed(editor)
            return asked.result()
        finally:
            console.asking = False
            asked.cancel()

    async def _feed(self, editor: Editor) -> None:
        """Hand the editor a little of what was typed, or wait for more."""
        console = self._console
        console.changed.clear()
        if console.typed and editor.asking and console.writable:
            editor.feed(console.chunk())
            await asyncio.sleep(0)
        elif console.ended and not console.typed:
            editor.end()
            await asyncio.sleep(0)
        else:
            # An editor that looks for completions says nothing when it is done
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK if console.typed else None):
                    await console.changed.wait()

    async def _run(self, engine: Engine, line: str, *, caret: bool = False) -> bool:
        """Carry out a line that a break can end."""
        self._running = asyncio.ensure_future(engine.run(line, self._console, caret=caret))
        try:
            return await self._running
        except asyncio.CancelledError:
            if not self._running.cancelled() or (self._main is not None and self._main.cancelling()):
                self._running.cancel()
                raise
            self._console.write("^C\r\n" if self._console.terminal else "")
            return False
        finally:
            self._running = None

    def _break(self) -> None:
        if self._running is not None:
            self._running.cancel()

    def _remember(self, line: str) -> None:
        if self._history[-1:] != [line]:
            self._history.append(line)
        del self._history[:-HISTORY]

    def _ended(self, reason: str) -> None:
        """The session was ended by another hand."""
        if self._main is None or self._main.done() or self._main.cancelling():
            return
        self._over = f"the session was ended: {reason}"
        if self._running is not None:
            self._running.cancel()
        elif self._editor is not None:
            self._editor.end()
