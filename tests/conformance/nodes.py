"""Drive one core with a recorded case: an input as XML goes in, all that comes out is written as XML.

The inputs are the messages of the YANG modules, as a peer would send them, and a few elements without a
namespace that stand for what a shell says to its core (``<put>``, ``<stored/>``, ``<cloud-up/>`` …).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Protocol

from lxml import etree

from rui.backup import cloud_outputs, wire
from rui.backup.cloud import Cloud, CloudOptions
from rui.backup.delivery import DeliveryMode
from rui.backup.identity import Role, StorageEntry
from rui.backup.journal import Frame
from rui.backup.member import Member
from rui.backup.member_outputs import Answer, Append, MemberOptions, Notify
from rui.backup.messages import Batch, Position, Quarantined, Receipt, Result
from rui.backup.record import UserInfo
from rui.backup.source import SourceOptions, WantPage
from rui.backup.table import Page, Slice, Table
from rui.backup.version import Epoch, Version
from rui.schema import Schema

GROUP = "g1"


class Node(Protocol):
    """A core under test."""

    def take(self, step: etree._Element, now: float) -> Iterable[etree._Element]: ...


class MemberNode:
    """A router's part in the group."""

    def __init__(self, role: Role, attributes: Mapping[str, str], schema: Schema) -> None:
        self._schema = schema
        self._member = Member(
            GROUP,
            attributes.get("device", "bras-a" if role is Role.PRIMARY else "bras-b"),
            role,
            address="192.0.2.1" if role is Role.PRIMARY else "192.0.2.2",
            table=Table(),
            options=MemberOptions(),
            cloud=SourceOptions(interval=float(attributes.get("interval", "0"))),
        )
        self._tag = 0

    def take(self, step: etree._Element, now: float) -> Iterable[etree._Element]:
        self.step(step, now)
        return self._drain(now)

    def step(self, step: etree._Element, now: float) -> None:
        """Hand one input to the member."""
        member = self._member
        match etree.QName(step).localname:
            case "start":
                member.start()
            case "put":
                info = UserInfo(step.get("mac", ""), ipv4_address=step.get("ipv4", ""))
                member.put(info.key, info.encode())
                member.flush()
            case "delete":
                member.delete(step.get("key", "").encode())
                member.flush()
            case "stored":
                member.stored()
            case "failed":
                member.failed(step.get("reason", ""), now)
            case "cloud-up":
                member.cloud_up()
            case "cloud-down":
                member.cloud_down(step.get("reason", ""))
            case "timer":
                member.handle_timer(now)
            case "identity-result":
                self._schema.check_rpc(step)
                member.identity_result(wire.decode_identity_result(step))
            case "acknowledge-user-info":
                self._schema.check_rpc(step)
                member.acknowledge(wire.decode_receipt(step), now)
            case "deliver-user-info":
                self._schema.check_rpc(step)
                self._deliver(step)
            case other:
                raise AssertionError(f"a member takes no {other}")

    def _deliver(self, step: etree._Element) -> None:
        batch = wire.decode_batch(step, etree.tostring(step))
        puts = [change for change in batch.changes if change.record is not None]
        checker = self._schema.records("/rui-user-info:user-info/group/user")
        issues = checker.check(
            [GROUP], [change.record or b"" for change in puts], [change.key for change in puts]
        )
        bad = tuple(Quarantined(puts[i.index].key, puts[i.index].version, str(i)) for i in issues)
        self._tag += 1
        self._member.receive(batch, bad, f"delivery {self._tag}")

    def _drain(self, now: float) -> Iterable[etree._Element]:
        for output in self._member.outputs():
            match output:
                case Append(frames):
                    yield make_element("append", {}, map(_frame, frames))
                case Answer(tag, receipt):
                    self._schema.check_output(wire.DELIVER, wire.receipt_children(receipt))
                    yield make_element("answer", {"to": str(tag)}, wire.receipt_children(receipt))
                case Notify(notification):
                    element = wire.encode_identity(notification)
                    self._schema.check_notification(element)
                    yield element
        while (batch := self._member.next_upload(now)) is not None:
            element = batch_element(batch, wire.UPLOAD)
            self._schema.check_notification(element)
            yield element


class CloudNode:
    """The cloud's part in the group."""

    def __init__(self, attributes: Mapping[str, str], schema: Schema) -> None:
        self._schema = schema
        self._kept: list[StorageEntry] = []
        self._cloud = Cloud(
            GROUP,
            "store-1",
            position=_position(attributes),
            options=CloudOptions(mode=DeliveryMode(attributes.get("mode", "direct"))),
        )

    def take(self, step: etree._Element, now: float) -> Iterable[etree._Element]:
        cloud = self._cloud
        device = step.get("from", "")
        match etree.QName(step).localname:
            case "first-identity" | "second-identity":
                step.attrib.pop("from")
                self._schema.check_notification(step)
                cloud.identify(device, wire.decode_identity(step), 0.0)
            case "user-info-upload":
                step.attrib.pop("from")
                self._schema.check_notification(step)
                cloud.upload(device, wire.decode_batch(step, etree.tostring(step)), ())
            case "claimed":
                receipt = _receipt(step)
                cloud.moved(receipt.position, _version(step, "floor"))
                cloud.claimed(receipt, now)
            case "kept":
                (entry,) = (entry for entry in self._kept if entry.device == step.get("device"))
                cloud.kept(entry)
            case "applied":
                receipt = _receipt(step)
                cloud.moved(receipt.position, _version(step, "floor"))
                cloud.applied(step.get("device", ""), int(step.get("ticket", "")), receipt)
            case "read":
                cloud.read(step.get("device", ""), int(step.get("ticket", "")), _slice(step), now)
            case "delivered":
                receipt = wire.decode_receipt(step)
                cloud.delivered(step.get("device", ""), int(step.get("ticket", "")), receipt, now)
            case "fetched":
                cloud.fetched(
                    step.get("device", ""), _position(attributes_of(step)), int(step.get("sent", "0")), now
                )
            case "device-down":
                cloud.device_down(step.get("device", ""), step.get("reason", ""))
            case "timer":
                cloud.handle_timer(now)
            case other:
                raise AssertionError(f"the cloud takes no {other}")
        outputs = cloud.outputs(now)
        self._kept = [output.entry for output in outputs if isinstance(output, cloud_outputs.Keep)]
        return [self._write(output) for output in outputs]

    def _write(self, output: cloud_outputs.Output) -> etree._Element:  # noqa: PLR0912 - one branch an output
        match output:
            case cloud_outputs.Claim(epoch):
                return make_element("claim", {"epoch": str(epoch)})
            case cloud_outputs.Keep(entry):
                what = {"device": entry.device, "address": entry.address, "role": entry.role.value}
                return make_element("keep", {**what, "epoch": str(entry.epoch), "reason": entry.reason})
            case cloud_outputs.Apply(device, ticket, batch, _, joins):
                what = {"device": device, "ticket": str(ticket)}
                if joins is not None:
                    what |= {"joins": ", ".join(map(str, joins.lineage)), "shared": str(joins.shared)}
                return make_element("apply", what, [batch_element(batch, wire.UPLOAD)])
            case cloud_outputs.Identify(device, result):
                element = wire.encode_identity_result(result)
                self._schema.check_rpc(element)
                return make_element("send", {"device": device}, [element])
            case cloud_outputs.Acknowledge(device, receipt):
                element = wire.encode_receipt(receipt)
                self._schema.check_rpc(element)
                return make_element("send", {"device": device}, [element])
            case cloud_outputs.Relay(device, ticket, primary, batch):
                what = {"device": device, "ticket": str(ticket), "primary": primary}
                return make_element("relay", what, [batch_element(batch, wire.DELIVER)])
            case cloud_outputs.Read(device, ticket, want):
                where = (
                    {"first-bucket": str(want.first)}
                    if isinstance(want, WantPage)
                    else {"after": str(want.after)}
                )
                return make_element("read", {"device": device, "ticket": str(ticket), **where})
            case cloud_outputs.Deliver(device, ticket, batch):
                element = batch_element(batch, wire.DELIVER)
                self._schema.check_rpc(element)
                return make_element("send", {"device": device, "ticket": str(ticket)}, [element])
            case cloud_outputs.Instruct(device, last):
                element = make_element(f"{{{wire.BACKUP}}}download-user-info", {})
                for name, text in (("group-id", GROUP), ("last", str(last))):
                    etree.SubElement(element, f"{{{wire.BACKUP}}}{name}").text = text
                self._schema.check_rpc(element)
                return make_element("send", {"device": device}, [element])
            case cloud_outputs.Delivered(device, cursor):
                return make_element("note-delivered", {"device": device, "cursor": str(cursor)})
            case cloud_outputs.GiveUp(device, reason):
                return make_element("give-up", {"device": device, "reason": reason})
            case cloud_outputs.Report(event, device, reason, count):
                return make_element(
                    "report", {"event": event, "device": device, "reason": reason, "count": str(count)}
                )


def _frame(frame: Frame) -> etree._Element:
    position = {"cursor": str(frame.position.cursor), "writer": str(frame.position.writer)}
    element = make_element("frame", {**position, **frame.facts})
    for change in frame.changes:
        what = "delete" if change.record is None else "put"
        element.append(make_element(what, {"key": change.key.decode(), "version": str(change.version)}))
    for key, reason in frame.quarantined.items():
        element.append(make_element("quarantined", {"key": key, "reason": reason}))
    return element


def batch_element(batch: Batch, name: str) -> etree._Element:
    return etree.fromstring(b"".join(wire.encode_batch(batch, name)))


def _slice(step: etree._Element) -> Slice | Page:
    carrier = step[0]
    batch = wire.decode_batch(carrier, etree.tostring(carrier))
    return Slice(batch.changes, _version(step, "last"), more=False)


def _receipt(step: etree._Element) -> Receipt:
    return Receipt(
        GROUP, Result(step.get("result", "stored")), _position(attributes_of(step)), step.get("reason", "")
    )


def attributes_of(step: etree._Element) -> dict[str, str]:
    """Return an element's attributes; the stubs do not know that lxml's mapping is one."""
    return {str(name): str(step.get(str(name))) for name in step.keys()}  # noqa: SIM118 - not iterable


def _position(attributes: Mapping[str, str]) -> Position:
    cursor, writer = attributes.get("cursor", ""), attributes.get("writer", "")
    return Position(Version.parse(cursor), None, Epoch.parse(writer))


def _version(step: etree._Element, name: str) -> Version:
    return Version.parse(step.get(name, ""))


def make_element(
    name: str, attributes: Mapping[str, str], children: Iterable[etree._Element] = ()
) -> etree._Element:
    element = etree.Element(name, {key: value for key, value in attributes.items() if value})
    element.extend(list(children))
    return element
