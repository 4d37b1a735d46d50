"""Runs `nft`: one transaction at a time, from text."""

from __future__ import annotations

import asyncio
import os
import shutil

from router.dataplane.values import DataPlaneError

_SBIN = ("/usr/local/sbin", "/usr/sbin", "/sbin")
_LONGEST = 30.0


class Nft:
    """The program `nft`."""

    def __init__(self) -> None:
        self._program = shutil.which("nft", path=os.pathsep.join((os.environ.get("PATH", ""), *_SBIN)))

    async def run(self, commands: str) -> None:
        """Carry out commands, all or none of them. Raises DataPlaneError with what nft says of the first."""
        if self._program is None:
            raise DataPlaneError("the data plane needs the program nft: on Debian, apt-get install nftables")
        process = await asyncio.create_subprocess_exec(
            self._program,
            "-f",
            "-",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(_LONGEST):
                _, complaint = await process.communicate(commands.encode())
        except TimeoutError as error:
            raise DataPlaneError(f"nft did not end within {_LONGEST:g} s") from error
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode:
            first = complaint.decode(errors="replace").partition("\n")[0]
            raise DataPlaneError(f"nft refuses the rules: {first}")
