"""Reading a line at a real terminal, by prompt_toolkit: editing, history and its search, completion."""

from __future__ import annotations

from collections.abc import Callable
from typing import TextIO, cast

from prompt_toolkit import PromptSession
from prompt_toolkit.application import create_app_session, run_in_terminal
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.data_structures import Size
from prompt_toolkit.history import InMemoryHistory
from prompt_toolkit.input.base import Input
from prompt_toolkit.input.vt100_parser import Vt100Parser
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent
from prompt_toolkit.output.vt100 import Vt100_Output

from netconf_cli.complete import Completion
from netconf_cli.console import Console
from netconf_cli.editor import Completer, candidate_lines
from netconf_cli.words import LONGEST_LINE


class ChannelInput(Input):
    """prompt_toolkit's input, fed with what comes over a channel; needs no file descriptor."""

    def __init__(self) -> None:
        self._keys: list[KeyPress] = []
        self._parser = Vt100Parser(self._keys.append)
        self._callback: Callable[[], None] | None = None
        self._closed = False

    def feed(self, text: str) -> None:
        """Take what was typed."""
        self._parser.feed(text)
        if self._callback is not None:
            self._callback()

    def read_keys(self) -> list[KeyPress]:
        """Hand the keys over."""
        keys, self._keys[:] = list(self._keys), []
        return keys

    def flush_keys(self) -> list[KeyPress]:
        """Hand over what may be the beginning of a longer key."""
        self._parser.flush()
        return self.read_keys()

    @property
    def closed(self) -> bool:
        """Whether nothing more will be typed."""
        return self._closed

    def close(self) -> None:
        """Nothing more will be typed."""
        self._closed = True
        if self._callback is not None:
            self._callback()

    def attach(self, input_ready_callback: Callable[[], None]) -> _Attached:
        """Have the callback told of keys while the returned context is entered."""
        return _Attached(self, input_ready_callback)

    def detach(self) -> _Attached:
        """Tell nobody while the returned context is entered."""
        return _Attached(self, None)

    def raw_mode(self) -> _Nothing:
        """The far end's terminal is raw already."""
        return _Nothing()

    def cooked_mode(self) -> _Nothing:
        """The far end's terminal stays raw."""
        return _Nothing()

    def fileno(self) -> int:
        """There is none."""
        raise NotImplementedError("a channel has no file descriptor")

    def typeahead_hash(self) -> str:
        """What tells this input from others."""
        return f"channel-{id(self)}"

    def exchange(self, callback: Callable[[], None] | None) -> Callable[[], None] | None:
        """Put another callback in place and return the former."""
        former, self._callback = self._callback, callback
        return former


class _Nothing:
    def __enter__(self) -> None:
        return None

    def __exit__(self, *_: object) -> None:
        return None


class _Attached:
    def __init__(self, source: ChannelInput, callback: Callable[[], None] | None) -> None:
        self._source = source
        self._callback = callback
        self._former: Callable[[], None] | None = None

    def __enter__(self) -> None:
        self._former = self._source.exchange(self._callback)

    def __exit__(self, *_: object) -> None:
        self._source.exchange(self._former)


class _ChannelOutput:
    """The little of a text file that prompt_toolkit's output needs."""

    encoding = "utf-8"

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, data: str) -> int:
        """Send, with line ends as a raw terminal needs them."""
        self._console.write(data.replace("\r\n", "\n").replace("\n", "\r\n"))
        return len(data)

    def flush(self) -> None:
        """All is sent."""

    def isatty(self) -> bool:
        """It is a terminal."""
        return True


class ToolkitEditor:
    """The line editor for terminals that can move their cursor."""

    def __init__(self, console: Console, history: list[str], completer: Completer) -> None:
        self._console = console
        self._completer = completer
        self._looking = False
        self._input = ChannelInput()
        self._output = Vt100_Output(
            cast("TextIO", _ChannelOutput(console)),
            lambda: Size(rows=console.height, columns=console.width),
            term=console.kind,
            enable_cpr=False,
        )
        self._session: PromptSession[str] = PromptSession(
            input=self._input,
            output=self._output,
            history=InMemoryHistory(history),
            key_bindings=self._bindings(),
            enable_history_search=False,
            reserve_space_for_menu=0,
        )

    @property
    def asking(self) -> bool:
        """Whether a line is being read, and no completion is looked for."""
        app = self._session.app
        return app.is_running and app.future is not None and not app.future.done() and not self._looking

    async def ask(self, prompt: str) -> str | None:
        """Read a line."""
        with create_app_session(input=self._input, output=self._output):
            try:
                return await self._session.prompt_async(
                    prompt, handle_sigint=False, set_exception_handler=False
                )
            except KeyboardInterrupt:
                # Not to leave this task: asyncio would hand it on to the loop and end the whole process
                return ""
            except EOFError:
                return None

    def feed(self, text: str) -> None:
        """Take what was typed."""
        self._input.feed(text)

    def end(self) -> None:
        """Nothing more will be typed."""
        self._input.close()

    def resized(self) -> None:
        """Draw anew."""
        if self.asking:
            self._session.app._on_resize()

    def _bindings(self) -> KeyBindings:
        bindings = KeyBindings()

        @bindings.add("tab")
        def _(event: KeyPressEvent) -> None:
            self._begin_look(event, insert=True)

        @bindings.add("?")
        def _(event: KeyPressEvent) -> None:
            if event.current_buffer.document.text_before_cursor.count('"') % 2:
                event.current_buffer.insert_text("?")
            else:
                self._begin_look(event, insert=False)

        @bindings.add("<any>")
        def _(event: KeyPressEvent) -> None:
            if len(event.current_buffer.text) < LONGEST_LINE:
                event.current_buffer.insert_text(event.data)

        return bindings

    def _begin_look(self, event: KeyPressEvent, *, insert: bool) -> None:
        self._looking = True
        event.app.create_background_task(self._look(event.current_buffer, insert=insert))

    async def _look(self, buffer: Buffer, *, insert: bool) -> None:
        text = buffer.document.text_before_cursor
        try:
            found = await self._completer(text)
            longer = found.insertion
            if insert and len(longer) > len(found.word):
                buffer.delete_before_cursor(len(text) - found.start)
                buffer.insert_text(longer)
            else:
                await run_in_terminal(lambda: self._show(found))
        finally:
            self._looking = False

    def _show(self, found: Completion) -> None:
        for line in candidate_lines(found, self._console.width):
            self._console.write(f"{line}\r\n")
