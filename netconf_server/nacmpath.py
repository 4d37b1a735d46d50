"""The path of an access control rule (RFC 8341, node-instance-identifier): an instance-identifier whose key
predicates may be left out, and may name the session's user as `$USER`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from lxml import etree

from netconf_server.values import key_tags, value_of_text
from rui.schema import Kind, Node, Schema

_NAME = r"(?:([A-Za-z_][\w.-]*):)?([A-Za-z_][\w.-]*)"
_STEP = re.compile(rf"\s*/\s*{_NAME}((?:\s*\[(?:[^\]'\"]|'[^']*'|\"[^\"]*\")*\])*)\s*")
_TEST = re.compile(rf"\s*\[\s*(?:(\.)|{_NAME})\s*=\s*(?:'([^']*)'|\"([^\"]*)\"|(\$USER))\s*\]")
_OWN_VALUE = "."

Instance: TypeAlias = tuple[str, Callable[[str], str | None]]
"""One step of where data is: its tag, and what gives the text of a key leaf by its tag (`.`: its own)."""


class PathError(ValueError):
    """A path that is no node-instance-identifier; says what is wrong with it and what to write."""


@dataclass(frozen=True)
class KeyTest:
    """One predicate: the leaf that is compared, and with what; None is the session's user."""

    tag: str
    text: str | None
    node: Node | None = None

    def holds(self, found: str | None, user: str) -> bool:
        """Say whether the text of an instance's leaf has the value asked for."""
        if found is None:
            return False
        wanted = user if self.text is None else self.text
        if self.node is None:
            return found == wanted
        return value_of_text(found, {}, self.node) == value_of_text(wanted, {}, self.node)


@dataclass(frozen=True)
class RulePath:
    """A path of a rule. `target` is the schema path of its last node: "" for the path `/`, which names all,
    None where no module defines it, which names nothing.
    """

    target: str | None
    steps: tuple[tuple[str, tuple[KeyTest, ...]], ...]

    @property
    def keyed(self) -> bool:
        """Whether it names some instances only."""
        return any(tests for _, tests in self.steps)

    def is_decided(self, depth: int) -> bool:
        """Say whether the first `depth` steps of an instance are all that `holds` looks at."""
        return not any(tests for _, tests in self.steps[depth:])

    def covers(self, node: Node) -> bool:
        """Say whether some instance of this schema node is at or below the path."""
        if self.target is None:
            return False
        return not self.target or node.path == self.target or node.path.startswith(f"{self.target}/")

    def holds(self, trail: Sequence[Instance], user: str) -> bool:
        """Say whether this instance, of a schema node that is covered, is at or below the path."""
        return all(
            test.holds(value(test.tag), user)
            for (_, tests), (_, value) in zip(self.steps, trail, strict=False)
            for test in tests
        )


def instance_of(element: etree._Element) -> Instance:
    """One step of a trail from an element; its keys are read when they are asked for."""
    return str(element.tag), lambda tag: element.text if tag == _OWN_VALUE else element.findtext(tag)


def instance_with(node: Node, keys: Mapping[str, str]) -> Instance:
    """One step of a trail from a list entry's keys by their local names."""
    known = dict(zip(key_tags(node), node.keys, strict=True))
    return node.tag, lambda tag: keys.get(known.get(tag, ""))


def parse_path(text: str, prefixes: Mapping[str | None, str], schema: Schema) -> RulePath:
    """Read a path. `prefixes` are those in scope on its leaf. Raises PathError."""
    if text.strip() == "/":
        return RulePath("", ())
    steps: list[tuple[str, list[tuple[str, str | None]]]] = []
    namespace, end = None, 0
    while end < len(text):
        match = _STEP.match(text, end)
        if match is None:
            raise PathError(f"{text!r} is no path from {text[end:]!r} on: write /prefix:node[prefix:key='…']")
        namespace = _namespace(match[1], prefixes, namespace, text)
        steps.append((f"{{{namespace}}}{match[2]}", _tests(match[3], prefixes, namespace, text)))
        end = match.end()
    if not steps:
        raise PathError("the path is empty: write / for all data")
    return _resolve(steps, schema)


def _namespace(prefix: str | None, prefixes: Mapping[str | None, str], above: str | None, text: str) -> str:
    found = prefixes.get(prefix) if prefix is not None else above
    if found is None:
        what = f"the prefix {prefix!r} of" if prefix else "the first step of"
        raise PathError(f"{what} {text!r} says no namespace: declare the prefix with xmlns:… on the leaf")
    return found


def _tests(
    predicates: str, prefixes: Mapping[str | None, str], namespace: str, text: str
) -> list[tuple[str, str | None]]:
    tests: list[tuple[str, str | None]] = []
    end = 0
    while end < len(predicates.rstrip()):
        match = _TEST.match(predicates, end)
        if match is None:
            raise PathError(f"{predicates[end:]!r} in {text!r} is no predicate: write [prefix:key='value']")
        tag = _OWN_VALUE if match[1] else f"{{{_namespace(match[2], prefixes, namespace, text)}}}{match[3]}"
        literal = match[4] if match[4] is not None else match[5]
        tests.append((tag, None if match[6] else literal))
        end = match.end()
    return tests


def _resolve(steps: Sequence[tuple[str, list[tuple[str, str | None]]]], schema: Schema) -> RulePath:
    level: Mapping[str, Node] = schema.tree.data
    node: Node | None = None
    found = []
    for tag, tests in steps:
        node = level.get(tag)
        if node is None:
            return RulePath(None, ())
        for test_tag, _ in tests:
            _check_test(node, test_tag)
        found.append((tag, tuple(KeyTest(name, text, _leaf(node, name)) for name, text in tests)))
        level = node.children
    return RulePath(None if node is None else node.path, tuple(found))


def _check_test(node: Node, tag: str) -> None:
    fits = node.kind is Kind.LEAF_LIST if tag == _OWN_VALUE else tag in key_tags(node)
    if not fits:
        keys = ", ".join(node.keys) or "none"
        raise PathError(f"a predicate of {node.path} names no key of it; its keys: {keys}")


def _leaf(node: Node, tag: str) -> Node | None:
    return node if tag == _OWN_VALUE else node.children.get(tag)
