"""Identity switching: who goes on of two primaries, and the XML of module ``rui-switchover``."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

from rui.backup import lineage
from rui.backup.lease import GrantRequest, GrantResult
from rui.backup.lineage import Lineage
from rui.backup.version import Epoch, Version
from rui.backup.wire import WireError
from rui.netconf import names

SWITCHOVER = "urn:rui-cloud:yang:switchover"


def _tag(name: str) -> str:
    return f"{{{SWITCHOVER}}}{name}"


GRANT_REQUEST = _tag("grant-request")
GRANT_RESULT = _tag("grant-result")
RELEASE = _tag("lease-release")
SWITCH = _tag("switch-identity")
TAKEN = _tag("identity-taken")
IS_TAKEN = _tag("identity-is-taken")
SHARED = _tag("identity-shared")
IS_SHARED = _tag("identity-is-shared")
FREE = _tag("identity-free")
IS_FREE = _tag("identity-is-free")


@dataclass(frozen=True, slots=True)
class Taken:
    """A router says that it is primary; ``seconds`` since it became so."""

    group: str
    device: str
    epoch: Epoch
    lineage: Lineage
    seconds: float

    def prevails(self, other: Taken) -> bool:
        """Say whether this primary goes on and ``other`` steps down; of two, exactly one does.

        Who has followed the other's epoch has taken over from it. Of two that know nothing of each other the
        elder goes on: the younger has just come back and knows least. Ages that differ by less than a
        second count as equal.
        """
        followed = any(fork.epoch == other.epoch for fork in self.lineage)
        was_followed = any(fork.epoch == self.epoch for fork in other.lineage)
        if followed != was_followed:
            return followed
        if abs(self.seconds - other.seconds) >= 1.0:
            return self.seconds > other.seconds
        return self.epoch > other.epoch


@dataclass(frozen=True, slots=True)
class LeaseRelease:
    """A primary gives up its lease, or holds it again: then it is ``taken_back``."""

    group: str
    epoch: Epoch
    taken_back: bool = False


@dataclass(frozen=True, slots=True)
class SwitchIdentity:
    """An operator wants ``device`` to be primary; empty for the router that is asked."""

    group: str
    device: str = ""
    force: bool = False


def encode_grant_request(request: GrantRequest) -> etree._Element:
    """Return the notification ``grant-request``."""
    element = _element(
        GRANT_REQUEST,
        ("group-id", request.group),
        ("device-id", request.device),
        ("cursor", str(request.cursor)),
        ("request", str(request.number)),
        *([("epoch", str(request.writer))] if request.writer.counter else ()),
    )
    if request.yielding:
        etree.SubElement(element, _tag("yielding"))
    if request.poor:
        etree.SubElement(element, _tag("poor"))
    return element


def decode_grant_request(element: etree._Element) -> GrantRequest:
    """Read the notification ``grant-request``; raises WireError."""
    try:
        cursor, number = Version.parse(_text(element, "cursor")), int(_text(element, "request"))
        writer = Epoch.parse(element.findtext(_tag("epoch")) or "")
    except ValueError as error:
        raise WireError(f"grant-request: {error}") from error
    yielding, poor = (element.find(_tag(name)) is not None for name in ("yielding", "poor"))
    group, device = _text(element, "group-id"), _text(element, "device-id")
    return GrantRequest(group, device, cursor, yielding, poor, number, writer)


def encode_grant_result(result: GrantResult) -> etree._Element:
    """Return the RPC ``grant-result``."""
    return _element(
        GRANT_RESULT,
        ("group-id", result.group),
        ("granted", "true" if result.granted else "false"),
        ("lapses-after", str(round(result.seconds * 1000))),
        ("reason", result.reason),
        ("request", str(result.number)),
    )


def decode_grant_result(element: etree._Element) -> GrantResult:
    """Read the RPC ``grant-result``; raises WireError."""
    lapses = element.findtext(_tag("lapses-after")) or "0"
    granted = _text(element, "granted") == "true"
    reason = element.findtext(_tag("reason")) or ""
    number = int(_text(element, "request"))
    return GrantResult(_text(element, "group-id"), granted, int(lapses) / 1000, reason, number)


def encode_release(release: LeaseRelease) -> etree._Element:
    """Return the notification ``lease-release``."""
    element = _element(RELEASE, ("group-id", release.group), ("epoch", str(release.epoch)))
    if release.taken_back:
        etree.SubElement(element, _tag("taken-back"))
    return element


def decode_release(element: etree._Element) -> LeaseRelease:
    """Read the notification ``lease-release``; raises WireError."""
    taken_back = element.find(_tag("taken-back")) is not None
    try:
        return LeaseRelease(_text(element, "group-id"), Epoch.parse(_text(element, "epoch")), taken_back)
    except ValueError as error:
        raise WireError(f"lease-release: {error}") from error


def encode_switch(request: SwitchIdentity) -> etree._Element:
    """Return the RPC ``switch-identity``."""
    leaves = [("group-id", request.group)]
    if request.device:
        leaves.append(("device-id", request.device))
    element = _element(SWITCH, *leaves)
    if request.force:
        etree.SubElement(element, _tag("force"))
    return element


def decode_switch(element: etree._Element) -> SwitchIdentity:
    """Read the RPC ``switch-identity``; raises WireError."""
    device = element.findtext(_tag("device-id")) or ""
    return SwitchIdentity(_text(element, "group-id"), device, element.find(_tag("force")) is not None)


def encode_taken(taken: Taken, name: str) -> etree._Element:
    """Return the RPC or the notification by which a primary says so."""
    return _element(
        name,
        ("group-id", taken.group),
        ("device-id", taken.device),
        ("epoch", str(taken.epoch)),
        *(("fork", str(fork)) for fork in taken.lineage),
        ("primary-for", str(round(taken.seconds * 1000))),
    )


def encode_standing(name: str, group: str, device: str) -> etree._Element:
    """Return the message ``name``: a device shares with the primary, or is none."""
    return _element(name, ("group-id", group), ("device-id", device))


def decode_standing(element: etree._Element) -> tuple[str, str]:
    """Read its group and device; raises WireError."""
    return _text(element, "group-id"), _text(element, "device-id")


def decode_taken(element: etree._Element) -> Taken:
    """Read it; raises WireError."""
    try:
        return Taken(
            _text(element, "group-id"),
            _text(element, "device-id"),
            Epoch.parse(_text(element, "epoch")),
            lineage.parse((fork.text or "").strip() for fork in element.iterchildren(_tag("fork"))),
            int(_text(element, "primary-for")) / 1000,
        )
    except ValueError as error:
        raise WireError(f"{etree.QName(element).localname}: {error}") from error


def _element(name: str, *leaves: tuple[str, str]) -> etree._Element:
    element = etree.Element(name, nsmap=names.nsmap(SWITCHOVER))
    for leaf, value in leaves:
        etree.SubElement(element, _tag(leaf)).text = value
    return element


def _text(element: etree._Element, name: str) -> str:
    text = element.findtext(_tag(name))
    if text is None:
        raise WireError(f"{etree.QName(element).localname} lacks {name}")
    return text.strip()
