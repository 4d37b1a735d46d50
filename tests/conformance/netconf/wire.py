"""A bare NETCONF client for the conformance cases: it sends what it is told to and judges nothing.

It is written on paramiko, apart from the product's own client, so that one's faults do not hide another's.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, field
from pathlib import Path

import paramiko
from lxml import etree

BASE = "urn:ietf:params:xml:ns:netconf:base:1.0"
NOTIFICATION = "urn:ietf:params:xml:ns:netconf:notification:1.0"
TIMEOUT = 20.0
"""Seconds to wait for a message."""

HELLO = (
    f'<hello xmlns="{BASE}"><capabilities><capability>urn:ietf:params:netconf:base:{{}}</capability>'
    "</capabilities></hello>"
)


class ClosedError(Exception):
    """The server has ended the session."""


@dataclass
class Login:
    """Where the server is and who logs in."""

    host: str
    port: int
    user: str
    password: str | None = None
    key_file: Path | None = None


class Connections:
    """SSH connections to one server, one for each session: not every server takes several on one."""

    def __init__(self, login: Login) -> None:
        self._login = login

    def channel(self) -> paramiko.Channel:
        """A channel on which the netconf subsystem has begun."""
        login = self._login
        transport = paramiko.Transport((login.host, login.port))
        transport.start_client(timeout=TIMEOUT)
        if login.key_file is not None:
            transport.auth_publickey(login.user, paramiko.PKey.from_path(login.key_file))
        else:
            transport.auth_password(login.user, login.password or "")
        channel = transport.open_session(timeout=TIMEOUT)
        channel.settimeout(TIMEOUT)
        channel.invoke_subsystem("netconf")
        return channel


@dataclass
class Session:
    """One NETCONF session; `version` is that of the framing after the hellos."""

    channel: paramiko.Channel
    version: str = "1.1"
    greeted: bool = False
    hello: etree._Element | None = None
    events: list[etree._Element] = field(default_factory=list)
    _buffer: bytes = b""
    _count: int = 0

    def greet(self, hello: str | None = None) -> None:
        """Read the server's hello and send ours."""
        self.hello = self.message()
        self.send(hello or HELLO.format(self.version), framing="1.0")
        self.greeted = True

    @property
    def capabilities(self) -> list[str]:
        """What the server's hello announced."""
        if self.hello is None:
            return []
        return [(item.text or "").strip() for item in self.hello.iter(f"{{{BASE}}}capability")]

    def send(self, message: str | bytes, *, framing: str | None = None, chunks: int = 1) -> None:
        """Send a message in the session's framing, or another one; `raw` sends the bytes as they are."""
        data = message.encode() if isinstance(message, str) else message
        form = framing or (self.version if self.greeted else "1.0")
        if form == "1.0":
            data += b"]]>]]>"
        elif form == "1.1":
            size = max(1, -(-len(data) // chunks))
            pieces = [data[i : i + size] for i in range(0, len(data), size)]
            data = b"".join(b"\n#%d\n%s" % (len(piece), piece) for piece in pieces) + b"\n##\n"
        try:
            self.channel.sendall(data)
        except OSError as error:
            raise ClosedError(str(error)) from None

    def rpc(self, operation: str) -> etree._Element:
        """Send an operation; return the rpc-reply, notifications before it are kept in `events`."""
        self._count += 1
        self.send(f'<rpc xmlns="{BASE}" xmlns:nc="{BASE}" message-id="{self._count}">{operation}</rpc>')
        return self.reply()

    def reply(self) -> etree._Element:
        """The next message that is no notification."""
        while (message := self.message()).tag == f"{{{NOTIFICATION}}}notification":
            self.events.append(message)
        return message

    def event(self) -> etree._Element:
        """The next notification."""
        if self.events:
            return self.events.pop(0)
        message = self.message()
        if message.tag != f"{{{NOTIFICATION}}}notification":
            raise AssertionError(f"a notification was due, {message.tag} came")
        return message

    def message(self) -> etree._Element:
        """The next message. Raises ClosedError when the session is over, TimeoutError when none comes."""
        data = self._chunked() if self.greeted and self.version == "1.1" else self._until(b"]]>]]>")
        return etree.fromstring(data.strip())

    def closed(self) -> bool:
        """Wait until the server has ended the session; say whether it did."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            try:
                if not self.channel.recv(65536):
                    return True
            except TimeoutError:
                return False
            except OSError:
                return True
        return False

    def leave(self) -> None:
        """Have the server end the session, if it still answers."""
        if self.greeted and not self.channel.closed:
            with contextlib.suppress(
                ClosedError, TimeoutError, OSError, AssertionError, etree.XMLSyntaxError
            ):
                self.rpc("<close-session/>")

    def close(self) -> None:
        """End the session without asking."""
        self.channel.get_transport().close()

    def _more(self) -> None:
        data = self.channel.recv(65536)
        if not data:
            raise ClosedError("the server has closed the session")
        self._buffer += data

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._buffer:
            self._more()
        found, _, self._buffer = self._buffer.partition(mark)
        return found

    def _chunked(self) -> bytes:
        pieces: list[bytes] = []
        while True:
            before = self._until(b"\n#")
            if before:
                raise AssertionError(f"between chunks stands {before[:40]!r} (RFC 6242 4.2)")
            size = self._until(b"\n")
            if size == b"#":
                return b"".join(pieces)
            while len(self._buffer) < int(size):
                self._more()
            pieces.append(self._buffer[: int(size)])
            self._buffer = self._buffer[int(size) :]
