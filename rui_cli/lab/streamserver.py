"""The server's end of the streams: `python -m rui_cli.lab.streamserver ADDRESS` sends back what comes.

It writes `LISTENING` to standard output when connections are taken.
"""

from __future__ import annotations

import asyncio
import sys

PORT = 7
LISTENING = "listening"
_BACKLOG = 1024


class Echo(asyncio.Protocol):
    """One connection; a peer that does not read is not read from either, so nothing piles up."""

    _transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("a stream needs a connection that can be read and written")
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self._transport.write(data)

    def pause_writing(self) -> None:
        """The peer does not read."""
        self._transport.pause_reading()

    def resume_writing(self) -> None:
        """It does again."""
        self._transport.resume_reading()


async def serve(address: str) -> None:
    """Serve until the process is ended."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Echo, address, PORT, backlog=_BACKLOG)
    sys.stdout.write(f"{LISTENING}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1]))
