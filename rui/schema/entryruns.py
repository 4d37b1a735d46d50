"""A quick yes for the long list at the end of an operation's input, compiled from the schema.

A batch is a small head and thousands of entries of one list without keys, of which libyang builds a tree.
The entries at the end of an input that are plainly valid, as `rui.schema.acceptor` judges it, are left out of
what libyang is shown: without keys, and without constraints over several of them, each stands for itself.
"""

import re
from collections.abc import Sequence

from rui.schema.acceptor import leaf_value
from rui.schema.tree import Kind, Node


class EntryRun:
    """The entries of one list as the last children of an operation."""

    def __init__(self, operation: Node, entry: Node, expression: str) -> None:
        self._front = re.compile(
            rf'<{operation.name}(?: xmlns:[\w.-]+="[^"<>]*")* xmlns="{re.escape(operation.namespace)}"'
            rf'(?: xmlns:[\w.-]+="[^"<>]*")*>'.encode()
        )
        self._opening = f"<{entry.name}>".encode()
        self._end = f"</{operation.name}>".encode()
        self._run = re.compile(f"(?:{expression})++".encode("ascii"))

    def without_valid(self, operation: bytes) -> bytes:
        """Return the operation without the run if all of it is valid, else unchanged."""
        start, end = operation.find(self._opening), len(operation) - len(self._end)
        if (
            start < 0
            or not operation.endswith(self._end)
            or self._front.match(operation) is None
            or self._run.fullmatch(operation, start, end) is None
        ):
            return operation
        return operation[:start] + self._end


def compile_entry_run(operation: Node) -> EntryRun | None:
    """Return the run of an rpc's input; None where it has no list whose entries can be judged so."""
    body = next((node for node in operation.children.values() if node.kind is Kind.INPUT), None)
    if body is None:
        return None
    for entry in body.children.values():
        if entry.namespace == operation.namespace and _is_independent(entry, body):
            expression = _entry(entry)
            if expression is not None:
                return EntryRun(operation, entry, expression)
    return None


def _is_independent(entry: Node, body: Node) -> bool:
    bounded = entry.min_elements > 0 or entry.max_elements is not None
    if entry.kind is not Kind.LIST or entry.keys or entry.unique or entry.choices or bounded:
        return False
    if any(node.must or node.when for node in entry.walk()):
        return False
    return not any(_may_speak_of(entry.name, node) for node in body.walk())


def _may_speak_of(name: str, node: Node) -> bool:
    """Say whether a constraint on a node may look at elements of this name, which would be left out."""
    paths = (*node.must, *node.when, *((node.type.path,) if node.type is not None else ()))
    return any(name in path or "*" in path or "node(" in path for path in paths)


def _entry(entry: Node) -> str | None:
    """Return the expression of one entry; in a choice each case is one child, and one is there."""
    parts = [f"<{entry.name}>"]
    choices: dict[str, list[Node]] = {}
    for child in entry.children.values():
        if len(child.choices) == 1 and child.namespace == entry.namespace:
            members = choices.setdefault(child.choices[0].choice, [])
            members.append(child)
            if len(members) == 1:
                parts.append(child.choices[0].choice)
        elif child.mandatory and not child.choices and (element := _element(child, entry)) is not None:
            parts.append(element)
        else:
            return None
    for place, members in choices.items():
        alternatives = _alternatives(members, entry)
        if alternatives is None:
            return None
        parts[parts.index(place)] = alternatives
    return "".join((*parts, f"</{entry.name}>"))


def _alternatives(members: Sequence[Node], entry: Node) -> str | None:
    cases = [member.choices[0].case for member in members]
    elements = [_element(member, entry) for member in members]
    if None in elements or len(set(cases)) != len(cases):
        return None
    return f"(?:{'|'.join(filter(None, elements))})"


def _element(node: Node, entry: Node) -> str | None:
    """Return the expression of a child; anydata is there without its content, which is not looked into."""
    if node.namespace != entry.namespace:
        return None
    if node.kind is Kind.ANYDATA or (node.type is not None and node.type.base == "empty"):
        return f"<{node.name}/>"
    value = leaf_value(node) if node.kind is Kind.LEAF else None
    return None if value is None else f"<{node.name}>{value}</{node.name}>"
