"""The XML of replication's messages (YANG modules ``rui-backup`` and ``rui-identity``).

A record travels as its own bytes: batches are built by laying the records' bytes end to end, and read by
cutting them out of the message as it came, so nothing on the way re-encodes them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias, cast

from lxml import etree

from rui.backup import lineage
from rui.backup.identity import IdentityNotification, IdentityResult, Role
from rui.backup.messages import (
    Batch,
    Change,
    Offer,
    Position,
    Quarantined,
    Receipt,
    Result,
    SnapshotPage,
    SnapshotProgress,
    Stream,
)
from rui.backup.version import NO_EPOCH, Epoch, Version, VersionError
from rui.netconf.bulk import Bulk
from rui.netconf.messages import MessageError, MessageParser

BACKUP = "urn:rui-cloud:yang:backup"
IDENTITY = "urn:rui-cloud:yang:identity"
USER_INFO = "urn:rui-cloud:yang:user-info"
AUDIT = "urn:rui-cloud:yang:audit"

UPLOAD = f"{{{BACKUP}}}user-info-upload"
ACKNOWLEDGE = f"{{{BACKUP}}}acknowledge-user-info"
DELIVER = f"{{{BACKUP}}}deliver-user-info"
DOWNLOAD = f"{{{BACKUP}}}download-user-info"
FETCH = f"{{{BACKUP}}}fetch-user-info"
DIGEST = f"{{{BACKUP}}}digest-user-info"
FIRST_IDENTITY = f"{{{IDENTITY}}}first-identity"
SECOND_IDENTITY = f"{{{IDENTITY}}}second-identity"
IDENTITY_RESULT = f"{{{IDENTITY}}}identity-result"

# What encode_batch writes. Anything else that is valid XML goes the slower way through the parsed tree.
_OPENINGS = (b"<change>", b'<change xmlns="%s">' % BACKUP.encode())
_CLOSING = b"</change>"
_KEY = b"<key>"
_KEY_END = b"</key><version>"
_RECORD = b"</version><record>"
_RECORD_END = b"</record>"
_DELETED = b"</version><deleted/>"
_LONGEST_SEQ = 19
_NO_MIDDLE = _KEY_END + b"<"
_CHANGE_TAGS = [
    {f"{{{BACKUP}}}{name}" for name in ("key", "version", what)} for what in ("record", "deleted")
]
_ANSWERS = {"agrees": True, "differs": False}
_COUNT_CHANGES = etree.XPath("count(b:change)", namespaces={"b": BACKUP})


Usual: TypeAlias = Callable[[Bulk], "tuple[tuple[Change, ...], list[int]] | None"]
"""Reads changes and holds them to the model at once: see :mod:`rui.backup.usual`."""


class WireError(ValueError):
    """A message that lacks a part or holds an impossible value; the message says which."""


def encode_batch(batch: Batch, name: str = UPLOAD) -> list[bytes]:
    """Return a batch as the pieces of one element ``name`` of ``rui-backup``."""
    local = etree.QName(name).localname
    return [f'<{local} xmlns="{BACKUP}">'.encode(), *encode_batch_body(batch), f"</{local}>".encode()]


def encode_batch_body(batch: Batch, *, declare: bool = False) -> list[bytes]:
    """Return the children of a batch's element, as pieces in the namespace of ``rui-backup``.

    With ``declare`` each child declares it, as the body of a reply must.
    """
    ns = f' xmlns="{BACKUP}"' if declare else ""
    head = f"<group-id{ns}>{batch.group}</group-id><writer{ns}>{batch.writer}</writer>"
    head += "".join(f"<fork{ns}>{fork}</fork>" for fork in batch.lineage)
    if batch.offer is not None:
        by, shared, until, live = batch.offer
        head += f"<offer{ns}><by>{by}</by><shared>{shared}</shared><until>{until}</until>"
        head += "<live/></offer>" if live else "</offer>"
    for key, origin in batch.origins.items():
        head += f"<origin{ns}><key>{key.decode()}</key><version>{origin}</version></origin>"
    part = batch.part
    if isinstance(part, Stream):
        head += f"<stream{ns}><prev>{part.prev}</prev><last>{part.last}</last></stream>"
    else:
        head += (
            f"<snapshot{ns}><version>{part.version}</version><first-bucket>{part.first}</first-bucket>"
            f"<last-bucket>{part.last}</last-bucket></snapshot>"
        )
    if batch.digest:
        head += f'<digest xmlns="{AUDIT}">{batch.digest}</digest>'
    pieces = [head.encode()]
    opening = f"<change{ns}><key>".encode()
    epoch, epoch_text = batch.writer, f"{batch.writer}/".encode()
    for key, version, record in batch.changes:
        if version.epoch != epoch:
            epoch, epoch_text = version.epoch, f"{version.epoch}/".encode()
        front = b"%s%s</key><version>%s%d</version>" % (opening, key, epoch_text, version.seq)
        if record is None:
            pieces.append(front + b"<deleted/></change>")
        else:
            pieces += (front + b"<record>", record, b"</record></change>")
    return pieces


def decode_batch(
    element: etree._Element, raw: bytes, bulk: Bulk | None = None, usual: Usual | None = None
) -> Batch:
    """Read a batch from its element and the bytes of the message that it came in.

    ``bulk`` is what the session has cut out of the message, if it has; of its changes those that are
    ``usual`` are held to the model at once. Raises WireError.
    """
    group = _text(element, "group-id", BACKUP)
    with _reading(f"batch of group {group}"):
        writer = Epoch.parse(_text(element, "writer", BACKUP))
        stream = element.find(f"{{{BACKUP}}}stream")
        snapshot = element.find(f"{{{BACKUP}}}snapshot")
        part: Stream | SnapshotPage
        if stream is not None:
            prev, last = (Version.parse(_text(stream, name, BACKUP)) for name in ("prev", "last"))
            part = Stream(prev, last)
        elif snapshot is not None:
            part = SnapshotPage(
                Version.parse(_text(snapshot, "version", BACKUP)),
                int(_text(snapshot, "first-bucket", BACKUP)),
                int(_text(snapshot, "last-bucket", BACKUP)),
            )
        else:
            raise WireError("neither stream nor snapshot is present")
        read = None if usual is None or bulk is None else usual(bulk)
        changes, unchecked = (tuple(_changes(element, raw, bulk)), None) if read is None else read
        digest = element.findtext(f"{{{AUDIT}}}digest") or ""
        history, offer = _lineage(element, BACKUP), _offer(element)
        return Batch(
            group,
            writer,
            part,
            changes,
            history,
            offer,
            digest=digest,
            origins=_origins(element),
            unchecked=unchecked,
        )


def encode_receipt(receipt: Receipt, name: str = ACKNOWLEDGE) -> etree._Element:
    """Return a receipt as the element ``name``."""
    element = _element(name)
    for child in receipt_children(receipt):
        element.append(child)
    return element


def receipt_children(receipt: Receipt) -> list[etree._Element]:
    """Return the children of a receipt's element, which are the output of ``deliver-user-info`` too."""
    children = [
        _leaf("group-id", receipt.group),
        _leaf("result", receipt.result.value),
        _leaf("cursor", str(receipt.position.cursor)),
    ]
    if receipt.position.snapshot:
        children.append(_progress(receipt.position.snapshot, BACKUP))
    if receipt.written is not None:
        children.append(_leaf("written", str(receipt.written)))
    if receipt.reason:
        children.append(_leaf("reason", receipt.reason))
    for bad in receipt.quarantined:
        entry = _element(f"{{{BACKUP}}}quarantined")
        entry.append(_leaf("key", bad.key.decode()))
        entry.append(_leaf("version", str(bad.version)))
        entry.append(_leaf("reason", bad.reason))
        children.append(entry)
    return [*children, *answer_children(receipt.agrees)]


def decode_receipt(element: etree._Element) -> Receipt:
    """Read a receipt from its element, or from the rpc-reply that holds its children.

    Raises WireError.
    """
    group = _text(element, "group-id", BACKUP)
    with _reading(f"receipt of group {group}"):
        quarantined = tuple(
            Quarantined(
                _text(entry, "key", BACKUP).encode(),
                Version.parse(_text(entry, "version", BACKUP)),
                _text(entry, "reason", BACKUP),
            )
            for entry in element.iterfind(f"{{{BACKUP}}}quarantined")
        )
        written = element.findtext(f"{{{BACKUP}}}written")
        return Receipt(
            group,
            Result(_text(element, "result", BACKUP)),
            decode_position(element, BACKUP),
            element.findtext(f"{{{BACKUP}}}reason") or "",
            quarantined,
            agrees=decode_answer(element),
            written=None if written is None else Version.parse(written),
        )


def answer_children(agrees: bool | None) -> list[etree._Element]:
    """Return the leaf that answers a digest, none where there is nothing to answer."""
    return [] if agrees is None else [_leaf("digest-result", "agrees" if agrees else "differs", AUDIT)]


def decode_answer(element: etree._Element) -> bool | None:
    """Read the answer to a digest from among an element's children; None where there is none."""
    return _ANSWERS.get(element.findtext(f"{{{AUDIT}}}digest-result") or "")


def encode_identity(notification: IdentityNotification) -> etree._Element:
    """Return the first or second identity notification (S402)."""
    name = FIRST_IDENTITY if notification.role is Role.PRIMARY else SECOND_IDENTITY
    element = _element(name)
    for leaf, text in (
        ("group-id", notification.group),
        ("device-id", notification.device),
        ("address", notification.address),
        ("role", notification.role.value),
        ("epoch", str(notification.epoch)),
    ):
        element.append(_leaf(leaf, text, IDENTITY))
    _append_position(element, notification.position)
    return element


def decode_identity(element: etree._Element) -> IdentityNotification:
    """Read an identity notification; raises WireError."""
    with _reading(etree.QName(element).localname):
        return IdentityNotification(
            _text(element, "group-id", IDENTITY),
            _text(element, "device-id", IDENTITY),
            _text(element, "address", IDENTITY),
            Role(_text(element, "role", IDENTITY)),
            Epoch.parse(_text(element, "epoch", IDENTITY)),
            decode_position(element, IDENTITY),
        )


def encode_identity_result(result: IdentityResult) -> etree._Element:
    """Return the RPC that answers an identity notification (S403)."""
    element = _element(IDENTITY_RESULT)
    for leaf, text in (
        ("group-id", result.group),
        ("device-id", result.device),
        ("result", "accepted" if result.accepted else "refused"),
        ("reason", result.reason),
        ("highest-epoch", str(result.highest)),
        ("store-id", result.store_id),
    ):
        element.append(_leaf(leaf, text, IDENTITY))
    _append_position(element, result.position)
    if result.primary:
        element.append(_leaf("primary", result.primary, IDENTITY))
    return element


def decode_identity_result(element: etree._Element) -> IdentityResult:
    """Read the RPC ``identity-result``; raises WireError."""
    with _reading("identity-result"):
        return IdentityResult(
            _text(element, "group-id", IDENTITY),
            _text(element, "device-id", IDENTITY),
            _text(element, "result", IDENTITY) == "accepted",
            element.findtext(f"{{{IDENTITY}}}reason") or "",
            Epoch.parse(element.findtext(f"{{{IDENTITY}}}highest-epoch") or ""),
            _text(element, "store-id", IDENTITY),
            decode_position(element, IDENTITY),
            element.findtext(f"{{{IDENTITY}}}primary") or "",
        )


def position_children(position: Position, namespace: str) -> list[etree._Element]:
    """Return cursor, the history that it is of and, while one is under way, the snapshot's progress."""
    children = [_leaf("cursor", str(position.cursor), namespace)]
    children += [_leaf("fork", str(fork), namespace) for fork in position.lineage]
    if position.snapshot:
        children.append(_progress(position.snapshot, namespace))
    return children


def decode_position(element: etree._Element, namespace: str) -> Position:
    """Read cursor and snapshot progress from among an element's children; VersionError or WireError."""
    cursor = Version.parse(element.findtext(f"{{{namespace}}}cursor") or "")
    history = _lineage(element, namespace)
    progress = element.find(f"{{{namespace}}}snapshot")
    if progress is None:
        return Position(cursor, lineage=history)
    return Position(
        cursor,
        SnapshotProgress(
            Version.parse(_text(progress, "version", namespace)),
            int(_text(progress, "next-bucket", namespace)),
            Version.parse(_text(progress, "upper", namespace)),
        ),
        lineage=history,
    )


def _lineage(element: etree._Element, namespace: str) -> lineage.Lineage:
    return lineage.parse((fork.text or "").strip() for fork in element.iterchildren(f"{{{namespace}}}fork"))


def _offer(element: etree._Element) -> Offer | None:
    offer = element.find(f"{{{BACKUP}}}offer")
    if offer is None:
        return None
    shared, until = (Version.parse(_text(offer, name, BACKUP)) for name in ("shared", "until"))
    live = offer.find(f"{{{BACKUP}}}live") is not None
    return Offer(_text(offer, "by", BACKUP), shared, until, live)


def _origins(element: etree._Element) -> dict[bytes, Version]:
    return {
        _text(origin, "key", BACKUP).encode(): Version.parse(_text(origin, "version", BACKUP))
        for origin in element.iterfind(f"{{{BACKUP}}}origin")
    }


def _append_position(element: etree._Element, position: Position) -> None:
    for child in position_children(position, etree.QName(element).namespace or ""):
        element.append(child)


def _progress(progress: SnapshotProgress, namespace: str) -> etree._Element:
    element = _element(f"{{{namespace}}}snapshot")
    for leaf, value in zip(("version", "next-bucket", "upper"), progress, strict=True):
        element.append(_leaf(leaf, str(value), namespace))
    return element


def _changes(element: etree._Element, raw: bytes, bulk: Bulk | None) -> Iterable[Change]:
    if bulk is not None:
        found = changes_of_entries(bulk.entries())
        return found if found is not None else _changes_of_tree(_whole(element, raw))
    entries = _entries(raw)
    found = changes_of_entries(entries) if entries is not None else None
    if found is not None and len(found) == _COUNT_CHANGES(element):
        return found
    return _changes_of_tree(_whole(element, raw))


def _entries(raw: bytes) -> list[bytes] | None:
    """Cut the content of the changes out of a message; None where tags do not tell them."""
    if b"!" in raw and b"<!" in raw:
        # Comments and CDATA: what looks like markup may be none.
        return None
    begin, opening = max((raw.find(opening), opening) for opening in _OPENINGS)
    end = raw.rfind(_CLOSING)
    if begin < 0:
        return []
    return raw[begin + len(opening) : end].split(_CLOSING + opening) if begin < end else None


def changes_of_entries(entries: Iterable[bytes]) -> list[Change] | None:
    """Read the content of changes; None where one is not, from end to end, as encode_batch writes it."""
    # Mostly all versions share an epoch: one parse of it instead of thousands
    middle, epoch = _NO_MIDDLE, NO_EPOCH
    keys: list[bytes] = []
    changes = []
    for entry in entries:
        head, found, content = entry.partition(_RECORD)
        record: bytes | None
        if found:
            record, _, rest = content.partition(_RECORD_END)
            if rest or not record or len(record) == len(content):
                return None
        elif entry.endswith(_DELETED):
            head, record = entry[: -len(_DELETED)], None
        else:
            return None
        key, found, seq = head.partition(middle)
        if not found:
            try:
                middle, epoch = _middle(head)
            except VersionError:
                return None
            key, _, seq = head.partition(middle)
        # int() would take signs, spaces and leading zeros, which the form does not have
        if (
            not seq.isdigit()
            or (seq[:1] == b"0" and seq != b"0")
            or len(seq) > _LONGEST_SEQ
            or not key.startswith(_KEY)
        ):
            return None
        key = key[len(_KEY) :]
        keys.append(key)
        changes.append(Change(key, Version(epoch, int(seq)), record))
    joined = b"".join(keys)
    return None if b"<" in joined or b"&" in joined else changes


def _middle(head: bytes) -> tuple[bytes, Epoch]:
    """Return what stands between key and seq, and the epoch in it; raises VersionError."""
    text = head.partition(_KEY_END)[2]
    version = Version.parse(text.decode("utf-8", "replace"))
    return _KEY_END + text[: text.rfind(b"/") + 1], version.epoch


def _whole(element: etree._Element, raw: bytes) -> etree._Element:
    """Return the element with its records, which a session leaves out of a bulk message's tree."""
    try:
        root = MessageParser().parse(raw)
    except MessageError as error:
        raise WireError(str(error)) from error
    found = next(root.iter(str(element.tag)), None)
    if found is None:
        raise WireError(f"the message holds no {etree.QName(element).localname}")
    return found


def _changes_of_tree(element: etree._Element) -> Iterable[Change]:
    """Read changes that somebody else's encoder wrote: the record is then what canonical XML makes of it."""
    for change in element.iterchildren(f"{{{BACKUP}}}change"):
        key = _text(change, "key", BACKUP).encode()
        version = Version.parse(_text(change, "version", BACKUP))
        # The session may have left the changes out of what it has checked
        tags = [str(child.tag) for child in change.iterchildren("*")]
        if set(tags) not in _CHANGE_TAGS or len(tags) != len(_CHANGE_TAGS[0]):
            raise WireError(f"the change of {key.decode()} holds {', '.join(tags)}")
        holder = change.find(f"{{{BACKUP}}}record")
        if holder is None:
            yield Change(key, version, None)
        elif len(holder) != 1:
            raise WireError(f"the record of {key.decode()} holds {len(holder)} elements instead of one")
        else:
            yield Change(key, version, etree.tostring(holder[0], method="c14n2"))


def _element(name: str) -> etree._Element:
    """Return an element whose namespace is the default one."""
    # The stubs do not know that None is lxml's key of the default namespace.
    nsmap = cast("dict[str, str]", {None: etree.QName(name).namespace})
    return etree.Element(name, nsmap=nsmap)


def _leaf(name: str, text: str, namespace: str = BACKUP) -> etree._Element:
    element = _element(f"{{{namespace}}}{name}")
    element.text = text
    return element


def _text(element: etree._Element, name: str, namespace: str) -> str:
    text = element.findtext(f"{{{namespace}}}{name}")
    if text is None:
        raise WireError(f"{etree.QName(element).localname} lacks {name}")
    return text.strip()


class _reading:  # noqa: N801 - reads as a statement
    """Turn what parsing raises into a WireError that says what was being read."""

    def __init__(self, what: str) -> None:
        self._what = what

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, VersionError) or (
            isinstance(error, ValueError) and not isinstance(error, WireError)
        ):
            raise WireError(f"{self._what}: {error}") from error
