"""The other process of row `cli`'s lower bound: `python -m rui_cli.bench.echo` prints a port of the loopback.

It serves SSH by asyncssh alone: whoever logs in gets a prompt, and back what they type. No account stands
behind it, no model, no access control.
"""

import asyncio
import sys

import asyncssh

PROMPT = "> "


class _Open(asyncssh.SSHServer):
    """Lets everybody in who says a password."""

    def password_auth_supported(self) -> bool:
        """Ask for a password, as a router does."""
        return True

    def validate_password(self, username: str, password: str) -> bool:  # noqa: ARG002 - asyncssh's signature
        """Take any: there is nothing behind it."""
        return True


async def _shell(process: asyncssh.SSHServerProcess[str]) -> None:
    process.stdout.write(PROMPT)
    while typed := await process.stdin.read(4096):
        process.stdout.write(typed)
    process.exit(0)


async def serve() -> None:
    """Print a port, then serve until the process is ended."""
    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=_Open,
        server_host_keys=[asyncssh.generate_private_key("ssh-ed25519")],
        process_factory=_shell,
        line_editor=False,
        config=None,
    )
    sys.stdout.write(f"{server.get_port()}\n")
    sys.stdout.flush()
    await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve())
