"""Check many travelled list entries at once; each came as its own bytes.

A record of the usual shape is taken by one expression made from the schema. All others of a batch
are one libyang parse; only when that does not hold is each of them tried alone, so that a poisoned one is
named and the rest goes on. Nodes that this schema does not know are passed over: a receiver
without an augment keeps them as bytes.
"""

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from lxml import etree

from rui.schema.acceptor import usual_form
from rui.schema.errors import UnknownNodeError
from rui.schema.libyang import LibyangContext, Purpose
from rui.schema.runs import Runs
from rui.schema.tree import Kind, Node

_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)


@dataclass(frozen=True, slots=True)
class RecordIssue:
    """Why one record of a batch is refused; `index` counts from 0, `path` is the place in the data or ""."""

    index: int
    path: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}" if self.path else self.message


class RecordChecker:
    """Checks entries of one list, such as `/rui-user-info:user-info/group/user`.

    The text form of an entry's key is its key leaves' values joined by `/`. Made by `Schema.records`.
    """

    def __init__(self, context: LibyangContext, ancestors: Sequence[Node]) -> None:
        """`ancestors` runs from the top-level node to the list itself, which has keys."""
        self._context = context
        self._list = ancestors[-1]
        if self._list.kind is not Kind.LIST or not self._list.keys:
            raise UnknownNodeError(f"{self._list.path} is not a list with keys")
        self._outer = tuple(ancestors[:-1])
        keys = [child for child in map(self._list.child, self._list.keys) if child is not None]
        self._key_tags = [child.tag for child in keys]
        self.usual = usual_form(ancestors)
        """What needs no libyang; None where nothing is known of entries."""
        self._usual = None if self.usual is None else Runs(self.usual.alone(), most=1)
        self._sound_parents: tuple[str, ...] | None = None
        name, namespace = re.escape(self._list.name), re.escape(self._list.namespace)
        # The form that a record has when it was made here: key leaves first. Others go the longer way.
        leaves = rb"\s*".join(rb"<%s>([^<&]*)</%s>" % (2 * (re.escape(key.name).encode(),)) for key in keys)
        self._front = re.compile(rb'<%s xmlns="%s">\s*%s' % (name.encode(), namespace.encode(), leaves))
        self._end = f"</{self._list.name}>".encode()

    def key(self, record: bytes) -> bytes | None:
        """Return the key of a record as text, None when it is no entry of the list or lacks a key leaf."""
        match = self._front.match(record)
        if match is not None:
            return b"/".join(match.groups())
        element = _parse(record)
        if isinstance(element, str) or element.tag != self._list.tag:
            return None
        values = [element.findtext(tag) for tag in self._key_tags]
        return None if None in values else "/".join((value or "").strip() for value in values).encode()

    def check(
        self, parents: Sequence[str], records: Sequence[bytes], keys: Sequence[bytes] | None = None
    ) -> list[RecordIssue]:
        """Check a batch; return one issue for each record that is refused, in order.

        `parents`: the key values of the lists above, outermost first (the group-id). `records`: each one
        well-formed element. `keys`: the key that each record is said to have; one that differs is an issue.
        A key may occur more than once in a batch.
        """
        refused: list[RecordIssue] = []
        unusual: list[int] = []
        found: dict[int, bytes | None] = {}
        usual = self._usual if self.holds_parents(parents) else None
        for index, record in enumerate(records):
            key = self.key(record)
            if key is None:
                refused.append(self._alone(parents, index, record) or self._no_entry(index))
            elif keys is not None and key != keys[index]:
                reason = f"the record is of {_text(key)}, not of {_text(keys[index])}"
                refused.append(RecordIssue(index, "", reason))
            elif usual is None or usual.end(record, 0, len(record)) != len(record):
                unusual.append(index)
                found[index] = key
        for layer in _layers(unusual, found):
            if not self._together(parents, [records[index] for index in layer]):
                issues = (self._alone(parents, index, records[index]) for index in layer)
                refused.extend(issue for issue in issues if issue is not None)
        return sorted(refused, key=lambda issue: issue.index)

    def holds_parents(self, parents: Sequence[str]) -> bool:
        """Say whether the key values of the lists above are valid; the last good ones are remembered."""
        values = tuple(parents)
        if values != self._sound_parents and self._context.holds(self._wrap(values, b""), Purpose.RECORDS):
            self._sound_parents = values
        return values == self._sound_parents

    def _together(self, parents: Sequence[str], records: Sequence[bytes]) -> bool:
        body = b"".join(records)
        # What could let one record reach into another: comments, CDATA, declarations, a second closing tag.
        if b"<!" in body or b"<?" in body or body.count(self._end) != len(records):
            return False
        wrapped = self._wrap(parents, body)
        # libyang is laxer than XML: it lets through what no receiver of a whole message could parse.
        return not isinstance(_parse(wrapped), str) and self._context.holds(wrapped, Purpose.RECORDS)

    def _alone(self, parents: Sequence[str], index: int, record: bytes) -> RecordIssue | None:
        element = _parse(record)
        if isinstance(element, str):
            return RecordIssue(index, "", element)
        if element.tag != self._list.tag:
            return RecordIssue(index, "", f"the record is {element.tag}, not {self._list.tag}")
        issues = self._context.issues(self._wrap(parents, etree.tostring(element)), Purpose.RECORDS)
        return RecordIssue(index, issues[0].path, issues[0].message) if issues else None

    def _no_entry(self, index: int) -> RecordIssue:
        return RecordIssue(index, "", f"the record lacks a key leaf: {', '.join(self._list.keys)}")

    def _wrap(self, parents: Sequence[str], body: bytes) -> bytes:
        front: list[str] = []
        values = iter(parents)
        for node in self._outer:
            front.append(f'<{node.name} xmlns="{node.namespace}">')
            front.extend(f"<{key}>{html.escape(next(values), quote=False)}</{key}>" for key in node.keys)
        back = "".join(f"</{node.name}>" for node in reversed(self._outer))
        return "".join(front).encode() + body + back.encode()


def _text(key: bytes) -> str:
    return key.decode(errors="replace")


def _parse(record: bytes) -> etree._Element | str:
    """Return the element, or why the bytes are not one."""
    try:
        element = etree.fromstring(record, _PARSER)
    except etree.XMLSyntaxError as cause:
        return f"the record is not well-formed XML: {cause.msg}"
    return element


def _layers(indexes: Sequence[int], keys: Mapping[int, bytes | None]) -> Iterator[list[int]]:
    """Deal records into sets in which no key occurs twice: a list takes each key once."""
    pending = list(indexes)
    while pending:
        seen: dict[bytes | None, int] = {}
        for index in pending:
            seen.setdefault(keys[index], index)
        layer = list(seen.values())
        yield layer
        if len(layer) == len(pending):
            return
        taken = set(layer)
        pending = [index for index in pending if index not in taken]
