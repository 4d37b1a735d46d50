"""The access control configuration (RFC 8341) as values, read from the `nacm` container of a datastore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from lxml import etree

from netconf_server.nacmpath import PathError, RulePath, parse_path
from rui.schema import Schema
from rui.schema.leaves import ConfigError, children, optional, text

MODULE: Final = "ietf-netconf-acm"
NAMESPACE: Final = "urn:ietf:params:xml:ns:yang:ietf-netconf-acm"
CONTAINER: Final = f"{{{NAMESPACE}}}nacm"
ANY: Final = "*"


class Right(StrEnum):
    """What somebody may do with a node or an operation: the access operations of RFC 8341 3.1.3."""

    CREATE = "create"
    READ = "read"
    UPDATE = "update"
    DELETE = "delete"
    EXEC = "exec"


class PolicyError(ConfigError):
    """A rule that cannot be understood; says which one and what to write."""


@dataclass(frozen=True)
class Rule:
    """One rule. At most one of `rpc`, `notification` and `path` is set: which kind of thing it is about."""

    module: str
    rights: frozenset[Right]
    permit: bool
    rpc: str | None = None
    notification: str | None = None
    path: RulePath | None = None

    @property
    def typeless(self) -> bool:
        """Whether it is about everything in its module."""
        return self.rpc is None and self.notification is None and self.path is None

    def concerns(self, module: str, right: Right) -> bool:
        """Say whether module and access operation fit."""
        return right in self.rights and self.module in (ANY, module)


@dataclass(frozen=True)
class RuleList:
    """Rules in their order, for the members of these groups (`*`: of any)."""

    groups: frozenset[str]
    rules: tuple[Rule, ...]


@dataclass(frozen=True)
class Policy:
    """The whole configuration; `groups` are the groups of each user."""

    enabled: bool
    read_default: bool
    write_default: bool
    exec_default: bool
    groups: Mapping[str, frozenset[str]]
    lists: tuple[RuleList, ...]

    def rules(self, user: str) -> tuple[Rule, ...]:
        """The rules for a user, the first that fits decides; none for one without group (RFC 8341 3.4.4)."""
        mine = self.groups.get(user, frozenset())
        if not mine:
            return ()
        return tuple(
            rule for rules in self.lists if ANY in rules.groups or mine & rules.groups for rule in rules.rules
        )

    def default(self, right: Right) -> bool:
        """What holds where no rule fits."""
        if right is Right.READ:
            return self.read_default
        return self.exec_default if right is Right.EXEC else self.write_default


def read_policy(schema: Schema, config: etree._Element) -> Policy:
    """Read the policy of a valid configuration; the model's defaults hold where it says nothing.

    Groups that a transport could report (enable-external-groups) do not exist: SSH reports none. Raises
    PolicyError.
    """
    nacm = config.find(CONTAINER)
    if nacm is None:
        nacm = etree.Element(CONTAINER)
    groups: dict[str, frozenset[str]] = {}
    for holder in children(nacm, "groups"):
        for group in children(holder, "group"):
            for user in children(group, "user-name"):
                name = user.text or ""
                groups[name] = groups.get(name, frozenset()) | {text(group, "name")}
    return Policy(
        enabled=_leaf(schema, nacm, "enable-nacm") == "true",
        read_default=_leaf(schema, nacm, "read-default") == "permit",
        write_default=_leaf(schema, nacm, "write-default") == "permit",
        exec_default=_leaf(schema, nacm, "exec-default") == "permit",
        groups=groups,
        lists=tuple(_rule_list(schema, entry) for entry in children(nacm, "rule-list")),
    )


def _leaf(schema: Schema, parent: etree._Element, name: str, path: str = f"/{MODULE}:nacm") -> str:
    value = optional(parent, name)
    return schema.node(f"{path}/{name}").defaults[0] if value is None else value.strip()


def _rule_list(schema: Schema, entry: etree._Element) -> RuleList:
    groups = frozenset((group.text or "").strip() for group in children(entry, "group"))
    name = text(entry, "name")
    return RuleList(groups, tuple(_rule(schema, name, rule) for rule in children(entry, "rule")))


def _rule(schema: Schema, rule_list: str, entry: etree._Element) -> Rule:
    place = f"/{MODULE}:nacm/rule-list"
    operations = _leaf(schema, entry, "access-operations", f"{place}/rule")
    rights = Right if operations == ANY else [Right(name) for name in operations.split()]
    path = entry.find(f"{{{NAMESPACE}}}path")
    try:
        parsed = None if path is None else parse_path(path.text or "", path.nsmap, schema)
    except PathError as error:
        raise PolicyError(
            f"{place}[name='{rule_list}']/rule[name='{text(entry, 'name')}']/path: {error}"
        ) from error
    return Rule(
        module=_leaf(schema, entry, "module-name", f"{place}/rule").strip(),
        rights=frozenset(rights),
        permit=text(entry, "action").strip() == "permit",
        rpc=optional(entry, "rpc-name"),
        notification=optional(entry, "notification-name"),
        path=parsed,
    )
