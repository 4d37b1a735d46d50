"""Two real cores joined by a fake link, and the same few lines that every test of them needs."""

from typing import TypeVar

from rui.netconf import names
from rui.netconf.events import Event, RpcReceived
from rui.netconf.session import ClientSession, Limits, ServerSession

Kind = TypeVar("Kind")

BOTH = (names.CAP_BASE_1_0, names.CAP_BASE_1_1)
ONLY_1_0 = (names.CAP_BASE_1_0,)
ONLY_1_1 = (names.CAP_BASE_1_1,)


def only(kind: type[Kind], events: list[Event]) -> Kind:
    """Return the one event of this kind."""
    found = [event for event in events if isinstance(event, kind)]
    assert len(found) == 1, events
    return found[0]


def none_of(kind: type[object], events: list[Event]) -> bool:
    return not any(isinstance(event, kind) for event in events)


class SessionPair:
    """A client and a server with a link between them that delivers `step` octets at a time."""

    def __init__(
        self,
        *,
        client: tuple[str, ...] = BOTH,
        server: tuple[str, ...] = BOTH,
        limits: Limits | None = None,
        step: int = 4096,
    ) -> None:
        self.client = ClientSession(client, limits)
        self.server = ServerSession(7, server, limits)
        self.step = step
        self.now = 1.0
        self.to_server = b""
        self.to_client = b""
        """What was sent in the last round, as it was on the wire."""

    @classmethod
    def open(cls, **options: object) -> "SessionPair":
        """Return a pair whose hellos are exchanged."""
        pair = cls(**options)  # type: ignore[arg-type]
        pair.client.start(pair.now)
        pair.server.start(pair.now)
        pair.exchange()
        return pair

    def exchange(self) -> tuple[list[Event], list[Event]]:
        """Deliver everything both ways until nothing is left; return the client's and the server's events."""
        client: list[Event] = []
        server: list[Event] = []
        self.to_server = self.to_client = b""
        while True:
            up, down = self.client.data_to_send(), self.server.data_to_send()
            if not up and not down:
                return client, server
            self.to_server += up
            self.to_client += down
            for start in range(0, len(up), self.step):
                server += self.server.receive_data(up[start : start + self.step], self.now)
            for start in range(0, len(down), self.step):
                client += self.client.receive_data(down[start : start + self.step], self.now)

    def ask(self, operation: bytes = f'<get xmlns="{names.BASE}"/>'.encode()) -> RpcReceived:
        """Have the client send an rpc; return it as the server got it."""
        self.client.send_rpc(operation)
        return only(RpcReceived, self.exchange()[1])

    def say(self, raw: bytes) -> list[Event]:
        """Deliver a raw message from the client in the framing agreed on; return the server's events."""
        chunked = b"\n#%d\n%b\n##\n" % (len(raw), raw)
        framed = chunked if self.server.version == "1.1" else raw + b"]]>]]>"
        return self.server.receive_data(framed, self.now)

    def tell(self, *messages: bytes, chunk: int | None = None) -> list[Event]:
        """Deliver raw messages from the server, `step` octets at a time, in chunks of this size; return the
        client's events.
        """
        framed = b"".join(self._framed(raw, chunk or len(raw)) for raw in messages)
        events: list[Event] = []
        for start in range(0, len(framed), self.step):
            events += self.client.receive_data(framed[start : start + self.step], self.now)
        return events

    def _framed(self, raw: bytes, size: int) -> bytes:
        if self.client.version == "1.0":
            return raw + b"]]>]]>"
        chunks = (raw[start : start + size] for start in range(0, len(raw), size))
        return b"".join(b"\n#%d\n%b" % (len(chunk), chunk) for chunk in chunks) + b"\n##\n"
