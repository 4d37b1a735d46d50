"""The cloud's own NETCONF server: what secondaries download, what operators read and configure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace

from manager.fetch import Fetcher
from manager.service import Service
from manager.state import CloudState, Identities
from manager.store import StoreError
from netconf_client import NetconfClientError
from netconf_server import Entry, Keys, NetconfServer, Reply, RpcCall, Told
from rui.backup import audit_wire, requests, switchover, wire
from rui.backup.identity import Role
from rui.backup.messages import Stream
from rui.backup.version import Version
from rui.netconf.errors import RpcError

USERS = "/rui-user-info:user-info/group/user"
STATE = "/rui-cloud:cloud-state"
IDENTITIES = "/rui-identity:identity"
_KEY_LEAVES = ("mac-address", "outer-vlan", "inner-vlan")


class Northbound:
    """Registers the cloud's operations and data at a server."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._state = CloudState(service)
        self._fetcher = Fetcher(service.store)

    def register(self, server: NetconfServer) -> None:
        """Serve ``fetch-user-info``, ``digest-user-info``, user-info, identities and the cloud's state."""
        server.register_rpc(wire.FETCH, self.fetch)
        server.register_rpc(wire.DIGEST, self.digest)
        server.register_rpc(audit_wire.LIST, self.held)
        server.register_rpc(audit_wire.RESYNC, self.resync)
        server.register_rpc(switchover.SWITCH, self.switch)
        server.register_list(USERS, Users(self._service))
        server.register_tree(STATE, self._state)
        server.register_tree(IDENTITIES, Identities(self._service))

    async def switch(self, call: RpcCall) -> None:
        """Answer ``switch-identity``: pass it on to the router that is to be primary."""
        try:
            request = switchover.decode_switch(call.operation)
        except wire.WireError as error:
            raise RpcError.invalid_value(str(error)) from error
        group = self._service.groups.get(request.group)
        if group is None or request.device not in group.cloud.entries:
            raise RpcError.invalid_value(
                f"{request.device or 'no device'} is not known as a member of group {request.group}: "
                "give its device-id"
            )
        try:
            await group.switch(request.device, force=request.force)
        except NetconfClientError as error:
            raise RpcError.operation_failed(f"{request.device} could not be asked: {error}") from error

    async def fetch(self, call: RpcCall) -> Reply:
        """Answer ``fetch-user-info`` (S504); only a secondary of the group may ask, for itself."""
        try:
            request = requests.decode_fetch(call.operation)
        except wire.WireError as error:
            raise RpcError.invalid_value(str(error)) from error
        group = self._service.groups.get(request.group)
        entry = group.cloud.entries.get(request.device) if group is not None else None
        if call.session.user != request.device:
            raise RpcError.access_denied(f"{call.session.user} may not fetch for {request.device}")
        if group is None or entry is None or entry.role is not Role.SECONDARY:
            raise RpcError.access_denied(
                f"{request.device} is not recorded as a secondary of group {request.group}: "
                "it sends its second identity notification first (S402)"
            )
        try:
            fetched = await self._fetcher.fetch(request)
        except LookupError as error:
            raise RpcError.data_missing(str(error)) from error
        except StoreError as error:
            raise RpcError.operation_failed(str(error)) from error
        group.fetched(request.device, request.position, len(fetched.batch.changes), request.agrees)
        return requests.encode_fetched(_marked(fetched, group.cloud.marker))

    async def digest(self, call: RpcCall) -> Reply:
        """Answer ``digest-user-info``."""
        request = requests.decode_digest_request(call.operation)
        self._own_group(call.session.user, request.group)
        try:
            found = await self._service.store.digest(request.group)
        except StoreError as error:
            raise RpcError.operation_failed(str(error)) from error
        self._state.learn(request.group, found.digest)
        return requests.encode_digest(found.digest, found.buckets if request.buckets else None)

    async def held(self, call: RpcCall) -> Reply:
        """Answer ``list-user-info``."""
        try:
            group, buckets = audit_wire.decode_list_request(call.operation)
            self._own_group(call.session.user, group)
            return audit_wire.encode_listing(await self._service.store.held(group, buckets))
        except wire.WireError as error:
            raise RpcError.invalid_value(str(error)) from error
        except StoreError as error:
            raise RpcError.operation_failed(str(error)) from error

    async def resync(self, call: RpcCall) -> None:
        """Take ``resync-user-info``."""
        try:
            name, replica = audit_wire.decode_resync(call.operation)
        except wire.WireError as error:
            raise RpcError.invalid_value(str(error)) from error
        group = self._service.groups.get(name)
        if group is None or not group.resync(replica):
            raise RpcError.operation_failed(
                f"{replica} is not delivered to in group {name}: ask the primary, or wait for its session"
            )

    def _own_group(self, user: str, group: str) -> None:
        """Refuse a router that asks about a group of others. Raises RpcError."""
        known = self._service.groups.get(group)
        if user in self._service.config.devices and (known is None or user not in known.cloud.entries):
            raise RpcError.access_denied(
                f"{user} is not recorded as a member of group {group}: it sends its identity first (S402)"
            )


def _marked(fetched: requests.Fetched, marker: tuple[Version, str] | None) -> requests.Fetched:
    """Put the primary's digest on the page that brings a secondary to that very version."""
    part = fetched.batch.part
    if marker is None or fetched.more or not isinstance(part, Stream) or part.last != marker[0]:
        return fetched
    return replace(fetched, batch=replace(fetched.batch, digest=marker[1]))


class Users:
    """The list /user-info/group/user, streamed from the store; a whole key goes down to it."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def read(self, keys: Keys) -> Iterable[Entry]:
        """Return the entries that fit all ``keys``, group by group, read as the caller goes on."""
        wanted = keys.get("group", {}).get("group-id")
        names = sorted(self._service.groups) if wanted is None else [wanted]
        chosen = {leaf: value.lower() for leaf, value in keys.get("user", {}).items()}
        for name in names:
            if name in self._service.groups:
                yield from self._of_group(name, chosen)

    def watch(self, told: Told) -> Callable[[], None]:
        """Have ``told`` called of each user that is stored, changed or deleted; return what ends that."""

        def stored(group: str, key: bytes, before: bytes | None) -> None:
            leaves = dict(zip(_KEY_LEAVES, key.decode("ascii").split("/"), strict=True))
            told({"group": {"group-id": group}, "user": leaves}, before)

        return self._service.store.watch(stored)

    def _of_group(self, name: str, chosen: Mapping[str, str]) -> Iterable[Entry]:
        parents = ({"group-id": name},)
        whole = len(chosen) == len(_KEY_LEAVES)
        only: Collection[bytes] | None = (
            ["/".join(chosen[leaf] for leaf in _KEY_LEAVES).encode()] if whole else None
        )
        mac = chosen.get("mac-address", "")
        prefix = f"{mac}/".encode() if mac and not whole else b""
        for change in self._service.store.users(name, only, prefix=prefix):
            if change.record is not None and (whole or _fits(change.key, chosen)):
                yield Entry(parents, change.record)


def _fits(key: bytes, chosen: Mapping[str, str]) -> bool:
    if not chosen:
        return True
    parts = dict(zip(_KEY_LEAVES, key.decode("ascii").split("/"), strict=True))
    return all(parts[leaf] == value for leaf, value in chosen.items())
