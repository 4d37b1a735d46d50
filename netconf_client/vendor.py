"""The vendor driver: ncclient (on paramiko), which knows the oddities of many vendors' routers.

ncclient runs one thread and paramiko another for each session; blocking calls (dialling, closing) run in a
small executor. Replies and notifications are handed to the event loop as they come, so no thread waits for
one.
"""

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Final

import structlog
from lxml import etree
from ncclient.operations.rpc import RPC
from ncclient.transport.errors import TransportError
from ncclient.transport.session import NotificationHandler, SessionListener

from netconf_client import vendorssh
from netconf_client.api import DEFAULT_TIMEOUT, Reply, Target
from netconf_client.driver import DriverSession
from netconf_client.errors import ConnectFailed, ReplyTimeout, SessionClosed
from netconf_client.hostkeys import HostKeyVerifier
from netconf_client.operations import as_element, make_reply, operation_name
from rui.netconf import messages, names
from rui.netconf.errors import RpcError

log = structlog.get_logger()

MAX_OUTSTANDING: Final = 64
_CLOSE_TIMEOUT: Final = 5.0
_CLOSE_SESSION: Final = f'<close-session xmlns="{names.BASE}"/>'.encode()


class _Request(RPC):  # type: ignore[misc]  # ncclient has no types
    """One rpc: ncclient sends it and finds its reply, which `deliver` gets in ncclient's thread."""

    deliver: Callable[[str | BaseException], None]

    def request(self, operation: etree._Element) -> None:
        """Send it, without waiting."""
        self._request(operation)

    def deliver_reply(self, raw: str) -> None:
        """Take the reply as text."""
        self.deliver(raw)

    def deliver_error(self, err: BaseException) -> None:
        """Take the loss of the session."""
        self.deliver(err)


class _Listener(SessionListener):  # type: ignore[misc]
    """Hands notifications and the end of the session to the event loop; called in ncclient's thread."""

    def __init__(self, session: "VendorSession") -> None:
        self._session = session

    def callback(self, root: tuple[str, object], raw: str) -> None:
        """Take any message, once reading is not paused."""
        self._session.may_read.wait()
        if root[0] == names.NOTIFICATION_MESSAGE:
            self._session.from_thread(self._session.notified, raw)

    def errback(self, ex: BaseException) -> None:
        """Take the loss of the session."""
        self._session.from_thread(self._session.lost, f"transport lost: {ex or type(ex).__name__}")


class VendorSession(DriverSession):
    """A ClientSession on ncclient. `connect_vendor` makes it; its methods belong to one event loop."""

    def __init__(self, where: str, session: vendorssh.CheckedSession) -> None:
        super().__init__(where)
        self._session = session
        self._slots = asyncio.Semaphore(MAX_OUTSTANDING)
        self._unanswered: set[asyncio.Future[str]] = set()
        self._ending: asyncio.Task[None] | None = None
        self._parser = messages.MessageParser()
        self.may_read = threading.Event()
        self.may_read.set()
        # its queue of parsed notifications has no bound, and nobody would empty it
        session.remove_listener(session.get_listener_instance(NotificationHandler))
        session.add_listener(_Listener(self))

    @property
    def session_id(self) -> int:
        """The id that the server gave."""
        return int(self._session.id or 0)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """The server's capabilities, in its order."""
        return tuple(self._session.server_capabilities)

    async def rpc(self, operation: messages.Body, *, timeout: float = DEFAULT_TIMEOUT) -> Reply:
        """Send one operation and return its reply. ncclient sends text, so bytes are parsed first."""
        try:
            async with asyncio.timeout(timeout):
                raw = (await self._exchange(as_element(operation))).encode()
        except TimeoutError:
            if len(self._unanswered) == MAX_OUTSTANDING and all(rpc.cancelled() for rpc in self._unanswered):
                self.lost(f"{MAX_OUTSTANDING} rpcs in a row were never answered")
            raise ReplyTimeout(self._where, operation_name(operation), timeout) from None
        try:
            return make_reply(self._parser.parse(raw), raw)
        except messages.MessageError as error:
            raise RpcError.operation_failed(f"the server's reply cannot be read: {error}") from None

    async def _exchange(self, operation: etree._Element) -> str:
        await self._slots.acquire()
        if self._closed.done():
            self._slots.release()
            raise SessionClosed(self._where, self._closed.result())
        answered: asyncio.Future[str] = self._loop.create_future()
        self._unanswered.add(answered)
        request = _Request(self._session, self._session.device_handler, async_mode=True)
        request.deliver = partial(self.from_thread, self._settle, answered)
        try:
            request.request(operation)
        except TransportError as error:
            self._release(answered)
            raise SessionClosed(self._where, f"transport lost: {error}") from None
        try:
            await asyncio.wait((answered, self._closed), return_when=asyncio.FIRST_COMPLETED)
        finally:
            abandoned = answered.cancel()
        if abandoned:
            raise SessionClosed(self._where, self._closed.result())
        return answered.result()

    def _release(self, answered: "asyncio.Future[str]") -> None:
        """Free the slot of an rpc; it is kept until the reply comes, even if nobody waits for it any more."""
        if answered in self._unanswered:
            self._unanswered.remove(answered)
            self._slots.release()

    def _settle(self, answered: "asyncio.Future[str]", reply: str | BaseException) -> None:
        self._release(answered)
        if not isinstance(reply, str):
            self.lost(f"transport lost: {reply or type(reply).__name__}")
        elif not answered.done():
            answered.set_result(reply)

    def pause_reading(self) -> None:
        """Take nothing more from the server; ncclient's one thread then sends nothing either."""
        self.may_read.clear()

    def resume_reading(self) -> None:
        """Undo `pause_reading`."""
        self.may_read.set()

    async def close(self) -> None:
        """End the session in bounded time."""
        if self._ending is None:
            self._ending = asyncio.create_task(self._close())
        await asyncio.shield(self._ending)

    async def _close(self) -> None:
        self.resume_reading()
        if not self._closed.done():
            # ncclient's own close_session can hang on a silent peer, so here it is an rpc like any other
            with contextlib.suppress(ReplyTimeout, SessionClosed, RpcError):
                await self.rpc(_CLOSE_SESSION, timeout=_CLOSE_TIMEOUT)
            self.lost("closed")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_TIMEOUT):
                await self._loop.run_in_executor(vendorssh.executor, self._session.close)

    # called in the event loop on behalf of ncclient's thread

    def from_thread(self, function: Callable[..., None], *arguments: object) -> None:
        """Have the event loop call `function`; not at all once the loop is closed."""
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(function, *arguments)

    def notified(self, text: str) -> None:
        """Hand a notification to the callback; one that cannot be handled ends the session."""
        if self._callback is None or self._closed.done():
            return
        raw = text.encode()
        try:
            self._callback(messages.read_notification(self._parser.parse(raw), raw))
        except Exception as error:
            log.exception("notification-callback-failed", peer=self._where)
            self.lost(f"a notification could not be handled: {error!r}")

    def lost(self, reason: str) -> None:
        """End the session, once; whoever waits is told."""
        if self._closed.done():
            return
        if self._ending is not None:
            # the server may end the transport before its answer to close-session is handled here
            reason = "closed"
        log.info("netconf-session-closed", peer=self._where, session=self.session_id, reason=reason)
        self._closed.set_result(reason)
        self.may_read.set()
        for answered in list(self._unanswered):
            self._release(answered)
        vendorssh.executor.submit(self._session.close)


async def connect_vendor(
    target: Target, *, timeout: float = DEFAULT_TIMEOUT, sock: socket.socket | None = None
) -> VendorSession:
    """Dial `target`, or log in over `sock` that it dialled (RFC 8071). Raises ConnectFailed and its kinds.

    A given `sock` belongs to the session from here on, even if this fails.
    """
    loop = asyncio.get_running_loop()
    dialling = vendorssh.Dialling(
        target, HostKeyVerifier(target.host_key, target.host, target.port), timeout, sock
    )
    try:
        async with asyncio.timeout(timeout):
            session = await loop.run_in_executor(vendorssh.executor, dialling.run)
    except TimeoutError:
        raise ConnectFailed(target.where, "no session in time") from None
    finally:
        dialling.abandon_unless_done()
    opened = VendorSession(target.where, session)
    log.info("netconf-session-opened", peer=target.where, session=opened.session_id, driver="vendor")
    return opened
