"""Call Home (RFC 8071): dial a manager and be the server on that connection, again and again."""

from __future__ import annotations

import asyncio
import random

import structlog

from netconf_server import NetconfServer
from router.config import CallHome
from rui.backoff import Backoff
from rui.callhome import Rotation

log = structlog.get_logger(__name__)


async def call_home(server: NetconfServer, entry: CallHome, rng: random.Random) -> None:
    """Keep one connection to a manager, at whichever of its endpoints answers; runs until it is cancelled."""
    backoff = Backoff(entry.reconnect, rng)
    rotation = Rotation(entry.endpoints, entry.start_with, entry.max_attempts, rng)
    loop = asyncio.get_running_loop()
    while True:
        reason, another = "the connection ended", False
        began, endpoint = loop.time(), rotation.current
        where = f"{endpoint.address}:{endpoint.port}"
        try:
            log.info("calling-home", name=entry.name, where=where)
            if entry.tls is None:
                await server.call_home(endpoint.address, endpoint.port, within=entry.max_wait)
            else:
                # The files are read anew: certificates are renewed while the router runs.
                options = entry.tls
                await server.call_home_tls(endpoint.address, endpoint.port, options, within=entry.max_wait)
            backoff.opened(began)
            rotation.lost()
        except TimeoutError:
            reason, another = f"no login within {entry.max_wait:g} s", rotation.failed()
        except OSError as error:
            reason, another = error.strerror or str(error), rotation.failed()
        except Exception as error:  # noqa: BLE001 - the SSH library's own tree, which this room does not know
            reason, another = str(error) or type(error).__name__, rotation.failed()
        # Only a client that answers nowhere has to be waited for.
        wait = 0.0 if another else backoff.failed(loop.time())
        log.warning("call-home-ended", name=entry.name, where=where, reason=reason, retry_in=round(wait, 2))
        await asyncio.sleep(wait)
