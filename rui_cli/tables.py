"""What a device holds of a backup group, asked over NETCONF, and how two devices' holdings differ."""

from collections.abc import Mapping
from dataclasses import dataclass

from lxml import etree

from netconf_client import ClientSession
from rui.backup.version import Version
from rui.netconf import names
from rui.netconf.errors import RpcError

BACKUP = "urn:rui-cloud:yang:backup"
USER_INFO = "urn:rui-cloud:yang:user-info"
_KEY_LEAVES = ("mac-address", "outer-vlan", "inner-vlan")
_DIGEST_SECONDS = 60.0
_RECORDS_SECONDS = 60.0


@dataclass(frozen=True)
class Holding:
    """A device's answer to `digest-user-info`: its cursor, live records, and their digest."""

    cursor: Version
    count: int
    quarantined: int
    digest: str


@dataclass(frozen=True)
class Difference:
    """How a copy differs from the primary's table: keys it lacks, keys beyond, keys with other content."""

    missing: frozenset[str]
    extra: frozenset[str]
    changed: frozenset[str]

    @property
    def empty(self) -> bool:
        """Whether both hold the same."""
        return not (self.missing or self.extra or self.changed)


async def ask_holding(session: ClientSession, group: str) -> Holding:
    """Ask a device for the digest of a group. Raises RpcError and NetconfClientError."""
    operation = etree.Element(f"{{{BACKUP}}}digest-user-info", nsmap=names.nsmap(BACKUP))
    etree.SubElement(operation, f"{{{BACKUP}}}group-id").text = group
    reply = (await session.rpc(operation, timeout=_DIGEST_SECONDS)).element

    def leaf(name: str) -> str:
        value = reply.findtext(f"{{{BACKUP}}}{name}")
        if value is None:
            raise RpcError.missing_element(name, f"the answer to digest-user-info holds no {name}")
        return value

    return Holding(
        Version.parse(leaf("cursor")), int(leaf("count")), int(leaf("quarantined")), leaf("digest")
    )


async def ask_records(session: ClientSession, group: str) -> dict[str, bytes]:
    """Get a group's records: subscriber key to canonical XML. Raises RpcError and NetconfClientError.

    Meant for some ten thousand records: the whole answer is held in memory.
    """
    top = etree.Element(f"{{{USER_INFO}}}user-info", nsmap=names.nsmap(USER_INFO))
    entry = etree.SubElement(top, f"{{{USER_INFO}}}group")
    etree.SubElement(entry, f"{{{USER_INFO}}}group-id").text = group
    etree.SubElement(entry, f"{{{USER_INFO}}}user")
    data = (await session.get(top, timeout=_RECORDS_SECONDS)).data
    return {record_key(user): canonical(user) for user in data.iter(f"{{{USER_INFO}}}user")}


def record_key(user: etree._Element) -> str:
    """Return the subscriber key `MAC/OUTER/INNER` of a record."""
    return "/".join(user.findtext(f"{{{USER_INFO}}}{leaf}") or "" for leaf in _KEY_LEAVES)


def canonical(user: etree._Element) -> bytes:
    """Return the record's exclusive canonical XML: the same bytes whatever stands around it."""
    return etree.tostring(user, method="c14n", exclusive=True, with_tail=False)


def compare(primary: Mapping[str, bytes], copy: Mapping[str, bytes]) -> Difference:
    """Compare a copy with the primary's table, record by record."""
    return Difference(
        missing=frozenset(primary.keys() - copy.keys()),
        extra=frozenset(copy.keys() - primary.keys()),
        changed=frozenset(key for key in primary.keys() & copy.keys() if primary[key] != copy[key]),
    )
