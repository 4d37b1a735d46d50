from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from lxml import etree

from manager.inbox import Inbox, MessageError, NotAllowedError
from rui.backup import wire
from rui.backup.identity import IdentityNotification, Role
from rui.backup.lease import GrantRequest
from rui.backup.messages import Batch, Change, Position, Quarantined, Stream
from rui.backup.record import UserInfo
from rui.backup.switchover import LeaseRelease, encode_grant_request, encode_release
from rui.backup.version import ZERO, Epoch, Version
from rui.netconf.events import NotificationReceived
from rui.schema import Schema
from tests.unit.manager.test_config import schema

A = Epoch(1, "bras-a")


@dataclass
class Taken:
    identities: list[tuple[str, IdentityNotification]] = field(default_factory=list)
    uploads: list[tuple[str, Batch, tuple[Quarantined, ...]]] = field(default_factory=list)

    def identify(self, device: str, notification: IdentityNotification) -> None:
        self.identities.append((device, notification))

    requests: list[GrantRequest] = field(default_factory=list)
    released: list[tuple[str, LeaseRelease]] = field(default_factory=list)

    def upload(self, device: str, batch: Batch, quarantined: tuple[Quarantined, ...]) -> None:
        self.uploads.append((device, batch, quarantined))

    def grant_requested(self, device: str, request: GrantRequest) -> None:
        assert request.device == device
        self.requests.append(request)

    def lease_released(self, device: str, release: LeaseRelease) -> None:
        self.released.append((device, release))


def inbox(taken: Taken) -> Inbox:
    model: Schema = schema()
    return Inbox(model, lambda _: taken)


def arrived(content: bytes) -> NotificationReceived:
    raw = (
        b'<notification xmlns="urn:ietf:params:xml:ns:netconf:notification:1.0">'
        + content
        + b"</notification>"
    )
    return NotificationReceived("2026-01-01T00:00:00Z", etree.fromstring(raw)[0], raw)


def put(number: int, record: bytes | None = None, key: bytes | None = None) -> Change:
    info = UserInfo(f"02:00:00:00:00:{number:02x}", ipv4_address=f"192.0.2.{number}")
    return Change(key or info.key, Version(A, number), record or info.encode())


def upload(*changes: Change) -> NotificationReceived:
    batch = Batch("g1", A, Stream(ZERO, Version(A, 9)), changes)
    return arrived(b"".join(wire.encode_batch(batch)))


def test_an_upload_reaches_its_group_with_its_bytes() -> None:
    taken = Taken()
    changes = (put(1), put(2), Change(put(3).key, Version(A, 3), None))
    inbox(taken).take("bras-a", upload(*changes))
    ((device, batch, quarantined),) = taken.uploads
    assert (device, batch.changes, quarantined) == ("bras-a", changes, ())


def test_poisoned_records_are_named_and_the_rest_is_kept() -> None:
    taken = Taken()
    wrong = put(2, b'<user xmlns="urn:rui-cloud:yang:user-info"><mac-address>x</mac-address></user>')
    other = put(4, put(3).record)
    inbox(taken).take("bras-a", upload(put(1), wrong, other, put(5)))
    ((_, batch, quarantined),) = taken.uploads
    assert len(batch.changes) == 4
    assert [(bad.key, bad.version.seq) for bad in quarantined] == [(wrong.key, 2), (other.key, 4)]
    assert "not of" in quarantined[1].reason


@pytest.mark.parametrize("key", [b"no key", b"02:00:00:00:00:01/100", b"02:00:00:00:00:0A/0/0", b""])
@pytest.mark.parametrize("record", [put(1).record, None])
def test_an_impossible_key_makes_the_message_unusable(key: bytes, record: bytes | None) -> None:
    taken = Taken()
    with pytest.raises(MessageError, match="no subscriber key"):
        inbox(taken).take("bras-a", upload(put(2), Change(key, Version(A, 3), record)))
    assert not taken.uploads


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b'<user-info-upload xmlns="urn:rui-cloud:yang:backup"/>', "lacks group-id"),
        (
            (
                b'<user-info-upload xmlns="urn:rui-cloud:yang:backup"><group-id>g1</group-id>'
                b"<writer>x</writer></user-info-upload>"
            ),
            "g1.*not an epoch",
        ),
        (b'<first-identity xmlns="urn:rui-cloud:yang:identity"/>', "group-id"),
        (
            b'<second-identity xmlns="urn:rui-cloud:yang:identity"><colour>red</colour></second-identity>',
            "colour",
        ),
    ],
)
def test_what_cannot_be_read_says_why(content: bytes, says: str) -> None:
    with pytest.raises(MessageError, match=says):
        inbox(Taken()).take("bras-a", arrived(content))


@pytest.mark.parametrize("damage", [b"</user", b"<user>", b"\x01", b"\xff", b"&nothing;"])
def test_a_record_that_is_no_xml_is_never_kept(damage: bytes) -> None:
    taken = Taken()
    record = (put(2).record or b"").replace(b"192.0.2.2", damage)
    batch = Batch("g1", A, Stream(ZERO, Version(A, 9)), (put(1), put(2, record)))
    raw = b"".join(wire.encode_batch(batch))
    envelope = etree.fromstring(b"".join(wire.encode_batch(Batch("g1", A, batch.part, (put(1), put(2))))))
    with pytest.raises(MessageError, match="the record of 02:00:00:00:00:02/0/0 is not well-formed"):
        inbox(taken).take("bras-a", NotificationReceived("now", envelope, raw))
    assert not taken.uploads


def test_an_identity_reaches_its_group() -> None:
    taken = Taken()
    identity = IdentityNotification("g1", "bras-a", "192.0.2.1", Role.PRIMARY, A, Position(Version(A, 4)))
    inbox(taken).take("bras-a", arrived(etree.tostring(wire.encode_identity(identity))))
    assert taken.identities == [("bras-a", identity)]


def test_other_notifications_are_passed_over() -> None:
    taken = Taken()
    inbox(taken).take("bras-a", arrived(b'<link-down xmlns="urn:example:other"/>'))
    assert taken == Taken()


def test_a_device_speaks_for_its_own_groups_only() -> None:
    taken = Taken()
    box = Inbox(schema(), lambda _: taken, lambda device, group: (device, group) == ("bras-a", "g1"))
    box.take("bras-a", upload(put(1)))
    with pytest.raises(NotAllowedError, match="bras-b is not configured for group g1"):
        box.take("bras-b", upload(put(1)))
    assert [device for device, _, _ in taken.uploads] == ["bras-a"]


def test_a_wish_to_be_primary_and_a_released_lease_are_handed_on() -> None:
    taken = Taken()
    wish = GrantRequest("g1", "bras-b", Version(A, 9), yielding=True, poor=True)
    release = LeaseRelease("g1", A)
    inbox(taken).take("bras-b", arrived(etree.tostring(encode_grant_request(wish))))
    inbox(taken).take("bras-a", arrived(etree.tostring(encode_release(release))))
    assert taken.requests == [wish]
    assert taken.released == [("bras-a", release)]


def test_a_device_asks_for_itself_whatever_it_says() -> None:
    taken = Taken()
    forged = GrantRequest("g1", "bras-c", Version(A, 9))
    inbox(taken).take("bras-b", arrived(etree.tostring(encode_grant_request(forged))))
    assert [request.device for request in taken.requests] == ["bras-b"]
