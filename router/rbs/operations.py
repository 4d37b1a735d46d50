"""The RPCs and the stream of the RBS channel at a router's NETCONF server (``rui-failover``)."""

from __future__ import annotations

from collections.abc import Sequence

import structlog
from lxml import etree

from netconf_server import NetconfServer, RpcCall, Subscription
from router.listener import Listener, decoded
from router.rbs.switch import Switch
from rui.backup import rbs, switchover
from rui.netconf.errors import RpcError

log = structlog.get_logger(__name__)

Elements = Sequence[etree._Element]


class RbsOperations:
    """Answers the RPCs. A peer logs in with the account that is named as its device-id."""

    def __init__(self, server: NetconfServer, switch: Switch) -> None:
        self._server = server
        self._switch = switch

    def register(self) -> None:
        """Take the place of these operations and this stream at the server."""
        register = self._server.register_rpc
        register(rbs.PROBE, self._probe)
        for name in rbs.QUERIES.values():
            register(name, self._query)
        for name in rbs.WAITS.values():
            register(name, self._wait)
        register(rbs.START, self._start)
        register(rbs.CHANGE, self._change)
        register(switchover.TAKEN, self._taken)
        register(switchover.SHARED, self._standing)
        register(switchover.FREE, self._standing)
        stream = self._server.stream(
            rbs.STREAM, "Local backup and the peer's link to the cloud (FIG. 6 to 9)"
        )
        stream.on_subscribed(self._subscribed)
        stream.on_ended(self._unsubscribed)

    def _subscribed(self, subscription: Subscription) -> None:
        peer = subscription.session.user
        if peer not in self._switch.channels:
            log.warning("rbs-subscriber-unknown", user=peer, remedy="configure an rbs-channel to it")
            return
        log.info("rbs-called", peer=peer, session=subscription.session.id)
        session = Listener(self._server, subscription)
        for group in self._switch.groups.values():
            group.called(peer, session)

    def _unsubscribed(self, subscription: Subscription) -> None:
        for group in self._switch.groups.values():
            group.hung_up(subscription.session.user, subscription.session.id)

    async def _probe(self, call: RpcCall) -> None:
        probe = decoded(lambda: rbs.decode_probe(call.operation))
        if call.session.user in self._switch.channels:
            self._switch.probed(call.session.user, probe)
        else:
            self._switch.cloud_heard(probe)

    async def _query(self, call: RpcCall) -> Elements:
        return self._switch.group(rbs.decode_group(call.operation)).answers.query(call.session.user)

    async def _wait(self, call: RpcCall) -> None:
        self._switch.group(rbs.decode_group(call.operation)).answers.wait(call.session.user)

    async def _start(self, call: RpcCall) -> Elements | None:
        start = decoded(lambda: rbs.decode_start(call.operation))
        return self._switch.group(start.group).answers.start(call.session.user, start) or None

    async def _taken(self, call: RpcCall) -> None:
        taken = decoded(lambda: switchover.decode_taken(call.operation))
        if taken.device != call.session.user:
            raise RpcError.access_denied(f"{call.session.user} may not speak for {taken.device}")
        self._switch.group(taken.group).taken(taken)

    async def _standing(self, call: RpcCall) -> None:
        group, device = decoded(lambda: switchover.decode_standing(call.operation))
        if device != call.session.user:
            raise RpcError.access_denied(f"{call.session.user} may not speak for {device}")
        found = self._switch.group(group)
        heard = found.shared if call.operation.tag == switchover.SHARED else found.free
        heard(device)

    async def _change(self, call: RpcCall) -> Elements:
        name, path = decoded(lambda: rbs.decode_change(call.operation))
        return self._switch.group(name).answers.change(call.session.user, path)
