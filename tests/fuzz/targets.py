"""What is fuzzed: each target takes any bytes, and nothing but the documented errors may come out of it.

Where it can be said, a target also holds a truth against the input: that framing does not depend on where the
transport cuts, that what is decoded encodes to what it was decoded from.
"""

from __future__ import annotations

import contextlib
import ipaddress
from collections.abc import Callable
from functools import cache
from pathlib import Path

from lxml import etree

from netconf_server import load_schema
from netconf_server.change import RUNNING
from netconf_server.edit import Operation
from netconf_server.eventfilter import xpath_filter
from netconf_server.outcome import Checks, Edit, work_out
from netconf_server.persist import empty_config
from netconf_server.subtree import SubtreeFilter
from netconf_server.xpathfilter import XPathFilter
from router.dhcp import packet as dhcp_packet
from rui.backup.inspection import Inspector
from rui.bfd import packet as bfd_packet
from rui.netconf import messages, names
from rui.netconf.errors import RpcError
from rui.netconf.events import RpcReceived
from rui.netconf.framing import ChunkedDecoder, Decoder, EndOfMessageDecoder, FramingError
from rui.netconf.session import ClientSession, Limits, ServerSession
from rui.schema import Schema
from rui.vrrp import packet as vrrp_packet
from tests.unit.backup import reading

YANG = Path(__file__).parents[1] / "data" / "yang"
_BOUND = 4096
_HELLO = messages.build_hello([names.CAP_BASE_1_0, names.CAP_BASE_1_1], None) + b"]]>]]>"
_SERVER_HELLO = messages.build_hello([names.CAP_BASE_1_0, names.CAP_BASE_1_1], 7) + b"]]>]]>"
_PARSER = messages.MessageParser()


def framing(data: bytes) -> None:
    """Both framings, whole and cut into pieces: the same messages and the same fault come of it."""
    kind, step, stream = data[:1], (data[1] if len(data) > 1 else 0) % 7 + 1, data[2:]
    make = ChunkedDecoder if kind < b"\x80" else EndOfMessageDecoder
    whole = _decoded(make(_BOUND), [stream])
    pieces = [stream[i : i + step] for i in range(0, len(stream), step)]
    assert _decoded(make(_BOUND), pieces) == whole, "the messages depend on where the transport cuts"


def _decoded(decoder: Decoder, pieces: list[bytes]) -> tuple[list[bytes], bool]:
    found: list[bytes] = []
    try:
        for piece in pieces:
            decoder.feed(piece)
            while (message := decoder.next_message()) is not None:
                found.append(message)
    except FramingError:
        return found, True
    return found, False


def server_session(data: bytes) -> None:
    """A server's session after the hellos, whatever comes then; each rpc is answered."""
    session = ServerSession(1, [names.CAP_BASE_1_0, names.CAP_BASE_1_1], Limits(max_message=_BOUND))
    session.start(0.0)
    events = session.receive_data((_HELLO if data[:1] < b"\xc0" else b"") + data[1:], 1.0)
    for event in events:
        if isinstance(event, RpcReceived) and session.state.value == "open":
            session.send_reply(event)
    session.data_to_send()
    session.receive_eof()


def client_session(data: bytes) -> None:
    """A client's session with rpcs under way, one of them streamed, whatever the server says and wherever
    that is cut.
    """
    get = b'<get xmlns="urn:ietf:params:xml:ns:netconf:base:1.0"/>'
    for step in (len(data) or 1, 5):
        session = ClientSession(limits=Limits(max_message=_BOUND))
        session.start(0.0)
        session.receive_data(_SERVER_HELLO, 0.5)
        session.send_rpc(get)
        session.send_rpc(get, streamed=True)
        for start in range(0, len(data), step):
            session.receive_data(data[start : start + step], 1.0)
        session.receive_eof()


def message(data: bytes) -> None:
    """The parser of messages: a tree without entities, or MessageError."""
    try:
        root = _PARSER.parse(data)
    except messages.MessageError:
        return
    assert not any(isinstance(item, etree._Entity) for item in root.iter())
    for read in (messages.read_hello, lambda found: messages.read_notification(found, data)):
        try:
            read(root)
        except messages.MessageError:
            continue
    messages.reply_envelope(root)
    for child in root.iter(names.RPC_ERROR):
        str(RpcError.from_xml(child).to_xml())


def _two_trees(data: bytes) -> tuple[etree._Element, etree._Element] | None:
    first, _, second = data.partition(b"\0")
    try:
        return _PARSER.parse(first), _PARSER.parse(second)
    except messages.MessageError:
        return None


def subtree(data: bytes) -> None:
    """A subtree filter on a tree: what it selects is selected again by the same filter."""
    trees = _two_trees(data)
    if trees is None:
        return
    wanted = SubtreeFilter.compile(trees[0])
    once = wanted.apply(trees[1])
    if once is not None:
        again = wanted.apply(once)
        assert again is not None, "what a filter has selected it does not select again"


def xpath(data: bytes) -> None:
    """An XPath filter on data and on an event."""
    text, _, content = data.partition(b"\0")
    try:
        tree, expression = _PARSER.parse(content), text.decode()
    except (messages.MessageError, UnicodeDecodeError):
        return
    scope = {"t": "urn:example:toy"}
    with contextlib.suppress(ValueError, RpcError):
        XPathFilter(expression, scope).select(tree)
    with contextlib.suppress(RpcError):
        xpath_filter(expression, {}, scope).fits(tree)


@cache
def _schema() -> Schema:
    return load_schema(["toy"], [YANG])


def edit_config(data: bytes) -> None:
    """Two edits on an empty configuration, with continue-on-error where the input is odd: an rpc-error, or a
    tree that the schema takes.
    """
    trees = _two_trees(data)
    if trees is None:
        return
    checks, tree, goes_on = Checks(_schema()), empty_config(), len(data) % 2 == 1
    for config in trees:
        edit = Edit(
            RUNNING, config, Operation.MERGE, continue_on_error=goes_on, whole=True, told=True, session=None
        )
        with contextlib.suppress(RpcError):
            tree = work_out(edit, tree, checks, None).change.new
    checks.whole(tree)


@cache
def _inspector() -> Inspector:
    return Inspector(Schema.load(["rui-user-info"]))


def batch(data: bytes) -> None:
    """The changes of a batch: read and held to the model at once they are what they are one by one."""
    raw = reading.message(data)
    assert reading.at_once(_inspector(), raw) == reading.one_after_the_other(_inspector(), raw)


def vrrp(data: bytes) -> None:
    """A VRRP packet: what is taken encodes to a packet that means the same."""
    source = ipaddress.ip_address("192.0.2.1" if data[:1] < b"\x80" else "fe80::1")
    try:
        found = vrrp_packet.decode(data[1:], source)
    except vrrp_packet.PacketError:
        return
    assert vrrp_packet.decode(vrrp_packet.encode(found, source), source) == found


def bfd(data: bytes) -> None:
    """A BFD control packet: what is taken encodes to a packet that means the same."""
    try:
        found = bfd_packet.decode(data)
    except bfd_packet.PacketError:
        return
    assert bfd_packet.decode(found.encode()) == found


def dhcp(data: bytes) -> None:
    """A DHCP packet: what is taken can be built again and read back the same."""
    try:
        found = dhcp_packet.parse(data)
        found.message_type  # noqa: B018 - it is computed
    except dhcp_packet.DhcpParseError:
        return
    again = dhcp_packet.parse(found.build())
    # not where they stand: padding between options is not kept
    assert [option[:2] for option in again.options] == [option[:2] for option in found.options]


TARGETS: dict[str, Callable[[bytes], None]] = {
    "framing": framing,
    "server-session": server_session,
    "client-session": client_session,
    "message": message,
    "subtree": subtree,
    "xpath": xpath,
    "edit-config": edit_config,
    "batch": batch,
    "vrrp": vrrp,
    "bfd": bfd,
    "dhcp": dhcp,
}
CORPUS = Path(__file__).with_name("corpus")


def corpus(name: str) -> list[bytes]:
    """The committed inputs of a target."""
    return [path.read_bytes() for path in sorted((CORPUS / name).iterdir())]
