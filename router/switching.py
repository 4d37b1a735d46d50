"""Identity switching of one router: a standing for each group, its election, and what follows a new role."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import replace

import structlog

from netconf_server import NetconfServer, RpcCall
from router.group import Group
from router.listener import decoded
from router.rbs import Switch
from router.standing import Standing
from router.vrrp import Election, VrrpTree
from rui.backup import switchover
from rui.backup.identity import Role
from rui.netconf.errors import RpcError
from rui.vrrp.states import State

log = structlog.get_logger(__name__)


class Switching:
    """All standings of one router. ``restart_source`` begins a group's subscribers anew in its role now.

    ``moved`` is told when an election or a role has changed, before anything slow is done about it.
    """

    def __init__(
        self,
        groups: Mapping[str, Group],
        switch: Switch,
        *,
        cloud_heard: Callable[[], bool],
        is_cloud: Callable[[str], bool],
        restart_source: Callable[[str], Awaitable[None]],
    ) -> None:
        self._groups = groups
        self._switch = switch
        self._is_cloud = is_cloud
        self._restart_source = restart_source
        self._tasks: set[asyncio.Task[None]] = set()
        self._beginning = {name: asyncio.Lock() for name in groups}
        self.moved: Callable[[], None] = lambda: None
        self.elections: dict[str, Election] = {}
        self.standings: dict[str, Standing] = {}
        for name, group in groups.items():
            config = group.config
            failover = switch.groups.get(name)
            priority = config.vrrp.options.priority if config.vrrp is not None else 0
            options = replace(config.standing, retry=max(1.0, config.link_timeout))
            standing = Standing(group, failover, options, cloud_heard, priority)
            self.standings[name] = standing
            if failover is not None:
                failover.come_up = standing.tell
            group.serving_changed = lambda name=name: self._spawn(self._begin_source(name), name, "sharing")  # type: ignore[misc]
            group.role_changed = lambda role, name=name: self._changed(name, role)  # type: ignore[misc]
            if config.vrrp is not None:
                standing.election = self.elections[name] = Election(
                    name,
                    config.vrrp.options,
                    config.vrrp.transport(),
                    on_master=self._moving(standing.elected),
                    on_backup=self._moving(standing.deposed),
                    tracks=config.vrrp.tracks,
                )

    def register(self, server: NetconfServer) -> None:
        """Answer ``grant-result`` and ``switch-identity``; show the virtual routers."""
        server.register_tree("/rui-vrrp:vrrp", VrrpTree(self.elections))
        server.register_rpc(switchover.GRANT_RESULT, self._grant_result)
        server.register_rpc(switchover.SWITCH, self._switch_identity)

    def forwards(self, name: str) -> bool:
        """Whether this router forwards for a group: the election decides, and without one the role."""
        election = self.elections.get(name)
        if election is None:
            return self._groups[name].member.role is Role.PRIMARY
        return election.state().state is State.MASTER

    async def start(self) -> None:
        """Stand for elections and look at the links. Raises router.vrrp.TransportError."""
        for standing in self.standings.values():
            standing.start()
            if standing.election is not None:
                # Until the standing says otherwise: who has just started is neither in sync nor long well
                standing.election.allow_preemption(False)
                await standing.election.start()

    async def close(self) -> None:
        """Resign and look no more."""
        for standing in self.standings.values():
            await standing.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _moving(self, tell: Callable[[str], None]) -> Callable[[str], None]:
        def changed(reason: str) -> None:
            self.moved()
            tell(reason)

        return changed

    def _changed(self, name: str, role: Role) -> None:
        self.moved()
        failover = self._switch.groups.get(name)
        if failover is not None:
            failover.change_role()
        self._spawn(self._follow(name), name, role.value)

    def _spawn(self, work: Coroutine[None, None, None], name: str, what: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"role-{name}-{what}")
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def _follow(self, name: str) -> None:
        await self._switch.redial()
        await self._begin_source(name)

    async def _begin_source(self, name: str) -> None:
        """Begin the subscribers anew, in the role at the end of all that has happened by then."""
        async with self._beginning[name]:
            await self._restart_source(name)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("role-change-failed", task=task.get_name(), exc_info=task.exception())

    async def _grant_result(self, call: RpcCall) -> None:
        if not self._is_cloud(call.session.user):
            raise RpcError.access_denied(f"{call.session.user} is not the cloud: it grants nothing")
        result = decoded(lambda: switchover.decode_grant_result(call.operation))
        self._standing(result.group).grant_result(result)

    async def _switch_identity(self, call: RpcCall) -> None:
        request = decoded(lambda: switchover.decode_switch(call.operation))
        if request.device not in ("", self._switch.device):
            raise RpcError.invalid_value(
                f"this is {self._switch.device}: ask {request.device} itself, or the manager"
            )
        self._standing(request.group).switch(force=request.force, by=call.session.user)

    def _standing(self, name: str) -> Standing:
        found = self.standings.get(name)
        if found is None:
            raise RpcError.invalid_value(f"{self._switch.device} has no group {name!r}")
        return found
