"""The records that the lower bounds use: those of the users whom the simulated source invents."""

from ipaddress import IPv4Address

from lxml import etree

from router.config import SimulatedSource
from router.subscribers.invented import Inventor
from rui_cli.bench.arena import GROUP

_SOURCE = SimulatedSource(
    seed=1,
    arrivals=0.0,
    hold_time=0.0,
    initial_population=0,
    max_population=0,
    first_ipv4_address=IPv4Address("10.0.0.1"),
    ipv6=True,
    lease_time=31_536_000,
)
_NOW = 1_800_000_000.0


def sample_keys(count: int) -> list[bytes]:
    """Return the keys of the first users."""
    inventor = Inventor(GROUP, _SOURCE)
    return [inventor.key(number) for number in range(count)]


def sample_addresses(number: int) -> tuple[str, str]:
    """Return the MAC and the IPv4 address of one user."""
    inventor = Inventor(GROUP, _SOURCE)
    user = etree.fromstring(inventor.record(number, _NOW))
    return inventor.key(number).decode().split("/")[0], user.findtext("{*}ipv4-address") or ""


def sample_records(count: int) -> list[tuple[bytes, bytes]]:
    """Return (key, record) of the first users."""
    inventor = Inventor(GROUP, _SOURCE)
    return [(inventor.key(number), inventor.record(number, _NOW)) for number in range(count)]
