"""The XML of what two routers say to each other over the RBS channel (YANG module ``rui-failover``)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from lxml import etree

from rui.backup.decision import Path
from rui.backup.failover import Kind
from rui.backup.identity import Role
from rui.backup.links import LinkState
from rui.backup.messages import Position
from rui.backup.version import NO_EPOCH, Epoch
from rui.backup.wire import WireError, decode_position, position_children

FAILOVER = "urn:rui-cloud:yang:failover"
STREAM = "rui-rbs"


def _tag(name: str) -> str:
    return f"{{{FAILOVER}}}{name}"


PROBE = _tag("link-probe")
QUERIES = {Role.PRIMARY: _tag("first-query"), Role.SECONDARY: _tag("second-query")}
"""The query by who sends it (S601a, S701a)."""
WAITS = {Role.PRIMARY: _tag("reestablishment-waiting"), Role.SECONDARY: _tag("notification-response")}
"""What tells the other end to wait, by who sends it (S604b, S705b)."""
START = _tag("start-local-backup")
CHANGE = _tag("change-path")
TELLS = {
    (Role.SECONDARY, Kind.TIMEOUT): _tag("first-notification"),
    (Role.PRIMARY, Kind.TIMEOUT): _tag("second-notification"),
    (Role.SECONDARY, Kind.QUALITY): _tag("third-notification"),
    (Role.PRIMARY, Kind.QUALITY): _tag("fourth-notification"),
    (Role.SECONDARY, Kind.RECOVERED): _tag("link-recovered"),
    (Role.PRIMARY, Kind.RECOVERED): _tag("link-recovered"),
}
"""The notification by who sends it and what it says (S601b, S701b, S801b, S901b)."""
_RESPONSES = {
    (Role.SECONDARY, True): "first",
    (Role.SECONDARY, False): "second",
    (Role.PRIMARY, True): "third",
    (Role.PRIMARY, False): "fourth",
}


@dataclass(frozen=True, slots=True)
class CloudLink:
    """One end's word on its own link to the cloud."""

    group: str
    device: str
    state: LinkState


@dataclass(frozen=True, slots=True)
class Probe:
    """A sign of life, with what its sender measured: seconds, and how many went unanswered since the last."""

    sequence: int
    rtt: float | None = None
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Start:
    """The handshake of local backup; ``position`` is the secondary's, stated by the secondary only."""

    group: str
    initiator: Role
    path: Path
    position: Position | None = None


def encode_probe(probe: Probe) -> etree._Element:
    """Return the RPC ``link-probe``."""
    element = etree.Element(PROBE)
    _leaf(element, "sequence", str(probe.sequence))
    if probe.rtt is not None:
        _leaf(element, "round-trip", str(round(probe.rtt * 1e6)))
    if probe.lost:
        _leaf(element, "lost", str(probe.lost))
    return element


def decode_probe(element: etree._Element) -> Probe:
    """Read the RPC ``link-probe``; raises WireError."""
    try:
        rtt = element.findtext(_tag("round-trip"))
        lost = element.findtext(_tag("lost"))
        return Probe(
            int(_text(element, "sequence")), int(rtt) / 1e6 if rtt else None, int(lost) if lost else 0
        )
    except ValueError as error:
        raise WireError(f"link-probe: {error}") from error


def encode_group(name: str, group: str) -> etree._Element:
    """Return an RPC that says nothing but its group: a query, or a word to wait."""
    element = etree.Element(name)
    _leaf(element, "group-id", group)
    return element


def decode_group(element: etree._Element) -> str:
    """Read the group of a message; raises WireError."""
    return _text(element, "group-id")


def encode_response(role: Role, link: CloudLink) -> list[etree._Element]:
    """Return the first to fourth response as an RPC's output; ``role`` is the sender's (S602a, S702a)."""
    holder = etree.Element("output")
    _leaf(holder, "response", _RESPONSES[role, link.state is not LinkState.UP])
    _cloud_link(holder, link)
    return list(holder)


def encode_tell(role: Role, kind: Kind, link: CloudLink) -> etree._Element:
    """Return the notification of one's own link; ``role`` is the sender's."""
    element = etree.Element(TELLS[role, kind])
    _cloud_link(element, link)
    return element


def decode_cloud_link(element: etree._Element) -> CloudLink:
    """Read a response or a notification; raises WireError."""
    try:
        return CloudLink(
            _text(element, "group-id"), _text(element, "device-id"), LinkState(_text(element, "link-state"))
        )
    except ValueError as error:
        raise WireError(f"{etree.QName(element).localname}: {error}") from error


def encode_start(start: Start) -> etree._Element:
    """Return the RPC ``start-local-backup``."""
    element = etree.Element(START)
    _leaf(element, "group-id", start.group)
    _leaf(element, "initiator", start.initiator.value)
    _leaf(element, "path", start.path.in_use)
    if start.position is not None:
        element.extend(encode_started(start.position))
    return element


def decode_start(element: etree._Element) -> Start:
    """Read the RPC ``start-local-backup``; raises WireError."""
    try:
        return Start(
            _text(element, "group-id"),
            Role(_text(element, "initiator")),
            _path(element),
            decode_started(element),
        )
    except ValueError as error:
        raise WireError(f"start-local-backup: {error}") from error


def encode_started(position: Position) -> list[etree._Element]:
    """Return what the secondary holds: in its input to the handshake, or in its output."""
    holder = etree.Element("output")
    if position.writer != NO_EPOCH:
        _leaf(holder, "writer", str(position.writer))
    holder.extend(position_children(position, FAILOVER))
    return list(holder)


def decode_started(element: etree._Element) -> Position | None:
    """Read the secondary's position from the handshake, None where there is none; raises WireError."""
    if element.find(_tag("cursor")) is None:
        return None
    try:
        writer = Epoch.parse(element.findtext(_tag("writer")) or "")
        return replace(decode_position(element, FAILOVER), writer=writer)
    except ValueError as error:
        raise WireError(f"start-local-backup: {error}") from error


def encode_change(group: str, path: Path) -> etree._Element:
    """Return the RPC ``change-path``."""
    element = encode_group(CHANGE, group)
    _leaf(element, "path", path.in_use)
    return element


def decode_change(element: etree._Element) -> tuple[str, Path]:
    """Read the RPC ``change-path``; raises WireError."""
    try:
        return _text(element, "group-id"), _path(element)
    except ValueError as error:
        raise WireError(f"change-path: {error}") from error


def encode_changed(caught_up: bool) -> list[etree._Element]:
    """Return the output of ``change-path``."""
    holder = etree.Element("output")
    _leaf(holder, "caught-up", "true" if caught_up else "false")
    return list(holder)


def decode_changed(element: etree._Element) -> bool:
    """Read the output of ``change-path``: whether the cloud has everything, as far as the sender knows."""
    return (element.findtext(_tag("caught-up")) or "").strip() == "true"


def _path(element: etree._Element) -> Path:
    text = _text(element, "path")
    return Path.HOLD if text == "none" else Path(text)


def _cloud_link(parent: etree._Element, link: CloudLink) -> None:
    _leaf(parent, "group-id", link.group)
    _leaf(parent, "device-id", link.device)
    _leaf(parent, "link-state", link.state.value)


def _leaf(parent: etree._Element, name: str, text: str) -> None:
    etree.SubElement(parent, _tag(name)).text = text


def _text(element: etree._Element, name: str) -> str:
    text = element.findtext(_tag(name))
    if text is None:
        raise WireError(f"{etree.QName(element).localname} lacks {name}")
    return text.strip()
