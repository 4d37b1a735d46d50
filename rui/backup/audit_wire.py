"""The XML of audits (YANG module ``rui-audit``), and a copy at the other end of a session."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from rui.backup.audit import Agreement, Entry, Listing
from rui.backup.digest import empty_buckets
from rui.backup.requests import DigestRequest, encode_digest_request
from rui.backup.version import ZERO, Version
from rui.backup.wire import AUDIT, BACKUP, WireError
from rui.netconf import names

LIST = f"{{{AUDIT}}}list-user-info"
RESULT = f"{{{AUDIT}}}audit-result"
AUDIT_NOW = f"{{{AUDIT}}}audit-user-info"
RESYNC = f"{{{AUDIT}}}resync-user-info"

DEFAULT_MAX_WAIT = 10.0


@dataclass(frozen=True, slots=True)
class AuditResult:
    """What comparing one copy has shown, and keys that differ."""

    group: str
    replica: str
    version: Version
    agreement: Agreement
    keys: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Compared:
    """The latest that is known of one copy; ``repaired`` counts keys that were journalled again for it."""

    agreement: Agreement
    version: Version = ZERO
    repaired: int = 0


def encode_list_request(group: str, buckets: Sequence[int]) -> etree._Element:
    """Return the RPC ``list-user-info``."""
    return _element(LIST, ("group-id", group), *(("bucket", str(bucket)) for bucket in buckets))


def decode_list_request(operation: etree._Element) -> tuple[str, list[int]]:
    """Read the RPC ``list-user-info``: group and buckets. Raises WireError."""
    buckets = [int(leaf.text or "") for leaf in operation.iterfind(f"{{{AUDIT}}}bucket")]
    return _text(operation, "group-id"), buckets


def encode_listing(listing: Listing) -> list[etree._Element]:
    """Return the output of ``list-user-info``."""
    children = [_leaf("cursor", str(listing.cursor))]
    for key, (version, digest) in listing.entries.items():
        leaves = [("key", key.decode()), ("version", str(version))]
        if digest is not None:
            leaves.append(("digest", f"{digest:016x}"))
        children.append(_element(f"{{{AUDIT}}}entry", *leaves))
    return children


def decode_listing(reply: etree._Element) -> Listing:
    """Read the output of ``list-user-info``; raises WireError."""
    entries: dict[bytes, Entry] = {}
    try:
        for entry in reply.iterfind(f"{{{AUDIT}}}entry"):
            digest = entry.findtext(f"{{{AUDIT}}}digest")
            version = Version.parse(_text(entry, "version"))
            entries[_text(entry, "key").encode()] = Entry(version, int(digest, 16) if digest else None)
        return Listing(Version.parse(_text(reply, "cursor")), entries)
    except ValueError as error:
        raise WireError(f"list-user-info: {error}") from error


def decode_buckets(reply: etree._Element) -> Sequence[int]:
    """Read the digests of the buckets in the output of ``digest-user-info``; raises WireError."""
    buckets = empty_buckets()
    try:
        for entry in reply.iterfind(f"{{{BACKUP}}}bucket"):
            number = int(entry.findtext(f"{{{BACKUP}}}number") or "")
            buckets[number] = int(entry.findtext(f"{{{BACKUP}}}digest") or "", 16)
    except (ValueError, IndexError, OverflowError) as error:
        raise WireError(f"digest-user-info: {error}") from error
    return buckets


def encode_result(result: AuditResult) -> etree._Element:
    """Return the RPC ``audit-result``."""
    return _element(
        RESULT,
        ("group-id", result.group),
        ("replica", result.replica),
        ("version", str(result.version)),
        ("result", result.agreement.value),
        *(("key", key.decode()) for key in result.keys),
    )


def decode_result(operation: etree._Element) -> AuditResult:
    """Read the RPC ``audit-result``; raises WireError."""
    try:
        return AuditResult(
            _text(operation, "group-id"),
            _text(operation, "replica"),
            Version.parse(_text(operation, "version")),
            Agreement(_text(operation, "result")),
            tuple((leaf.text or "").encode() for leaf in operation.iterfind(f"{{{AUDIT}}}key")),
        )
    except ValueError as error:
        raise WireError(f"audit-result: {error}") from error


def encode_repaired(count: int) -> list[etree._Element]:
    """Return the output of ``audit-result``."""
    return [_leaf("repaired", str(count))]


def decode_audit(operation: etree._Element) -> tuple[str, float]:
    """Read the RPC ``audit-user-info``: group, and seconds to wait at most. Raises WireError."""
    wait = operation.findtext(f"{{{AUDIT}}}max-wait")
    return _text(operation, "group-id"), int(wait) / 1000 if wait else DEFAULT_MAX_WAIT


def encode_audit(group: str, within: float = DEFAULT_MAX_WAIT) -> etree._Element:
    """Return the RPC ``audit-user-info``; ``within`` is in seconds."""
    return _element(AUDIT_NOW, ("group-id", group), ("max-wait", str(round(within * 1000))))


def encode_compared(results: Mapping[str, Compared]) -> list[etree._Element]:
    """Return the output of ``audit-user-info``."""
    children = []
    for name, compared in results.items():
        leaves = [("name", name), ("result", compared.agreement.value)]
        if compared.agreement is not Agreement.UNKNOWN:
            leaves += [("version", str(compared.version)), ("repaired", str(compared.repaired))]
        children.append(_element(f"{{{AUDIT}}}replica", *leaves))
    return children


def decode_resync(operation: etree._Element) -> tuple[str, str]:
    """Read the RPC ``resync-user-info``: group and replica. Raises WireError."""
    return _text(operation, "group-id"), _text(operation, "replica")


def encode_resync(group: str, replica: str) -> etree._Element:
    """Return the RPC ``resync-user-info``."""
    return _element(RESYNC, ("group-id", group), ("replica", replica))


class RemoteHolder:
    """A :class:`rui.backup.audit.Holder` at the other end; ``ask`` sends an RPC and returns its reply.

    Both methods raise what ``ask`` raises, and WireError.
    """

    def __init__(self, group: str, ask: Callable[[etree._Element], Awaitable[etree._Element]]) -> None:
        self._group = group
        self._ask = ask

    async def buckets(self) -> Sequence[int]:
        """Return the digests of all buckets."""
        return decode_buckets(await self._ask(encode_digest_request(DigestRequest(self._group, True))))

    async def listing(self, buckets: Sequence[int]) -> Listing:
        """Return what is held of some buckets."""
        return decode_listing(await self._ask(encode_list_request(self._group, buckets)))


def _element(tag: str, *leaves: tuple[str, str]) -> etree._Element:
    element = etree.Element(tag, nsmap=names.nsmap(AUDIT))
    element.extend([_leaf(name, text) for name, text in leaves])
    return element


def _leaf(name: str, text: str) -> etree._Element:
    element = etree.Element(f"{{{AUDIT}}}{name}", nsmap=names.nsmap(AUDIT))
    element.text = text
    return element


def _text(element: etree._Element, name: str) -> str:
    text = element.findtext(f"{{{AUDIT}}}{name}")
    if text is None:
        raise WireError(f"{etree.QName(element).localname} lacks {name}")
    return text.strip()
