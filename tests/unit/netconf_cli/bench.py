"""A command line over a real server's session, without any terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from lxml import etree

from netconf_cli import Cli, Engine
from netconf_server import Account, Accounts, Datastores, Entry, Keys, NetconfServer
from rui.schema import Schema
from rui.views import VIEWS
from tests.models import router_model

USER_INFO = "urn:rui-cloud:yang:user-info"
NACM = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
DEVICE = "urn:rui-cloud:yang:device"

RUNNING = f"""<config xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"><device xmlns="{DEVICE}">
<device-id>r1</device-id><address>192.0.2.1</address></device>
<nacm xmlns="{NACM}"><enable-nacm>false</enable-nacm></nacm></config>"""


class Lines:
    """Collects output; takes `most` lines and then wants no more."""

    def __init__(self, most: int = 10**9) -> None:
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.paged = False
        self._most = most

    async def begin(self, *, pages: bool) -> None:
        self.paged = pages

    async def line(self, text: str) -> bool:
        self.lines.append(text)
        return len(self.lines) < self._most

    async def error(self, text: str) -> None:
        self.errors.append(text)

    async def new_page(self) -> None:
        self.lines.append("<page>")


class Users:
    """A list of users that is made while it is read; says how many were."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.made = 0

    def read(self, keys: Keys) -> Iterable[Entry]:
        return self._entries(keys)

    def _entries(self, keys: Keys) -> Iterator[Entry]:
        wanted = keys.get("user", {}).get("mac-address")
        for number in range(self.count):
            mac = f"02:00:00:{number >> 16 & 255:02x}:{number >> 8 & 255:02x}:{number & 255:02x}"
            if wanted is None or wanted == mac:
                self.made += 1
                yield Entry(({"group-id": "g1"},), user(mac, number))


def user(mac: str, number: int, more: str = "") -> bytes:
    return (
        f'<user xmlns="{USER_INFO}"><mac-address>{mac}</mac-address><outer-vlan>{number % 4094}</outer-vlan>'
        f"<inner-vlan>0</inner-vlan><session-type>dhcp</session-type><state>online</state>"
        f"<ipv4-address>10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}</ipv4-address>"
        f"<circuit-id>olt-1 eth {number}\x9b31m</circuit-id>{more}</user>"
    ).encode()


def server(tmp_path: Path, schema: Schema | None = None) -> NetconfServer:
    schema = schema or router_model()
    running = etree.fromstring(RUNNING)
    return NetconfServer(
        schema,
        Datastores(schema, running),
        Accounts([Account("admin")]),
        host_key_file=tmp_path / "key",
    )


def engine(made: NetconfServer) -> Engine:
    session = made.local_session("admin", "192.0.2.200:1")
    assert session is not None
    return Cli("r1", made.schema, made.local_session, views=VIEWS).engine(session)


async def run(at: Engine, *lines: str) -> list[str]:
    """Carry lines out, which have to work; return the last one's output."""
    out = Lines()
    for line in lines:
        out = Lines()
        assert await at.run(line, out), out.errors
    return out.lines


async def refused(at: Engine, line: str) -> str:
    """Carry a line out, which has to fail; return why."""
    out = Lines()
    assert not await at.run(line, out), out.lines
    return "\n".join(out.errors)
