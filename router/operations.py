"""The rpcs of S401 to S504 at a router's NETCONF server."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from lxml import etree

from netconf_server import NetconfServer, RpcCall, Subscription
from router.download import Downloader
from router.group import Group
from router.journal import counted
from router.listener import Listener, decoded
from router.rbs import Switch
from rui.backup import wire
from rui.backup.inspection import Inspector
from rui.backup.member_outputs import CLOUD
from rui.backup.requests import decode_digest_request, decode_download, encode_digest
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)

STREAM = "rui-backup"


class Operations:
    """Answers the rpcs and follows the subscriptions."""

    def __init__(
        self,
        server: NetconfServer,
        groups: Mapping[str, Group],
        inspector: Inspector,
        downloader: Downloader,
        switch: Switch,
    ) -> None:
        self._server = server
        self._groups = groups
        self._device = switch.device
        self._inspector = inspector
        self._downloader = downloader
        self._switch = switch

    def register(self) -> None:
        """Take the place of these operations and this stream at the server."""
        register = self._server.register_rpc
        register(wire.IDENTITY_RESULT, self._identity_result)
        register(wire.ACKNOWLEDGE, self._acknowledge)
        register(wire.DELIVER, self._deliver, bulk=True)
        register(wire.DOWNLOAD, self._download)
        register(wire.DIGEST, self._digest)
        stream = self._server.stream(STREAM, "Identities and user-info for the cloud (S402, S502)")
        stream.on_subscribed(self._subscribed)
        stream.on_ended(self._unsubscribed)

    def _subscribed(self, subscription: Subscription) -> None:
        if not self.is_cloud(subscription.session.user):
            log.warning("subscriber-not-the-cloud", user=subscription.session.user, stream=STREAM)
            return
        session = Listener(self._server, subscription)
        log.info("cloud-subscribed", session=session.id, user=subscription.session.user)
        for group in self._groups.values():
            group.subscribed(session)

    def _unsubscribed(self, subscription: Subscription) -> None:
        for group in self._groups.values():
            group.unsubscribed(subscription.session.id, "the session is gone")

    async def _identity_result(self, call: RpcCall) -> None:
        result = decoded(lambda: wire.decode_identity_result(call.operation))
        group = self._group(result.group)
        if result.device != self._device:
            raise RpcError.invalid_value(f"this device is {self._device}, the result is for {result.device}")
        if not group.identity_result(call.session.id, result):
            raise RpcError.operation_failed(
                f"this session has not subscribed to {STREAM}: send create-subscription first (S401)"
            )

    async def _acknowledge(self, call: RpcCall) -> None:
        receipt = decoded(lambda: wire.decode_receipt(call.operation))
        if self._local(receipt.group, call.session.user):
            self._switch.group(receipt.group).answers.receipt(call.session.user, receipt)
            return
        self._switch.cloud_alive()
        if not self._group(receipt.group).acknowledge(call.session.id, receipt):
            raise RpcError.operation_failed(
                f"no upload of group {receipt.group} went to this session: send identity-result first (S403)"
            )

    async def _deliver(self, call: RpcCall) -> Sequence[etree._Element]:
        batch = decoded(lambda: self._inspector.read(call.operation, call.raw, call.bulk))
        group = self._group(batch.group)
        via = call.session.user if self._local(batch.group, call.session.user) else CLOUD
        if via == CLOUD:
            self._switch.cloud_alive()
        quarantined = decoded(lambda: self._inspector.refused(batch))
        receipt = await group.receive(batch, quarantined, via=via)
        return wire.receipt_children(receipt)

    async def _download(self, call: RpcCall) -> None:
        name = decoded(lambda: decode_download(call.operation)).group
        group = self._group(name)
        if group.member.serving:
            raise RpcError.operation_failed(
                f"{self._device} is primary of group {name}: it downloads nothing"
            )
        if not self._downloader.possible:
            raise RpcError.operation_failed(
                "no cloud-endpoint is configured to download from: add one, or deliver directly"
            )
        self._downloader.instruct(group)

    async def _digest(self, call: RpcCall) -> Sequence[etree._Element]:
        request = decoded(lambda: decode_digest_request(call.operation))
        self._local(request.group, call.session.user)
        member = self._group(request.group).member
        await counted(member.table)
        return encode_digest(member.digest(), member.table.buckets if request.buckets else None)

    def is_cloud(self, user: str) -> bool:
        """Whether this account is the cloud's: one that may answer identities (S403) and is no router's."""
        return user not in self._switch.channels and self._server.may_call(user, wire.IDENTITY_RESULT)

    def _local(self, group: str, user: str) -> bool:
        """Whether this comes from the other router of the group instead of the cloud.

        Raises RpcError where it comes from a router of other groups.
        """
        failover = self._switch.groups.get(group)
        if failover is not None and failover.delivers(user):
            return True
        if user in self._switch.channels:
            raise RpcError.access_denied(f"{user} has no part in group {group} of {self._device}")
        return False

    def _group(self, name: str) -> Group:
        group = self._groups.get(name)
        if group is None:
            known = ", ".join(self._groups) or "none"
            raise RpcError.invalid_value(f"{self._device} has no group {name!r}; its groups: {known}")
        return group
