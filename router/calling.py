"""Call Home (RFC 8071): dial a manager and be the server on that connection, again and again."""

from __future__ import annotations

import asyncio
import random

import structlog

from netconf_server import NetconfServer
from router.config import CallHome
from rui.backoff import Backoff

log = structlog.get_logger(__name__)


async def call_home(server: NetconfServer, entry: CallHome, rng: random.Random) -> None:
    """Keep one connection to a manager; runs until it is cancelled."""
    backoff = Backoff(entry.reconnect, rng)
    loop = asyncio.get_running_loop()
    where = f"{entry.endpoint.address}:{entry.endpoint.port}"
    while True:
        reason = "the connection ended"
        began = loop.time()
        try:
            log.info("calling-home", name=entry.name, where=where)
            await server.call_home(entry.endpoint.address, entry.endpoint.port)
            backoff.opened(began)
        except OSError as error:
            reason = error.strerror or str(error)
        except Exception as error:  # noqa: BLE001 - the SSH library's own tree, which this room does not know
            reason = str(error) or type(error).__name__
        wait = backoff.failed(loop.time())
        log.warning("call-home-ended", name=entry.name, where=where, reason=reason, retry_in=round(wait, 2))
        await asyncio.sleep(wait)
