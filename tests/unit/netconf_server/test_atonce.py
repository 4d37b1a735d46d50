"""Work is carried out at once, and only what has to wait becomes a task that sees what its own would see."""

import asyncio

import pytest

from netconf_server.atonce import at_once


async def test_work_that_waits_for_nothing_is_done_at_once() -> None:
    done = []

    async def work() -> None:
        async with asyncio.Lock():
            done.append("all of it")

    assert at_once(work()) is None
    assert done == ["all of it"]


async def test_what_it_raises_comes_from_here_while_it_has_not_waited() -> None:
    async def work() -> None:
        raise LookupError("at once")

    with pytest.raises(LookupError):
        at_once(work())


@pytest.mark.parametrize("awaited", [False, True], ids=["a task of its own", "within another's"])
async def test_what_is_left_goes_on_in_a_task_and_hears_how_its_waiting_ended(awaited: bool) -> None:
    steps: list[object] = []
    given: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    refused: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        steps.append(await given)
        await asyncio.sleep(0)
        async with asyncio.timeout(10):
            try:
                await refused
            except OSError as error:
                steps.append(str(error))

    left = at_once(work())
    assert left is not None

    async def within() -> None:
        await left

    task = asyncio.create_task(within() if awaited else left)
    given.set_result("given")
    refused.set_exception(OSError("refused"))
    await task
    assert steps == ["given", "refused"]


@pytest.mark.parametrize("begun", [False, True], ids=["before the task begins", "while it waits"])
async def test_a_task_that_is_cancelled_cancels_the_work(begun: bool) -> None:
    ended = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("cleaned up")

    left = at_once(work())
    assert left is not None
    task = asyncio.create_task(left)
    if begun:
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended == ["cleaned up"]
