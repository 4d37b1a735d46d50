"""The rpcs of audits at a router's NETCONF server (``rui-audit``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from lxml import etree

from netconf_server import NetconfServer, RpcCall
from router.group import Group
from router.listener import decoded
from rui.backup import audit_wire
from rui.backup.audit import Agreement, list_table
from rui.backup.member_outputs import CLOUD, JournalFullError, NotPrimaryError
from rui.netconf.errors import RpcError

_Elements = Sequence[etree._Element]


class AuditOperations:
    """Answers the rpcs for all groups of one router."""

    def __init__(self, server: NetconfServer, groups: Mapping[str, Group]) -> None:
        self._server = server
        self._groups = groups

    def register(self) -> None:
        """Take the place of these operations at the server."""
        self._server.register_rpc(audit_wire.LIST, self._list)
        self._server.register_rpc(audit_wire.RESULT, self._result)
        self._server.register_rpc(audit_wire.AUDIT_NOW, self._audit)
        self._server.register_rpc(audit_wire.RESYNC, self._resync)

    async def _list(self, call: RpcCall) -> _Elements:
        name, buckets = decoded(lambda: audit_wire.decode_list_request(call.operation))
        member = self._group(name, call.session.user).member
        return audit_wire.encode_listing(list_table(member.table, member.durable, buckets))

    async def _result(self, call: RpcCall) -> _Elements:
        result = decoded(lambda: audit_wire.decode_result(call.operation))
        group = self._serving(result.group, call.session.user)
        if call.session.user in group.config.members and call.session.user != result.replica:
            raise RpcError.access_denied(f"{call.session.user} may not tell of the copy of {result.replica}")
        if result.agreement is not Agreement.UNKNOWN:
            group.audits.note(result.replica, result.version, result.agreement is Agreement.AGREES)
        try:
            return audit_wire.encode_repaired(group.repair(result.replica, result.keys))
        except (JournalFullError, NotPrimaryError) as error:
            raise RpcError.operation_failed(str(error)) from error

    async def _audit(self, call: RpcCall) -> _Elements:
        name, within = decoded(lambda: audit_wire.decode_audit(call.operation))
        group = self._serving(name, call.session.user)
        copies = [CLOUD, *group.config.members]
        group.audit()
        return audit_wire.encode_compared(await group.audits.settled(copies, within))

    async def _resync(self, call: RpcCall) -> None:
        name, replica = decoded(lambda: audit_wire.decode_resync(call.operation))
        if not self._serving(name, call.session.user).resync(replica):
            raise RpcError.operation_failed(
                f"nothing is sent to {replica} from here: ask the cloud where that delivers to it; without a "
                "session there is nothing to do"
            )

    def _serving(self, name: str, user: str) -> Group:
        group = self._group(name, user)
        if not group.member.serving:
            raise RpcError.operation_failed(f"this router is secondary of group {name}: ask the primary")
        return group

    def _group(self, name: str, user: str) -> Group:
        group = self._groups.get(name)
        if group is None:
            known = ", ".join(self._groups) or "none"
            raise RpcError.invalid_value(f"there is no group {name!r} here; the groups are: {known}")
        routers = {member for other in self._groups.values() for member in other.config.members}
        if user in routers and user not in group.config.members:
            raise RpcError.access_denied(f"{user} has no part in group {name}")
        return group
