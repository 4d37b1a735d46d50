"""The devices that the cloud manages: a session with each is kept, whatever happens to it (S401)."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

import structlog
from lxml import etree

from manager.config import DeviceConfig
from manager.session import Conversation
from netconf_client import ClientSession, ConnectFailed, NetconfClientError, SessionClosed, connect
from rui.backoff import Backoff, BackoffPolicy
from rui.netconf.errors import RpcError
from rui.netconf.events import NotificationReceived

log = structlog.get_logger()

_CONNECT_TIMEOUT = 15.0
_STABLE_AFTER = 10.0
# Every how many failed tries in a row the operator hears of it again.
_REMIND_EVERY = 20


class LinkState(Enum):
    """State of the session with one device, in the words of the model."""

    CONNECTING = "connecting"
    WAITING = "waiting"
    CONNECTED = "connected"
    DISABLED = "disabled"


class Owner(Protocol):
    """What a link tells."""

    @property
    def probe_interval(self) -> float:
        """Seconds between two probes of a session; 0 for none."""

    def notified(self, device: str, notification: NotificationReceived) -> None:
        """The device has sent this."""

    def busy(self, device: str) -> bool:
        """Say whether nothing more is to be taken from the device now."""

    def connected(self, device: str, where: str) -> None:
        """The session is up and subscribed."""

    def lost(self, device: str, reason: str) -> None:
        """The session is over."""

    def unreachable(self, device: str, reason: str) -> None:
        """A try to set up the session failed."""


class DeviceLink:
    """One configured device: the session with it, or the search for one."""

    def __init__(
        self,
        config: DeviceConfig,
        owner: Owner,
        rng: random.Random,
        *,
        now: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self.state = LinkState.DISABLED
        self.since = wall()
        self.tries = 0
        self.last_error = ""
        self._owner = owner
        self._now = now
        self._wall = wall
        # The model: each wait is shortened at random by up to a half.
        policy = BackoffPolicy(
            initial=0.75 * config.first_wait,
            maximum=config.longest_wait,
            jitter=1 / 3,
            stable_after=_STABLE_AFTER,
        )
        self._backoff = Backoff(policy, rng)
        self._conversation: Conversation | None = None
        self._heard_before: float | None = None
        self._task: asyncio.Task[None] | None = None
        self._serving = asyncio.Lock()

    @property
    def device(self) -> str:
        """The device-id."""
        return self.config.device

    def start(self) -> None:
        """Begin to keep a session; a device that calls home is waited for."""
        if not self.config.enabled:
            self._change(LinkState.DISABLED, "the configuration says so")
        elif self.config.call_home:
            self._change(LinkState.WAITING, "the device calls home")
        else:
            self._task = asyncio.get_running_loop().create_task(self._dial_forever())

    async def close(self) -> None:
        """End the session and the search."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._conversation is not None:
            self._conversation.end("the cloud device ends it")
        async with self._serving:
            self._change(LinkState.DISABLED, "closed")

    async def adopt(self, session: ClientSession) -> None:
        """Serve a session that the device has opened by calling home; a newer one replaces an older."""
        if self._conversation is not None:
            self._conversation.end("the device has called home again")
        async with self._serving:
            await self._serve(session)
        self._change(LinkState.WAITING, "the device calls home")

    async def rpc(self, operation: etree._Element | Sequence[bytes]) -> etree._Element:
        """Send an operation, return the rpc-reply. Raises RpcError or NetconfClientError."""
        if self._conversation is None:
            raise SessionClosed(self.device, "there is no session with the device")
        return await self._conversation.rpc(operation)

    @property
    def heard_at(self) -> float | None:
        """When the device was last heard of, on the loop's clock; None for never."""
        return self._heard_before if self._conversation is None else self._conversation.heard_at

    def give_up(self, reason: str) -> None:
        """End the session; a new one is set up."""
        if self._conversation is not None:
            self._conversation.end(reason)

    def released(self) -> None:
        """More may be read from the device."""
        if self._conversation is not None:
            self._conversation.released()

    async def _dial_forever(self) -> None:
        while True:
            self._change(LinkState.CONNECTING, "dialling")
            self.tries += 1
            try:
                session = await connect(
                    self.config.target, driver=self.config.driver, timeout=_CONNECT_TIMEOUT
                )
            except ConnectFailed as error:
                self._failed(error.reason)
            else:
                async with self._serving:
                    await self._serve(session)
            wait = self._backoff.failed(self._now())
            self._change(LinkState.WAITING, self.last_error)
            await asyncio.sleep(wait)

    async def _serve(self, session: ClientSession) -> None:
        """Serve one session to its end; nothing that it raises ends the search."""
        conversation = Conversation(
            session,
            lambda notification: self._owner.notified(self.device, notification),
            lambda: self._owner.busy(self.device),
            self._owner.probe_interval,
        )
        self._conversation = conversation
        up = False

        def subscribed() -> None:
            nonlocal up
            up = True
            self._opened(session)

        reason = "the cloud device ends it"
        try:
            reason = await conversation.run(subscribed)
        except (RpcError, NetconfClientError) as error:
            reason = f"the device refuses the subscription (S401): {error}"
        finally:
            self._heard_before = conversation.heard_at
            self._conversation = None
            if up:
                self.last_error = reason
                self._owner.lost(self.device, reason)
        if not up:
            self._failed(reason)

    def _opened(self, session: ClientSession) -> None:
        self._backoff.opened(self._now())
        self.tries = 0
        self.last_error = ""
        self._change(LinkState.CONNECTED, f"subscribed at {session.where}")
        self._owner.connected(self.device, session.where)

    def _failed(self, reason: str) -> None:
        if reason != self.last_error or self.tries % _REMIND_EVERY == 0:
            self._owner.unreachable(self.device, reason)
        self.last_error = reason

    def _change(self, state: LinkState, why: str) -> None:
        if state is not self.state:
            log.debug("device-link", device=self.device, old=self.state.value, new=state.value, why=why)
            self.state, self.since = state, self._wall()
