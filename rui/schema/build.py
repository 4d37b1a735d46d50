"""From pyang's statements to the schema tree. Nothing of pyang leaves this file."""

from collections.abc import Collection, Iterable, Iterator
from types import MappingProxyType
from typing import NamedTuple

from pyang import statements, types

from rui.schema.dependence import looked_at
from rui.schema.tree import Kind, Membership, Node, Tree, TypeSpec

_DATA = frozenset({"container", "list", "leaf", "leaf-list", "anydata", "anyxml"})
_OPERATIONS = frozenset({"rpc", "action", "notification"})
_NODES = _DATA | _OPERATIONS | {"input", "output"}


class _Parent(NamedTuple):
    """Where children are: path and module of their parent, and whether an operation is around them."""

    path: str = ""
    module: str = ""
    operation: bool = False


def build_tree(modules: dict[str, statements.Statement], implemented: Collection[str]) -> Tree:
    """Build the tree of the implemented modules; the others only lend types and groupings."""
    builder = _Builder(modules, implemented)
    data: dict[str, Node] = {}
    rpcs: dict[str, Node] = {}
    notifications: dict[str, Node] = {}
    for name in sorted(implemented):
        for node in builder.nodes(modules[name].i_children, _Parent()):
            target = {Kind.RPC: rpcs, Kind.NOTIFICATION: notifications}.get(node.kind, data)
            target[node.tag] = node
    return Tree(
        MappingProxyType(data),
        MappingProxyType(rpcs),
        MappingProxyType(notifications),
        looked_at(modules.values()),
    )


class _Builder:
    def __init__(self, modules: dict[str, statements.Statement], implemented: Collection[str]) -> None:
        self._namespaces = {
            name: module.search_one("namespace").arg
            for name, module in modules.items()
            if module.keyword == "module"
        }
        self._implemented = frozenset(implemented)
        self._identities = _derived_identities(modules.values())

    def nodes(
        self,
        children: Iterable[statements.Statement],
        parent: _Parent,
        choices: tuple[Membership, ...] = (),
    ) -> Iterator[Node]:
        """Yield the data nodes and operations among statements, looking through choices and cases."""
        for statement in children:
            keyword = statement.keyword
            module = _module_name(statement)
            if module not in self._implemented or getattr(statement, "i_not_implemented", False):
                continue
            if keyword == "choice":
                place = f"{parent.path}/{module}:{statement.arg}"
                for case in statement.i_children:
                    inner = (*choices, Membership(place, case.arg))
                    members = case.i_children if case.keyword == "case" else [case]
                    yield from self.nodes(members, parent, inner)
            elif keyword in _NODES:
                yield self._node(statement, module, parent, choices)

    def _node(
        self,
        statement: statements.Statement,
        module: str,
        parent: _Parent,
        choices: tuple[Membership, ...],
    ) -> Node:
        keyword = statement.keyword
        prefix = "" if module == parent.module else f"{module}:"
        path = f"{parent.path}/{prefix}{statement.arg or keyword}"
        inside = parent.operation or keyword in _OPERATIONS
        below = getattr(statement, "i_children", None) or ()
        children = {node.tag: node for node in self.nodes(below, _Parent(path, module, inside))}
        kind = Kind(keyword)
        minimum = int(_argument(statement, "min-elements") or 0)
        maximum = _argument(statement, "max-elements")
        is_key = getattr(statement, "i_is_key", False)
        return Node(
            kind=kind,
            module=module,
            namespace=self._namespaces[module],
            name=statement.arg or keyword,
            path=path,
            config=bool(getattr(statement, "i_config", False)) and not inside,
            mandatory=_argument(statement, "mandatory") == "true" or minimum > 0 or is_key,
            presence=_argument(statement, "presence"),
            ordered_by_user=_argument(statement, "ordered-by") == "user",
            keys=tuple(_argument(statement, "key").split()) if kind is Kind.LIST else (),
            unique=tuple(unique.arg for unique in statement.search("unique")),
            min_elements=minimum,
            max_elements=int(maximum) if maximum.isdigit() else None,
            type=self._type(statement.search_one("type")) if kind in {Kind.LEAF, Kind.LEAF_LIST} else None,
            defaults=_defaults(statement) if kind in {Kind.LEAF, Kind.LEAF_LIST} else (),
            units=_argument(statement, "units"),
            description=_argument(statement, "description"),
            reference=_argument(statement, "reference"),
            status=_argument(statement, "status") or "current",
            when=tuple(when.arg for when in statement.search("when")),
            must=tuple(must.arg for must in statement.search("must")),
            choices=choices,
            extensions=frozenset(sub.keyword for sub in statement.substmts if isinstance(sub.keyword, tuple)),
            children=MappingProxyType(children),
        )

    def _type(self, statement: statements.Statement) -> TypeSpec:
        found: dict[str, tuple[object, ...]] = {}
        spec = statement.i_type_spec
        members: tuple[TypeSpec, ...] = ()
        target = path = ""
        levels = list(_levels(statement))
        # Each restriction wraps the type it restricts: the outermost of a kind is the one that holds.
        while spec is not None:
            if isinstance(spec, types.EnumTypeSpec):
                found.setdefault(
                    "enums", tuple(name for name, _ in spec.enums if name not in _left_out(levels))
                )
            elif isinstance(spec, types.BitTypeSpec):
                found.setdefault(
                    "bits", tuple(name for name, _ in spec.bits if name not in _left_out(levels))
                )
            elif isinstance(spec, types.IdentityrefTypeSpec):
                found.setdefault("identities", self._fitting(spec.idbases))
            elif isinstance(spec, types.RangeTypeSpec):
                found.setdefault("ranges", _spans(spec.ranges))
            elif isinstance(spec, types.LengthTypeSpec):
                found.setdefault("lengths", _spans(spec.lengths))
            elif isinstance(spec, types.UnionTypeSpec):
                members = tuple(self._type(member) for member in spec.types)
            elif isinstance(spec, types.PathTypeSpec):
                path = spec.path_.arg if hasattr(spec.path_, "arg") else str(spec.path_)
                target = _target_path(spec)
            base, spec = spec.name, getattr(spec, "base", None)
        patterns = [
            (level, pattern.arg, pattern.search_one("modifier", "invert-match") is not None)
            for level, stated in enumerate(levels)
            for pattern in stated.search("pattern")
        ]
        return TypeSpec(
            name=statement.arg,
            base=base,
            patterns=tuple(text for _, text, inverted in patterns if not inverted),
            pattern_levels=tuple(level for level, _, inverted in patterns if not inverted),
            excluded=tuple(text for _, text, inverted in patterns if inverted),
            typedefs=tuple(f"{_module_name(level.parent)}:{level.parent.arg}" for level in levels[1:]),
            path=path,
            target=target,
            members=members,
            **found,  # type: ignore[arg-type]
        )

    def _fitting(self, bases: Iterable[statements.Statement]) -> tuple[str, ...]:
        sets = [self._identities.get(_qualified(base.i_identity), frozenset()) for base in bases]
        return tuple(sorted(frozenset.intersection(*sets))) if sets else ()


def _module_name(statement: statements.Statement) -> str:
    """The main module that a node belongs to: a submodule's nodes are its module's."""
    return str(statement.i_module.i_modulename)


def _argument(statement: statements.Statement, keyword: str) -> str:
    found = statement.search_one(keyword)
    return "" if found is None else str(found.arg)


def _defaults(statement: statements.Statement) -> tuple[str, ...]:
    own = tuple(default.arg for default in statement.search("default"))
    if own or statement.search_one("mandatory", "true") is not None:
        return own
    for level in list(_levels(statement.search_one("type")))[1:]:
        default = level.parent.search_one("default")
        if default is not None:
            return (default.arg,)
    return ()


def _levels(statement: statements.Statement) -> Iterator[statements.Statement]:
    """Yield the type statements of a leaf and of the typedefs below it, outermost first."""
    while statement is not None:
        yield statement
        typedef = statement.i_typedef
        statement = None if typedef is None else typedef.search_one("type")


def _left_out(levels: Iterable[statements.Statement]) -> set[str]:
    """Return the enums and bits whose feature is not enabled."""
    return {
        name.arg
        for level in levels
        for name in (*level.search("enum"), *level.search("bit"))
        if getattr(name, "i_not_implemented", False)
    }


def _spans(pairs: Iterable[tuple[object, object]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(low), str(low if high is None else high)) for low, high in pairs)


def _target_path(spec: types.PathTypeSpec) -> str:
    node = getattr(spec, "i_target_node", None)
    steps: list[str] = []
    while node is not None and node.keyword not in {"module", "submodule"}:
        if node.keyword not in {"choice", "case"}:
            steps.append(f"{_module_name(node)}:{node.arg or node.keyword}")
        node = node.parent
    return "".join(f"/{step}" for step in reversed(steps))


def _qualified(identity: statements.Statement) -> str:
    return f"{_module_name(identity)}:{identity.arg}"


def _derived_identities(modules: Iterable[statements.Statement]) -> dict[str, frozenset[str]]:
    """Map each identity to all that derive from it, directly or not."""
    parents: dict[str, set[str]] = {}
    for module in modules:
        for identity in module.i_identities.values():
            if getattr(identity, "i_not_implemented", False):
                continue
            parents[_qualified(identity)] = {_qualified(base.i_identity) for base in identity.search("base")}
    derived: dict[str, set[str]] = {}
    for name, bases in parents.items():
        pending = list(bases)
        while pending:
            base = pending.pop()
            if name not in derived.setdefault(base, set()):
                derived[base].add(name)
                pending.extend(parents.get(base, ()))
    return {base: frozenset(names) for base, names in derived.items()}
