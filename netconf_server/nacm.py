"""Access control of one server (RFC 8341): the policy of its running datastore, in force at once when that
changes, and the counters of what was denied.

It is on where the schema implements ietf-netconf-acm, and then as that module's defaults say: reading and
calling are open, writing is not, and what a model marks `nacm:default-deny-all` is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import structlog
from lxml import etree

from netconf_server.accounts import Accounts
from netconf_server.actions import ACTION, ActionCall
from netconf_server.call import SessionInfo
from netconf_server.datastores import Change, Datastores
from netconf_server.edit import Operation
from netconf_server.nacmaccess import Access, Marks
from netconf_server.nacmhear import Content, Hearing
from netconf_server.nacmpath import instance_of
from netconf_server.nacmread import Readable
from netconf_server.nacmrules import CONTAINER, MODULE, NAMESPACE, Policy, PolicyError, Right, read_policy
from netconf_server.nacmwrite import check_change, check_request
from netconf_server.xmltree import to_bytes
from rui.netconf import names
from rui.netconf.errors import ErrorTag, RpcError
from rui.schema import Conformance, Kind

log = structlog.get_logger(__name__)

STATE: Final = f"/{MODULE}:nacm"
_OFF: Final = Policy(
    enabled=False, read_default=True, write_default=True, exec_default=True, groups={}, lists=()
)


class AccessControl:
    """Gives everybody his rights, and refuses what they do not cover.

    `user_of` names the user of an open session. An account that is marked for recovery is not checked
    (RFC 8341 1.1). Raises PolicyError when a rule of the running configuration cannot be understood.
    """

    def __init__(
        self, datastores: Datastores, accounts: Accounts, user_of: Callable[[int], str | None]
    ) -> None:
        self._schema = datastores.schema
        self._top = self._schema.tree.data
        self._accounts = accounts
        self._user_of = user_of
        self._marks = Marks(self._schema)
        self._hearing = Hearing(self._schema)
        self._accesses: dict[str, tuple[Access, Readable]] = {}
        self._policy = _OFF
        self._operations = self._writes = self._notifications = 0
        self.present = any(
            module.name == MODULE and module.conformance is Conformance.IMPLEMENT
            for module in self._schema.modules
        )
        if self.present:
            self._policy = read_policy(self._schema, datastores.running)
            datastores.on_commit(verify=self._verify, apply=self._apply)
            datastores.guard = self
            accounts.watch(self._accesses.clear)

    def access(self, user: str) -> Access:
        """The rights of a user now. Ask again for each request: they may change."""
        return self._rights(user)[0]

    def _rights(self, user: str) -> tuple[Access, Readable]:
        found = self._accesses.get(user)
        if found is None:
            unlimited = self._accounts.is_recovery(user)
            access = Access(user, self._policy, self._marks, unlimited=unlimited)
            found = self._accesses[user] = access, Readable(access, self._top)
        return found

    # --- what it refuses

    def may_call(self, user: str, tag: str) -> bool:
        """Say whether a user may invoke an operation."""
        return self.access(user).may_call(tag, self._schema.tree.rpcs.get(tag))

    def check_call(self, user: str, tag: str) -> None:
        """Refuse an operation that the user may not invoke. Raises RpcError `access-denied`."""
        # What an action does is its own node's business, and there it is checked.
        if tag != ACTION and not self.may_call(user, tag):
            raise self._refused(user, names.split(tag)[1])

    def check_action(self, call: ActionCall) -> None:
        """Refuse an action that the user may not carry out here, or on what he may not read (RFC 8341 3.4.5).
        Raises RpcError `access-denied`.
        """
        access, trail = self.access(call.session.user), []
        for node, element in zip(call.nodes, call.elements, strict=True):
            trail.append(instance_of(element))
            right = Right.EXEC if node.kind is Kind.ACTION else Right.READ
            if not access.permits(node, right, trail):
                raise self._refused(call.session.user, call.nodes[-1].name)

    def _refused(self, user: str, name: str) -> RpcError:
        self._operations += 1
        log.warning("operation-denied", user=user, operation=name)
        return RpcError.access_denied(
            f"user {user} may not invoke {name}: ask for a rule in /{MODULE}:nacm that permits it"
        )

    def hears(self, session: SessionInfo, content: Content) -> bool:
        """Say whether a notification goes to this session's user, and count it if not."""
        allowed = self._hearing.permits(self.access(session.user), content)
        if not allowed:
            self._notifications += 1
        return allowed

    def view(self, user: str) -> Readable:
        """What leaves out of data that is read what the user may not read: the same as long as his rights
        are.
        """
        return self._rights(user)[1]

    def check_edit(self, session: int | None, config: etree._Element, default: Operation) -> None:
        """Refuse an edit that asks to create or delete what its session has no right to. Raises RpcError."""
        if session is not None:
            self._checked(session, lambda access: check_request(access, config, default, self._top))

    def check_change(self, change: Change) -> None:
        """Refuse a change of a datastore that its session has no right to make. Raises RpcError.

        The program's own changes are not checked.
        """
        if change.session is not None:
            self._checked(change.session, lambda access: check_change(access, change, self._top))

    def _checked(self, session: int, check: Callable[[Access], None]) -> None:
        user = self._user_of(session)
        if user is None:
            raise RpcError.access_denied(f"session {session} is over; open another one")
        try:
            check(self.access(user))
        except RpcError as error:
            if error.tag == ErrorTag.ACCESS_DENIED:
                self._writes += 1
                log.warning("write-denied", user=user, session=session, path=error.path)
            raise

    # --- the policy and its counters

    def read(self) -> etree._Element:
        """The counters of /nacm, as a provider of that tree."""
        root = etree.Element(CONTAINER, nsmap=names.nsmap(NAMESPACE))
        for name, count in (
            ("denied-operations", self._operations),
            ("denied-data-writes", self._writes),
            ("denied-notifications", self._notifications),
        ):
            etree.SubElement(root, f"{{{NAMESPACE}}}{name}").text = str(count % 2**32)
        return root

    def _verify(self, change: Change) -> None:
        if not _concerned(change):
            return
        try:
            read_policy(self._schema, change.new)
        except PolicyError as error:
            raise RpcError.invalid_value(str(error)) from error

    def _apply(self, change: Change) -> None:
        if _concerned(change):
            self._policy = read_policy(self._schema, change.new)
            self._accesses.clear()
            log.info("access-control-changed", enabled=self._policy.enabled, rules=_count(self._policy))


def _concerned(change: Change) -> bool:
    return change.concerns(CONTAINER) and _configured(change.old) != _configured(change.new)


def _configured(tree: etree._Element) -> bytes:
    found = tree.find(CONTAINER)
    return b"" if found is None else to_bytes(found)


def _count(policy: Policy) -> int:
    return sum(len(rules.rules) for rules in policy.lists)
