"""The schema tree as plain frozen values: what edit-config, filters and the CLI ask about a node.

Children are found by their lxml tag (`{namespace}name`), with choices and cases flattened away as they are in
data; a node says which cases it belongs to.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType

from lxml import etree


class Kind(StrEnum):
    """What a schema node is, in YANG's own keywords."""

    CONTAINER = "container"
    LIST = "list"
    LEAF = "leaf"
    LEAF_LIST = "leaf-list"
    ANYDATA = "anydata"
    ANYXML = "anyxml"
    RPC = "rpc"
    ACTION = "action"
    INPUT = "input"
    OUTPUT = "output"
    NOTIFICATION = "notification"


OPERATIONS = frozenset({Kind.RPC, Kind.ACTION, Kind.NOTIFICATION})
"""What stands among data nodes without being data."""


@dataclass(frozen=True, slots=True)
class Membership:
    """A node's place in one choice: nodes that share `choice` and differ in `case` exclude each other."""

    choice: str
    case: str


@dataclass(frozen=True, slots=True)
class TypeSpec:
    """The type of a leaf or leaf-list.

    `name` is as written (`rt:group-id`), `base` the built-in type below it. What does not apply is empty:
    `enums` and `bits` in the order of the model, `identities` as `module:name` of everything that fits,
    `ranges` and `lengths` as inclusive (low, high) texts, `patterns`, `path` of a leafref with its `target`
    schema path, `members` of a union. `typedefs` are the type's definitions as `module:name`, outermost
    first; `pattern_levels` says for each pattern who states it, 0 the leaf and n the n-th typedef. `excluded`
    are the patterns that must not match.
    """

    name: str
    base: str
    enums: tuple[str, ...] = ()
    bits: tuple[str, ...] = ()
    identities: tuple[str, ...] = ()
    ranges: tuple[tuple[str, str], ...] = ()
    lengths: tuple[tuple[str, str], ...] = ()
    patterns: tuple[str, ...] = ()
    pattern_levels: tuple[int, ...] = ()
    excluded: tuple[str, ...] = ()
    typedefs: tuple[str, ...] = ()
    path: str = ""
    target: str = ""
    members: tuple["TypeSpec", ...] = ()


@dataclass(frozen=True, slots=True)
class Node:
    """One schema node.

    `path` is its data path with module names where the module changes (`/rui-user-info:user-info/group`);
    `tag` is `{namespace}name`. `config` is False for state and for everything in operations. `mandatory` is
    YANG's mandatory or min-elements above 0, or being a list key. `defaults` has several values only for a
    leaf-list. `choices` runs from the outermost choice to the innermost. `extensions` holds the extension
    statements on the node as (module, name), such as ("ietf-netconf-acm", "default-deny-all").
    """

    kind: Kind
    module: str
    namespace: str
    name: str
    path: str
    config: bool
    mandatory: bool = False
    presence: str = ""
    ordered_by_user: bool = False
    keys: tuple[str, ...] = ()
    unique: tuple[str, ...] = ()
    min_elements: int = 0
    max_elements: int | None = None
    type: TypeSpec | None = None
    defaults: tuple[str, ...] = ()
    units: str = ""
    description: str = ""
    reference: str = ""
    status: str = "current"
    when: tuple[str, ...] = ()
    must: tuple[str, ...] = ()
    choices: tuple[Membership, ...] = ()
    extensions: frozenset[tuple[str, str]] = frozenset()
    children: Mapping[str, "Node"] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    @property
    def tag(self) -> str:
        """The element name as lxml writes it."""
        return f"{{{self.namespace}}}{self.name}"

    def child(self, name: str) -> "Node | None":
        """Return the child of that local name in this node's own namespace, if there is one."""
        return self.children.get(f"{{{self.namespace}}}{name}")

    def walk(self) -> Iterator["Node"]:
        """Yield this node and everything below it, parents first, in the order of the model."""
        yield self
        for node in self.children.values():
            yield from node.walk()

    def excludes(self, other: "Node") -> bool:
        """Say whether this node and a sibling belong to different cases of one choice."""
        mine = {membership.choice: membership.case for membership in self.choices}
        return any(mine.get(member.choice, member.case) != member.case for member in other.choices)


@dataclass(frozen=True, slots=True)
class LookedAt:
    """The local names in the constraints of the modules; `values` are those that a path ends with."""

    names: frozenset[str]
    values: frozenset[str]


@dataclass(frozen=True, slots=True)
class Tree:
    """All top-level nodes of the implemented modules by tag; YANG gives them one name space.

    `looked_at` says what constraints of the modules look at, None where that may be any node.
    """

    data: Mapping[str, Node]
    rpcs: Mapping[str, Node]
    notifications: Mapping[str, Node]
    looked_at: LookedAt | None = None

    def stands_alone(self, node: Node) -> bool:
        """Say whether any value of its type is right for a leaf that is there, whatever else there is, and
        leaves right what is.
        """
        return (
            node.kind is Kind.LEAF
            and self.looked_at is not None
            and node.name not in self.looked_at.names
            and self.looked_at.values.isdisjoint(_STEP.findall(node.path))
            and not (node.must or node.when)
            and node.type is not None
            and not _points(node.type)
        )


_STEP = re.compile(r"[/:]([^/:]+)(?=/|$)")
"""The name of a step, without its module's."""


def _points(spec: TypeSpec) -> bool:
    return spec.base in ("leafref", "instance-identifier") or any(map(_points, spec.members))


def find_nested(level: Mapping[str, Node], element: etree._Element, kind: Kind) -> Node | None:
    """Return the action or notification that an element of data leads to, None where there is none.

    `level` are the nodes by tag that the element may be of.
    """
    node = level.get(str(element.tag))
    if node is None or node.kind is kind:
        return node
    found = (find_nested(node.children, child, kind) for child in element.iterchildren(etree.Element))
    return next((inner for inner in found if inner is not None and inner.kind is kind), None)
