"""The XML of the requests around the stream: instruct to download, fetch, compare digests (``rui-backup``).

Batches, receipts and identities are in :mod:`rui.backup.wire`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lxml import etree

from rui.backup.digest import Digest
from rui.backup.messages import Batch, Position
from rui.backup.version import Version, VersionError
from rui.backup.wire import (
    BACKUP,
    DIGEST,
    DOWNLOAD,
    FETCH,
    WireError,
    answer_children,
    decode_answer,
    decode_batch,
    decode_position,
    encode_batch_body,
    position_children,
)
from rui.netconf import names

DEFAULT_MAX_RECORDS = 1000


@dataclass(frozen=True, slots=True)
class Download:
    """S504, instruction to download: the cloud holds the group up to ``last``."""

    group: str
    last: Version


@dataclass(frozen=True, slots=True)
class Fetch:
    """S504, download: a secondary asks for what comes behind ``position``, which it durably holds."""

    group: str
    device: str
    position: Position
    max_records: int = DEFAULT_MAX_RECORDS
    agrees: bool | None = None
    """The answer to the digest of the page before; None where it carried none."""


@dataclass(frozen=True, slots=True)
class Fetched:
    """The answer to a fetch; ``more`` says that the next one would find more at once."""

    batch: Batch
    more: bool


@dataclass(frozen=True, slots=True)
class DigestRequest:
    """Ask for a group's digest, and with ``buckets`` for that of each bucket."""

    group: str
    buckets: bool = False


def encode_download(request: Download) -> etree._Element:
    """Return the RPC ``download-user-info``."""
    return _element(DOWNLOAD, ("group-id", request.group), ("last", str(request.last)))


def decode_download(operation: etree._Element) -> Download:
    """Read the RPC ``download-user-info``; raises WireError."""
    return Download(_text(operation, "group-id"), _version(operation, "last"))


def encode_fetch(request: Fetch) -> etree._Element:
    """Return the RPC ``fetch-user-info``."""
    operation = _element(FETCH, ("group-id", request.group), ("device-id", request.device))
    operation.extend(position_children(request.position, BACKUP))
    operation.append(_leaf("max-records", str(request.max_records)))
    operation.extend(answer_children(request.agrees))
    return operation


def decode_fetch(operation: etree._Element) -> Fetch:
    """Read the RPC ``fetch-user-info``; raises WireError."""
    try:
        position = decode_position(operation, BACKUP)
        limit = int(operation.findtext(f"{{{BACKUP}}}max-records") or DEFAULT_MAX_RECORDS)
    except ValueError as error:
        raise WireError(f"fetch-user-info: {error}") from error
    agrees = decode_answer(operation)
    return Fetch(_text(operation, "group-id"), _text(operation, "device-id"), position, limit, agrees)


def encode_fetched(fetched: Fetched) -> list[bytes]:
    """Return the body of the reply to ``fetch-user-info``, in pieces that declare their namespace."""
    more = b"true" if fetched.more else b"false"
    return [
        *encode_batch_body(fetched.batch, declare=True),
        b'<more xmlns="%s">%s</more>' % (BACKUP.encode(), more),
    ]


def decode_fetched(reply: etree._Element, raw: bytes) -> Fetched:
    """Read the reply to ``fetch-user-info``; ``raw`` is the whole message. Raises WireError."""
    return Fetched(decode_batch(reply, raw), _text(reply, "more") == "true")


def encode_digest_request(request: DigestRequest) -> etree._Element:
    """Return the RPC ``digest-user-info``."""
    operation = _element(DIGEST, ("group-id", request.group))
    if request.buckets:
        operation.append(_leaf("buckets", None))
    return operation


def decode_digest_request(operation: etree._Element) -> DigestRequest:
    """Read the RPC ``digest-user-info``; raises WireError."""
    return DigestRequest(_text(operation, "group-id"), operation.find(f"{{{BACKUP}}}buckets") is not None)


def encode_digest(digest: Digest, buckets: Sequence[int] | None = None) -> list[etree._Element]:
    """Return the output of ``digest-user-info``; empty buckets are left out."""
    children = [
        _leaf("cursor", str(digest.cursor)),
        _leaf("count", str(digest.count)),
        _leaf("quarantined", str(digest.quarantined)),
        _leaf("digest", digest.digest),
    ]
    for number, value in enumerate(buckets or ()):
        if value:
            children.append(
                _element(f"{{{BACKUP}}}bucket", ("number", str(number)), ("digest", f"{value:016x}"))
            )
    return children


def decode_digest(reply: etree._Element) -> Digest:
    """Read the reply to ``digest-user-info``; raises WireError."""
    try:
        return Digest(
            _version(reply, "cursor"),
            int(_text(reply, "count")),
            int(_text(reply, "quarantined")),
            _text(reply, "digest"),
        )
    except ValueError as error:
        raise WireError(f"digest-user-info: {error}") from error


def _element(tag: str, *leaves: tuple[str, str]) -> etree._Element:
    element = etree.Element(tag, nsmap=names.nsmap(BACKUP))
    element.extend([_leaf(name, text) for name, text in leaves])
    return element


def _leaf(name: str, text: str | None) -> etree._Element:
    element = etree.Element(f"{{{BACKUP}}}{name}", nsmap=names.nsmap(BACKUP))
    element.text = text
    return element


def _text(element: etree._Element, name: str) -> str:
    text = element.findtext(f"{{{BACKUP}}}{name}")
    if text is None:
        raise WireError(f"{etree.QName(element).localname} lacks {name}")
    return text.strip()


def _version(element: etree._Element, name: str) -> Version:
    try:
        return Version.parse(_text(element, name))
    except VersionError as error:
        raise WireError(f"{etree.QName(element).localname}: {name}: {error}") from error
