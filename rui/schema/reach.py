"""Which modules are served only because parts of others refer to them that no feature enables.

libyang implements every module that an implemented one augments or points into by a leafref, the disabled
parts of it included. ietf-subscribed-notifications so would bring interfaces and network instances to a
server that has none.
"""

from collections.abc import Collection, Iterable, Mapping

from pyang import statements

_REFER_TO_LITTLE = frozenset({"ietf-subscribed-notifications", "ietf-yang-push"})


def served(
    names: Iterable[str], implemented: Collection[str], modules: Mapping[str, statements.Statement]
) -> set[str]:
    """Those of the implemented modules that the requested ones (`names`) reach by imports that matter."""
    reached: set[str] = set()
    pending = list(names)
    while pending:
        name = pending.pop()
        if name in reached or name not in modules:
            continue
        reached.add(name)
        if name not in _REFER_TO_LITTLE:
            pending += [statement.arg for statement in modules[name].search("import")]
            pending += [statement.arg for statement in modules[name].search("include")]
    return reached & set(implemented)
