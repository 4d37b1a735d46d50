"""What devices send: read, checked record by record, and handed to the group that it is about."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from rui.backup import switchover, wire
from rui.backup.identity import IdentityNotification
from rui.backup.lease import GrantRequest
from rui.backup.messages import Batch, Quarantined
from rui.backup.version import Epoch
from rui.netconf.events import NotificationReceived
from rui.netconf.messages import MessageError as XmlError
from rui.netconf.messages import MessageParser
from rui.schema import DataError, Schema

log = structlog.get_logger()

RECORDS = "/rui-user-info:user-info/group/user"
"""Schema path of a record."""

_IDENTITIES = frozenset({wire.FIRST_IDENTITY, wire.SECOND_IDENTITY})
# The form of rui-types' subscriber-key: a record that does not hold still has a key to be kept under.
_KEY = re.compile(rb"[0-9a-f]{2}(?::[0-9a-f]{2}){5}/(?:0|[1-9][0-9]{0,3})/(?:0|[1-9][0-9]{0,3})")


class MessageError(Exception):
    """A message that cannot be used as a whole; says where and why."""


class NotAllowedError(MessageError):
    """A device speaks for a group that it is not configured for."""

    def __init__(self, device: str, group: str) -> None:
        super().__init__(
            f"{device} is not configured for group {group}: add it to device/group if it is right"
        )
        self.group = group


class Receiver(Protocol):
    """The group that a message is about."""

    def identify(self, device: str, notification: IdentityNotification) -> None:
        """Take an identity notification (S402)."""

    def upload(self, device: str, batch: Batch, quarantined: tuple[Quarantined, ...]) -> None:
        """Take a batch (S502)."""

    def grant_requested(self, device: str, request: GrantRequest) -> None:
        """Take a secondary's wish to be primary."""

    def lease_released(self, device: str, epoch: Epoch) -> None:
        """Take note that the primary gives up its lease."""


class Inbox:
    """Reads notifications of stream ``rui-backup``; ``receiver`` finds the group by its name, ``allows`` says
    whether a device may speak for a group.
    """

    def __init__(
        self,
        schema: Schema,
        receiver: Callable[[str], Receiver],
        allows: Callable[[str, str], bool] = lambda _device, _group: True,
    ) -> None:
        self._schema = schema
        self._checker = schema.records(RECORDS)
        self._receiver = receiver
        self._allows = allows

    def take(self, device: str, notification: NotificationReceived) -> None:
        """Read a notification and hand it on; others are passed over.

        Raises MessageError, NotAllowedError where it is about a group of others.
        """
        content = notification.content
        try:
            if content.tag == wire.UPLOAD:
                batch = wire.decode_batch(content, notification.raw, notification.bulk)
                self._group(device, batch.group).upload(device, batch, self.quarantine(batch))
            elif content.tag in _IDENTITIES:
                self._schema.check_notification(content)
                identity = wire.decode_identity(content)
                self._group(device, identity.group).identify(device, identity)
            elif content.tag == switchover.GRANT_REQUEST:
                self._schema.check_notification(content)
                request = switchover.decode_grant_request(content)
                self._group(device, request.group).grant_requested(device, replace(request, device=device))
            elif content.tag == switchover.RELEASE:
                group, epoch = switchover.decode_release(content)
                self._group(device, group).lease_released(device, epoch)
            else:
                log.debug("notification-passed-over", device=device, name=str(content.tag))
        except (wire.WireError, DataError) as error:
            raise MessageError(str(error)) from error

    def _group(self, device: str, group: str) -> Receiver:
        if not self._allows(device, group):
            raise NotAllowedError(device, group)
        return self._receiver(group)

    def quarantine(self, batch: Batch) -> tuple[Quarantined, ...]:
        """Return the records of a batch that the model refuses.

        Raises MessageError for an impossible key, and for a record that is no XML: its bytes would break
        every message that they are handed on in.
        """
        puts = [change for change in batch.changes if change.record is not None]
        records = [change.record or b"" for change in puts]
        issues = self._checker.check((batch.group,), records, [change.key for change in puts]) if puts else ()
        # The key of a record that holds has been compared with the record's own.
        for key in [change.key for change in batch.changes if change.record is None]:
            _check_key(batch.group, key)
        quarantined = []
        for issue in issues:
            key, version, _ = puts[issue.index]
            _check_key(batch.group, key)
            _check_xml(batch.group, key, records[issue.index])
            quarantined.append(Quarantined(key, version, str(issue)))
        return tuple(quarantined)


def _check_key(group: str, key: bytes) -> None:
    if _KEY.fullmatch(key) is None:
        shown = key[:60].decode("ascii", "replace")
        raise MessageError(
            f"user-info-upload of group {group}: {shown!r} is no subscriber key MAC/OUTER/INNER"
        )


def _check_xml(group: str, key: bytes, record: bytes) -> None:
    try:
        MessageParser().parse(record)
    except XmlError as error:
        raise MessageError(
            f"user-info-upload of group {group}: the record of {key.decode()} is {error}"
        ) from error
