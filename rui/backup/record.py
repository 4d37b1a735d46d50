"""The user-info record: what the primary learns of a user, and the one time that it becomes XML (S501).

The bytes are an instance of ``/rui-user-info:user-info/group/user`` and travel unchanged from here on.
Reading takes leaves by name, so a record that carries an augment's nodes, or lacks some, is no special case.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache

from lxml import etree

from rui.backup.wire import USER_INFO

_FRONT = f'<user xmlns="{USER_INFO}">'.encode()
_NAMESPACE_FREE = f"{{{USER_INFO}}}"
_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False)
# XML 1.0 cannot hold these even escaped; a record with one of them could be parsed by no receiver.
_FORBIDDEN = [code for code in range(0x20) if code not in (0x9, 0xA, 0xD)] + [0xFFFE, 0xFFFF]
_ESCAPES: dict[int, str] = {ord("&"): "&amp;", ord("<"): "&lt;", ord(">"): "&gt;", 0xD: "&#13;"}
_ESCAPES |= dict.fromkeys(_FORBIDDEN, "\ufffd")
# Hardly any record holds one: a search of all leaves at once is cheaper than to translate each.
_SPECIAL = re.compile(f"[{re.escape(''.join(map(chr, _ESCAPES)))}]")


class RecordError(ValueError):
    """Bytes that are not a user-info record; the message says why."""


def subscriber_key(mac: str, outer_vlan: int = 0, inner_vlan: int = 0) -> bytes:
    """Return the key of a user: ``MAC/OUTER/INNER`` in ASCII, the MAC in lower case."""
    return f"{mac.lower()}/{outer_vlan}/{inner_vlan}".encode("ascii")


@dataclass(frozen=True, slots=True)
class UserInfo:
    """The to-be-backed-up information of one user equipment [0132].

    The names are those of the YANG leaves. Times are seconds since 1970 by the primary's clock, and never
    order anything; ``lease_time`` is in seconds. ``option_82`` holds the exact octets of the option's value.
    """

    mac_address: str
    outer_vlan: int = 0
    inner_vlan: int = 0
    session_type: str = "dhcp"
    state: str = "online"
    ipv4_address: str = ""
    ipv6_address: str = ""
    ipv6_delegated_prefix: str = ""
    address_pool: str = ""
    dhcp_server: str = ""
    lease_start: float | None = None
    lease_time: int | None = None
    lease_expiry: float | None = None
    client_id: bytes = b""
    option_82: bytes = b""
    circuit_id: bytes = b""
    remote_id: bytes = b""
    logical_port: str = ""
    online_since: float | None = None

    @property
    def key(self) -> bytes:
        """The record's key."""
        return subscriber_key(self.mac_address, self.outer_vlan, self.inner_vlan)

    def encode(self) -> bytes:
        """Return the record's bytes, leaves that say nothing left out."""
        leaves: tuple[tuple[str, str], ...] = (
            ("mac-address", self.mac_address.lower()),
            ("outer-vlan", str(self.outer_vlan)),
            ("inner-vlan", str(self.inner_vlan)),
            ("session-type", self.session_type),
            ("state", self.state),
            ("ipv4-address", self.ipv4_address),
            ("ipv6-address", self.ipv6_address),
            ("ipv6-delegated-prefix", self.ipv6_delegated_prefix),
            ("address-pool", self.address_pool),
            ("dhcp-server", self.dhcp_server),
            ("lease-start", date_and_time(self.lease_start)),
            ("lease-time", "" if self.lease_time is None else str(self.lease_time)),
            ("lease-expiry", date_and_time(self.lease_expiry)),
            ("client-id", base64.b64encode(self.client_id).decode()),
            ("option-82", base64.b64encode(self.option_82).decode()),
            ("circuit-id", octets_text(self.circuit_id)),
            ("remote-id", octets_text(self.remote_id)),
            ("logical-port", self.logical_port),
            ("online-since", date_and_time(self.online_since)),
        )
        if _SPECIAL.search("".join([text for _, text in leaves])):
            leaves = tuple((name, text.translate(_ESCAPES)) for name, text in leaves)
        body = "".join([f"<{name}>{text}</{name}>" for name, text in leaves if text])
        return b"%s%s</user>" % (_FRONT, body.encode())

    @classmethod
    def decode(cls, record: bytes) -> UserInfo:
        """Read the leaves that this release knows; raises RecordError.

        ``circuit_id`` and ``remote_id`` come back as the octets of the text that people read.
        """
        leaves = read_leaves(record)
        try:
            return cls(
                mac_address=leaves["mac-address"],
                outer_vlan=int(leaves.get("outer-vlan", "0")),
                inner_vlan=int(leaves.get("inner-vlan", "0")),
                session_type=leaves.get("session-type", ""),
                state=leaves.get("state", ""),
                ipv4_address=leaves.get("ipv4-address", ""),
                ipv6_address=leaves.get("ipv6-address", ""),
                ipv6_delegated_prefix=leaves.get("ipv6-delegated-prefix", ""),
                address_pool=leaves.get("address-pool", ""),
                dhcp_server=leaves.get("dhcp-server", ""),
                lease_start=seconds(leaves.get("lease-start", "")),
                lease_time=int(leaves["lease-time"]) if "lease-time" in leaves else None,
                lease_expiry=seconds(leaves.get("lease-expiry", "")),
                client_id=base64.b64decode(leaves.get("client-id", "")),
                option_82=base64.b64decode(leaves.get("option-82", "")),
                circuit_id=text_octets(leaves.get("circuit-id", "")),
                remote_id=text_octets(leaves.get("remote-id", "")),
                logical_port=leaves.get("logical-port", ""),
                online_since=seconds(leaves.get("online-since", "")),
            )
        except (KeyError, ValueError) as error:
            raise RecordError(f"a user-info record cannot be read: {error!r}") from error


def read_leaves(record: bytes) -> dict[str, str]:
    """Return the leaves of ``rui-user-info`` in a record by name; raises RecordError."""
    try:
        user = etree.fromstring(record, _PARSER)
    except etree.XMLSyntaxError as error:
        raise RecordError(f"a user-info record is not well-formed XML: {error}") from error
    if user.tag != f"{_NAMESPACE_FREE}user":
        raise RecordError(f"a user-info record begins with {user.tag} instead of user in {USER_INFO}")
    length = len(_NAMESPACE_FREE)
    return {
        child.tag[length:]: (child.text or "").strip()
        for child in user.iterchildren(f"{_NAMESPACE_FREE}*")
        if isinstance(child.tag, str)
    }


def octets_text(octets: bytes) -> str:
    """Return octets for people: as text when that is printable UTF-8, else 0x and hexadecimal digits."""
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        return "0x" + octets.hex()
    # Text that looks like the other form, or that XML would trim, would not read back as itself.
    plain = text.isprintable() and not text.startswith("0x") and text == text.strip()
    return text if plain else "0x" + octets.hex()


def text_octets(text: str) -> bytes:
    """Return the octets that :func:`octets_text` wrote; raises ValueError for bad hexadecimal digits."""
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()


def date_and_time(at: float | None) -> str:
    """Return the YANG date-and-time of seconds since 1970 in UTC, to the millisecond; empty for None."""
    if at is None:
        return ""
    whole, thousandths = divmod(round(at * 1_000_000) // 1000, 1000)
    return f"{_second(whole)}.{thousandths:03}Z"


@lru_cache(maxsize=64)
def _second(at: int) -> str:
    """Return date and time of a whole second: many users get online in the same one."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def seconds(text: str) -> float | None:
    """Return the seconds since 1970 of a YANG date-and-time; None if empty, ValueError for anything else."""
    return datetime.fromisoformat(text).timestamp() if text else None
