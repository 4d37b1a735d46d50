"""NETCONF messages as bytes: a hardened parser, and envelopes around raw pieces that are sent unchanged."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from lxml import etree

from rui.netconf import names
from rui.netconf.bulk import Bulk, BulkMessages
from rui.netconf.events import NotificationReceived

Body = etree._Element | bytes | Sequence[etree._Element] | Sequence[bytes]
"""Content of a message: elements, or their serialised bytes, which are sent as they are.

Raw bytes stand inside the envelope's default namespace, so their outermost elements must declare their own.
Pieces may be cut anywhere, even inside a tag or a character.
"""

XML_DECLARATION: Final = b'<?xml version="1.0" encoding="UTF-8"?>'

_HUGE_FROM: Final = 8_000_000
"""Above this many octets libxml2's own limits would refuse a message that the framing's bound allows."""

_MAX_DEPTH: Final = 256
"""libxml2's own bound of nesting, which it lifts for huge messages."""

_TOO_DEEP_MESSAGE: Final = f"elements nest deeper than {_MAX_DEPTH}; nest them less"
_TOO_DEEP: Final = etree.XPath(f"boolean({'/*' * (_MAX_DEPTH + 1)})")

_MAX_UINT32: Final = 4_294_967_295


class MessageError(Exception):
    """A message is not well-formed XML, not UTF-8, holds a DTD, or is not the message that was due."""


class MessageParser:
    """Parses messages into lxml trees: no DTD, no entities, no network, nesting bounded.

    Comments and processing instructions are left out of the tree, and of messages named in `bulk` the
    entries that they end with. One parser serves one session.
    """

    def __init__(self, bulk: Collection[str] = ()) -> None:
        self._bulk = BulkMessages(bulk) if bulk else None
        self._parser = _make_parser(huge=False)
        self._huge_parser: etree.XMLParser | None = None

    def parse(self, message: bytes) -> etree._Element:
        """Return the root element of `message`. Raises MessageError, which names line and column."""
        return self.read(message)[0]

    def read(self, message: bytes) -> tuple[etree._Element, Bulk | None]:
        """Return the root element, and what was cut out of a bulk message. Raises MessageError as `parse`."""
        # some peers put a line feed between the end-of-message mark and the next declaration
        text = message.lstrip() if message[:1].isspace() else message
        bulk = self._bulk.cut(text) if self._bulk is not None else None
        if bulk is not None:
            text = bulk.envelope
        parser = self._choose(len(text))
        try:
            root = etree.fromstring(text, parser)
        except etree.XMLSyntaxError as error:
            if "Excessive depth" in str(error.msg):
                raise MessageError(_TOO_DEEP_MESSAGE) from None
            raise MessageError(f"not well-formed XML in UTF-8: {error.msg}") from None
        except ValueError as error:
            raise MessageError(f"not well-formed XML in UTF-8: {error}") from None
        # lxml refuses an undeclared prefix only where no warning, as of a relative namespace, follows it
        undeclared = parser.error_log and parser.error_log.filter_from_errors()
        if undeclared:
            raise MessageError(f"not well-formed XML: {undeclared[0].message}")
        if root.getroottree().docinfo.internalDTD is not None:
            raise MessageError("a document type declaration is not allowed (RFC 6241 3)")
        if len(text) >= _HUGE_FROM and _TOO_DEEP(root):
            raise MessageError(_TOO_DEEP_MESSAGE)
        return root, bulk

    def _choose(self, size: int) -> etree.XMLParser:
        if size < _HUGE_FROM:
            return self._parser
        if self._huge_parser is None:
            self._huge_parser = _make_parser(huge=True)
        return self._huge_parser


def _make_parser(*, huge: bool) -> etree.XMLParser:
    # the encoding is forced: a declaration that names another one must not make raw bytes and tree differ
    return etree.XMLParser(
        encoding="utf-8",
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        dtd_validation=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=huge,
    )


@dataclass(frozen=True, slots=True)
class Hello:
    """A peer's hello: its capabilities in its order, and the session-id if it gave one."""

    capabilities: tuple[str, ...]
    session_id: int | None


def children(element: etree._Element) -> list[etree._Element]:
    """Return the child elements, without entity references or anything else that is no element."""
    return [child for child in element if isinstance(child.tag, str)]


def read_hello(root: etree._Element) -> Hello:
    """Read a hello (RFC 6241 8.1). Raises MessageError when it is none or its session-id is out of range."""
    if root.tag != names.HELLO:
        raise MessageError(f"a hello was due, {root.tag} came")
    found = root.findall(f"{names.CAPABILITIES}/{names.CAPABILITY}")
    capabilities = tuple((capability.text or "").strip() for capability in found)
    text = root.findtext(names.SESSION_ID)
    if text is None:
        return Hello(capabilities, None)
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()) or not 1 <= int(digits[:11]) <= _MAX_UINT32:
        raise MessageError(f"session-id {digits[:40]!r} is not a number from 1 to {_MAX_UINT32}")
    return Hello(capabilities, int(digits))


def read_notification(root: etree._Element, raw: bytes, bulk: Bulk | None = None) -> NotificationReceived:
    """Read a notification (RFC 5277 4). Raises MessageError when it is none."""
    found = children(root)
    times = [child.text or "" for child in found if child.tag == names.EVENT_TIME]
    content = [child for child in found if child.tag != names.EVENT_TIME]
    if root.tag != names.NOTIFICATION_MESSAGE or len(times) != 1 or len(content) != 1:
        raise MessageError("a notification must hold eventTime and one more element (RFC 5277 4)")
    return NotificationReceived(times[0].strip(), content[0], raw, bulk)


def build_hello(capabilities: Sequence[str], session_id: int | None) -> bytes:
    """Build a hello: a server's with its session-id, a client's with None."""
    root = etree.Element(names.HELLO, nsmap=names.nsmap(names.BASE))
    listed = etree.SubElement(root, names.CAPABILITIES)
    for capability in capabilities:
        etree.SubElement(listed, names.CAPABILITY).text = capability
    if session_id is not None:
        etree.SubElement(root, names.SESSION_ID).text = str(session_id)
    return serialise(root)


def serialise(element: etree._Element) -> bytes:
    """Serialise an element to UTF-8 bytes that mean the same anywhere.

    Raises ValueError if it has no namespace: it would silently fall into the envelope's.
    """
    if names.split(str(element.tag))[0] is None:
        raise ValueError(f"element {element.tag!r} has no namespace, so it cannot stand in a NETCONF message")
    return etree.tostring(element, encoding="utf-8", with_tail=False)


def to_pieces(body: Body) -> list[bytes]:
    """Return the body as byte pieces: elements serialised, bytes untouched."""
    if isinstance(body, bytes):
        return [body]
    if isinstance(body, etree._Element):
        return [serialise(body)]
    return [piece if isinstance(piece, bytes) else serialise(piece) for piece in body]


@dataclass(frozen=True, slots=True)
class Envelope:
    """The outer element of a message as its start and end tag, to be sent around raw pieces."""

    start: bytes
    end: bytes


def rpc_envelope(message_id: str) -> Envelope:
    """Return the tags around a client's operation."""
    root = etree.Element(names.RPC, {"message-id": message_id}, nsmap=names.nsmap(names.BASE))
    return _envelope(root, "rpc", XML_DECLARATION)


def reply_envelope(rpc: etree._Element | None) -> Envelope:
    """Return the tags around a reply: every attribute of `rpc` comes back unchanged (RFC 6241 4.1).

    `None` is for a message that could not be read at all. There is no XML declaration, for ncclient's junos
    handler refuses one.
    """
    if rpc is not None and len(rpc.attrib) == 1:
        number = rpc.get("message-id", "")
        # What nearly every request has needs no tree to be written.
        if number.isascii() and number.isalnum():
            return Envelope(_REPLY_START % number.encode(), _REPLY_END)
    root = etree.Element(names.RPC_REPLY, nsmap=_reply_namespaces(rpc))
    if rpc is not None:
        for name, value in rpc.attrib.items():
            root.set(name, value)
    return _envelope(root, "rpc-reply", b"")


def _reply_namespaces(rpc: etree._Element | None) -> dict[str, str]:
    """Keep the prefixes of the attributes, each once; the default namespace is always NETCONF's."""
    kept: dict[str, str] = {}
    if rpc is not None and rpc.attrib:
        used = {names.split(str(name))[0] for name in rpc.attrib}
        for prefix, namespace in rpc.nsmap.items():
            if prefix is not None and namespace in used and namespace not in kept.values():
                kept[prefix] = namespace
    return names.nsmap(names.BASE, kept)


def notification_envelope(event_time: str) -> Envelope:
    """Return the tags around a notification's content (RFC 5277 4); `event_time` is RFC 3339 text."""
    before, after = _NOTIFICATION_START
    return Envelope(before + escape(event_time).encode() + after, _NOTIFICATION_END)


def _envelope(root: etree._Element, name: str, declaration: bytes) -> Envelope:
    # an empty element is serialised as <name .../>: the slash is cut out to make a start tag of it
    empty = etree.tostring(root, encoding="utf-8")
    return Envelope(declaration + empty[:-2] + b">", f"</{name}>".encode())


def _around_event_time() -> tuple[bytes, bytes]:
    """Return what stands before and after the time in a notification, serialised once for all."""
    root = etree.Element(names.NOTIFICATION_MESSAGE, nsmap=names.nsmap(names.NOTIFICATION))
    etree.SubElement(root, names.EVENT_TIME).text = "@"
    before, _, after = etree.tostring(root, encoding="utf-8").partition(b"@")
    return before, after.removesuffix(_NOTIFICATION_END)


_REPLY_START: Final = b'<rpc-reply xmlns="' + names.BASE.encode() + b'" message-id="%s">'
_REPLY_END: Final = b"</rpc-reply>"
_NOTIFICATION_END: Final = b"</notification>"
_NOTIFICATION_START: Final = _around_event_time()
