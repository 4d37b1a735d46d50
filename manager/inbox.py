"""What devices send: read, checked record by record, and handed to the group that it is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

import structlog

from rui.backup import switchover, wire
from rui.backup.identity import IdentityNotification
from rui.backup.inspection import Inspector
from rui.backup.lease import GrantRequest
from rui.backup.messages import Batch, Quarantined
from rui.backup.switchover import LeaseRelease
from rui.netconf.events import NotificationReceived
from rui.schema import DataError, Schema

log = structlog.get_logger()

_IDENTITIES = frozenset({wire.FIRST_IDENTITY, wire.SECOND_IDENTITY})


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

    def lease_released(self, device: str, release: LeaseRelease) -> None:
        """Take note that the primary gives up its lease, or takes it back."""


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
        self._inspector = Inspector(schema)
        self._receiver = receiver
        self._allows = allows

    def take(self, device: str, notification: NotificationReceived) -> None:
        """Read a notification and hand it on; others are passed over.

        Raises MessageError, NotAllowedError where it is about a group of others.
        """
        content = notification.content
        try:
            if content.tag == wire.UPLOAD:
                batch = self._inspector.read(content, notification.raw, notification.bulk)
                self._group(device, batch.group).upload(device, batch, self._inspector.refused(batch))
            elif content.tag in _IDENTITIES:
                self._schema.check_notification(content)
                identity = wire.decode_identity(content)
                self._group(device, identity.group).identify(device, identity)
            elif content.tag == switchover.GRANT_REQUEST:
                self._schema.check_notification(content)
                request = switchover.decode_grant_request(content)
                self._group(device, request.group).grant_requested(device, replace(request, device=device))
            elif content.tag == switchover.RELEASE:
                self._schema.check_notification(content)
                release = switchover.decode_release(content)
                self._group(device, release.group).lease_released(device, release)
            else:
                log.debug("notification-passed-over", device=device, name=str(content.tag))
        except (wire.WireError, DataError) as error:
            raise MessageError(str(error)) from error

    def _group(self, device: str, group: str) -> Receiver:
        if not self._allows(device, group):
            raise NotAllowedError(device, group)
        return self._receiver(group)
