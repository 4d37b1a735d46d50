"""Accept mode off: a Master that is not the owner forwards, and takes nothing that is addressed to the
virtual addresses (RFC 9568 section 6.1). Neighbor Discovery stays; ARP never passes a filter of IP packets.
"""

from __future__ import annotations

import asyncio
import errno
from collections.abc import Iterable

from router.vrrp.transport import TransportError
from rui.vrrp.packet import IPAddress

_REMEDY = "install nftables, or set accept-mode true"


class AcceptFilter:
    """One nftables table that drops packets to the addresses; it stays while the election runs."""

    def __init__(self, name: str, addresses: Iterable[IPAddress]) -> None:
        self._table = f"inet {name.replace('-', '_')}"
        self._addresses = tuple(addresses)
        self._installed = False

    async def install(self) -> None:
        """Install the table, in place of one that was left behind. Raises TransportError."""
        rules = ["icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept"]
        rules += [f"{'ip' if a.version == 4 else 'ip6'} daddr {a} drop" for a in self._addresses]
        chain = "\n".join(("type filter hook input priority filter; policy accept;", *rules))
        table = self._table
        await _nft(
            f"table {table}\ndelete table {table}\ntable {table} {{\nchain input {{\n{chain}\n}}\n}}\n"
        )
        self._installed = True

    async def remove(self) -> None:
        """Remove the table. Raises TransportError."""
        if self._installed:
            self._installed = False
            await _nft(f"delete table {self._table}\n")


async def _nft(commands: str) -> None:
    try:
        process = await asyncio.create_subprocess_exec(
            *("nft", "-f", "-"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        raise TransportError(
            error.errno, f"accept-mode false needs nft: {error.strerror}; {_REMEDY}"
        ) from error
    _, said = await process.communicate(commands.encode())
    if process.returncode:
        first = said.decode(errors="replace").strip().partition("\n")[0]
        raise TransportError(errno.EINVAL, f"accept-mode false: nft refuses: {first}; {_REMEDY}")
