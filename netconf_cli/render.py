"""Data as text: in braces for people, as `set` commands, as JSON (RFC 7951) and as XML."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from lxml import etree

from netconf_cli.walk import Item, Visitor
from netconf_cli.words import quoted
from rui.netconf import names
from rui.schema import Kind, TypeSpec

_INDENT = "    "
_NUMBERS = frozenset({"int8", "int16", "int32", "uint8", "uint16", "uint32"})
_LISTS = frozenset({Kind.LIST, Kind.LEAF_LIST})
# Control characters in a value must not reach a terminal, where they would be commands.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def harmless(text: str) -> str:
    """The text without what a terminal would obey."""
    return _CONTROL.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


class Braces:
    """`name { … }`, as configurations are written by hand."""

    def __init__(self) -> None:
        self._depth = 0

    def open(self, item: Item) -> Iterator[str]:
        """The head of a node."""
        yield f"{self._indent}{_head(item)} {{"
        self._depth += 1

    def whole(self, item: Item, _parents: tuple[Item, ...] = ()) -> Iterator[str]:
        """A node with its content."""
        if not item.inner:
            yield f"{self._indent}{_statement(item)}"
            return
        inner = [child for child in item.children() if not item.has_key(child)]
        if not inner:
            yield f"{self._indent}{_head(item)};"
            return
        yield from self.open(item)
        for child in inner:
            yield from self.whole(child)
        yield from self.close(item)

    def close(self, _item: Item) -> Iterator[str]:
        """The end of a node."""
        self._depth -= 1
        yield f"{self._indent}}}"

    @property
    def _indent(self) -> str:
        return _INDENT * self._depth


class SetLines:
    """One `set` command for each leaf, which together make the data again."""

    def __init__(self, prefix: str = "set") -> None:
        self._prefix = prefix
        self._path: list[str] = []

    def open(self, item: Item) -> Iterator[str]:
        """Remember where."""
        self._path.append(_head(item))
        return iter(())

    def whole(self, item: Item, _parents: tuple[Item, ...] = ()) -> Iterator[str]:
        """The commands of a node."""
        if not item.inner:
            yield " ".join((self._prefix, *self._path, _statement(item)[:-1]))
            return
        children = [child for child in item.children() if not item.has_key(child)]
        self._path.append(_head(item))
        if not children:
            yield " ".join((self._prefix, *self._path))
        for child in children:
            yield from self.whole(child)
        self._path.pop()

    def close(self, _item: Item) -> Iterator[str]:
        """Forget where."""
        self._path.pop()
        return iter(())


class Xml:
    """Indented XML in one `data` element."""

    def __init__(self) -> None:
        self._depth = 1
        self._begun = False

    def open(self, item: Item) -> Iterator[str]:
        """The start tag and the keys."""
        yield from self.begin()
        start = etree.tostring(etree.Element(item.element.tag, nsmap=_nsmap(item.element))).decode()
        yield f"{self._indent}{start[:-2]}>"
        self._depth += 1
        for child in item.children():
            if item.has_key(child):
                yield from self._lines(child.element)

    def whole(self, item: Item, _parents: tuple[Item, ...] = ()) -> Iterator[str]:
        """The element, indented."""
        yield from self.begin()
        yield from self._lines(item.element)

    def close(self, item: Item) -> Iterator[str]:
        """The end tag."""
        self._depth -= 1
        start = etree.tostring(etree.Element(item.element.tag, nsmap=_nsmap(item.element))).decode()
        yield f"{self._indent}</{start[1:-2].split()[0]}>"

    def begin(self) -> Iterator[str]:
        """The document's first line, once."""
        if not self._begun:
            self._begun = True
            yield "<data>"

    def end(self) -> Iterator[str]:
        """The document's last line."""
        yield from self.begin()
        yield "</data>"

    def _lines(self, element: etree._Element) -> Iterator[str]:
        text = etree.tostring(element, with_tail=False, pretty_print=True, encoding="unicode")
        yield from (f"{self._indent}{line}" for line in text.splitlines())

    @property
    def _indent(self) -> str:
        return "  " * self._depth


class Json:
    """One JSON object in the encoding of RFC 7951."""

    def __init__(self) -> None:
        # For each open object: the tag of the array that is open in it, and whether it has a member yet
        self._arrays: list[str | None] = [None]
        self._filled = [False]
        # The last line waits: whether a comma ends it is known with the next
        self._held = "{"

    def open(self, item: Item) -> Iterator[str]:
        """The beginning of a member whose object is filled by what follows."""
        yield from self._member(item, self._parent_module(item), ["{"])
        self._arrays.append(None)
        self._filled.append(False)
        for child in item.children():
            if item.has_key(child):
                yield from self.whole(child, (item,))

    def whole(self, item: Item, parents: tuple[Item, ...] = ()) -> Iterator[str]:
        """A member with its value."""
        module = _module(parents[-1]) if parents else ""
        yield from self._member(
            item, module, json.dumps(_value(item), indent=2, ensure_ascii=False).splitlines()
        )

    def close(self, _item: Item) -> Iterator[str]:
        """The end of an object."""
        yield from self._end_array()
        self._arrays.pop()
        self._filled.pop()
        yield from self._put(f"{self._indent}}}")

    def end(self) -> Iterator[str]:
        """The last brace."""
        yield from self._end_array()
        yield from self._put("}")
        yield self._held

    def _put(self, line: str) -> Iterator[str]:
        yield self._held
        self._held = line

    def _member(self, item: Item, outer: str, value: list[str]) -> Iterator[str]:
        """A member, or one more element of the array that is open."""
        tag = str(item.element.tag)
        name = f"{json.dumps(_qualified(item, outer))}: "
        if self._arrays[-1] == tag:
            self._held += ","
        else:
            yield from self._end_array()
            self._held += "," if self._filled[-1] else ""
            self._filled[-1] = True
            if item.node is not None and item.node.kind in _LISTS:
                yield from self._put(f"{self._indent}{name}[")
                self._arrays[-1] = tag
        head = "" if self._arrays[-1] == tag else name
        yield from self._put(f"{self._indent}{head}{value[0]}")
        for line in value[1:]:
            yield from self._put(f"{self._indent}{line}")

    def _end_array(self) -> Iterator[str]:
        if self._arrays[-1] is not None:
            self._arrays[-1] = None
            yield from self._put(f"{self._indent}]")

    @staticmethod
    def _parent_module(item: Item) -> str:
        parent = item.element.getparent()
        namespace = names.split(str(parent.tag))[0] if parent is not None else None
        same = namespace == names.split(str(item.element.tag))[0]
        return _module(item) if same else ""

    @property
    def _indent(self) -> str:
        return "  " * (len(self._filled) + sum(array is not None for array in self._arrays))


Format = Visitor[str]
"""A visitor that gives lines back."""


def _value(item: Item) -> object:
    node = item.node
    if item.inner:
        members: dict[str, object] = {}
        for child in item.children():
            name = _qualified(child, _module(item))
            value = _value(child)
            if child.node is not None and child.node.kind in _LISTS:
                held = members.setdefault(name, [])
                if isinstance(held, list):
                    held.append(value)
            else:
                members[name] = value
        return members
    text = item.element.text or ""
    return _scalar(text, node.type if node is not None else None)


def _scalar(text: str, kind: TypeSpec | None) -> object:
    """A leaf's value: RFC 7951 section 6."""
    if kind is None:
        return text
    if kind.base in _NUMBERS:
        return int(text) if text.strip().lstrip("+-").isdigit() else text
    if kind.base == "boolean":
        return text.strip() == "true"
    if kind.base == "empty":
        return [None]
    if kind.base == "union" and text.isdigit() and any(part.base in _NUMBERS for part in kind.members):
        return int(text)
    return text


def _module(item: Item) -> str:
    if item.node is not None:
        return item.node.module
    return names.split(str(item.element.tag))[0] or ""


def _qualified(item: Item, outer: str) -> str:
    module = _module(item)
    return item.name if module == outer else f"{module}:{item.name}"


def _head(item: Item) -> str:
    return " ".join((item.name, *(quoted(key) for key in item.keys)))


def _statement(item: Item) -> str:
    text = item.element.text or ""
    empty = item.node is not None and item.node.type is not None and item.node.type.base == "empty"
    return f"{item.name};" if empty or not text else f"{item.name} {quoted(text)};"


def _nsmap(element: etree._Element) -> dict[str, str]:
    parent = element.getparent()
    known = parent.nsmap if parent is not None else {}
    return {key: uri for key, uri in element.nsmap.items() if known.get(key) != uri}  # type: ignore[misc]
