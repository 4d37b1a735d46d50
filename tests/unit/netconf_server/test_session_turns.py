"""In which turn of the event loop a session answers: at once what comes alone and waits for nothing,
everything else in a task, and always in order.
"""

import asyncio
from datetime import UTC, datetime

import pytest

from netconf_server import Limits, RpcCall
from netconf_server.call import Reply, SessionInfo
from netconf_server.session import Session
from rui.netconf import names

_PROMPT = "{urn:x}prompt"
_HELLO = (
    f'<hello xmlns="{names.BASE}"><capabilities><capability>{names.CAP_BASE_1_0}</capability></capabilities>'
    "</hello>]]>]]>"
)


class _Rig:
    """A session whose transport keeps what is written; its handler waits where it is told to."""

    def __init__(self) -> None:
        self.sent, self.writes = b"", 0
        self.gate = asyncio.Event()
        self.gate.set()
        self.at_once: list[bool] = []
        self._feeding = asyncio.current_task()
        self._wrote = asyncio.Event()
        self._numbers = iter(range(1000))
        self.cancelled = False
        self.ends = False
        self.aborted = asyncio.Event()
        self.session = Session(
            SessionInfo(1, "ada", "test:1", "netconf-ssh", datetime.now(UTC)),
            [names.CAP_BASE_1_0],
            self,
            self._answer,
            limits=Limits(),
            bulk=(),
            prompt={_PROMPT},
            on_end=lambda _session, _orderly: None,
        )
        self.session.start()
        self.session.receive(_HELLO.encode())
        self.session.release()
        self.sent, self.writes = b"", 0

    def ask(self, *operations: str) -> None:
        """Receive rpcs with these operations in one piece; all that are received are numbered from 0."""
        self.session.receive(
            "".join(
                f'<rpc xmlns="{names.BASE}" message-id="{number}"><{name} xmlns="urn:x"/></rpc>]]>]]>'
                for name, number in zip(operations, self._numbers, strict=False)
            ).encode()
        )

    async def _answer(self, call: RpcCall) -> Reply:
        self.at_once.append(asyncio.current_task() is self._feeding)
        if self.ends:
            self.session.close("its account was removed")
        try:
            await self.gate.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if call.operation.tag != _PROMPT:
            async with asyncio.timeout(10):
                await asyncio.sleep(0)
        return [b'<done xmlns="urn:x">%s</done>' % call.message_id.encode()]

    def answers(self) -> int:
        return self.sent.count(b"<done")

    async def answered(self, count: int) -> None:
        while self.answers() < count:
            self._wrote.clear()
            await self._wrote.wait()
        order = [self.sent.index(b">%d</done>" % number) for number in range(count)]
        assert order == sorted(order)

    def write(self, data: bytes) -> None:
        self.sent += data
        self.writes += 1
        self._wrote.set()

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...

    def close(self) -> None: ...

    def abort(self) -> None:
        self.aborted.set()


async def test_what_waits_for_nothing_is_answered_before_the_next_turn() -> None:
    rig = _Rig()
    rig.ask("prompt")
    assert rig.answers() == 1
    assert rig.at_once == [True]


async def test_what_comes_together_is_answered_together(monkeypatch: pytest.MonkeyPatch) -> None:
    rig = _Rig()
    rig.ask("prompt", "prompt")
    assert rig.answers() == 0
    await rig.answered(2)
    assert rig.writes == 1
    monkeypatch.setattr("netconf_server.session._BEHIND", 3600.0)
    rig.ask("prompt")
    assert rig.at_once == [False, False]


@pytest.mark.parametrize(
    "operations", [("other",), ("prompt", "other"), ("other", "prompt"), ("prompt",) * 3]
)
async def test_everything_else_is_answered_in_a_task(operations: tuple[str, ...]) -> None:
    rig = _Rig()
    rig.ask(*operations)
    await rig.answered(len(operations))
    assert rig.at_once == [False] * len(operations)


async def test_what_has_to_wait_after_all_is_answered_later_and_in_order() -> None:
    rig = _Rig()
    rig.gate.clear()
    rig.ask("prompt")
    rig.ask("other", "prompt")
    await asyncio.sleep(0)
    assert rig.answers() == 0
    rig.gate.set()
    await rig.answered(3)
    assert rig.at_once == [True, False, False]


@pytest.mark.parametrize("turns", [0, 2])
async def test_the_end_of_the_session_ends_what_waits(turns: int) -> None:
    rig = _Rig()
    rig.gate.clear()
    rig.ask("prompt")
    for _ in range(turns):
        await asyncio.sleep(0)
    rig.session.kill("killed")
    for _ in range(3):
        await asyncio.sleep(0)
    assert rig.cancelled
    rig.session.forget()


@pytest.mark.parametrize("waits", [False, True])
async def test_a_session_that_its_own_request_ends_lets_go_of_its_transport(
    waits: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netconf_server.session._LINGER", 0.01)
    rig = _Rig()
    rig.ends = True
    if waits:
        rig.gate.clear()
    rig.ask("prompt")
    rig.gate.set()
    await rig.aborted.wait()
    assert rig.answers() == 0
