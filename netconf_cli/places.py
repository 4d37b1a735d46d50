"""Words along the schema: which node they lead to, with which keys and values, and what may come next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from lxml import etree

from netconf_cli.words import LineError, Word
from rui.netconf import names
from rui.schema import Kind, Node, Schema, TypeSpec

_INNER = frozenset({Kind.CONTAINER, Kind.LIST})


@dataclass(frozen=True)
class Step:
    """One node on the way; of a list the values of its first keys, as far as given."""

    node: Node
    keys: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether it names one instance."""
        return len(self.keys) == len(self.node.keys)


@dataclass(frozen=True)
class Place:
    """A way from the top to a node; the empty one is the top itself. `value` is of a leaf at its end."""

    steps: tuple[Step, ...] = ()
    value: str | None = None

    @property
    def node(self) -> Node | None:
        """The node at its end."""
        return self.steps[-1].node if self.steps else None

    @property
    def up(self) -> Place:
        """The place one node above."""
        return Place(self.steps[:-1])

    def to(self, node: Node) -> Place:
        """The place of a child."""
        return Place((*self.steps, Step(node)))

    def with_key(self, value: str) -> Place:
        """The place with one more key of its list."""
        last = self.steps[-1]
        return Place((*self.steps[:-1], replace(last, keys=(*last.keys, value))))

    def __str__(self) -> str:
        return " ".join(" ".join((step.node.name, *step.keys)) for step in self.steps)


TOP = Place()


@dataclass(frozen=True)
class Expected:
    """What may come next: one of `nodes`, or a value of the leaf `leaf` (`key` when it is a list's key)."""

    nodes: tuple[Node, ...] = ()
    leaf: Node | None = None
    key: bool = False


class Walker:
    """Follows words from `base` along the schema.

    `top` are the nodes at the top. `values`: leafs are given values, several in one line; otherwise the line
    ends at a leaf, and a list may go without keys. `config` leaves state out.
    """

    def __init__(
        self, top: Mapping[str, Node], base: Place = TOP, *, values: bool = False, config: bool = False
    ) -> None:
        self.place = base
        self.assigned: list[Place] = []
        self._top = top
        self._base = base
        self._values = values
        self._config = config
        self._home: Place | None = None

    def feed(self, word: Word) -> None:
        """Take the next word. Raises LineError, which says what would fit."""
        expected = self.expected()
        if expected.leaf is not None:
            self._take_value(word, expected.leaf, key=expected.key)
            return
        node = self._node(word, expected.nodes)
        if node is None:
            raise LineError(word.start, _unknown(word, expected))
        if self._home is not None:
            self.place, self._home = self._home, None
        self.place = self.place.to(node)
        if self._values and node.type is not None and node.type.base == "empty":
            self._assign("")

    def expected(self) -> Expected:
        """What may come next."""
        node = self.place.node
        if self._home is not None:
            return Expected(self._children(self._home))
        if node is None or node.kind not in {*_INNER, Kind.LEAF, Kind.LEAF_LIST}:
            return Expected(self._children(self.place))
        step = self.place.steps[-1]
        if not step.whole:
            return Expected((), node.child(node.keys[len(step.keys)]), key=True)
        if node.kind in _INNER:
            return Expected(self._children(self.place))
        if self._values or node.kind is Kind.LEAF_LIST:
            return Expected((), node) if self.place.value is None else Expected()
        return Expected()

    def finish(self, end: int) -> None:
        """Check that nothing is missing at the end of the line, which is the column. Raises LineError."""
        expected = self.expected()
        if self._values and expected.leaf is not None and self._home is None:
            what = "key" if expected.key else "value"
            raise LineError(end, f"a {what} of {expected.leaf.name!r} is missing")

    def _take_value(self, word: Word, leaf: Node, *, key: bool) -> None:
        value = spelled(word.text, leaf.type)
        if key:
            self.place = self.place.with_key(value)
        elif self._values:
            self._assign(value)
        else:
            self.place = replace(self.place, value=value)

    def _assign(self, value: str) -> None:
        self.assigned.append(replace(self.place, value=value))
        self._home = self.place.up

    def _children(self, place: Place) -> tuple[Node, ...]:
        node = place.node
        level = self._top if node is None else node.children
        return tuple(
            child
            for child in level.values()
            if (child.config or not self._config) and not (node is not None and _is_key(node, child))
        )

    @staticmethod
    def _node(word: Word, nodes: tuple[Node, ...]) -> Node | None:
        """The node that a word names: whole, as MODULE:NAME, or by a beginning that only one has."""
        if word.quoted:
            return None
        exact = [node for node in nodes if word.text in {node.name, f"{node.module}:{node.name}"}]
        found = exact or [node for node in nodes if node.name.startswith(word.text)]
        if len(found) > 1:
            which = ", ".join(f"{node.module}:{node.name}" if exact else node.name for node in found)
            raise LineError(word.start, f"{word.text!r} is ambiguous: {which}")
        return found[0] if found else None


def _is_key(parent: Node, child: Node) -> bool:
    return child.name in parent.keys and child.namespace == parent.namespace


def _unknown(word: Word, expected: Expected) -> str:
    if not expected.nodes:
        return f"nothing may follow here, not {word.text!r}"
    shown = ", ".join(node.name for node in expected.nodes[:12])
    more = ", …" if len(expected.nodes) > 12 else ""
    return f"there is no {word.text!r} here, only {shown}{more}"


def spelled(text: str, kind: TypeSpec | None) -> str:
    """A value as YANG has it: an identity that is given without its module gets it."""
    if kind is not None and kind.base == "identityref" and ":" not in text:
        fits = [name for name in kind.identities if name.rpartition(":")[2] == text]
        if len(fits) == 1:
            return fits[0]
    return text


class Builder:
    """Makes elements from places, with the prefixes that values need."""

    def __init__(self, schema: Schema) -> None:
        self._namespaces = {module.name: module.namespace for module in schema.modules}

    def build(self, place: Place) -> tuple[etree._Element, etree._Element]:
        """Return the outermost and the innermost element of a place, which is not the top.

        Of a list whose keys are not all given, those that are.
        """
        outer: etree._Element | None = None
        inner: etree._Element | None = None
        for step in place.steps:
            value = place.value if step is place.steps[-1] else None
            inner = self.element(step.node, value, parent=inner)
            outer = inner if outer is None else outer
            for name, key_value in zip(step.node.keys, step.keys, strict=False):
                key = step.node.child(name)
                if key is not None:
                    self.element(key, key_value, parent=inner)
        if outer is None or inner is None:
            raise ValueError("the top has no element")
        return outer, inner

    def element(
        self, node: Node, value: str | None = None, *, parent: etree._Element | None = None
    ) -> etree._Element:
        """Make one element of a node, below `parent` if given."""
        nsmap = names.nsmap(node.namespace, self._prefixes(node, value))
        if parent is None:
            made = etree.Element(node.tag, nsmap=nsmap)
        else:
            made = etree.SubElement(parent, node.tag, nsmap=nsmap)
        made.text = value or None
        return made

    def _prefixes(self, node: Node, value: str | None) -> dict[str, str]:
        prefix = (value or "").partition(":")[0]
        if node.type is not None and _holds_identities(node.type) and prefix in self._namespaces:
            return {prefix: self._namespaces[prefix]}
        return {}


def _holds_identities(kind: TypeSpec) -> bool:
    return kind.base == "identityref" or any(map(_holds_identities, kind.members))
