"""What one user may do (RFC 8341 3.4): decided once for each schema node, and for single instances only
where a rule's path has keys.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

from netconf_server.nacmpath import Instance, RulePath
from netconf_server.nacmrules import ANY, MODULE, Policy, Right, Rule
from rui.netconf import names
from rui.schema import Kind, Node, Schema

# RFC 8341 3.2.2: never denied, and the two that exec-default does not open.
_ALWAYS: Final = names.CLOSE_SESSION
_CLOSED: Final = frozenset({names.base("kill-session"), names.base("delete-config")})
# RFC 8341 3.4.6: these end a replay and are never dropped.
_NEVER_DROPPED: Final = frozenset(
    f"{{{space}}}{name}"
    for space in (names.NOTIFICATION, "urn:ietf:params:xml:ns:netmod:notification")
    for name in ("replayComplete", "notificationComplete")
)
_INSIDE: Final = frozenset({Kind.ACTION, Kind.NOTIFICATION})


class Scope(Enum):
    """How much of a schema node's instances, and of all below them, a right covers."""

    ALL = "all"
    PART = "part"
    NONE = "none"


@dataclass(frozen=True)
class _Verdict:
    """`conditions` are the keyed paths that come first, each with what it says; else `permit`."""

    permit: bool
    conditions: tuple[tuple[RulePath, bool], ...] = ()


def _verdict(permit: bool, conditions: list[tuple[RulePath, bool]]) -> _Verdict:
    # A condition that says what holds anyway after it decides nothing.
    while conditions and conditions[-1][1] == permit:
        conditions.pop()
    return _Verdict(permit, tuple(conditions))


class Marks:
    """The nodes that the models mark `nacm:default-deny-write` or `default-deny-all`, with all below them."""

    def __init__(self, schema: Schema) -> None:
        self._denied: dict[str, frozenset[Right]] = {}
        for node in schema.tree.data.values():
            self._mark(node, frozenset())

    def _mark(self, node: Node, above: frozenset[Right]) -> None:
        denied = above | _denied_by(node)
        if denied:
            self._denied[node.path] = denied
        for child in node.children.values():
            self._mark(child, denied)

    def denies(self, node: Node, right: Right) -> bool:
        """Say whether the model denies this right unless a rule gives it."""
        return right in self._denied.get(node.path, ()) or right in _denied_by(node)


_WRITES: Final = frozenset({Right.CREATE, Right.UPDATE, Right.DELETE})


def _denied_by(node: Node) -> frozenset[Right]:
    if (MODULE, "default-deny-all") in node.extensions:
        return frozenset(Right)
    return _WRITES if (MODULE, "default-deny-write") in node.extensions else frozenset()


class Access:
    """The rights of one user under one policy. `unlimited` is for a recovery session (RFC 8341 1.1),
    and where access control is off.
    """

    def __init__(self, user: str, policy: Policy, marks: Marks, *, unlimited: bool = False) -> None:
        self.user = user
        self.unlimited = unlimited or not policy.enabled
        self._policy = policy
        self._marks = marks
        self._rules = () if self.unlimited else policy.rules(user)
        self._calls: dict[str, bool] = {}
        self._notifications: dict[str, bool] = {}
        self._verdicts: dict[tuple[str, Right], _Verdict] = {}
        self._scopes: dict[tuple[str, Right], Scope] = {}

    # --- operations and notifications

    def may_call(self, tag: str, rpc: Node | None) -> bool:
        """Say whether the user may invoke an operation (RFC 8341 3.4.4); `rpc` is None for one that no module
        of the schema defines.
        """
        if self.unlimited or tag == _ALWAYS:
            return True
        known = self._calls.get(tag)
        if known is None:
            known = self._calls[tag] = self._decide_call(tag, rpc)
        return known

    def _decide_call(self, tag: str, rpc: Node | None) -> bool:
        module, name = "" if rpc is None else rpc.module, names.split(tag)[1]
        for rule in self._rules:
            if rule.concerns(module, Right.EXEC) and (rule.typeless or rule.rpc in (ANY, name)):
                return rule.permit
        denied = tag in _CLOSED or (rpc is not None and self._marks.denies(rpc, Right.EXEC))
        return not denied and self._policy.exec_default

    def may_hear(self, notification: Node) -> bool:
        """Say whether the user may receive this top-level notification (RFC 8341 3.4.6)."""
        if self.unlimited or notification.tag in _NEVER_DROPPED:
            return True
        known = self._notifications.get(notification.tag)
        if known is None:
            known = self._notifications[notification.tag] = self._decide_notification(notification)
        return known

    def _decide_notification(self, node: Node) -> bool:
        for rule in self._rules:
            fits = rule.typeless or rule.notification in (ANY, node.name)
            if fits and rule.concerns(node.module, Right.READ):
                return rule.permit
        return not self._marks.denies(node, Right.READ) and self._policy.read_default

    # --- data

    def scope(self, node: Node, right: Right) -> Scope:
        """How far a right reaches over all instances of a node and everything below them."""
        if self.unlimited:
            return Scope.ALL
        known = self._scopes.get((node.path, right))
        if known is None:
            known = self._scopes[node.path, right] = self._measure(node, right)
        return known

    def scope_below(self, node: Node, right: Right, trail: Sequence[Instance]) -> Scope:
        """The same for the instances below one place: what the keys of `trail` decide is decided."""
        return Scope.ALL if self.unlimited else self._measure(node, right, trail)

    def _measure(self, node: Node, right: Right, trail: Sequence[Instance] = ()) -> Scope:
        verdict = self._verdict(node, right)
        if trail and verdict.conditions:
            verdict = self._decided(verdict, trail)
        if verdict.conditions:
            return Scope.PART
        if not verdict.permit:
            return Scope.NONE
        below = (child for child in node.children.values() if child.kind not in _INSIDE)
        concerned = (child for child in below if right is Right.READ or child.config)
        measure = self.scope if not trail else lambda node, right: self._measure(node, right, trail)
        whole = all(measure(child, right) is Scope.ALL for child in concerned)
        return Scope.ALL if whole else Scope.PART

    def _decided(self, verdict: _Verdict, trail: Sequence[Instance]) -> _Verdict:
        """The verdict without the conditions that the keys of a place decide."""
        open_: list[tuple[RulePath, bool]] = []
        permit = verdict.permit
        for path, says in verdict.conditions:
            if not path.is_decided(len(trail)):
                open_.append((path, says))
            elif path.holds(trail, self.user):
                permit = says
                break
        return _verdict(permit, open_)

    def permits(self, node: Node, right: Right, trail: Sequence[Instance]) -> bool:
        """Say whether the user has a right on one instance; `trail` leads from the top to it.

        What is above it counts for itself: who may not read a container reads nothing in it (RFC 8341 3.2.4).
        For an action or a notification inside data, `right` is exec or read.
        """
        if self.unlimited:
            return True
        verdict = self._verdict(node, right)
        for path, permit in verdict.conditions:
            if path.holds(trail, self.user):
                return permit
        return verdict.permit

    def unconditional(self, node: Node, right: Right) -> bool:
        """Say whether the user has a right on every instance of a node; what is below it is not looked at."""
        if self.unlimited:
            return True
        verdict = self._verdict(node, right)
        return verdict.permit and not verdict.conditions

    def reads_unknown(self) -> bool:
        """Say whether the user may read data that no module of the schema defines."""
        for rule in self._rules:
            if rule.module == ANY and rule.typeless and Right.READ in rule.rights:
                return rule.permit
        return self.unlimited or self._policy.read_default

    def _verdict(self, node: Node, right: Right) -> _Verdict:
        known = self._verdicts.get((node.path, right))
        if known is None:
            known = self._verdicts[node.path, right] = self._judge(node, right)
        return known

    def _judge(self, node: Node, right: Right) -> _Verdict:
        conditions: list[tuple[RulePath, bool]] = []
        permit = not self._marks.denies(node, right) and self._policy.default(right)
        for rule in self._fitting(node, right):
            if rule.path is not None and rule.path.keyed:
                conditions.append((rule.path, rule.permit))
            else:
                permit = rule.permit
                break
        return _verdict(permit, conditions)

    def _fitting(self, node: Node, right: Right) -> Iterator[Rule]:
        for rule in self._rules:
            about = rule.typeless or (rule.path is not None and rule.path.covers(node))
            if about and rule.concerns(node.module, right):
                yield rule
